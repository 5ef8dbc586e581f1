"""HTTP/2 written by hand over a socket, for peers that no library would play.

Headers are sent as literals without a table; of what comes back only frames are read, and the
:status and grpc-status of header blocks are not decoded.
"""
import socket
import struct

from . import ads
from .process import WaitTimeout

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 2, 4, 5
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, _, ENHANCE_YOUR_CALM) = range(12)
WINDOW_MAX = 2**31 - 1


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _integer(value, bits):
    limit = 2**bits - 1
    if value < limit:
        return bytes([value])
    out, value = [limit], value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def number(value, size=4):
    return value.to_bytes(size, "big")


def settings(pairs):
    """The payload of SETTINGS: {INITIAL_WINDOW_SIZE: 0}."""
    return b"".join(number(key, 2) + number(value) for key, value in pairs.items())


def header_block(*pairs):
    """Literal header fields without indexing, no Huffman code."""
    out = b""
    for name, value in pairs:
        for part in (b"\0", name.encode()), (b"", value.encode()):
            out += part[0] + _integer(len(part[1]), 7) + part[1]
    return out


# How the server writes the name, and then the value: Huffman would not make it shorter.
_GRPC_STATUS = bytes.fromhex("88 9acac8b21234da8f")


def grpc_status(block):
    """The status in trailers; None: there is none."""
    _, found, behind = block.partition(_GRPC_STATUS)
    return int(behind[1:1 + behind[0]]) if found else None


def call_headers(path=ads.METHOD, *extra):
    return header_block((":method", "POST"), (":scheme", "http"), (":path", path),
                        (":authority", "test"), ("te", "trailers"),
                        ("content-type", "application/grpc"), *extra)


def message(data, compressed=0):
    """A gRPC message with its prefix."""
    return struct.pack("!BI", compressed, len(data)) + data


class Peer:
    """One connection. Nothing is answered by itself, not even SETTINGS or PING."""

    def __init__(self, server, preface=True, window=None, timeout=10, receive_buffer=None, source=None):
        host, _, port = server.rpartition(":")
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.connect((host, int(port)))
        self.buffer, self.next_stream = b"", 1
        if preface:
            settings = struct.pack("!HI", INITIAL_WINDOW_SIZE, window) if window else b""
            self.send(PREFACE + frame(SETTINGS, payload=settings))
        if window:
            self.send(frame(WINDOW_UPDATE, payload=struct.pack("!I", window - 65535)))

    def send(self, data):
        self.sock.sendall(data)

    def open_call(self, *messages, path=ads.METHOD, end=False):
        """HEADERS, and the messages as one DATA frame each; returns the stream's number."""
        stream = self.next_stream
        self.next_stream += 2
        out = frame(HEADERS, END_HEADERS, stream, call_headers(path))
        for number, data in enumerate(messages):
            last = end and number == len(messages) - 1
            out += frame(DATA, END_STREAM if last else 0, stream, message(data))
        self.send(out)
        return stream

    def read_frame(self):
        """(kind, flags, stream, payload), or None once the server has closed."""
        head = self._exactly(9)
        if head is None:
            return None
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack("!BBI", head[3:])
        payload = self._exactly(length)
        return None if payload is None else (kind, flags, stream & WINDOW_MAX, payload)

    def _exactly(self, count):
        while len(self.buffer) < count:
            try:
                data = self.sock.recv(65536)
            except (TimeoutError, socket.timeout):
                raise WaitTimeout("nothing came from the server") from None
            except ConnectionError:
                return None
            if not data:
                return None
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def until(self, *kinds, stream=None):
        """The next frame of one of these kinds; None once the server has closed."""
        while True:
            got = self.read_frame()
            if got is None or (got[0] in kinds and stream in (None, got[2])):
                return got

    def status(self, stream):
        """The status that the call ends with; None: without one, or with the connection."""
        while True:
            got = self.until(HEADERS, RST_STREAM, stream=stream)
            if got is None or got[0] == RST_STREAM or got[1] & END_STREAM:
                return grpc_status(got[3]) if got and got[0] == HEADERS else None

    def wait_closed(self):
        """Reads until the server closes; the error code of its last GOAWAY, or None."""
        code = None
        while True:
            got = self.read_frame()
            if got is None:
                return code
            if got[0] == GOAWAY:
                code = int.from_bytes(got[3][4:8], "big")

    def close(self):
        self.sock.close()
