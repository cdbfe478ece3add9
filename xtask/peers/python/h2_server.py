"""h2_server.py PORT FOLDER ODDITY: serves the files of FOLDER in an odd way.

    GET  /NAME      the file NAME of FOLDER
    POST /digest    the SHA-256 of the request body, in hex
"""

import hashlib
import pathlib
import socket
import sys
import threading

from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hyperframe.frame import AltSvcFrame, GoAwayFrame, RstStreamFrame, SettingsFrame

from oddities import ODDITIES, Peer, extension

# What is odd about the conversation, not about its frames.
CONVERSATIONS = {
    'goaway': 'GOAWAY while the first answer is under way',
    'one-stream-a-time': 'MAX_CONCURRENT_STREAMS is 1, streams above it are refused',
    'informational': 'three informational responses before each final one',
    'trailers': 'trailers after each body',
    'origin-and-altsvc': 'ORIGIN and ALTSVC, on the connection and on streams',
    'early-answer': 'answers to uploads before their body, then RST_STREAM(NO_ERROR)',
}


class Connection(Peer):
    def __init__(self, sock, oddity, folder):
        self.conversation = oddity if oddity in CONVERSATIONS else None
        super().__init__(sock, 'usual' if self.conversation else oddity, False)
        self.folder = folder
        self.uploads = {}

    def run(self):
        self.start()
        if self.conversation == 'one-stream-a-time':
            # h2 itself would take the streams that are opened before this
            # arrives for an error of the connection.
            self.raw(SettingsFrame(0, {SettingCodes.MAX_CONCURRENT_STREAMS: 1}))
        if self.conversation == 'origin-and-altsvc':
            self.raw(extension(0x0C, 0, b'\0\x13https://example.org'))
            self.raw(AltSvcFrame(0, b'http://127.0.0.1', b'h2=":8000"; ma=60'))
        while True:
            events = self.receive()
            if events is None:
                return
            for event in events:
                self.handle(event)
            self.turn()

    def raw(self, frame):
        self.flush()
        self.sock.sendall(frame.serialize())

    def handle(self, event):
        stream = getattr(event, 'stream_id', None)
        if isinstance(event, RequestReceived):
            fields = dict(event.headers)
            print(fields[':method'], fields[':path'], flush=True)
            if self.conversation == 'one-stream-a-time' and self.bodies:
                self.conn.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            elif fields[':method'] == 'POST':
                self.uploads[stream] = hashlib.sha256()
                if self.conversation == 'early-answer':
                    self.answer(stream, b'early\n')
                    self.push_bodies()
                    self.raw(RstStreamFrame(stream, ErrorCodes.NO_ERROR))
            else:
                self.answer(stream, (self.folder / fields[':path'][1:]).read_bytes())
        elif isinstance(event, DataReceived):
            if stream in self.uploads:
                self.uploads[stream].update(event.data)
            if self.conversation == 'early-answer':
                self.grant(event.flow_controlled_length, None)
            else:
                self.consumed(event)
        elif isinstance(event, StreamEnded):
            if stream in self.uploads and self.conversation != 'early-answer':
                self.answer(stream, self.uploads.pop(stream).hexdigest().encode())
        elif isinstance(event, StreamReset):
            self.bodies.pop(stream, None)
            if self.conversation != 'early-answer':
                print('FAIL stream', stream, 'was reset:', event.error_code, flush=True)
        elif isinstance(event, ConnectionTerminated) and event.error_code:
            print('FAIL GOAWAY', event.error_code, event.additional_data, flush=True)

    def answer(self, stream, body):
        if self.conversation == 'informational':
            for status in ('100', '103', '199'):
                self.conn.send_headers(stream, [(':status', status), ('link', '</style.css>; rel=preload')])
        trailers = [('x-sum', '42')] if self.conversation == 'trailers' else None
        self.headers(stream, [(':status', '200'), ('content-length', str(len(body))), ('x-odd', self.oddity)])
        self.body(stream, body, trailers)
        if self.conversation == 'goaway':
            self.raw(GoAwayFrame(0, last_stream_id=stream, error_code=0))
        if self.conversation == 'origin-and-altsvc':
            self.raw(AltSvcFrame(stream, b'', b'h2=":8001"'))


def serve(sock, oddity, folder):
    try:
        Connection(sock, oddity, folder).run()
    except (ConnectionError, OSError) as error:
        print('connection:', error, flush=True)
    except Exception as error:
        print('FAIL', type(error).__name__, error, flush=True)
    finally:
        sock.close()


port, folder, oddity = sys.argv[1:]
assert oddity in ODDITIES or oddity in CONVERSATIONS, f'no oddity {oddity}'
listener = socket.create_server(('127.0.0.1', int(port)))
while True:
    sock, _ = listener.accept()
    threading.Thread(target=serve, args=(sock, oddity, pathlib.Path(folder)), daemon=True).start()
