'use strict'

// node spdy-server.js PORT FOLDER CERT KEY    ALPN, SPDY/2, 3 and 3.1
//
// The `spdy` package as a server: Node's own request and response objects on
// top of spdy-transport. On Node 20 it stalls by itself (against its own
// client) on large responses without TLS and on streamed echoes, so that this
// one serves files and digests over TLS; spdy-transport-server.js the rest.

const fs = require('fs')
const spdy = require('spdy')
const routes = require('./routes')

const [port, folder, cert, key] = process.argv.slice(2)
const answer = routes(folder, (request) => request.spdyVersion)
const server = spdy.createServer({
  cert: fs.readFileSync(cert),
  key: fs.readFileSync(key),
  spdy: { protocols: ['spdy/3.1', 'spdy/3', 'spdy/2'] }
}, (request, response) => {
  console.log(`${request.method} ${request.url} spdy/${request.spdyVersion}`)
  answer(request, response)
})
server.on('tlsClientError', (error) => console.log('tls error: ' + error.message))
process.on('uncaughtException', (error) => console.log('uncaught: ' + error.stack))
server.listen(Number(port), '127.0.0.1', () => console.log('listening'))
