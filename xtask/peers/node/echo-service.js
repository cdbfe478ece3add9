'use strict'

// What gRPC's client and server share: the echo service of
// xtask/peers/rust/src/echo.rs, its only message (`uint64 number = 1; bytes
// payload = 2`) written and read by hand.

function varint (value) {
  const out = []
  for (; value > 0x7f; value = Math.floor(value / 128)) out.push((value % 128) | 0x80)
  out.push(value)
  return Buffer.from(out)
}

function encode ({ number, payload }) {
  const parts = []
  if (number) parts.push(Buffer.from([0x08]), varint(number))
  if (payload.length) parts.push(Buffer.from([0x12]), varint(payload.length), payload)
  return Buffer.concat(parts)
}

function decode (data) {
  const message = { number: 0, payload: Buffer.alloc(0) }
  let at = 0
  while (at < data.length) {
    const tag = data[at++]
    let value = 0
    for (let scale = 1, more = true; more; scale *= 128, at++) {
      value += (data[at] & 0x7f) * scale
      more = data[at] > 0x7f
    }
    if (tag === 0x08) message.number = value
    else if (tag === 0x12) message.payload = data.subarray(at, at += value)
    else throw new Error('tag ' + tag)
  }
  return message
}

function method (name, requestStream, responseStream) {
  return {
    path: '/lacewing.interop.Echo/' + name,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode
  }
}

module.exports = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  repeat: method('Repeat', false, true),
  converse: method('Converse', true, true)
}
