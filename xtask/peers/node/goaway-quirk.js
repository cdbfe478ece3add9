'use strict'

// In SPDY/2 spdy-transport wants the 8 bytes that GOAWAY has in SPDY/3, where
// the draft has 4 (and no status), and takes the right form for an error. This
// makes one connection of it accept both.
module.exports = function acceptGoaway (connection) {
  const parser = connection._spdyState.parser
  const original = parser.onGoawayFrame
  parser.onGoawayFrame = function (body, callback) {
    if (body.has(8)) return original.call(this, body, callback)
    if (!body.has(4)) return callback(new Error('GOAWAY OOB'))
    callback(null, { type: 'GOAWAY', lastId: body.readUInt32BE() & 0x7fffffff, code: 'OK' })
  }
}
