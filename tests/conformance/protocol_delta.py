"""Delta xDS and the services of one type, checked with a raw client: what Envoy and others rely on."""
import grpc

from conformance.protocol import addresses, equal
from support import ads
from support.ads import CDS, EDS, LDS, RDS, SINGLE

ENVOY = {"kind": ads.DeltaStream, "user_agent": "envoy"}
_unique = iter(range(1, 1 << 30))


def delta(bench, **options):
    return bench.stream(**{**ENVOY, **options})


def delta_fence(stream):
    """Asserts that nothing more is on its way."""
    name = f"deltafence{next(_unique)}.shop:1"
    stream.send(LDS, [name])
    got = stream.recv()
    assert got.type_url == LDS and got.names == [name], f"unasked for: {got}"
    stream.ack(got)


def opened(bench):
    """A delta stream with Listener, Cluster and list of a known Service, each ACKed."""
    name, cluster = bench.known(["10.0.0.1", "10.0.0.2"])
    stream = delta(bench)
    target = f"{name}.shop:8001"
    equal(stream.subscribe(LDS, [target]).resources[target].cluster, cluster, "cluster")
    stream.subscribe(CDS, [cluster])
    got = stream.subscribe(EDS, [cluster])
    equal(addresses(got, cluster), ["10.0.0.1", "10.0.0.2"], "list")
    return stream, name, cluster


def case_delta_has_the_same_bytes(bench):
    stream, name, cluster = opened(bench)
    sotw = bench.stream()
    for type_url, wanted in ((LDS, f"{name}.shop:8001"), (CDS, cluster), (EDS, cluster)):
        same = sotw.subscribe(type_url, [wanted]).resources[wanted]
        equal(stream.last[type_url].resources[wanted].raw, same.raw, f"{type_url} by delta")


def case_delta_sends_what_changed(bench):
    stream, name, cluster = opened(bench)
    other, other_cluster = bench.known(["10.0.0.7"])
    equal(stream.subscribe(EDS, [other_cluster]).names, [other_cluster], "only the new one")
    before = stream.versions[EDS][cluster]
    bench.slice(name, ["10.0.0.1", "10.0.0.3"])
    got = stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.1", "10.0.0.3"])
    equal(got.names, [cluster], "only the changed one")
    assert got.versions[cluster] != before, "the version stayed"
    stream.send(EDS, unsubscribe=[cluster])
    bench.slice(name, ["10.0.0.1"])
    bench.slice(other, ["10.0.0.8"])
    stream.until(EDS, lambda got: got.names == [other_cluster])
    delta_fence(stream)


def case_delta_asks_again(bench):
    stream, _, cluster = opened(bench)
    equal(stream.subscribe(EDS, [cluster]).names, [cluster], "asked for again")


def case_delta_says_what_is_no_name(bench):
    stream = delta(bench)
    stream.send(LDS, ["not a name", "good.shop:1"])
    got = stream.expect(LDS)
    equal((got.names, got.removed), (["good.shop:1"], ["not a name"]), "answer")


def case_delta_refused_is_not_repeated(bench):
    stream, name, cluster = opened(bench)
    bench.slice(name, ["10.0.0.1"])
    got = stream.expect(EDS)
    stream.nack(got)
    delta_fence(stream)
    bench.slice(name, ["10.0.0.5"])
    stream.until(EDS, lambda got: addresses(got, cluster) == ["10.0.0.5"])


def case_delta_resumes(bench):
    """After a reconnect, and after a restart as if it were another replica: only what differs."""
    stream, name, cluster = opened(bench)
    other, other_cluster = bench.known(["10.0.0.7"])
    stream.subscribe(EDS, [other_cluster])
    target, known = f"{name}.shop:8001", stream.versions
    stream.cancel()
    bench.lookaside.restart()
    for change in (False, True):
        if change:
            bench.slice(other, ["10.0.0.8"])
            watcher = bench.stream()
            watcher.send(EDS, [other_cluster])
            watcher.until(EDS, lambda got: addresses(got, other_cluster) == ["10.0.0.8"])
        again = delta(bench)
        again.send(LDS, [target], known=known[LDS])
        again.send(CDS, [cluster], known=known[CDS])
        again.send(EDS, [cluster, other_cluster], known=known[EDS])
        if change:
            got = again.expect(EDS)
            equal((got.names, got.removed), ([other_cluster], []), "what has changed")
            again.ack(got)
        delta_fence(again)


def case_delta_wildcard_is_the_view_of_envoy(bench):
    """CDS by wildcard, EDS by name; Services come and go."""
    name, cluster = bench.known(["10.0.0.1"])
    stream = delta(bench)
    found = set()
    stream.send(CDS)
    stream.until(CDS, lambda got: found.update(got.names) or cluster in found)
    equal(addresses(stream.subscribe(EDS, [cluster]), cluster), ["10.0.0.1"], "list")
    added, added_cluster = bench.service(["10.0.0.2"])
    got = stream.until(CDS, lambda got: added_cluster in got.resources)
    equal(got.names, [added_cluster], "only the new Cluster")
    bench.slice(added, ["10.0.0.3"])
    bench.manifests.remove_service(added)
    stream.until(CDS, lambda got: got.removed == [added_cluster], timeout=12)
    again = delta(bench)
    known = {**stream.versions[CDS], "shop/gone:1": "0123456789abcdef"}
    again.send(CDS, known=known)
    equal((again.expect(CDS).removed, again.last[CDS].names), (["shop/gone:1"], []), "resumed")
    equal(delta(bench).subscribe(LDS, []).names, [], "Listeners by wildcard")


