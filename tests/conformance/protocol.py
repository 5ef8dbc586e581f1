"""The rules of the xDS stream that real clients rely on, each checked with a raw client.

That something is NOT sent is shown by a fence: a further subscription, which has to be answered;
its answer has to be the next thing on the stream.
"""
import itertools

import grpc

from support import ads, lookaside
from support.ads import CDS, EDS, LDS
from support.manifests import Endpoint, Manifests, endpoint_slice, service
from support.process import Block, wait_until

NESTED_BYTES = 32 * 1024
EMPTY_NAMES_BYTES = 4 * 1024 * 1024
MALFORMED = ("not a name", "a..b:80", "under_score.shop:80", "greeter.shop:70000", "a.b.c.d:80")
_unique = itertools.count(1)


class Bench:
    """One controller and its directory; every case uses Services of its own."""

    def __init__(self, work, flags=()):
        self.block = Block()
        self.manifests = Manifests(work / "manifests")
        server = self.block.address(254)
        self.lookaside = lookaside.Lookaside(work, self.manifests.directory, f"{server}:18000",
                                             f"{server}:18080", flags)
        self.open = []

    def channel(self):
        channel = ads.connect(self.lookaside.listen)
        self.open.append(channel.close)
        return channel

    def stream(self, channel=None, kind=ads.Stream, method=None, **node):
        stream = kind(channel or self.channel(), ads.node(**node), method)
        self.open.append(stream.cancel)
        return stream

    def revive(self):
        """Starts the controller again if the case before this one ended it."""
        if not self.lookaside.process.running:
            self.lookaside.start()

    def run(self, case):
        try:
            case(self)
        except Exception as error:
            if self.lookaside.ended():
                raise AssertionError(self.lookaside.end()) from error
            raise
        finally:
            for close in reversed(self.open):
                close()
            self.open.clear()

    def service(self, endpoints, **options):
        """A new Service with these addresses, its name and its cluster."""
        name = f"svc{next(_unique)}"
        self.manifests.service(name, **options)
        self.manifests.slice(name, [Endpoint(address) for address in endpoints])
        return name, f"shop/{name}:8001"

    def known(self, endpoints, **options):
        """A new Service that the controller has read, as a stream of its own saw."""
        name, cluster = self.service(endpoints, **options)
        stream = self.stream()
        stream.send(EDS, [cluster])
        stream.until(EDS, lambda got: addresses(got, cluster) == sorted(endpoints))
        stream.cancel()
        return name, cluster

    def slice(self, name, endpoints):
        self.manifests.slice(name, [Endpoint(address) for address in endpoints])


def addresses(response, cluster):
    """The sorted addresses of one assignment, or None if the response lacks it."""
    assignment = response.resources.get(cluster)
    return None if assignment is None else sorted(assignment.addresses)


def equal(got, wanted, what):
    assert got == wanted, f"{what}: {got!r}, expected {wanted!r}"


def fence(stream):
    """Asserts that nothing more is on its way: the answer to a new name comes next."""
    name = f"fence{next(_unique)}.shop:1"
    stream.send(LDS, stream.names.get(LDS, []) + [name])
    got = stream.recv()
    assert got.type_url == LDS and name in got.resources, f"unasked for: {got}"
    stream.ack(got)


def opening(bench):
    """Listener, Cluster and assignment of a known Service, each type ACKed."""
    name, cluster = bench.known(["10.0.0.1", "10.0.0.2"])
    stream = bench.stream()
    target = f"{name}.shop:8001"
    listener = stream.subscribe(LDS, [target]).resources[target]
    equal(listener.cluster, cluster, "cluster of the route")
    equal(listener.domains, ("*",), "domains")
    found = stream.subscribe(CDS, [cluster]).resources[cluster]
    equal((found.type, found.eds_name), (3, cluster), "EDS cluster and its list's name")
    equal(found.max_requests, 0x7FFFFFFF, "limit on concurrent requests")
    got = stream.subscribe(EDS, [cluster]).resources[cluster]
    equal(sorted(got.endpoints), [("", "10.0.0.1", 8001), ("", "10.0.0.2", 8001)], "endpoints")
    return stream, name, cluster


