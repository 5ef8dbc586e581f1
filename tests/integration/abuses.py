"""What bad clients do to the gRPC port, byte by byte: tables for cases_abuse.py and abuse_run.py.

A fault is a few bytes that RFC 9113 or RFC 7541 forbids, or that have to be ignored; a flood is many that it
allows. What is checked of them is in cases_abuse.py.
"""
import contextlib
import gzip
import struct
from dataclasses import dataclass

from tests.support import ads
from tests.support.h2raw import (
    ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PADDED, PING, PREFACE,
    PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_MAX, WINDOW_UPDATE, Peer,
    frame, header_block, message, number, settings)

from .world import CLUSTER

REQUEST = ads.request(ads.EDS, [CLUSTER], node=ads.node("raw"))
CALL = {":method": "POST", ":scheme": "http", ":path": ads.METHOD, ":authority": "test", "te": "trailers",
        "content-type": "application/grpc"}
TABLE_SIZE_0, TABLE_SIZE_4096, TABLE_SIZE_4097 = b"\x20", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f"
PING_FRAME = frame(PING, payload=b"12345678")
# The server has ended the connection for what came before. It has not: a send that takes too long.
ENDED = contextlib.suppress(BrokenPipeError, ConnectionResetError)


def fields(*more, first=(), **changed):
    """The headers of a call as pairs; with x=None without x (":" is "_" in front), with others behind it."""
    pairs = dict(CALL)
    for key, value in changed.items():
        key = key.replace("_", ":", 1) if key.startswith("_") else key
        pairs[key] = value
    return [*first, *[(key, value) for key, value in pairs.items() if value is not None], *more]


def headers(pairs, stream=3, flags=END_HEADERS, before=b"", behind=b""):
    return frame(HEADERS, flags, stream, before + header_block(*pairs) + behind)


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, number(code))


