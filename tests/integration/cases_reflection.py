"""Server reflection by raw requests: order, errors, limits. What grpcurl makes of it is a conformance test."""
import os
import queue

import grpc

from tests.support import ads, h2raw

from .world import World

V1, V1ALPHA = (f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
               for version in ("v1", "v1alpha"))
FILE, SYMBOL, EXTENSION, NUMBERS, LIST = 3, 4, 5, 6, 7         # of a request
FILES, SERVICES, ERROR = 4, 6, 7                               # of a response
DISCOVERY, HEALTH = "lookaside/v1/discovery.proto", "grpc/health/v1/health.proto"
ASKED_AHEAD = 100
WINDOW = 65_535
FLOOD = 50_000                                                 # fits into the window
RSS_GROWTH_MAX = 32 << 20


def _answers(channel, requests, method=V1):
    """All answers to requests that are sent at once, decoded; the stream must end with OK."""
    call = channel.stream_stream(method)(iter(requests), timeout=15)
    got = [ads.decode(message) for message in call]
    assert call.code() == grpc.StatusCode.OK, (call.code(), call.details())
    return got


def _services(response):
    entries = ads.decode(response[SERVICES][-1]).get(1, [])
    return [ads.decode(entry)[1][-1].decode() for entry in entries]


def _file_names(response):
    files = ads.decode(response[FILES][-1])[1]
    return [ads.decode(file)[1][-1].decode() for file in files]


def both_versions_tell_the_same(work):
    with World(work) as world, ads.connect(world.controller.listen) as channel:
        [first], [second] = (_answers(channel, [ads.encode((LIST, "*"))], method)
                             for method in (V1, V1ALPHA))
        services = _services(first)
        assert services == _services(second)
        assert {"lookaside.v1.BackendDiscovery", "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
                "envoy.service.discovery.v3.AggregatedDiscoveryService"} <= set(services), services
        assert len(set(services)) == len(services), services


def each_service_listed_can_be_had(work):
    """With every file that its file imports, and those import."""
    with World(work) as world, ads.connect(world.controller.listen) as channel:
        [listed] = _answers(channel, [ads.encode((LIST, "*"))])
        for service in _services(listed):
            [got] = _answers(channel, [ads.encode((SYMBOL, service))])
            files = ads.decode(got[FILES][-1])[1]
            names = set(_file_names(got))
            imported = {name.decode() for file in files for name in ads.decode(file).get(3, [])}
            assert imported <= names, (service, imported - names)


def requests_asked_ahead_are_answered_in_order(work):
    with World(work) as world, ads.connect(world.controller.listen) as channel:
        requests = [ads.encode((1, str(number)), (FILE, (DISCOVERY, HEALTH)[number % 2]))
                    for number in range(ASKED_AHEAD)]
        got = _answers(channel, requests)
        assert [int(answer[1][-1]) for answer in got] == list(range(ASKED_AHEAD))
        assert [answer[2][-1] for answer in got] == requests
        assert [_file_names(answer)[0] for answer in got[:2]] == [DISCOVERY, HEALTH]


def what_is_not_there_leaves_the_stream_open(work):
    extension = ads.encode((1, "lookaside.v1.WatchRequest"), (2, 7))
    asked = [ads.encode((FILE, "no/such.proto")), ads.encode((SYMBOL, "no.Such")),
             ads.encode((EXTENSION, extension)), ads.encode((NUMBERS, "no.Such"))]
    with World(work) as world, ads.connect(world.controller.listen) as channel:
        *missing, listed = _answers(channel, [*asked, ads.encode((LIST, ""))])
        errors = [ads.decode(answer[ERROR][-1]) for answer in missing]
        assert [error[1][-1] for error in errors] == [grpc.StatusCode.NOT_FOUND.value[0]] * 4
        assert all(b"'" in error[2][-1] for error in errors), errors
        assert _services(listed)


def requests_that_are_none_end_their_stream_only(work):
    with World(work) as world, ads.connect(world.controller.listen) as channel:
        outgoing = queue.Queue()
        other = channel.stream_stream(V1)(iter(outgoing.get, None), timeout=30)
        for request, code, words in (
                (b"", "INVALID_ARGUMENT", "asks nothing"),
                (b"\x3a\x7f", "INVALID_ARGUMENT", "malformed ServerReflectionRequest"),
                (ads.encode((SYMBOL, b"\xff")), "INVALID_ARGUMENT", "is not UTF-8"),
                (ads.encode((SYMBOL, "x" * 1025)), "RESOURCE_EXHAUSTED", "longer than 1024 bytes")):
            call = channel.stream_stream(V1)(iter([request]), timeout=10)
            assert call.code().name == code and words in call.details(), (call.code(), call.details())
        outgoing.put(ads.encode((LIST, "")))
        assert _services(ads.decode(next(other)))
        outgoing.put(None)
        assert list(other) == [] and other.code() == grpc.StatusCode.OK


def who_asks_on_and_does_not_read_is_cut_off(work):
    """What waits for an answer is bounded for each stream."""
    with World(work) as world:
        before = _rss(world)
        peer = h2raw.Peer(world.controller.listen, timeout=30)
        request = ads.encode((FILE, "envoy/config/cluster/v3/cluster.proto"))
        stream = peer.open_call(*[request] * 10, path=V1)
        taken = 0
        while taken < WINDOW:                          # and it gives no more
            taken += len(peer.until(h2raw.DATA, stream=stream)[3])
        frame = h2raw.frame(h2raw.DATA, 0, stream, h2raw.message(request))
        peer.send(frame * (FLOOD // len(frame)))
        reset = peer.until(h2raw.RST_STREAM, stream=stream)
        assert reset[3][-1] == h2raw.ENHANCE_YOUR_CALM, reset
        assert world.controller.metrics()["lookaside_refused_streams_total"] == 1
        peer.close()
        grown = _rss(world) - before
        assert grown < RSS_GROWTH_MAX or _sanitized(world), f"grew by {grown >> 20} MiB"
        world.settle(world.client())


def _rss(world):
    fields = open(f"/proc/{world.controller.process.pid}/statm").read().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _sanitized(world):
    return "libasan" in open(f"/proc/{world.controller.process.pid}/maps").read()


CASES = [
    both_versions_tell_the_same,
    each_service_listed_can_be_had,
    requests_asked_ahead_are_answered_in_order,
    what_is_not_there_leaves_the_stream_open,
    requests_that_are_none_end_their_stream_only,
    who_asks_on_and_does_not_read_is_cut_off,
]
