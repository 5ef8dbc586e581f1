"""Clients that misbehave: bounded memory, and nobody else notices."""
import os
import struct
import time

import grpc

from tests.support import ads, grpclb, h2raw, manifests, native
from tests.support.process import wait_until

from .world import CLUSTER, Client, World, endpoint_slice

RSS_GROWTH_MAX = 96 << 20          # of a plain build; a sanitizer's own memory comes on top
REQUEST = ads.request(ads.EDS, [CLUSTER], node=ads.node("raw"))
METHODS = [ads.METHOD, ads.DELTA_METHOD, *(method for pair in ads.SINGLE.values() for method in pair),
           native.METHOD, native.LIST, grpclb.METHOD, "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
           *(f"/grpc.health.v1.Health/{word}" for word in ("Check", "Watch", "List")),
           *(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha"))]
NO_MESSAGES = {b"\xff\xff\xff": grpc.StatusCode.INVALID_ARGUMENT,            # a number without end
               b"\x0a\x7fx": grpc.StatusCode.INVALID_ARGUMENT,               # a field of 127 bytes, of which one is there
               bytes(1 << 20) + b"x": grpc.StatusCode.RESOURCE_EXHAUSTED}


def _rss(world):
    fields = open(f"/proc/{world.controller.process.pid}/statm").read().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _bound(growth, world, before):
    limit = growth * (4 if _sanitized(world) else 1)
    grown = _rss(world) - before
    assert grown < limit, f"the controller grew by {grown >> 20} MiB"


def _sanitized(world):
    return "libasan" in open(f"/proc/{world.controller.process.pid}/maps").read()


def _others_live(world, number):
    """A change reaches every well-behaved client, soon."""
    world.put("a", f"10.0.{number}.1", f"10.0.{number}.2")
    world.settle(timeout=10)


def _status_of(world, *messages, method=ads.METHOD):
    """The status that a stream of these raw requests ends with; None if it was answered instead."""
    with ads.connect(world.controller.listen) as channel:
        call = channel.stream_stream(method)(iter(messages), timeout=15)
        try:
            next(call)
            return None
        except grpc.RpcError as error:
            return error.code()
        except StopIteration:
            return call.code()


# ---- messages ----

def nested_metadata_of_32_kib(work):
    """Recursion without a limit would end on the stack."""
    with World(work) as world:
        world.client()
        inner = b""
        while len(inner) < 32 << 10:                   # Struct{fields{"": Value{struct}}}
            inner = ads.encode((1, ads.encode((1, ""), (2, ads.encode((5, inner))))))
        got = _status_of(world, ads.request(ads.EDS, [CLUSTER], node=ads.node(metadata=inner)))
        assert got in (None, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED), got
        _others_live(world, 3)


def four_mib_of_empty_names(work):
    with World(work) as world:
        world.client()
        before = _rss(world)
        names = b"\x1a\x00" * (2 << 20)
        got = _status_of(world, ads.request(ads.EDS) + names)
        assert got == grpc.StatusCode.RESOURCE_EXHAUSTED, got
        _others_live(world, 3)
        _bound(RSS_GROWTH_MAX, world, before)


def names_beyond_the_limit_of_a_stream(work):
    with World(work) as world:
        world.client()
        before = _rss(world)
        for request in (ads.request(ads.EDS) + b"\x1a\x00" * 500_000,
                        ads.request(ads.EDS, [f"shop/n{i}:1" for i in range(30_000)]),
                        ads.request(ads.EDS, ["x" * 100_000])):
            got = _status_of(world, request)
            assert got in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT), got
        _others_live(world, 3)
        _bound(RSS_GROWTH_MAX, world, before)


def bytes_that_are_no_protobuf(work):
    with World(work) as world:
        world.client()
        for request in (b"\xff\xff\xff", b"\x1a\x7f" + b"x", b"\x0b\x0b\x0b", b"\x1a\xff\xff\xff\xff\x0f"):
            got = _status_of(world, request)
            assert got in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL), (request, got)
        assert _status_of(world, REQUEST, method="/no.such.Service/Method") == \
            grpc.StatusCode.UNIMPLEMENTED
        _others_live(world, 3)


def what_is_no_message_ends_its_stream_only(work):
    """Of every method, beside a stream of the same connection."""
    with World(work, ["--load-reports"]) as world, ads.connect(world.controller.listen) as channel:
        statuses = ads.decode(channel.unary_unary("/grpc.health.v1.Health/List")(b""))[1]
        services = {ads.decode(status)[1][0].decode() for status in statuses} - {""}
        assert {method.split("/")[1] for method in METHODS} == services, services
        stream = ads.Stream(channel)
        stream.subscribe(ads.EDS, [CLUSTER])
        for method in METHODS:
            for request, want in NO_MESSAGES.items():
                call = channel.stream_stream(method)(iter([request]), timeout=10)
                assert call.code() == want, (method, request[:9], call.code(), call.details())
        world.put("a", "10.0.9.1")
        assert stream.expect(ads.EDS, 10).resources[CLUSTER].addresses == ["10.0.9.1"]
        assert world.controller.metrics()["lookaside_connections_accepted_total"] == 1


