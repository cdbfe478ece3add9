"""What gRPC's client and server share: the echo service of
xtask/peers/rust/src/echo.rs, its only message written and read by hand."""

import os
import sys

# Beside the system's packages: .ci/run installs them (requirements.txt).
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages"))

import grpc  # noqa: E402, F401

SERVICE = "lacewing.interop.Echo"


class Message:
    """`uint64 number = 1; bytes payload = 2`."""

    def __init__(self, number=0, payload=b""):
        self.number = number
        self.payload = payload

    def __eq__(self, other):
        if not isinstance(other, Message):
            return NotImplemented
        return (self.number, self.payload) == (other.number, other.payload)

    def encode(self):
        out = bytearray()
        if self.number:
            out += b"\x08" + varint(self.number)
        if self.payload:
            out += b"\x12" + varint(len(self.payload)) + self.payload
        return bytes(out)

    @classmethod
    def decode(cls, data):
        message, at = cls(), 0
        while at < len(data):
            tag, (value, at) = data[at], read_varint(data, at + 1)
            if tag == 0x08:
                message.number = value
            elif tag == 0x12:
                message.payload = data[at : at + value]
                at += value
            else:
                raise ValueError(f"tag {tag:#x}")
        return message


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
