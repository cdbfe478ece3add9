'use strict'

// What every Node server of the interop run answers, whatever it speaks:
//   GET  /hello    a line of text
//   GET  /NAME     the file NAME of the served folder
//   POST /digest   the SHA-256 of the request body, in hex
//   POST /echo     the request body
// `version` goes back in `x-version`, so that a test can tell what was spoken.

const crypto = require('crypto')
const fs = require('fs')
const path = require('path')

module.exports = function routes (folder, versionOf) {
  return function answer (request, response) {
    const name = request.url.split('?')[0]
    response.setHeader('x-version', String(versionOf(request)))
    response.on('error', (error) => console.log('response error: ' + error.message))
    if (request.method === 'POST') return answerPost(name, request, response)
    if (name === '/hello') {
      response.setHeader('content-type', 'text/plain')
      return response.end('hello from node\n')
    }
    const file = path.join(folder, path.basename(name))
    fs.stat(file, (error, stat) => {
      if (error) {
        response.statusCode = 404
        return response.end('no such file\n')
      }
      response.setHeader('content-length', String(stat.size))
      fs.createReadStream(file).pipe(response)
    })
  }
}

function answerPost (name, request, response) {
  if (name === '/echo') {
    request.pipe(response)
  } else if (name === '/digest') {
    const hash = crypto.createHash('sha256')
    request.on('data', (chunk) => hash.update(chunk))
    request.on('end', () => response.end(hash.digest('hex')))
  } else {
    response.statusCode = 404
    request.resume()
    request.on('end', () => response.end('no such route\n'))
  }
}