# ---- frames ----

def bytes_that_are_no_http2(work):
    """Every one costs its own connection, and at most one line of log."""
    garbage = {
        "noise": os.urandom(512),
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(400),
        "preface cut": h2raw.PREFACE[:-2] + b"XX" + h2raw.frame(h2raw.SETTINGS),
        "no settings": h2raw.PREFACE + h2raw.frame(h2raw.PING, payload=b"12345678"),
        "frame too large": h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS)
        + h2raw.frame(h2raw.DATA, 0, 1, b"x" * 20000),
        "data of no stream": h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS)
        + h2raw.frame(h2raw.DATA, 0, 1, b"x"),
        "bad hpack": h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS)
        + h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        "even stream": h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS)
        + h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 2, h2raw.call_headers()),
        "settings of 5 bytes": h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, payload=b"12345"),
    }
    with World(work) as world:
        world.client()
        for name, data in garbage.items():
            lines = len(world.log().splitlines())
            peer = h2raw.Peer(world.controller.listen, preface=False, timeout=15)
            try:
                peer.send(data)
                peer.wait_closed()
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None
            except ConnectionError:
                pass
            peer.close()
            assert len(world.log().splitlines()) <= lines + 1, f"{name}: {world.log()}"
        _others_live(world, 3)


def grpc_frames_that_lie(work):
    with World(work) as world:
        world.client()
        bad = {"longer than allowed": struct.pack("!BI", 0, 0xFFFFFFFF),
               "compressed, says who": struct.pack("!BI", 1, 4) + b"abcd",
               "flag 7": struct.pack("!BI", 7, 0)}
        for name, data in bad.items():
            peer = h2raw.Peer(world.controller.listen)
            stream = peer.open_call()
            peer.send(h2raw.frame(h2raw.DATA, 0, stream, data))
            got = peer.until(h2raw.HEADERS, h2raw.RST_STREAM, h2raw.GOAWAY)
            assert got and got[2] in (0, stream), (name, got)
            peer.close()
        _others_live(world, 3)


def headers_without_end(work):
    """CONTINUATION for ever."""
    with World(work) as world:
        world.client()
        before = _rss(world)
        peer = h2raw.Peer(world.controller.listen)
        peer.send(h2raw.frame(h2raw.HEADERS, 0, 1, h2raw.call_headers()))
        block = h2raw.header_block(("x" * 100, "y" * 8000))
        try:
            for _ in range(5000):
                peer.send(h2raw.frame(h2raw.CONTINUATION, 0, 1, block))
        except OSError:
            pass
        peer.close()
        _others_live(world, 3)
        _bound(RSS_GROWTH_MAX, world, before)


# ---- many and slow ----

def ten_thousand_streams_on_one_connection(work):
    """The first ones are served; those beyond the limit are refused, or the connection ends."""
    with World(work) as world:
        world.client()
        before = _rss(world)
        peer = h2raw.Peer(world.controller.listen, window=h2raw.WINDOW_MAX, timeout=30)
        for _ in range(500):                           # their requests fit into the first window
            peer.open_call(REQUEST)
        wait_until(lambda: _streams(world) == 501, 10, "501 streams")
        try:
            for _ in range(9_500):
                peer.open_call()
        except OSError:
            pass
        _others_live(world, 3)
        assert _streams(world) <= 1001, _streams(world)
        _bound(RSS_GROWTH_MAX, world, before)
        got = peer.until(h2raw.RST_STREAM, h2raw.GOAWAY)
        code = got and int.from_bytes(got[3][-4:] if got[0] == h2raw.RST_STREAM else got[3][4:8], "big")
        assert got is None or code in (h2raw.REFUSED_STREAM, h2raw.ENHANCE_YOUR_CALM), got
        peer.close()
        _gone(world)


def _streams(world):
    return world.controller.metrics()['lookaside_streams{protocol="xds"}']


def _gone(world):
    wait_until(lambda: _streams(world) == len(world.clients), 30, "the raw peers' streams are gone")


def streams_opened_and_reset_at_once(work):
    """The rapid reset of 2023."""
    with World(work) as world:
        world.client()
        before = _rss(world)
        peer = h2raw.Peer(world.controller.listen, timeout=30)
        try:
            for _ in range(20_000):
                stream = peer.open_call()
                peer.send(h2raw.frame(h2raw.RST_STREAM, 0, stream, struct.pack("!I", h2raw.CANCEL)))
        except OSError:
            pass
        _others_live(world, 3)
        code = peer.wait_closed()
        assert code in (None, h2raw.ENHANCE_YOUR_CALM), f"GOAWAY {code}"
        assert world.controller.metrics()['lookaside_grpc_limit_hits_total{limit="resets"}'] >= 1
        _bound(RSS_GROWTH_MAX, world, before)


