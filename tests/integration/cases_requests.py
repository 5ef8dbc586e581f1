"""Requests that are none, on every method: malformed, too large, cut, out of order. Each ends its stream with the proper
code, and nothing else: another stream of the same connection, and other connections, go on."""
import gzip
import struct

from tests.support import ads, grpclb, h2raw, native
from tests.support.h2raw import DATA, END_STREAM, frame, message

from . import abuses
from .cases_abuse import Site, _until

OK, INVALID, NOT_FOUND, EXHAUSTED, PRECONDITION, UNIMPLEMENTED, INTERNAL = 0, 3, 5, 8, 9, 12, 13
LONG = "x" * 30_000                # it fits into what is left of a window
NODE = ads.node("raw")


def _xds(first, long, *more):
    return first, [("a name that is too long", [long], EXHAUSTED), *more]


def _of_one_type(type_url, other):
    sotw, delta = ads.SINGLE[type_url]
    yield sotw, _xds(ads.request(type_url, ["x"], node=NODE), ads.request(type_url, [LONG]),
                     ("another type", [ads.request(other, ["x"])], INVALID),
                     ("another type, later", [ads.request(type_url, ["x"], node=NODE), ads.request(other, ["x"])], INVALID))
    yield delta, _xds(ads.delta_request(type_url, ["x"], node=NODE), ads.delta_request(type_url, [LONG]),
                      ("another type", [ads.delta_request(other, ["x"])], INVALID),
                      ("another type, later", [ads.delta_request(type_url, ["x"], node=NODE),
                                               ads.delta_request(other, ["x"])], INVALID))


HEALTH, REFLECTION = "/grpc.health.v1.Health/", "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
_ASK = ads.encode((7, ""))                             # which services there are
# path: (a first message that is right, [(what, messages, the code that they end with)])
METHODS = {
    ads.METHOD: _xds(ads.request(ads.EDS, ["x"], node=NODE), ads.request(ads.EDS, [LONG]),
                     ("a node that is too long", [ads.request(ads.EDS, node=ads.node(LONG))], EXHAUSTED),
                     ("a name that is no UTF-8", [ads.encode((3, b"\xff"), (4, ads.EDS))], INVALID),
                     ("a node that is none", [ads.encode((2, b"\xff"), (4, ads.EDS))], INVALID)),
    ads.DELTA_METHOD: _xds(ads.delta_request(ads.EDS, ["x"], node=NODE), ads.delta_request(ads.EDS, [LONG]),
                           ("a version of nothing", [ads.encode((2, ads.EDS), (5, b"\x0a\x7f"))], INVALID)),
    **dict(_of_one_type(ads.LDS, ads.CDS)), **dict(_of_one_type(ads.RDS, ads.CDS)),
    **dict(_of_one_type(ads.CDS, ads.EDS)), **dict(_of_one_type(ads.EDS, ads.CDS)),
    "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats": (ads.encode((1, NODE)), [
        ("a node that is too long", [ads.encode((1, ads.node(LONG)))], EXHAUSTED),
        ("load of nothing", [ads.encode((1, NODE)), ads.encode((2, b"\xff"))], INVALID)]),
    native.METHOD: (native.request(["x.shop:1"]), [
        ("a target that is too long", [native.request([LONG])], EXHAUSTED),
        ("a place that is none", [ads.encode((3, b"\xff"))], INVALID)]),
    native.LIST: (native.request(["x.shop:1"]), [
        ("a target that is too long", [native.request([LONG])], EXHAUSTED),
        ("no message", [], INVALID),
        ("two messages", [native.request(["x.shop:1"])] * 2, INVALID)]),
    grpclb.METHOD: (ads.encode((1, ads.encode((1, "greeter.shop")))), [
        ("a name that is too long", [ads.encode((1, ads.encode((1, LONG))))], EXHAUSTED),
        ("a report before the name", [ads.encode((2, b""))], PRECONDITION),
        ("two names", [ads.encode((1, ads.encode((1, "greeter.shop"))))] * 2, PRECONDITION),
        ("neither", [b""], INVALID)]),
    HEALTH + "Check": (b"", [("no such service", [ads.encode((1, LONG))], NOT_FOUND), ("no message", [], INVALID),
                             ("a service that is no UTF-8", [b"\x0a\x01\xff"], INVALID)]),
    HEALTH + "List": (b"", [("no message", [], INVALID)]),
    HEALTH + "Watch": (b"", [("no message", [], INVALID), ("two messages", [b""] * 2, INVALID),
                             ("a service that is no UTF-8", [b"\x0a\x01\xff"], INVALID)]),
    **{REFLECTION.format(version): (_ASK, [
        ("a name that is too long", [ads.encode((4, LONG))], EXHAUSTED), ("nothing asked", [b""], INVALID),
        ("a name that is no UTF-8", [ads.encode((4, b"\xff"))], INVALID)]) for version in ("v1", "v1alpha")},
}
# Bytes that are no request of any method: (what, bytes, whether they are the end, the code).
NOISE = [
    ("bytes that are no protobuf", message(b"\xff\xff\xff"), False, INVALID),
    ("a field that is cut", message(b"\x0a\x7fx"), False, INVALID),
    ("a group that does not end", message(b"\x0b\x0b\x0b"), False, INVALID),
    ("groups without end", message(b"\x0b" * 30_000), False, INVALID),
    ("field 0", message(b"\x02\x00"), False, INVALID),
    ("a number without end", message(b"\x08" + b"\xff" * 11), False, INVALID),
    ("a message that is cut", message(b"\x0a\x05hello")[:-2], True, INTERNAL),
    ("half a prefix", b"\0\0", True, INTERNAL),
    ("more than may be", struct.pack("!BI", 0, 2**20 + 1), False, EXHAUSTED),
    ("as much as can be said", struct.pack("!BI", 0, 2**32 - 1), False, EXHAUSTED),
    ("flags that there are not", struct.pack("!BI", 7, 0), False, INTERNAL),
    ("packed, it does not say how", message(b"abcd", compressed=1), False, INTERNAL),
]
PACKED = [
    ("packed, and no gzip", message(b"abcd", compressed=1), False, INTERNAL),
    ("packed, and cut", message(gzip.compress(b"\x0a\x05hello")[:-9], compressed=1), False, INTERNAL),
    ("packed, and more than may be", message(gzip.compress(bytes(2**20 + 1)), compressed=1), False, EXHAUSTED),
    ("packed, and no protobuf", message(gzip.compress(b"\xff\xff\xff"), compressed=1), False, INVALID),
]


