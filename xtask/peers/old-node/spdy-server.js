'use strict'

// node spdy-server.js PORT FOLDER plain VERSION   cleartext
// node spdy-server.js PORT FOLDER npn CERT KEY    NPN, SPDY/2, 3 and 3.1
//
// The `spdy` package 1.32 on Node 0.10: the code base before spdy-transport, for
// which this file is written in the JavaScript of that time.
//
//   GET /NAME, POST /digest, POST /echo
//   GET /ping   sends PING and answers once it is back
//   GET /push   pushes /small.txt and /400kb.bin; in SPDY/2 by absolute URLs
//
// It prints a line for every request.

var crypto = require('crypto')
var fs = require('fs')
var path = require('path')
var spdy = require('spdy')

var port = Number(process.argv[2])
var folder = process.argv[3]
var plain = process.argv[4] === 'plain'

var options = plain
  ? { spdy: { plain: true, ssl: false }, plain: true, ssl: false, autoSpdy31: process.argv[5] === 'spdy/3.1' }
  : { cert: fs.readFileSync(process.argv[5]), key: fs.readFileSync(process.argv[6]) }
// Without one, the package takes the base class of https.
var base = plain ? require('http').Server : require('https').Server

var server = spdy.createServer(base, options, function (request, response) {
  console.log(request.method + ' ' + request.url + ' ' + request.isSpdy + ' ' + request.spdyVersion)
  response.setHeader('x-version', String(request.spdyVersion))
  if (request.method === 'POST') return post(request, response)
  if (request.url === '/ping') return response.socket.connection.ping(function () { response.end('pong') })
  if (request.url === '/push') {
    push(response, 'small.txt')
    push(response, '400kb.bin')
    return response.end('pushed\n')
  }
  var file = path.join(folder, path.basename(request.url))
  fs.stat(file, function (error, stat) {
    if (error) {
      response.statusCode = 404
      return response.end('no such file\n')
    }
    response.setHeader('content-length', String(stat.size))
    fs.createReadStream(file).pipe(response)
  })
})

function post (request, response) {
  if (request.url === '/echo') return request.pipe(response)
  var hash = crypto.createHash('sha256')
  request.on('data', function (data) { hash.update(data) })
  request.on('end', function () { response.end(hash.digest('hex')) })
}

function push (response, name) {
  response.push('/' + name, { 'x-pushed': 'yes' }, function (error, stream) {
    if (error) return console.log('push: ' + error.message)
    stream.on('error', function (error) { console.log('push error: ' + error.message) })
    fs.createReadStream(path.join(folder, name)).pipe(stream)
  })
}

process.on('uncaughtException', function (error) { console.log('uncaught: ' + error.stack) })
server.listen(port, '127.0.0.1', function () { console.log('listening') })