def readers_that_never_read(work):
    """Ten of them, with windows wide open, behind a list of 6,000 endpoints that keeps changing: more
    than the kernel's buffers take."""
    with World(work) as world:
        for number in range(6):
            world.put(f"n{number}", *[f"10.{i >> 8}.{i & 255}.{number}" for i in range(1000)])
        client = world.client()
        before = _rss(world)
        peers = [h2raw.Peer(world.controller.listen, window=h2raw.WINDOW_MAX, receive_buffer=4096,
                            timeout=60) for _ in range(10)]
        for peer in peers:
            peer.open_call(REQUEST)
        for number in range(60):
            world.put("c", f"10.200.0.{number + 1}")
            world.settle()
        assert len(client.seen) > 30, len(client.seen)
        _bound(RSS_GROWTH_MAX, world, before)
        last = _read_lists(peers[0], b"10.200.0.60")
        assert last < 50, f"{last} of 61 lists were kept for a reader that was away"
        for peer in peers:
            peer.close()
        _gone(world)


def _read_lists(peer, wanted):
    """How many DATA messages come until one holds these bytes."""
    data = b""
    while wanted not in data:
        got = peer.until(h2raw.DATA)
        assert got, "the server has closed"
        data += got[3]
    count = 0
    while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[1:5], "big"):
        data = data[5 + int.from_bytes(data[1:5], "big"):]
        count += 1
    return count


def windows_that_never_open(work):
    """The same by flow control: the window of the stream stays closed."""
    with World(work) as world:
        world.put("a", *[f"10.{i >> 8}.{i & 255}.1" for i in range(1000)])
        world.client()
        before = _rss(world)
        peers = [h2raw.Peer(world.controller.listen) for _ in range(20)]
        for peer in peers:
            peer.open_call(REQUEST)
        for number in range(40):
            world.put("c", f"10.200.0.{number + 1}")
            world.settle()
        _bound(RSS_GROWTH_MAX, world, before)
        for peer in peers:
            peer.close()
        _gone(world)


def connections_that_say_nothing_are_closed(work):
    with World(work) as world:
        world.client()
        peers = [h2raw.Peer(world.controller.listen, preface=False, timeout=30) for _ in range(200)]
        half = [h2raw.Peer(world.controller.listen, preface=False, timeout=30) for _ in range(20)]
        for peer in half:
            peer.send(h2raw.PREFACE[:10])
        _others_live(world, 3)
        for peer in peers + half:
            peer.wait_closed()
            peer.close()
        _others_live(world, 4)


def half_open_connections_are_found(work):
    """A peer that is gone without a word answers no PING. Takes the keepalive's 80 s."""
    with World(work) as world:
        world.client()
        peers = [h2raw.Peer(world.controller.listen, timeout=110) for _ in range(10)]
        for peer in peers:
            peer.open_call(REQUEST)
        begin = time.monotonic()
        for peer in peers:
            peer.wait_closed()
        assert 60 < time.monotonic() - begin < 110, time.monotonic() - begin
        assert world.controller.metrics()["lookaside_grpc_keepalive_closed_total"] >= 10
        _gone(world)
        _others_live(world, 3)


def clients_that_stop_and_go_on(work):
    """Fifty clients, ten of which read nothing for a while: all end with the newest list."""
    with World(work) as world:
        clients = [world.client() for _ in range(40)]
        peers = [h2raw.Peer(world.controller.listen, window=h2raw.WINDOW_MAX, receive_buffer=4096,
                            timeout=30) for _ in range(10)]
        for peer in peers:
            peer.open_call(REQUEST)
        for number in range(20):
            _others_live(world, number)
        for peer in peers:
            _read_lists(peer, b"10.0.19.2")
            peer.close()
        assert all(client.seen[-1] == clients[0].seen[-1] for client in clients)


def unknown_service_is_empty_and_appears(work):
    with World(work) as world:
        client = Client(world.controller.listen, "shop/later:8001")
        client.wait([])
        world.api.put(manifests.service("later"), endpoint_slice("a", ["10.6.0.1"], of="later"))
        client.wait(["10.6.0.1"])
        client.close()


CASES = [half_open_connections_are_found, nested_metadata_of_32_kib, four_mib_of_empty_names,
         names_beyond_the_limit_of_a_stream, bytes_that_are_no_protobuf,
         what_is_no_message_ends_its_stream_only, bytes_that_are_no_http2,
         grpc_frames_that_lie, headers_without_end, ten_thousand_streams_on_one_connection,
         streams_opened_and_reset_at_once, readers_that_never_read, windows_that_never_open,
         connections_that_say_nothing_are_closed, clients_that_stop_and_go_on,
         unknown_service_is_empty_and_appears]
