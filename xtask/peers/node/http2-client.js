'use strict'

// node http2-client.js PORT plain|tls COMMAND …   Node's own HTTP/2 client
//
// The first commands and what they print are those of spdy-client.js. And:
//
//   trailers PATH FILE N=V   posts FILE with a trailer, prints the response's trailers
//   hints PATH               prints the interim responses, then as `get`
//   expect PATH FILE         posts FILE when the server says 100
//   pushes PATH COUNT        prints `PATH STATUS LENGTH SHA256` of each push, sorted, then as `get`
//   advertised PATH          prints the origins and alternatives that the server names
//   tunnel PATH PROTOCOL FILE    sends FILE through extended CONNECT, prints the digest of its echo
//   connect HOST:PORT FILE   the same through CONNECT

const crypto = require('crypto')
const fs = require('fs')
const http2 = require('http2')

const [port, security, command, ...args] = process.argv.slice(2)

function fail (message) {
  console.log('FAIL ' + message)
  process.exit(1)
}

process.on('uncaughtException', (error) => fail('uncaught: ' + error.stack))
// Nothing left to wait for, and not finished.
process.on('beforeExit', () => fail('the connection closed before the end'))
setTimeout(() => fail('timed out'), Number(process.env.PEER_TIMEOUT || 60) * 1000).unref()

const scheme = security === 'tls' ? 'https' : 'http'
const session = http2.connect(`${scheme}://localhost:${port}`, { rejectUnauthorized: false, lookup })
let goaways = 0
session.on('error', (error) => fail('session: ' + error.message))
session.on('goaway', (code) => {
  goaways++
  if (code !== 0) fail('GOAWAY ' + code)
})

// The servers listen on IPv4 alone.
function lookup (name, options, callback) {
  if (options && options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
  else callback(null, '127.0.0.1', 4)
}

function request (method, path, file, done, options) {
  const headers = { ':method': method, ':path': path, 'x-test': 'a value' }
  if (file) headers['content-length'] = fs.statSync(file).size
  const stream = session.request(headers, { endStream: !file })
  const hash = crypto.createHash('sha256')
  let length = 0
  let status
  let text = ''
  stream.on('error', (error) => fail('stream: ' + error.message))
  stream.on('response', (head) => {
    status = head[':status']
    if (options && options.onResponse) options.onResponse()
  })
  stream.on('data', (chunk) => {
    hash.update(chunk)
    length += chunk.length
    if (length <= 64) text += chunk
    // Slow until the server says goodbye: when it then closes, Node throws away
    // what a paused stream has not read yet.
    if (options && options.slow && !goaways) {
      stream.pause()
      setTimeout(() => stream.resume(), options.slow)
    }
  })
  stream.on('end', () => done(status, length, path === '/digest' ? text : hash.digest('hex')))
  if (file) fs.createReadStream(file).pipe(stream)
  return stream
}

function finish (...words) {
  console.log(words.join(' '))
  process.exit(0)
}

const commands = {
  get (path) {
    request('GET', path, null, finish)
  },
  post (path, file) {
    request('POST', path, file, finish)
  },
  parallel (count, path) {
    let first = null
    let left = Number(count)
    for (let i = 0; i < Number(count); i++) {
      request('GET', path, null, (...answer) => {
        if (first && String(answer) !== String(first)) fail(`${answer} differs from ${first}`)
        first = answer
        if (--left === 0) finish(count, ...first)
      })
    }
  },
  ping (count) {
    session.on('connect', () => {
      let left = Number(count)
      for (let i = 0; i < Number(count); i++) {
        session.ping((error) => {
          if (error) fail('ping: ' + error.message)
          if (--left === 0) finish(count, 'pings')
        })
      }
    })
  },
  goaway (path) {
    request('GET', path, null, finish, { onResponse () { session.goaway(0) } })
  },
  drain (path) {
    request('GET', path, null, (...answer) => {
      if (goaways < 1) fail('no GOAWAY came')
      finish(...answer)
    }, {
      slow: 20,
      onResponse () { console.log('started') }
    })
  }
}

Object.assign(commands, {
  trailers (path, file, field) {
    const [name, value] = field.split('=')
    const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ [name]: value }))
    stream.on('trailers', (fields) => finish(...Object.keys(fields).map((key) => `${key}=${fields[key]}`)))
    stream.resume()
    fs.createReadStream(file).pipe(stream)
  },
  hints (path) {
    const stream = request('GET', path, null, finish)
    stream.on('headers', (head) => console.log(head[':status'], head.link))
  },
  expect (path, file) {
    const headers = { ':method': 'POST', ':path': path, expect: '100-continue' }
    const stream = session.request({ ...headers, 'content-length': fs.statSync(file).size })
    let text = ''
    stream.on('continue', () => {
      text += '100 '
      fs.createReadStream(file).pipe(stream)
    })
    stream.on('data', (chunk) => { text += chunk })
    stream.on('end', () => finish(text))
  },
  pushes (path, count) {
    const lines = []
    const add = (line) => {
      lines.push(line)
      if (lines.length > Number(count)) finish(lines.sort().join('\n'))
    }
    session.on('stream', (stream, head) => {
      const hash = crypto.createHash('sha256')
      let length = 0
      let status
      stream.on('push', (head) => { status = head[':status'] })
      stream.on('data', (chunk) => {
        hash.update(chunk)
        length += chunk.length
      })
      stream.on('end', () => add([head[':path'], status, length, hash.digest('hex')].join(' ')))
    })
    request('GET', path, null, (...answer) => add(answer.join(' ')))
  },
  advertised (path) {
    const lines = []
    session.on('origin', (origins) => origins.forEach((origin) => lines.push('origin ' + origin)))
    session.on('altsvc', (value, origin) => lines.push(`alternative ${origin || 'same'} ${value}`))
    request('GET', path, null, () => finish(lines.join('\n')))
  },
  tunnel (path, protocol, file) {
    session.on('remoteSettings', (settings) => {
      if (!settings.enableConnectProtocol) fail('the server has no extended CONNECT')
      exchange({ ':method': 'CONNECT', ':protocol': protocol, ':path': path }, file)
    })
  },
  connect (target, file) {
    exchange({ ':method': 'CONNECT', ':authority': target }, file)
  }
})

// Sends a file through a tunnel, for the digest of what comes back.
function exchange (headers, file) {
  const stream = session.request(headers, { endStream: false })
  const hash = crypto.createHash('sha256')
  stream.on('error', (error) => fail('tunnel: ' + error.message))
  stream.on('response', (head) => {
    if (head[':status'] !== 200) fail('refused: ' + head[':status'])
    fs.createReadStream(file).pipe(stream)
  })
  stream.on('data', (chunk) => hash.update(chunk))
  stream.on('end', () => finish(hash.digest('hex')))
}

if (!commands[command]) fail('usage: PORT plain|tls COMMAND …')
commands[command](...args)
