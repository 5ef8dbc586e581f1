"""The native protocol, checked with a raw client, and what it costs beside xDS."""
import queue

import grpc

from conformance.protocol import addresses, equal
from support import ads, native
from support.ads import EDS
from support.lookaside import Lookaside
from support.manifests import Endpoint

SECONDS = 20
MANY = 100


class Stream:
    """One Watch: requests are the test's own, responses come one by one, and their sum."""

    def __init__(self, channel):
        self.outgoing = queue.Queue()
        self.call = channel.stream_stream(native.METHOD)(iter(self.outgoing.get, None), timeout=SECONDS)
        self.lists, self.bytes = native.Lists(), 0

    def ask(self, targets, **options):
        self.outgoing.put(native.request(targets, **options))
        return self

    def next(self):
        data = next(self.call)
        self.bytes += len(data)
        response = native.Response.parse(data)
        self.lists.take(response)
        return response

    def until(self, target, wanted):
        """The response that makes the list of these addresses."""
        while True:
            response = self.next()
            if self.addresses(target) == sorted(wanted):
                return response

    def addresses(self, target):
        return sorted(address for address, _ in self.lists.lists.get(target, ()))

    def cancel(self):
        self.outgoing.put(None)
        self.call.cancel()


def native_stream(bench, channel=None):
    stream = Stream(channel or bench.channel())
    bench.open.append(stream.cancel)
    return stream


def watching(bench, wanted=("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")):
    name, _ = bench.known(list(wanted))
    target = f"{name}.shop:8001"
    stream = native_stream(bench).ask([target])
    first = stream.next()
    equal((first.target, first.changes, stream.addresses(target)), (target, False, sorted(wanted)), "first list")
    return stream, name, target


def case_native_tells_what_comes_and_goes(bench):
    stream, name, target = watching(bench)
    bench.slice(name, ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5"])
    got = stream.until(target, ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5"])
    assert got.changes, got
    equal((list(got.backends), got.removed), ([("10.0.0.5", 8001)], [("10.0.0.3", 8001)]), "changes")
    bench.slice(name, [])
    got = stream.until(target, [])
    equal((got.changes, got.problem), (False, "no EndpointSlice has endpoints at this port"), "empty list")


def case_native_follows_many_targets_on_one_stream(bench):
    names = [bench.known([f"10.0.1.{number}"])[0] for number in range(1, 6)]
    targets = [f"{name}.shop:8001" for name in names]
    stream = native_stream(bench).ask(targets)
    equal(sorted(stream.next().target for _ in targets), sorted(targets), "answers")
    bench.slice(names[2], ["10.0.1.3", "10.0.1.77"])
    stream.until(targets[2], ["10.0.1.3", "10.0.1.77"])
    for number, target in enumerate(targets, 1):
        equal(stream.addresses(target)[0], f"10.0.1.{number}", target)


def case_native_forgets_what_is_not_named_any_more(bench):
    stream, name, target = watching(bench)
    other, _ = bench.known(["10.0.2.1"])
    stream.ask([f"{other}.shop:8001"])
    equal(stream.next().target, f"{other}.shop:8001", "the new one")
    bench.slice(name, ["10.0.0.9"])
    bench.slice(other, ["10.0.2.2"])
    equal(stream.next().target, f"{other}.shop:8001", "only the one that is named")
    stream.ask([target, f"{other}.shop:8001"])
    got = stream.next()
    equal((got.target, got.changes, stream.addresses(target)), (target, False, ["10.0.0.9"]), "named again")


def _second_replica(bench, work):
    replica = Lookaside(work, bench.manifests.directory)
    replica.start()
    bench.open.append(replica.stop)
    return replica


def case_native_another_replica_only_confirms(bench):
    stream, name, target = watching(bench)
    versions = dict(stream.lists.versions)
    replica = _second_replica(bench, bench.lookaside.work / "replica")
    channel = ads.connect(replica.listen)
    bench.open.append(channel.close)
    later = native_stream(bench, channel)
    later.lists = stream.lists
    got = later.ask([target], versions=versions).next()
    equal((got.changes, got.version, got.backends, got.removed), (True, versions[target], {}, []), "confirmation")
    assert later.bytes < 60, later.bytes
    bench.slice(name, ["10.0.0.1", "10.0.0.2"])
    later.until(target, ["10.0.0.1", "10.0.0.2"])
    again = native_stream(bench, channel).ask([target], versions=versions).next()
    equal((again.changes, len(again.backends)), (False, 2), "an older version")


def case_native_list_answers_once(bench):
    name, _ = bench.known(["10.0.0.1", "10.0.0.2"])
    call = bench.channel().unary_unary(native.LIST)
    data = call(native.request([f"{name}:8001", "nobody.shop:1"], namespace="shop"), timeout=SECONDS)
    got = {response.target: response for response in map(native.Response.parse, ads.decode(data)[1])}
    equal(sorted(address for address, _ in got[f"{name}:8001"].backends), ["10.0.0.1", "10.0.0.2"], "list")
    equal(got["nobody.shop:1"].problem, "no such Service", "problem")
    equal(call(native.request([]), timeout=SECONDS), b"", "an answer to nothing")
    try:
        call(b"\x0a\x05", timeout=SECONDS)
        raise AssertionError("a malformed request is answered")
    except grpc.RpcError as error:
        equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT, "code")


def case_native_change_is_smaller_than_that_of_xds(bench):
    """One pod more beside a hundred. What is printed stands in README.md."""
    pods = [Endpoint(f"10.1.{number // 10}.{number % 10 + 10}", f"eu-west-1{'abc'[number % 3]}",
                     pod=f"greeter-6d9f8b7c54-{number * 7919 % 0xFFFFF:05x}", node=f"node-{number % 10}")
            for number in range(MANY + 1)]
    name, cluster = bench.known(["10.9.9.9"])
    target = f"{name}.shop:8001"
    stream, xds = native_stream(bench).ask([target]), bench.stream()
    xds.send(EDS, [cluster])
    for listed in (pods[:-1], pods):
        wanted = sorted(pod.address for pod in listed)
        stream.bytes = 0
        bench.manifests.slice(name, listed)
        stream.until(target, wanted)
        size = len(xds.until(EDS, lambda got: addresses(got, cluster) == wanted).resources[cluster].raw)
    assert stream.bytes * 10 < size, (stream.bytes, size)
    print(f"        one pod more beside {MANY}: {size} bytes by xDS (EDS), {stream.bytes} by the native protocol")
