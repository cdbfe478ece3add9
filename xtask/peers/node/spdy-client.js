'use strict'

// node spdy-client.js VERSION PORT plain|tls|npn COMMAND …
//
//   get PATH            prints `STATUS LENGTH SHA256`
//   post PATH FILE      the same, of the response to FILE as the request body; for
//                       /digest the body itself stands in place of its digest
//   parallel N PATH     N requests at once: `N STATUS LENGTH SHA256` if all agree
//   ping N              N pings, each answered
//   goaway PATH         sends GOAWAY while PATH is under way; the body must still be whole
//   drain PATH          reads PATH slowly, expects GOAWAY from the server and the whole body
//   push PATH N         as `get`, and `PATH STATUS LENGTH SHA256` of N pushes, sorted
//
// `spdy-transport` as a client. VERSION: spdy/2, spdy/3 or spdy/3.1. `npn` in place
// of `tls` negotiates by NPN, which Node 8 still has.

const crypto = require('crypto')
const fs = require('fs')
const net = require('net')
const tls = require('tls')
const transport = require('spdy-transport')
const acceptGoaway = require('./goaway-quirk')

const [version, port, security, command, ...args] = process.argv.slice(2)
const NUMBER = { 'spdy/2': 2, 'spdy/3': 3, 'spdy/3.1': 3.1 }[version]

function fail (message) {
  console.log('FAIL ' + message)
  process.exit(1)
}

process.on('uncaughtException', (error) => fail('uncaught: ' + error.stack))
// Nothing left to wait for, and not finished.
process.on('beforeExit', () => fail('the connection closed before the end'))
setTimeout(() => fail('timed out'), Number(process.env.PEER_TIMEOUT || 60) * 1000).unref()

function connect (ready) {
  const target = { host: '127.0.0.1', port: Number(port) }
  if (security !== 'plain') {
    const [offered, chosen] = security === 'npn'
      ? [{ NPNProtocols: [version] }, 'npnProtocol']
      : [{ ALPNProtocols: [version] }, 'alpnProtocol']
    const options = { ...target, servername: 'localhost', rejectUnauthorized: false, ...offered }
    const socket = tls.connect(options, () => {
      if (socket[chosen] !== version) fail(`negotiated ${socket[chosen]}, not ${version}`)
      ready(start(socket))
    })
    socket.on('error', (error) => fail('socket: ' + error.message))
  } else {
    const socket = net.connect(target, () => ready(start(socket)))
    socket.on('error', (error) => fail('socket: ' + error.message))
  }
}

function start (socket) {
  socket.setNoDelay(true)
  const connection = transport.connection.create(socket, {
    protocol: 'spdy',
    isServer: false,
    autoSpdy31: NUMBER === 3.1
  })
  connection.start(NUMBER)
  if (NUMBER === 2) acceptGoaway(connection)
  connection.goaways = 0
  connection.on('frame', (frame) => {
    if (frame.type === 'GOAWAY') connection.goaways++
    if (frame.type === 'GOAWAY' && frame.code !== 'OK') fail('GOAWAY ' + frame.code)
  })
  connection.on('error', (error) => fail('connection: ' + error.message))
  return connection
}

// A stream that the server opened, and its response, as `PATH STATUS LENGTH SHA256`.
function takePush (push, done) {
  const hash = crypto.createHash('sha256')
  let length = 0
  let status
  push.on('error', (error) => fail('push: ' + error.message))
  push.on('response', (code) => { status = code })
  push.on('data', (chunk) => {
    hash.update(chunk)
    length += chunk.length
  })
  push.on('end', () => done(`${push.path} ${status} ${length} ${hash.digest('hex')}`))
}

// Calls back with the status, the length of the body and its digest.
function request (connection, method, path, file, done, options) {
  const headers = { 'user-agent': 'spdy-transport', 'x-test': 'a value' }
  if (file) headers['content-length'] = String(fs.statSync(file).size)
  const stream = connection.request({ method, path, host: 'localhost:' + port, headers }, (error) => {
    if (error) fail('request: ' + error.message)
  })
  const hash = crypto.createHash('sha256')
  let length = 0
  let status
  let text = ''
  stream.on('error', (error) => fail('stream: ' + error.message))
  if (options && options.onPush) stream.on('pushPromise', options.onPush)
  stream.on('response', (code, headers) => {
    status = code
    if (options && options.onResponse) options.onResponse(headers)
  })
  stream.on('data', (chunk) => {
    hash.update(chunk)
    length += chunk.length
    if (length <= 64) text += chunk
    if (options && options.slow) {
      stream.pause()
      setTimeout(() => stream.resume(), options.slow)
    }
  })
  stream.on('end', () => done(status, length, path === '/digest' ? text : hash.digest('hex')))
  if (file) fs.createReadStream(file).pipe(stream)
}

function finish (...words) {
  console.log(words.join(' '))
  process.exit(0)
}

const commands = {
  get (connection, path) {
    request(connection, 'GET', path, null, finish)
  },
  post (connection, path, file) {
    request(connection, 'POST', path, file, finish)
  },
  parallel (connection, count, path) {
    let first = null
    let left = Number(count)
    for (let i = 0; i < Number(count); i++) {
      request(connection, 'GET', path, null, (...answer) => {
        if (first && String(answer) !== String(first)) fail(`${answer} differs from ${first}`)
        first = answer
        if (--left === 0) finish(count, ...first)
      })
    }
  },
  ping (connection, count) {
    // The package starts to speak with its first frame: a request first.
    request(connection, 'GET', '/hello', null, () => {
      let left = Number(count)
      for (let i = 0; i < Number(count); i++) {
        connection.ping((error) => {
          if (error) fail('ping: ' + error.message)
          if (--left === 0) finish(count, 'pings')
        })
      }
    })
  },
  goaway (connection, path) {
    request(connection, 'GET', path, null, (...answer) => finish(...answer), {
      onResponse () { connection.end() }
    })
  },
  drain (connection, path) {
    request(connection, 'GET', path, null, (...answer) => {
      if (connection.goaways !== 1) fail(connection.goaways + ' GOAWAY frames')
      finish(...answer)
    }, {
      slow: 20,
      onResponse () { console.log('started') }
    })
  },
  push (connection, path, count) {
    const lines = []
    let left = 1 + Number(count)
    const one = () => {
      if (--left === 0) finish(lines.sort().join('\n'))
    }
    request(connection, 'GET', path, null, (...answer) => {
      lines.push(answer.join(' '))
      one()
    }, {
      onPush (push) {
        takePush(push, (line) => {
          lines.push(line)
          one()
        })
      }
    })
  }
}

if (!NUMBER || !commands[command]) fail('usage: VERSION PORT plain|tls COMMAND …')
connect((connection) => commands[command](connection, ...args))
