"""grpc_server.py PORT|unix:PATH: the echo service by grpcio, the C core's Python."""

import sys
from concurrent import futures

from echo_service import SERVICE, Message, grpc


def unary(request, context):
    if not request.payload:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no payload: 100 % empty")
    return request


def collect(requests, context):
    total = Message()
    for request in requests:
        if request.number != total.number:
            text = f"{request.number} came as {total.number}"
            context.abort(grpc.StatusCode.DATA_LOSS, text)
        total = Message(total.number + 1, request.payload)
    return total


def repeat(request, context):
    for number in range(request.number):
        yield Message(number, request.payload)
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "that was all")


def converse(requests, context):
    yield from requests


def main():
    codec = {
        "request_deserializer": Message.decode,
        "response_serializer": Message.encode,
    }
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary, **codec),
        "Collect": grpc.stream_unary_rpc_method_handler(collect, **codec),
        "Repeat": grpc.unary_stream_rpc_method_handler(repeat, **codec),
        "Converse": grpc.stream_stream_rpc_method_handler(converse, **codec),
    }
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16),
        options=[("grpc.max_receive_message_length", -1)],
    )
    handler = grpc.method_handlers_generic_handler(SERVICE, methods)
    server.add_generic_rpc_handlers((handler,))
    place = sys.argv[1]
    address = place if place.startswith("unix:") else f"127.0.0.1:{place}"
    assert server.add_insecure_port(address), "the address is taken"
    server.start()
    server.wait_for_termination()


main()
