"""h2_client.py PORT ODDITY FOLDER: requests to `site`, asked for in an odd way.

Prints `ok` when every answer is right.
"""

import hashlib
import pathlib
import socket
import sys

from h2.events import (
    ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived,
)
from h2.exceptions import StreamClosedError
from hyperframe.frame import GoAwayFrame

from oddities import ODDITIES, Peer

# What is odd about the conversation, not about its frames.
CONVERSATIONS = {
    'goaway': 'GOAWAY while all answers are under way',
    'resets': 'every other stream is reset when its answer begins',
}


class Client(Peer):
    def __init__(self, port, oddity, folder):
        self.conversation = oddity if oddity in CONVERSATIONS else None
        sock = socket.create_connection(('127.0.0.1', port), timeout=20)
        super().__init__(sock, 'usual' if self.conversation else oddity, True)
        self.authority = f'127.0.0.1:{port}'
        self.folder = folder
        # Stream -> (what it should be, the digest so far)
        self.waiting = {}
        self.said_goodbye = False

    def request(self, method, path, expected, body=None, trailers=None):
        stream = self.conn.get_next_available_stream_id()
        fields = [
            (':method', method), (':scheme', 'http'), (':authority', self.authority), (':path', path),
            ('x-odd', self.oddity), ('user-agent', 'python-h2'),
        ]
        self.headers(stream, fields, end_stream=body is None)
        if body is not None:
            self.body(stream, body, trailers)
        self.waiting[stream] = [expected, hashlib.sha256(), trailers]
        self.turn()

    def run(self):
        self.start()
        medium, small = ((self.folder / name).read_bytes() for name in ('400kb.bin', 'small.txt'))
        upload = medium[:20_000]
        self.request('GET', '/400kb.bin', medium)
        self.request('POST', '/trailers', digest(upload).encode(), upload, [('x-sum', '42')])
        self.request('GET', '/400kb.bin', medium)
        for _ in range(20):
            self.request('GET', '/small.txt', small)
        while self.waiting:
            events = self.receive()
            assert events is not None, f'the connection ended before {len(self.waiting)} answers'
            for event in events:
                self.handle(event)
            if self.waiting:
                self.turn()
        while self.oddity == 'pings' and self.pings:
            assert self.receive() is not None, f'{self.pings} pings without an answer'

    def handle(self, event):
        stream = getattr(event, 'stream_id', None)
        if isinstance(event, ConnectionTerminated):
            assert self.said_goodbye, f'GOAWAY {event.error_code} {event.additional_data}'
        elif isinstance(event, StreamReset):
            raise AssertionError(f'stream {stream} was reset: {event.error_code}')
        elif isinstance(event, ResponseReceived):
            status = dict(event.headers)[':status']
            assert status == '200', f'stream {stream}: {status}'
            if self.conversation == 'resets' and stream % 4 == 1:
                self.bodies.pop(stream, None)
                del self.waiting[stream]
                try:
                    self.conn.reset_stream(stream, 8)
                except StreamClosedError:
                    pass  # All of the answer has come already.
            if self.conversation == 'goaway' and not self.said_goodbye:
                self.said_goodbye = True
                self.sock.sendall(GoAwayFrame(0).serialize())
        elif isinstance(event, DataReceived):
            if stream in self.waiting:
                self.waiting[stream][1].update(event.data)
                self.consumed(event)
            else:
                self.grant(event.flow_controlled_length, None)
        elif isinstance(event, TrailersReceived):
            assert list(event.headers) == self.waiting[stream][2], event.headers
            self.waiting[stream][2] = None
        elif isinstance(event, StreamEnded):
            if stream not in self.waiting:
                return  # We reset it; its end was part of the same read.
            expected, got, trailers = self.waiting.pop(stream)
            assert got.hexdigest() == digest(expected), f'stream {stream}: not what was expected'
            assert trailers is None, f'stream {stream}: no trailers came'


def digest(data):
    return hashlib.sha256(data).hexdigest()


port, oddity, folder = sys.argv[1:]
assert oddity in ODDITIES or oddity in CONVERSATIONS, f'no oddity {oddity}'
Client(int(port), oddity, pathlib.Path(folder)).run()
print('ok')