def case_delta_of_one_node_and_zone(bench):
    """What a place gets does not depend on the protocol."""
    from support.manifests import Endpoint
    name = f"deltazones{next(_unique)}"
    bench.manifests.service(name, trafficDistribution="PreferClose")
    bench.manifests.slice(name, [Endpoint("10.0.0.1", "zone-a", for_zones=("zone-a",)),
                                 Endpoint("10.0.0.2", "zone-b", for_zones=("zone-b",))])
    cluster = f"shop/{name}:8001"
    for zone, wanted in (("zone-a", ["10.0.0.1"]), ("zone-b", ["10.0.0.2"])):
        stream = delta(bench, zone=zone)
        stream.send(EDS, [cluster])
        stream.until(EDS, lambda got, w=wanted: addresses(got, cluster) == w)


def case_services_of_one_type(bench):
    """Each type by its own service, in both variants, with the bytes that ADS has."""
    aggregated, name, cluster = opened(bench)
    target = f"{name}.shop:8001"
    listener = aggregated.last[LDS].resources[target]
    for type_url, methods in SINGLE.items():
        wanted = target if type_url in (LDS, RDS) else cluster
        for method, kind in zip(methods, (ads.Stream, ads.DeltaStream)):
            stream = bench.stream(kind=kind, method=method)
            stream.send("" if kind is ads.DeltaStream else type_url, [wanted])
            got = stream.expect(type_url).resources[wanted]
            if type_url == RDS:
                equal((got.name, got.cluster), (target, cluster), method)
                assert got.raw == listener.route, "the Listener's route has other bytes"
            else:
                equal(got.raw, aggregated.last[type_url].resources[wanted].raw, method)


def case_a_service_of_one_type_refuses_others(bench):
    stream = bench.stream(method=SINGLE[EDS][0])
    stream.send(CDS, ["shop/a:1"])
    equal(stream.status(), grpc.StatusCode.INVALID_ARGUMENT, "status")
    assert "ClusterLoadAssignment" in stream.call.details(), stream.call.details()


def case_routes_follow_their_backends(bench):
    """RDS on ADS moves with its Listener, after the Cluster that it leads to."""
    stream = delta(bench)
    name = f"deltalater{next(_unique)}"
    target = f"{name}.shop:grpc"
    old = stream.subscribe(RDS, [target]).resources[target].cluster
    equal(old, f"shop/{name}:grpc", "cluster of an unresolved port")
    bench.manifests.service(name)
    stream.until(RDS, lambda got: got.resources[target].cluster == f"shop/{name}:8001")


def case_many_delta_streams_after_a_restart(bench):
    """Nothing but what has changed crosses the wire."""
    stream, _, cluster = opened(bench)
    known = stream.versions[EDS]
    bench.lookaside.restart()
    before = bench.lookaside.metrics()
    streams = [delta(bench) for _ in range(20)]
    for again in streams:
        again.send(EDS, [cluster], known=known)
    for again in streams:
        delta_fence(again)
    after = bench.lookaside.metrics()
    pushed = sum(value - before.get(name, 0) for name, value in after.items()
                 if name.startswith("lookaside_pushes_total") and "Assignment" in name)
    equal(pushed, 0, "lists that were sent")


def case_names_with_an_authority(bench):
    """What a Listener of an authority leads to is of that authority, too (gRFC A47); in both variants."""
    name, cluster = bench.known(["10.0.0.1"])
    def of(type_url, name, query=""):
        return f"xdstp://a.example/{type_url.partition('/')[2]}/{name}{query}"
    for kind in (ads.Stream, ads.DeltaStream):
        stream = bench.stream(kind=kind)
        for target in (f"{name}.shop:8001", f"{name}.shop%3A8001", f"{name}.shop:grpc"):
            target = of(LDS, target, "?b=1&a=2")
            stream.send(LDS, [target])
            got = stream.expect(LDS).resources[target]
            equal((got.name, got.cluster), (target, of(CDS, cluster)), "Listener and its Cluster")
        stream.send(CDS, [of(CDS, cluster)])
        found = stream.expect(CDS).resources[of(CDS, cluster)]
        equal(found.eds_name, of(EDS, cluster), "its list's name")
        stream.send(EDS, [found.eds_name])
        equal(addresses(stream.expect(EDS), found.eds_name), ["10.0.0.1"], "its list")
    stream.send(LDS, [of(CDS, cluster), "xdstp://a.example/x", of(LDS, "good.shop:1")])
    got = stream.expect(LDS)
    equal((got.names, sorted(got.removed)), ([of(LDS, "good.shop:1")], sorted([of(CDS, cluster), "xdstp://a.example/x"])),
          "names that are none")
