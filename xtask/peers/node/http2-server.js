'use strict'

// node http2-server.js PORT FOLDER [CERT KEY]   Node's own HTTP/2 server
//
// Besides the routes of routes.js:
//   POST /trailers  the digest of the body, then the request's trailers as the response's
//   GET  /hints     103 twice, then 200
//   GET  /push      pushes small.txt, 400kb.bin and 1mb.bin
//   CONNECT         with a protocol: bytes are sent back; without: a tunnel to host and port
// Announces its origin and an alternative to it.

const crypto = require('crypto')
const fs = require('fs')
const http2 = require('http2')
const net = require('net')
const path = require('path')
const routes = require('./routes')

const [port, folder, cert, key] = process.argv.slice(2)
const scheme = cert ? 'https' : 'http'
const answer = routes(folder, () => 'h2')
const options = { settings: { enableConnectProtocol: true } }
const server = cert
  ? http2.createSecureServer({
    ...options,
    cert: fs.readFileSync(cert),
    key: fs.readFileSync(key),
    origins: [`https://localhost:${port}`, 'https://node.example']
  })
  : http2.createServer(options)

const own = {
  'POST /trailers' (request, response) {
    const hash = crypto.createHash('sha256')
    request.on('data', (chunk) => hash.update(chunk))
    request.on('end', () => {
      response.addTrailers(request.trailers)
      response.end(hash.digest('hex'))
    })
  },
  'GET /hints' (request, response) {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeEarlyHints({ link: '</b.css>; rel=preload' })
    response.end('hinted\n')
  },
  'GET /push' (request, response) {
    for (const name of ['small.txt', '400kb.bin', '1mb.bin']) {
      response.createPushResponse({ ':path': '/' + name }, (error, push) => {
        if (error) return console.log('push error: ' + error.message)
        push.end(fs.readFileSync(path.join(folder, name)))
      })
    }
    response.end('pushed\n')
  }
}

server.on('session', (session) => {
  session.altsvc('h2=":8000"; ma=60', `${scheme}://localhost:${port}`)
})
server.on('request', (request, response) => {
  console.log(`${request.method} ${request.url} h2`)
  const route = own[`${request.method} ${request.url}`] || answer
  route(request, response)
})
server.on('connect', (request) => {
  const { stream, headers } = request
  stream.on('error', (error) => console.log('tunnel: ' + error.message))
  if (headers[':protocol']) {
    stream.respond({ ':status': 200 })
    return stream.pipe(stream)
  }
  const [host, target] = headers[':authority'].split(':')
  const upstream = net.connect(Number(target), host, () => {
    stream.respond({ ':status': 200 })
    stream.pipe(upstream).pipe(stream)
  })
  upstream.on('error', () => stream.respond({ ':status': 502 }, { endStream: true }))
})
server.on('sessionError', (error) => console.log('session error: ' + error.message))
process.on('uncaughtException', (error) => console.log('uncaught: ' + error.stack))
server.listen(Number(port), '127.0.0.1', () => console.log('listening'))