def case_ack_answered_by_nothing(bench):
    stream, name, _ = opening(bench)
    for type_url in (LDS, CDS, EDS):
        stream.send(type_url, stream.names[type_url])
    fence(stream)
    assert all(stream.last[type_url].nonce for type_url in (LDS, CDS, EDS)), "an empty nonce"


def case_change_is_pushed(bench):
    stream, name, cluster = opening(bench)
    before = stream.last[EDS]
    bench.slice(name, ["10.0.0.1", "10.0.0.3"])
    got = stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.1", "10.0.0.3"])
    assert got.version != before.version, "the version stayed"
    assert got.nonce != before.nonce, "the nonce was used before"


def case_change_elsewhere_is_silent(bench):
    other, other_cluster = bench.known(["10.0.0.1"])
    stream, _, _ = opening(bench)
    watcher = bench.stream()
    watcher.subscribe(EDS, [other_cluster])
    bench.slice(other, ["10.0.0.9"])
    watcher.until(EDS, lambda got: addresses(got, other_cluster) == ["10.0.0.9"])
    fence(stream)


def case_types_are_independent(bench):
    """EDS and CDS before LDS: some clients open in that order after a reconnect."""
    _, cluster = bench.known(["10.0.0.1"])
    stream = bench.stream()
    assert cluster in stream.subscribe(EDS, [cluster]).resources
    assert cluster in stream.subscribe(CDS, [cluster]).resources


def case_more_names(bench):
    """A new subscription looks like a repeated ACK with one more name."""
    stream, _, cluster = opening(bench)
    other, other_cluster = bench.known(["10.0.0.7"])
    stream.send(EDS, [cluster, other_cluster])
    equal(addresses(stream.expect(EDS), other_cluster), ["10.0.0.7"], "the new name's list")
    targets = [*stream.names[LDS], f"{other}.shop:8001"]
    stream.send(LDS, targets)
    equal(stream.expect(LDS).names, sorted(targets), "full state of LDS")
    stream.send(CDS, [cluster, other_cluster])
    equal(stream.expect(CDS).names, sorted([cluster, other_cluster]), "full state of CDS")


def case_stale_nonce_applies_names(bench):
    stream, name, cluster = opening(bench)
    _, other = bench.known(["10.0.0.7"])
    stale = stream.last[EDS].nonce
    bench.slice(name, ["10.0.0.1"])
    stream.expect(EDS)                                   # not ACKed: the nonce below is too old
    stream.send(EDS, [cluster, other], nonce=stale)
    equal(addresses(stream.expect(EDS), other), ["10.0.0.7"], "list asked for with a stale nonce")


def case_empty_nonce_resends(bench):
    """grpc-node unsubscribes in silence and asks again with an empty nonce."""
    stream, _, cluster = opening(bench)
    for type_url in (LDS, CDS, EDS):
        wanted = sorted(stream.names[type_url])
        stream.send(type_url, stream.names[type_url], nonce="")
        got = stream.expect(type_url)
        equal(got.names, wanted, "resent for an empty nonce")
        stream.ack(got)
    fence(stream)


def case_unsubscribe_then_resubscribe(bench):
    """An idle channel dropped what it knew: the same version has to come again."""
    stream, name, cluster = opening(bench)
    for type_url in (EDS, CDS, LDS):
        names, before = stream.names[type_url], stream.last[type_url]
        stream.send(type_url, [])
        bench_fence(bench)
        stream.send(type_url, names)
        got = stream.expect(type_url)
        equal((got.names, got.version), (names, before.version), "resent after unsubscribing")
        stream.ack(got)


def bench_fence(bench):
    """A round trip on another stream."""
    stream = bench.stream()
    fence(stream)
    stream.cancel()


def case_unsubscribed_is_not_wildcard(bench):
    stream, name, cluster = opening(bench)
    stream.send(EDS, [])
    stream.send(CDS, [])
    fence(stream)                                        # the controller has read both
    bench.slice(name, ["10.0.0.1"])
    watcher = bench.stream()
    watcher.send(EDS, [cluster])
    watcher.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.1"])
    fence(stream)


def nacks(bench):
    return sum(value for name, value in bench.lookaside.metrics().items() if "nack" in name.lower())


