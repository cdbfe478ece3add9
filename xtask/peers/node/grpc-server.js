'use strict'

// node grpc-server.js PORT   the echo service by grpc-js

const grpc = require('@grpc/grpc-js')
const definition = require('./echo-service')

const refuse = (code, details) => Object.assign(new Error(details), { code, details })

const service = {
  unary ({ request }, done) {
    if (!request.payload.length) {
      return done(refuse(grpc.status.FAILED_PRECONDITION, 'no payload: 100 % empty'))
    }
    done(null, request)
  },
  collect (call, done) {
    let total = { number: 0, payload: Buffer.alloc(0) }
    call.on('data', ({ number, payload }) => {
      if (number !== total.number) {
        done(refuse(grpc.status.DATA_LOSS, `${number} came as ${total.number}`))
      }
      total = { number: total.number + 1, payload }
    })
    call.on('end', () => done(null, total))
  },
  repeat (call) {
    const { number, payload } = call.request
    let next = 0
    const write = () => {
      while (next < number && !call.cancelled) {
        if (!call.write({ number: next++, payload })) return call.once('drain', write)
      }
      if (!call.cancelled) call.emit('error', refuse(grpc.status.OUT_OF_RANGE, 'that was all'))
    }
    write()
  },
  converse (call) {
    call.pipe(call)
  }
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 })
server.addService(definition, service)
server.bindAsync('127.0.0.1:' + process.argv[2], grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error
  console.log('listening')
})
