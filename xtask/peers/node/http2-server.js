'use strict'

// node http2-server.js PORT FOLDER [CERT KEY]   Node's own HTTP/2 server

const fs = require('fs')
const http2 = require('http2')
const routes = require('./routes')

const [port, folder, cert, key] = process.argv.slice(2)
const answer = routes(folder, () => 'h2')
const server = cert
  ? http2.createSecureServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
  : http2.createServer()
server.on('request', (request, response) => {
  console.log(`${request.method} ${request.url} h2`)
  answer(request, response)
})
server.on('sessionError', (error) => console.log('session error: ' + error.message))
process.on('uncaughtException', (error) => console.log('uncaught: ' + error.stack))
server.listen(Number(port), '127.0.0.1', () => console.log('listening'))
