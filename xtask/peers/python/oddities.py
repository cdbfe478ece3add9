"""A peer by python-hyper's `h2` that does legal things in odd ways.

h2 keeps the state and the header compression; what it wants to send is taken
apart into frames, changed, and only then sent.
"""

import itertools
import socket

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import PingAckReceived, SettingsAcknowledged
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame, DataFrame, ExtensionFrame, Frame, HeadersFrame, PriorityFrame, SettingsFrame,
)

ODDITIES = {
    'usual': 'nothing odd, for comparison',
    'one-byte-data': '100 DATA frames of one byte before every larger one',
    'padding': '255 bytes of padding on every DATA and HEADERS frame',
    'continuations': 'header blocks in pieces of 20 bytes',
    'large-headers': 'a header field that needs CONTINUATION',
    'table-updates': 'the table size changes before every header block',
    'never-indexed': 'header fields that must not be indexed',
    'priorities': 'HEADERS with priorities, PRIORITY for streams that never come',
    'unknown': 'frames of unknown types, settings of unknown ids',
    'reserved-bits': 'reserved bits and undefined flags are set',
    'pings': 'a PING before every frame; all must be answered',
    'late-end': 'END_STREAM in an empty DATA frame of its own',
    'byte-by-byte': 'one byte a segment',
    'settings-churn': 'settings change after each acknowledgement, windows below zero too',
    'tiny-window': 'streams start with a window of one byte',
    'window-drips': 'credit comes 1,000 bytes a frame',
    'largest-windows': 'all windows at 2^31-1',
}

# Windows to 0 and back while streams are under way, tables, frame sizes.
CHURN = [
    {SettingCodes.INITIAL_WINDOW_SIZE: 0, SettingCodes.HEADER_TABLE_SIZE: 0},
    {SettingCodes.INITIAL_WINDOW_SIZE: 1000, SettingCodes.MAX_FRAME_SIZE: 20000},
    {SettingCodes.INITIAL_WINDOW_SIZE: 1, SettingCodes.HEADER_TABLE_SIZE: 100},
    {SettingCodes.INITIAL_WINDOW_SIZE: 70000, SettingCodes.MAX_FRAME_SIZE: 16384},
]


