'use strict'

// node grpc-client.js TARGET   calls every method of the echo service by grpc-js;
// prints one line for each. TARGET is HOST:PORT or unix:PATH.

const assert = require('assert')
const { once } = require('events')
const { promisify } = require('util')
const grpc = require('@grpc/grpc-js')
const definition = require('./echo-service')

// Messages of one stream.
const MANY = 2000

const Client = grpc.makeClientConstructor(definition, 'Echo')
const client = new Client(process.argv[2], grpc.credentials.createInsecure(), {
  'grpc.max_receive_message_length': -1
})
const call = promisify(client.unary).bind(client)
const message = (number, size) => ({ number, payload: Buffer.alloc(size, size) })

async function send (stream, count, size) {
  for (let number = 0; number < count; number++) {
    if (!stream.write(message(number, size))) await once(stream, 'drain')
  }
  stream.end()
}

const calls = {
  async unary () {
    for (const size of [1, 100, 70_000, 3_000_000]) {
      assert.deepStrictEqual(await call(message(7, size)), message(7, size))
    }
  },
  async refused () {
    await assert.rejects(call(message(0, 0)), {
      code: grpc.status.FAILED_PRECONDITION,
      details: 'no payload: 100 % empty'
    })
  },
  async collect () {
    const sum = new Promise((resolve, reject) => {
      const stream = client.collect((error, sum) => error ? reject(error) : resolve(sum))
      send(stream, MANY, 300).catch(reject)
    })
    assert.deepStrictEqual(await sum, message(MANY, 300))
  },
  async repeat () {
    let came = 0
    await assert.rejects(async () => {
      for await (const answer of client.repeat(message(MANY, 300))) {
        assert.strictEqual(answer.number, came++)
      }
    }, { code: grpc.status.OUT_OF_RANGE })
    assert.strictEqual(came, MANY)
  },
  async abandoned () {
    for (let i = 0; i < 20; i++) {
      const stream = client.repeat(message(1_000_000, 1000))
      let came = 0
      await assert.rejects(async () => {
        for await (const answer of stream) {
          if (answer.number !== came++) throw new Error('out of order')
          if (came === 50) stream.cancel()
        }
      }, { code: grpc.status.CANCELLED })
      assert(came >= 50)
    }
  },
  async converse () {
    const stream = client.converse()
    const sent = send(stream, MANY, 300)
    let came = 0
    for await (const answer of stream) assert.deepStrictEqual(answer, message(came++, 300))
    await sent
    assert.strictEqual(came, MANY)
  },
  async 'in step' () {
    const stream = client.converse()
    stream.write(message(0, 10))
    let came = 0
    for await (const answer of stream) {
      assert.strictEqual(answer.number, came++)
      came < 500 ? stream.write(message(came, 10)) : stream.end()
    }
    assert.strictEqual(came, 500)
  },
  async 'at once' () {
    const answers = Array.from({ length: 500 }, (_, number) => call(message(number, 2000)))
    for (const answer of await Promise.all(answers)) assert.strictEqual(answer.payload.length, 2000)
  }
}

async function run () {
  for (const [name, run] of Object.entries(calls)) {
    await run()
    console.log(name)
  }
}

run().then(() => process.exit(0), (error) => {
  console.log('FAIL ' + error.stack)
  process.exit(1)
})