def window(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


# ---- faults: stream 1 is open and answered, 3 is the next ----

@dataclass(frozen=True)
class Fault:
    """`stream`: only this one ends, by RST_STREAM; None: the connection, by GOAWAY. `code` None: it is ignored."""
    name: str
    data: bytes
    code: int | None = None
    stream: int | None = None


def _of_connection(code, **faults):
    return [Fault(name.replace("_", " "), data, code) for name, data in faults.items()]


def _of_stream(code, stream=3, **faults):
    return [Fault(name.replace("_", " "), data, code, stream) for name, data in faults.items()]


def _ignored(**faults):
    return [Fault(name.replace("_", " "), data) for name, data in faults.items()]


def _malformed():
    """Requests that RFC 9113, 8.2 and 8.3, calls malformed, by name."""
    yield from ((f"no {name}", fields(**{name.replace(":", "_"): None})) for name in list(CALL)[:4])
    yield from ((f"{name} twice", fields(first=[(name, CALL[name])])) for name in list(CALL)[:4])
    yield ":method behind the others", fields((":method", "POST"), _method=None)
    yield "pseudo-header of a response", fields(first=[(":status", "200")])
    yield "unknown pseudo-header", fields(first=[(":what", "x")])
    yield "extended CONNECT", fields(first=[(":protocol", "websocket")], _method="CONNECT")
    for name, value in ((":path", ""), (":path", "x"), (":path", "*"), (":scheme", "h t"), (":method", "P T"),
                        (":authority", "a b"), (":authority", "user@test")):
        yield f"{name} is '{value}'", fields(**{name.replace(":", "_"): value})
    for name, value in (("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"),
                        ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("te", "gzip"), ("te", "trailers, gzip"),
                        ("host", "other"), ("content-length", "x")):
        yield f"{name}: {value}", fields((name, value))
    for name in ("X-Upper", "x y", "", "x:y", "x\x7f"):
        yield f"a header named '{name!a}'", fields((name, "1"))
    for value in ("a\0b", "a\rb", "a\nb", "a\x01b", " a", "a ", "\ta"):
        yield f"the value {value!a}", fields(("x", value))
    yield "two content-lengths", fields(("content-length", "5"), ("content-length", "6"))


FAULTS = [
    *_of_connection(
        PROTOCOL_ERROR,
        data_on_stream_0=frame(DATA, 0, 0, b"x"),
        data_without_headers=frame(DATA, 0, 3, b"x"),
        data_with_more_padding_than_room=frame(DATA, PADDED, 1, b"\x05abcd"),
        headers_on_stream_0=headers(fields(), 0),
        headers_with_more_padding_than_room=headers(fields(), flags=END_HEADERS | PADDED, before=b"\xff"),
        headers_on_an_even_stream=headers(fields(), 2),
        headers_on_a_stream_that_was_left_out=headers(fields(), 7) + headers(fields(), 5),
        headers_behind_the_last_stream=headers(fields(), WINDOW_MAX) + headers(fields(), 3),
        headers_cut_by_a_ping=headers(fields(), flags=0) + PING_FRAME,
        headers_cut_by_an_unknown_frame=headers(fields(), flags=0) + frame(99, 0, 3),
        headers_continued_on_another_stream=headers(fields(), flags=0) + frame(CONTINUATION, END_HEADERS, 1),
        continuation_without_headers=frame(CONTINUATION, END_HEADERS, 1),
        priority_on_stream_0=frame(PRIORITY, 0, 0, bytes(5)),
        reset_of_stream_0=reset(0),
        reset_of_an_idle_stream=reset(5),
        settings_on_a_stream=frame(SETTINGS, 0, 1),
        push_that_is_neither_on_nor_off=frame(SETTINGS, payload=settings({ENABLE_PUSH: 2})),
        frame_size_too_small=frame(SETTINGS, payload=settings({MAX_FRAME_SIZE: 2**14 - 1})),
        frame_size_too_large=frame(SETTINGS, payload=settings({MAX_FRAME_SIZE: 2**24})),
        push_by_a_client=frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + header_block(*fields())),
        ping_on_a_stream=frame(PING, 0, 1, b"12345678"),
        goaway_on_a_stream=frame(GOAWAY, 0, 1, bytes(8)),
        window_update_of_0=window(0, 0),
        window_update_of_0_on_a_stream=window(1, 0),
        window_update_on_an_idle_stream=window(5, 1)),
    *_of_connection(
        FRAME_SIZE_ERROR,
        data_larger_than_allowed=frame(DATA, 0, 1, bytes(2**14 + 1)),
        headers_larger_than_allowed=frame(HEADERS, END_HEADERS, 3, bytes(2**14 + 1)),
        priority_of_4_bytes=frame(PRIORITY, 0, 1, bytes(4)),
        reset_of_3_bytes=frame(RST_STREAM, 0, 1, bytes(3)),
        settings_of_5_bytes=frame(SETTINGS, payload=bytes(5)),
        acknowledgement_with_settings=frame(SETTINGS, ACK, 0, settings({INITIAL_WINDOW_SIZE: 1})),
        ping_of_7_bytes=frame(PING, payload=bytes(7)),
        goaway_of_4_bytes=frame(GOAWAY, payload=bytes(4)),
        window_update_of_3_bytes=frame(WINDOW_UPDATE, payload=bytes(3))),
    *_of_connection(
        FLOW_CONTROL_ERROR,
        window_of_the_connection_beyond_its_maximum=window(0, WINDOW_MAX),
        initial_window_beyond_the_maximum=frame(SETTINGS, payload=settings({INITIAL_WINDOW_SIZE: 2**31})),
        more_data_than_the_window=frame(DATA, 0, 1, struct.pack("!BI", 0, 2**20 - 1)) + frame(DATA, 0, 1, bytes(2**14)) * 20),
    *_of_connection(
        STREAM_CLOSED,
        data_behind_the_end=headers(fields(), flags=END_HEADERS | END_STREAM) + frame(DATA, 0, 3, b"x"),
        headers_behind_the_end=headers(fields(), flags=END_HEADERS | END_STREAM) + headers(fields()),
        headers_behind_a_reset=headers(fields()) + reset(3) + headers(fields())),
    *_of_connection(
        COMPRESSION_ERROR,
        index_0=headers([], before=b"\x80"),
        index_behind_the_table=headers([], before=b"\xbe"),
        index_far_behind_the_table=headers([], before=b"\xff\x80\x80\x01"),
        an_endless_number=headers([], before=b"\xff" * 10 + b"\x01"),
        huffman_with_its_end_inside=headers([], before=b"\0\x84\xff\xff\xff\xff\x01x"),
        huffman_padded_with_8_bits=headers([], before=b"\0\x01x\x82\x07\xff"),
        huffman_padded_with_zeros=headers([], before=b"\0\x01x\x81\x18"),
        a_name_that_is_cut=headers([], before=b"\0\x05ab"),
        a_table_larger_than_allowed=headers(fields(), before=TABLE_SIZE_4097),
        a_size_of_the_table_behind_a_header=headers(fields(), behind=TABLE_SIZE_0),
        no_size_of_the_table_behind_a_smaller_one=headers(fields(), before=TABLE_SIZE_0 + b"\xbe")),
    *[Fault(name, headers(pairs), PROTOCOL_ERROR, 3) for name, pairs in _malformed()],
    *_of_stream(
        PROTOCOL_ERROR,
        less_than_the_content_length=headers(fields(("content-length", "9"))) + frame(DATA, END_STREAM, 3, message(b"")),
        more_than_the_content_length=headers(fields(("content-length", "3"))) + frame(DATA, END_STREAM, 3, message(b"")),
        a_content_length_and_nothing=headers(fields(("content-length", "5")), flags=END_HEADERS | END_STREAM),
        trailers_with_a_pseudo_header=headers(fields()) + headers([(":path", "/")], flags=END_HEADERS | END_STREAM),
        trailers_that_are_not_the_end=headers(fields()) + headers([("x", "y")])),
    *_of_stream(FLOW_CONTROL_ERROR, stream=1, window_of_a_stream_beyond_its_maximum=window(1, WINDOW_MAX)),
    *_ignored(
        an_unknown_frame=frame(99, 0xFF, 0, bytes(100)) + frame(99, 0, 1),
        an_unknown_setting=frame(SETTINGS, payload=settings({99: 1})),
        unknown_flags=frame(PING, 0xFE, 0, b"12345678"),
        the_reserved_bit=frame(PING, 0, 2**31, b"12345678"),
        an_answer_to_no_ping=frame(PING, ACK, 0, b"12345678"),
        priority_of_an_idle_stream=frame(PRIORITY, 0, 9, bytes(5)),
        window_update_behind_a_reset=headers(fields()) + reset(3) + window(3, 1),
        data_behind_a_reset=headers(fields()) + reset(3) + frame(DATA, 0, 3, b"x"),
        a_second_reset=headers(fields()) + reset(3) + reset(3),
        a_stream_left_out=headers(fields(), 5),
        trailers=headers(fields()) + headers([("x", "y")], flags=END_HEADERS | END_STREAM),
        a_host_beside_the_authority=headers(fields(("host", "TEST"))),
        a_host_instead_of_the_authority=headers(fields(("host", "test"), _authority=None)),
        sizes_of_the_table=headers(fields(), before=TABLE_SIZE_0 + TABLE_SIZE_4096)),
]


