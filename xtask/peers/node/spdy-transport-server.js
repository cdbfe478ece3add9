'use strict'

// node spdy-transport-server.js PORT FOLDER VERSION       cleartext, prior knowledge
// node spdy-transport-server.js PORT FOLDER tls CERT KEY  ALPN, all versions
// node spdy-transport-server.js PORT FOLDER npn CERT KEY  the same by NPN, on Node 8
//
// `spdy-transport` as a server, with the routes of routes.js, and
//   GET /ping      sends PING and answers once it is back
//   GET /goaway    sends GOAWAY between the head of the answer and its body
//   GET /push      pushes /small.txt and /400kb.bin
// It prints a line for every request, PING, GOAWAY and RST_STREAM that it gets.

const crypto = require('crypto')
const fs = require('fs')
const net = require('net')
const path = require('path')
const tls = require('tls')
const transport = require('spdy-transport')
const acceptGoaway = require('./goaway-quirk')

const [port, folder, kind, cert, key] = process.argv.slice(2)
const NUMBER = { 'spdy/2': 2, 'spdy/3': 3, 'spdy/3.1': 3.1 }

function serve (socket, version) {
  socket.setNoDelay(true)
  socket.on('error', (error) => console.log('socket error: ' + error.message))
  if (!NUMBER[version]) return socket.destroy()
  const connection = transport.connection.create(socket, {
    protocol: 'spdy',
    isServer: true,
    autoSpdy31: version === 'spdy/3.1'
  })
  connection.start(NUMBER[version])
  if (version === 'spdy/2') acceptGoaway(connection)
  connection.on('error', (error) => {
    console.log('connection error: ' + error.message)
    // Its GOAWAY goes out first. The `spdy` package does it without.
    socket.destroySoon()
  })
  connection.on('ping', () => console.log('ping ' + version))
  connection.on('frame', (frame) => {
    if (frame.type === 'GOAWAY') console.log(`goaway ${version} ${frame.code}`)
    if (frame.type === 'RST') console.log(`rst ${version} ${frame.code}`)
  })
  connection.on('stream', (stream) => {
    stream.on('error', (error) => console.log('stream error: ' + error.message))
    console.log(`${stream.method} ${stream.path} spdy/${connection.getVersion()}`)
    answer(connection, stream, connection.getVersion())
  })
}

function answer (connection, stream, version) {
  const head = { 'x-version': String(version), 'content-type': 'application/octet-stream' }
  const text = (status, body) => {
    stream.respond(status, { ...head, 'content-length': String(Buffer.byteLength(body)) })
    stream.end(body)
  }
  const name = stream.path.split('?')[0]
  if (name === '/hello') return text(200, 'hello from node\n')
  if (name === '/ping') return connection.ping((error) => text(error ? 500 : 200, 'pong'))
  if (name === '/goaway') {
    stream.respond(200, head)
    // Not by connection.end(), which throws away frames that wait to be sent.
    connection._spdyState.framer.goawayFrame({ lastId: stream.id, code: 'OK' })
    setTimeout(() => stream.end('last words '.repeat(1000)), 50)
    return setTimeout(() => connection.socket.end(), 500)
  }
  if (name === '/push') {
    for (const file of ['small.txt', '400kb.bin']) push(stream, file)
    return text(200, 'pushed\n')
  }
  if (stream.method === 'POST' && name === '/digest') {
    const hash = crypto.createHash('sha256')
    stream.on('data', (chunk) => hash.update(chunk))
    stream.on('end', () => text(200, hash.digest('hex')))
  } else if (stream.method === 'POST' && name === '/echo') {
    stream.respond(200, head)
    stream.pipe(stream)
  } else {
    const file = path.join(folder, path.basename(name))
    fs.stat(file, (error, stat) => {
      if (error) return text(404, 'no such file\n')
      stream.respond(200, { ...head, 'content-length': String(stat.size) })
      fs.createReadStream(file).pipe(stream)
    })
  }
}

// Without FLAG_UNIDIRECTIONAL, and with the request's :method and the status in
// one header list: that is how this package pushes.
function push (parent, name) {
  const promise = { method: 'GET', path: '/' + name, host: parent.host, status: 200, response: { 'x-pushed': 'yes' } }
  parent.pushPromise(promise, (error, stream) => {
    if (error) return console.log('push: ' + error.message)
    stream.on('error', (error) => console.log('push error: ' + error.message))
    fs.createReadStream(path.join(folder, name)).pipe(stream)
  })
}

process.on('uncaughtException', (error) => console.log('uncaught: ' + error.stack))
const negotiation = kind === 'npn' ? 'NPNProtocols' : 'ALPNProtocols'
const server = kind === 'tls' || kind === 'npn'
  ? tls.createServer({
    cert: fs.readFileSync(cert),
    key: fs.readFileSync(key),
    [negotiation]: Object.keys(NUMBER).reverse()
  }, (socket) => serve(socket, kind === 'npn' ? socket.npnProtocol : socket.alpnProtocol))
  : net.createServer((socket) => serve(socket, kind))
server.on('tlsClientError', (error) => console.log('tls error: ' + error.message))
server.listen(Number(port), '127.0.0.1', () => console.log('listening'))