def case_nack_is_recorded_and_not_answered(bench):
    stream, name, cluster = opening(bench)
    before = nacks(bench)
    bench.slice(name, ["10.0.0.1"])
    refused = stream.expect(EDS)
    stream.nack(refused, version="what was accepted before")
    fence(stream)
    stream.nack(refused, version=refused.version)        # as C++ and Node: the new version
    fence(stream)
    wait_until(lambda: nacks(bench) > before, 5, "a metric counts the NACK")
    bench.slice(name, ["10.0.0.5"])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.5"])


def case_unknown_name_at_once(bench):
    stream = bench.stream()
    name = f"later{next(_unique)}"
    target = f"{name}.shop:8001"
    cluster = stream.subscribe(LDS, [target]).resources[target].cluster
    equal(cluster, f"shop/{name}:8001", "cluster of an unknown Service")
    assert cluster in stream.subscribe(CDS, [cluster]).resources, "no Cluster"
    equal(addresses(stream.subscribe(EDS, [cluster]), cluster), [], "its list")
    bench.manifests.service(name)
    bench.slice(name, ["10.0.0.4"])
    got = stream.until(EDS, lambda got: addresses(got, cluster))
    equal(addresses(got, cluster), ["10.0.0.4"], "its list once it exists")


def case_port_name_resolved_later(bench):
    """The Listener moves to the numbered Cluster once the port's name means a number."""
    stream = bench.stream()
    name = f"later{next(_unique)}"
    target = f"{name}.shop:grpc"
    old = stream.subscribe(LDS, [target]).resources[target].cluster
    equal(old, f"shop/{name}:grpc", "cluster of an unresolved port")
    stream.subscribe(CDS, [old])
    stream.subscribe(EDS, [old])
    bench.manifests.service(name)
    bench.slice(name, ["10.0.0.4"])
    new = f"shop/{name}:8001"
    stream.until(LDS, lambda got: got.resources[target].cluster == new)
    stream.send(CDS, [old, new])
    got = stream.until(CDS, lambda got: new in got.resources)
    equal(got.names, sorted([old, new]), "Clusters while the old one is named")
    stream.send(EDS, [old, new])
    stream.until(EDS, lambda got: addresses(got, new) == ["10.0.0.4"])


def case_malformed_names_unanswered(bench):
    stream = bench.stream()
    stream.send(LDS, list(MALFORMED))
    name = f"good{next(_unique)}.shop:1"
    stream.send(LDS, [*MALFORMED, name])
    while True:
        got = stream.expect(LDS)
        assert not set(got.resources) & set(MALFORMED), f"answered: {got.names}"
        if name in got.resources:
            return


def case_spelling_is_echoed(bench):
    name, cluster = bench.known(["10.0.0.1"])
    spellings = [f"{name}.shop:8001", f"{name.upper()}.Shop:8001", f"{name}.shop.:8001",
                 f"{name}.shop:grpc", f"{name}.shop", f"{name}.shop.svc:grpc", f"{name}.shop.svc",
                 f"{name}.shop.svc.cluster.local:8001", f"{name}.shop.svc.cluster.local.:8001"]
    stream = bench.stream()
    got = stream.subscribe(LDS, spellings)
    equal(got.names, sorted(spellings), "names of the Listeners")
    equal({listener.cluster for listener in got.resources.values()}, {cluster}, "their Clusters")


def case_short_name_by_node_namespace(bench):
    name, cluster = bench.known(["10.0.0.1"])
    text = ads.encode((3, "shop"))                       # Value.string_value
    metadata = ads.encode((1, ads.encode((1, "namespace"), (2, text))))
    stream = bench.stream(metadata=metadata)
    target = f"{name}:8001"
    equal(stream.subscribe(LDS, [target]).resources[target].cluster, cluster, "cluster")


def case_one_pod_by_hostname(bench):
    name = f"set{next(_unique)}"
    bench.manifests.service(name)
    bench.manifests.slice(name, [Endpoint(f"10.0.0.{i}", hostname=f"{name}-{i}") for i in (1, 2)])
    target = f"{name}-2.{name}.shop:8001"
    stream = bench.stream()
    cluster = f"shop/{name}/{name}-2:8001"
    stream.send(LDS, [target])
    stream.until(LDS, lambda got: got.resources[target].cluster == cluster)
    stream.send(EDS, [cluster])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.2"])