def _requests(first, own):
    """(what, bytes on the stream, whether they are the end, code, further headers) of one method."""
    for what, data, end, code in NOISE:
        yield what, data, end, code, ()
        yield f"{what}, behind a request", message(first) + data, end, code, ()
    for what, data, end, code in PACKED:
        yield what, data, end, code, [("grpc-encoding", "gzip")]
    for what, messages, code in own:
        yield what, b"".join(map(message, messages)), True, code, ()
    yield "packed in an unknown way", b"", True, UNIMPLEMENTED, [("grpc-encoding", "snappy")]
    yield "no time at all", b"", True, INTERNAL, [("grpc-timeout", "soon")]


def _answers_at_once(path):
    """Their first message is all that they look at: what comes behind it does not matter."""
    return path in (HEALTH + "Check", HEALTH + "List")


def what_is_no_request_ends_its_stream(work):
    with Site(work, "--load-reports") as site:
        _check_all_are_there(site)
        wrong = []
        for path, (first, own) in METHODS.items():
            peer = abuses.answered(site.listen, window=1 << 20)
            for what, data, end, code, headers in _requests(first, own):
                stream = peer.next_stream
                peer.next_stream += 2
                parts = [data[at:at + 2**14] for at in range(0, len(data), 2**14)] or [b""]
                peer.send(abuses.headers(abuses.fields(*headers, _path=path), stream) + b"".join(
                    frame(DATA, END_STREAM if end and part is parts[-1] else 0, stream, part) for part in parts))
                got = peer.status(stream)
                if got != code and not (got == OK and _answers_at_once(path) and what.endswith("behind a request")):
                    wrong.append(f"{path}: {what}: {got}, expected {code}")
            _until(peer, site.others_live())
            peer.close()
        assert not wrong, "\n".join(wrong)


def _check_all_are_there(site):
    with ads.connect(site.listen) as channel:
        got = channel.unary_unary(HEALTH + "List")(b"", timeout=5)
    names = {ads.decode(entry)[1][-1].decode() for entry in ads.decode(got)[1]} - {""}
    assert names == {path.split("/")[1] for path in METHODS}, names


CASES = [what_is_no_request_ends_its_stream]