def answered(server, **options):
    """A peer whose stream 1 has its first list."""
    peer = Peer(server, **options)
    peer.open_call(REQUEST)
    peer.until(DATA)
    return peer


def commit(peer, fault):
    """What comes of it: (code, stream), (code, None) of the connection, None: nothing."""
    got = None
    with ENDED:
        peer.send(fault.data)
    for _ in range(2):                                 # the first answer may overtake a reset
        with ENDED:
            peer.send(PING_FRAME)
        while True:
            came = peer.read_frame()
            if came is None:
                return got
            kind, flags, stream, payload = came
            if kind == GOAWAY:
                got = (int.from_bytes(payload[4:8], "big"), None)
            elif kind == RST_STREAM and got is None and payload != bytes(4):
                got = (int.from_bytes(payload, "big"), stream)
            elif kind == PING and flags & ACK:
                break
    return got


# ---- floods: each ends its connection, and counts for a limit ----

def _calls(count, each):
    return b"".join(each(2 * call + 1) for call in range(count))


BOMB = header_block(("x" * 10, "y" * 4000))
FLOODS = {
    "rapid reset": ("resets", _calls(4000, lambda stream: headers(fields(), stream) + reset(stream))),
    "resets by a content-length": ("resets", _calls(4000, lambda stream: headers(
        fields(("content-length", "3")), stream) + frame(DATA, END_STREAM, stream, b"ab"))),
    "resets by a window": ("resets", _calls(4000, lambda stream: headers(fields(), stream) + window(stream, WINDOW_MAX))),
    "resets by headers": ("resets", _calls(4000, lambda stream: headers(fields(("X", "1")), stream))),
    "more streams than there may be": ("resets", _calls(6000, lambda stream: headers(fields(), stream))),
    "CONTINUATION": ("header-list", headers(fields(), 1, 0) + frame(CONTINUATION, 0, 1, header_block(("x", "y"))) * 1000),
    "empty CONTINUATION": ("header-list", headers(fields(), 1, 0) + frame(CONTINUATION, 0, 1) * 1000),
    "SETTINGS": ("control-frames", frame(SETTINGS) * 1000),
    "PING": ("pings", PING_FRAME * 1000),
    "empty DATA": ("control-frames", headers(fields(), 1) + frame(DATA, 0, 1) * 1000),
    "padded empty DATA": ("control-frames", headers(fields(), 1) + frame(DATA, PADDED, 1, b"\x03abc") * 1000),
    "PRIORITY": ("control-frames", frame(PRIORITY, 0, 1, bytes(5)) * 1000),
    # An entry of 4 KiB, and a byte for each time that it stands for itself.
    "HPACK": ("header-list", headers([], 1, 0, before=b"\x40" + BOMB[1:]) + frame(
        CONTINUATION, END_HEADERS, 1, b"\xbe" * 16000)),
}


def flood(server, name, **options):
    """The code of the GOAWAY that it ends with; None where the kernel threw that away with the connection."""
    peer = Peer(server, **options)
    with ENDED:
        peer.send(FLOODS[name][1])
    code = peer.wait_closed()
    peer.close()
    return code


GZIP_BOMB = gzip.compress(bytes(64 << 20), 9)          # 64 KiB


def gzip_bomb(peer, stream):
    """60 KB that would be 60 MB."""
    peer.send(headers(fields(("grpc-encoding", "gzip")), stream))
    bomb = message(GZIP_BOMB[:60000], compressed=1)
    peer.send(b"".join(frame(DATA, 0, stream, bomb[at:at + 2**14]) for at in range(0, len(bomb), 2**14)))