def case_zones_and_their_weights(bench):
    name = f"zones{next(_unique)}"
    bench.manifests.service(name)
    bench.manifests.slice(name, [Endpoint("10.0.0.1", "zone-a"), Endpoint("10.0.0.3", "zone-b"),
                                 Endpoint("10.0.0.2", "zone-a")])
    cluster = f"shop/{name}:8001"
    stream = bench.stream(zone="zone-a")
    stream.send(EDS, [cluster])
    got = stream.until(EDS, lambda got: addresses(got, cluster)).resources[cluster]
    equal(got.endpoints, [("zone-a", "10.0.0.1", 8001), ("zone-a", "10.0.0.2", 8001),
                          ("zone-b", "10.0.0.3", 8001)], "endpoints, sorted")
    equal(got.weights, {"zone-a": 2, "zone-b": 1}, "weights of the zones")


def case_slices_merge_without_duplicates(bench):
    name, cluster = bench.known(["10.0.0.1", "10.0.0.2"])
    bench.manifests.slice(name, [Endpoint("10.0.0.2"), Endpoint("10.0.0.3")], suffix="b")
    stream = bench.stream()
    stream.send(EDS, [cluster])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"])


def case_conditions_of_endpoints(bench):
    """Not ready: out. None ready: those that serve while they terminate."""
    name, cluster = bench.known(["10.0.0.1"])
    stream = bench.stream()
    stream.send(EDS, [cluster])
    ending = Endpoint("10.0.0.2").draining()
    never = Endpoint("10.0.0.3", ready=False, serving=False)
    bench.manifests.slice(name, [Endpoint("10.0.0.9", ready=None), ending, never])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.9"])
    bench.manifests.slice(name, [ending, never])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.2"])
    bench.manifests.slice(name, [never])
    stream.until(EDS, lambda got: addresses(got, cluster) == [])


def case_deleted_service_keeps_its_listener(bench):
    stream, name, cluster = opening(bench)
    targets = stream.names[LDS]
    bench.manifests.remove_slice(name)
    bench.manifests.remove_service(name)
    stream.until(EDS, lambda got: addresses(got, cluster) == [], timeout=10)
    stream.send(LDS, targets, nonce="")
    equal(stream.expect(LDS).names, targets, "Listeners of a deleted Service")
    stream.send(CDS, [cluster], nonce="")
    equal(stream.expect(CDS).names, [cluster], "Clusters of a deleted Service")


def case_empty_first_request_of_grpc(bench):
    """Old grpc-java opens with an empty request: no subscription, and no wildcard."""
    bench.known(["10.0.0.1"])
    stream = bench.stream(user_agent="gRPC Java")
    stream.send(LDS, [])
    stream.send(CDS, [])
    fence(stream)


def case_empty_first_request_of_envoy(bench):
    _, cluster = bench.known(["10.0.0.1"])
    stream = bench.stream(user_agent="envoy")
    got = stream.subscribe(CDS, [])
    assert cluster in got.resources, f"the wildcard lacks {cluster}: {got.names}"
    assert len(got.resources) > 1, "the wildcard has one Cluster only"
    _, added = bench.service(["10.0.0.1"])
    stream.until(CDS, lambda got: {cluster, added} <= set(got.resources))


def case_streams_of_one_node(bench):
    name, cluster = bench.known(["10.0.0.1"])
    channel = bench.channel()
    streams = [bench.stream(channel, node_id="same") for _ in range(3)]
    streams += [bench.stream(node_id="same") for _ in range(3)]
    for stream in streams:
        equal(addresses(stream.subscribe(EDS, [cluster]), cluster), ["10.0.0.1"], "first list")
    bench.slice(name, ["10.0.0.2"])
    for stream in streams:
        stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.2"])


def case_half_close_ends_with_ok(bench):
    stream, _, _ = opening(bench)
    stream.half_close()
    equal(stream.status(), grpc.StatusCode.OK, "status")


def case_reconnect_gets_everything(bench):
    """A new stream that names the version it has: the client may never have used it."""
    before, _, cluster = opening(bench)
    stream = bench.stream()
    got = stream.subscribe(EDS, [cluster], version=before.last[EDS].version)
    equal(addresses(got, cluster), ["10.0.0.1", "10.0.0.2"], "list")
    got = stream.subscribe(LDS, before.names[LDS], version=before.last[LDS].version)
    equal(got.names, before.names[LDS], "Listeners")