class Peer:
    """One connection. `bodies` are sent as the windows allow."""

    def __init__(self, sock, oddity, client_side):
        assert oddity in ODDITIES, oddity
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.oddity = oddity
        self.bodies = {}
        self.churns = itertools.islice(itertools.cycle(CHURN), 40)
        self.table_sizes = itertools.cycle([0, 4096, 100])
        self.pings = 0
        # What h2 sends first, as a client: 24 bytes that are no frame.
        self.preface = 24 if client_side else 0
        self.conn = H2Connection(H2Configuration(client_side=client_side, header_encoding='utf-8'))

    def start(self):
        settings = self.conn.local_settings
        if self.oddity == 'largest-windows':
            settings[SettingCodes.INITIAL_WINDOW_SIZE] = 2**31 - 1
        if self.oddity == 'unknown':
            settings[0xAB] = 7
        settings.acknowledge()
        self.conn.initiate_connection()
        if self.oddity == 'largest-windows':
            self.conn.increment_flow_control_window(2**31 - 1 - 65535)
        # These hold from their acknowledgement on: what the peer has sent before
        # may be more.
        if self.oddity == 'tiny-window':
            self.conn.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1})
        if self.oddity == 'settings-churn':
            self.conn.update_settings(next(self.churns))
        self.flush()

    def headers(self, stream, headers, end_stream=False, **more):
        """Sends a header block in the odd way, if that is the oddity."""
        if self.oddity == 'table-updates':
            self.conn.encoder.header_table_size = next(self.table_sizes)
        if self.oddity == 'large-headers' and headers[0][0].startswith(':'):
            headers = [*headers, ('x-large', '~' * 11_000)]
        if self.oddity == 'never-indexed':
            from hpack import NeverIndexedHeaderTuple
            headers = [NeverIndexedHeaderTuple(*field) for field in headers]
        if self.oddity == 'priorities' and self.conn.config.client_side and 'priority_weight' not in more:
            more = {'priority_weight': 1 + stream % 256, 'priority_depends_on': 0, 'priority_exclusive': stream % 4 == 1}
        self.conn.send_headers(stream, headers, end_stream=end_stream, **({} if headers[0][0][0] != ':' else more))

    def body(self, stream, data, trailers=None):
        self.bodies[stream] = (memoryview(data), trailers)

    def push_bodies(self):
        """Sends what the peer's windows allow."""
        pad = 255 if self.oddity == 'padding' else None
        for stream, (data, trailers) in list(self.bodies.items()):
            last = False
            while data:
                room = self.conn.local_flow_control_window(stream)
                size = min(room, self.conn.max_outbound_frame_size, len(data), 4096)
                if pad:
                    size = min(size, room - 256)
                if size <= 0:
                    break
                last = size == len(data) and not trailers and self.oddity != 'late-end'
                self.conn.send_data(stream, data[:size].tobytes(), end_stream=last, pad_length=pad)
                data = data[size:]
                if last:
                    break
            self.bodies[stream] = (data, trailers)
            if not data:
                del self.bodies[stream]
                if trailers:
                    self.headers(stream, trailers, end_stream=True)
                elif not last:
                    self.conn.end_stream(stream)

    def flush(self):
        out = memoryview(self.conn.data_to_send())
        wire = bytearray(out[:self.preface])
        out = out[self.preface:]
        self.preface = 0
        while out:
            frame, length = Frame.parse_frame_header(out[:9])
            frame.parse_body(out[9:9 + length])
            for odd in self.odd(frame):
                data = bytearray(odd.serialize())
                if self.oddity == 'reserved-bits':
                    data[4] |= 0x40
                    data[5] |= 0x80
                wire += data
            out = out[9 + length:]
        if self.oddity == 'byte-by-byte':
            for byte in wire:
                self.sock.sendall(bytes([byte]))
        elif wire:
            self.sock.sendall(wire)

    def odd(self, frame):
        """The frames that are sent instead of this one."""
        frames = [frame]
        if isinstance(frame, DataFrame):
            if self.oddity == 'one-byte-data' and len(frame.data) > 1:
                count = min(100, len(frame.data) - 1)
                frames = [DataFrame(frame.stream_id, frame.data[at:at + 1]) for at in range(count)] + frames
                frame.data = frame.data[count:]
        elif isinstance(frame, HeadersFrame):
            if self.oddity == 'padding' and not frame.flags & {'PADDED'}:
                frame.flags.add('PADDED')
                frame.pad_length = 255
            if self.oddity == 'continuations' and 'END_HEADERS' in frame.flags:
                pieces = [frame.data[at:at + 20] for at in range(0, len(frame.data), 20)] or [b'']
                frame.data = pieces[0]
                frames += [ContinuationFrame(frame.stream_id, piece) for piece in pieces[1:]]
                if len(pieces) > 1:
                    frame.flags.discard('END_HEADERS')
                    frames[-1].flags.add('END_HEADERS')
            if self.oddity == 'priorities':
                idle = PriorityFrame(2**30 + 1 + 2 * frame.stream_id)
                idle.depends_on, idle.stream_weight, idle.exclusive = frame.stream_id, 7, True
                frames.append(idle)
        elif isinstance(frame, ContinuationFrame):
            # Nothing may stand between it and the frame before.
            return frames
        # SETTINGS must come first, and after HEADERS there may be CONTINUATION.
        if self.oddity == 'unknown' and not isinstance(frame, SettingsFrame):
            frames.insert(0, extension(0xCC, 0, b''))
            if isinstance(frame, DataFrame):
                frames.insert(0, extension(0xBB, frame.stream_id, b'nobody knows this'))
        return frames

    def receive(self):
        """Events of the next bytes; None at the end of the connection."""
        data = self.sock.recv(65536)
        if not data:
            return None
        events = self.conn.receive_data(data)
        for event in events:
            if isinstance(event, PingAckReceived):
                self.pings -= 1
            elif isinstance(event, SettingsAcknowledged) and self.oddity == 'settings-churn':
                churn = next(self.churns, None)
                if churn and not self.closed():
                    self.conn.update_settings(churn)
        return events

    def consumed(self, event):
        """Gives back the credit of a DataReceived."""
        length, stream = event.flow_controlled_length, event.stream_id
        step = 1000 if self.oddity == 'window-drips' else length
        for at in range(0, length, step or 1):
            self.grant(min(step, length - at), stream if not event.stream_ended else None)

    def grant(self, length, stream):
        # Of the largest, far more than is needed has been granted already.
        if not length or self.closed() or self.oddity == 'largest-windows':
            return
        self.conn.increment_flow_control_window(length)
        if stream is not None:
            # A window of one byte would take a round trip for each.
            more = 2 * length if self.oddity == 'tiny-window' else length
            try:
                self.conn.increment_flow_control_window(more, stream)
            except StreamClosedError:
                pass  # By what came behind the data.

    def closed(self):
        return self.conn.state_machine.state == ConnectionState.CLOSED

    def turn(self):
        """Sends all that can be sent now."""
        self.push_bodies()
        if self.oddity == 'pings' and not self.closed():
            self.conn.ping(b'%08d' % (self.pings % 10**8))
            self.pings += 1
        self.flush()


def extension(type, stream, body):
    """A frame that hyperframe does not know."""
    frame = ExtensionFrame(type, stream, 0, body)
    frame.body_len = len(body)
    return frame
