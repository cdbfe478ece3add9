"""grpc_client.py TARGET: calls every method of the echo service by grpcio, the
C core's Python; prints one line for each.

TARGET is HOST:PORT or unix:PATH.
"""

import queue
import sys

from echo_service import SERVICE, Message, grpc

# Messages of one stream.
MANY = 2_000


class Echo:
    def __init__(self, channel):
        codec = {
            "request_serializer": Message.encode,
            "response_deserializer": Message.decode,
        }
        self.unary = channel.unary_unary(f"/{SERVICE}/Unary", **codec)
        self.collect = channel.stream_unary(f"/{SERVICE}/Collect", **codec)
        self.repeat = channel.unary_stream(f"/{SERVICE}/Repeat", **codec)
        self.converse = channel.stream_stream(f"/{SERVICE}/Converse", **codec)


def message(number, size):
    return Message(number, bytes([size & 0xFF]) * size)


def messages(count, size):
    return (message(number, size) for number in range(count))


def unary(echo):
    for size in (1, 100, 70_000, 3_000_000):
        sent = message(7, size)
        assert echo.unary(sent) == sent, "the echo differs"


def refused(echo):
    try:
        echo.unary(Message())
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == "no payload: 100 % empty", error
    else:
        raise AssertionError("not refused")


def collect(echo):
    assert echo.collect(messages(MANY, 300)) == message(MANY, 300), "not all was counted"


def repeat(echo):
    came = 0
    try:
        for answer in echo.repeat(message(MANY, 300)):
            assert answer.number == came, "out of order"
            came += 1
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.OUT_OF_RANGE, error
    else:
        raise AssertionError("ended without a status")
    assert came == MANY, f"{came} messages"


def abandoned(echo):
    for _ in range(20):
        answers = echo.repeat(message(1_000_000, 1000))
        for _ in range(50):
            next(answers)
        answers.cancel()


def converse(echo):
    came = 0
    for answer in echo.converse(messages(MANY, 300)):
        assert answer == message(came, 300), "the echo differs"
        came += 1
    assert came == MANY, f"{came} messages"


def in_step(echo):
    waiting = queue.SimpleQueue()
    waiting.put(message(0, 10))
    answers = echo.converse(iter(waiting.get, None))
    for number in range(1, 500):
        next(answers)
        waiting.put(message(number, 10))
    next(answers)
    waiting.put(None)
    assert next(answers, None) is None, "more than was sent"


def at_once(echo):
    calls = [echo.unary.future(message(number, 2_000)) for number in range(500)]
    for call in calls:
        assert len(call.result().payload) == 2_000, "a short echo"


def main():
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(sys.argv[1], options=options) as channel:
        echo = Echo(channel)
        for call in (unary, refused, collect, repeat, abandoned, converse, in_step, at_once):
            call(echo)
            print(call.__name__.replace("_", " "), flush=True)


main()