def case_versions_survive_a_restart(bench):
    before, _, cluster = opening(bench)
    bench.lookaside.restart()
    after = bench.stream()
    for type_url in (LDS, CDS, EDS):
        got = after.subscribe(type_url, before.names[type_url])
        equal(got.version, before.last[type_url].version, f"version of {type_url} after a restart")
        equal([entry.raw for entry in got.resources.values()],
              [entry.raw for entry in before.last[type_url].resources.values()], "bytes")


def nested_struct(size):
    """A Struct of about this many bytes whose values nest as deep as they can."""
    value = ads.encode((3, "end"))
    while len(value) < size:
        value = ads.encode((5, ads.encode((1, ads.encode((1, "k"), (2, value))))))
    return ads.encode((1, ads.encode((1, "k"), (2, value))))


def case_deep_node_metadata(bench):
    _, cluster = bench.known(["10.0.0.1"])
    pid = bench.lookaside.process.pid
    stream = bench.stream(metadata=nested_struct(NESTED_BYTES))
    equal(addresses(stream.subscribe(EDS, [cluster]), cluster), ["10.0.0.1"], "list")
    bench_fence(bench)
    assert bench.lookaside.process.running and bench.lookaside.process.pid == pid


def case_message_of_empty_names(bench):
    innocent, name, cluster = opening(bench)
    stream = bench.stream()
    stream.send_raw(b"\x1a\x00" * (EMPTY_NAMES_BYTES // 2) + ads.request(LDS, node=ads.node()))
    equal(stream.status(), grpc.StatusCode.RESOURCE_EXHAUSTED, "status of the stream")
    bench.slice(name, ["10.0.0.1"])
    equal(addresses(innocent.expect(EDS), cluster), ["10.0.0.1"], "the others' next list")


def case_broken_message(bench):
    """Bytes that are no protobuf end that stream, and no other."""
    innocent, name, cluster = opening(bench)
    stream = bench.stream()
    stream.send_raw(b"\x0a\xff\xff\xff\xff\x7f")
    status = stream.status()
    assert status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL), status
    bench.slice(name, ["10.0.0.1"])
    equal(addresses(innocent.expect(EDS), cluster), ["10.0.0.1"], "the others' next list")


def case_unknown_method(bench):
    call = bench.channel().unary_unary("/nobody.Knows/This")
    try:
        call(b"", timeout=5)
    except grpc.RpcError as error:
        equal(error.code(), grpc.StatusCode.UNIMPLEMENTED, "status")
    else:
        raise AssertionError("answered")


def case_health(bench):
    check = bench.channel().unary_unary("/grpc.health.v1.Health/Check")
    equal(ads.decode(check(b"", timeout=5)).get(1), [1], "health (1 is SERVING)")


def case_manifest_with_several_documents(bench):
    name = f"docs{next(_unique)}"
    bench.manifests.put(name, service(name), endpoint_slice(
        f"{name}-a", name, [Endpoint("10.0.0.8")]))
    cluster = f"shop/{name}:8001"
    stream = bench.stream()
    stream.send(EDS, [cluster])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.8"])


def case_shutdown_ends_streams_with_ok(bench):
    """Last: the controller ends here."""
    stream, _, _ = opening(bench)
    equal(bench.lookaside.stop(), 0, "exit code")
    equal(stream.status(), grpc.StatusCode.OK, "status of an open stream")


def cases_of(names):
    return [(name.removeprefix("case_").replace("_", " "), case)
            for name, case in list(names.items()) if name.startswith("case_")]


def run(work, report):
    from conformance import protocol_delta, protocol_native  # they need what is above
    bench = Bench(work)
    try:
        bench.lookaside.start()
        for title, case in (*cases_of(vars(protocol_delta)), *cases_of(vars(protocol_native)), *cases_of(globals())):
            bench.revive()
            with report.case(f"protocol: {title}"):
                bench.run(case)
    except Exception as error:
        report.fail("protocol: set-up", str(error))
    finally:
        bench.lookaside.stop()
        bench.block.close()
