"""The API server goes, comes back as another, or tells an older history."""

import time

from api import Api
from cluster import PORTS
from kubelet import ZONES, node_of
from middle import BALANCER_PORT, OLD_PORT, Balancer, OldServer
from oracle import NOWHERE
from process import wait_until
from world import DEBIAN_ETCD, scenario

OUTAGE_SECONDS = 30
REPLACED = 20
# What the product promises after an etcd that was restored.
RESTORED_SECONDS = 90


def begin(world, client, watch, service, pods=3):
    """A Service whose list may not be empty from now on, and no call to it may fail."""
    service.create()
    service.scale(pods)
    world.settle(client, service, within=10)
    watch.settle()
    watch.never_empty()
    client.mark()


@scenario(f"the API server is killed for {OUTAGE_SECONDS} s (5 min in a long run), then "
          f"{REPLACED} pods are replaced", seconds=150)
def outage(world):
    with world.service("outage") as service, world.load(service) as client, \
            world.watch(service) as watch:
        begin(world, client, watch, service, REPLACED)
        old = list(service.pods)
        with world.cluster.without_apiserver():
            live_through_outage(world, client, service)
            stale = world.lookaside.explain(watch.target)["staleness_ms"] / 1000
            assert stale > OUTAGE_SECONDS * world.factor / 2, f"a view of {stale} s ago is said"
            assert world.lookaside.explain(watch.target).get("source_problem"), "nor why"
        restarted = time.monotonic()
        service.scale(2 * REPLACED)
        service.remove_pods(old)
        service.wait_api(set(service.pods), within=60)
        in_api = time.monotonic()
        world.settle(client, service, within=60)
        arrived = time.monotonic()
        follow_new_service(world)
        world.gone(service, old)
        watch.settle()
        client.expect_no_failure("the outage and after it")
        return (f"{client.ok} calls, 0 failed; the {REPLACED} were in the API "
                f"{in_api - restarted:.1f} s after its return, and with the client "
                f"{arrived - in_api:.2f} s later; {watch.told()}")


def follow_new_service(world):
    """Services are watched beside the slices: both watches must have come back."""
    with world.service("after-outage") as service, world.load(service) as client:
        service.create()
        service.scale(1)
        world.settle(client, service, within=60)


def live_through_outage(world, client, service):
    names, end = set(service.pods), time.monotonic() + OUTAGE_SECONDS * world.factor
    published = world.lookaside.endpoints(service)
    while time.monotonic() < end:
        client.expect_backends(names)
        client.expect_no_failure("the outage")
        assert world.lookaside.ready(), "Lookaside is unready because of the API server"
        assert world.lookaside.endpoints(service) == published, "the last good list is not kept"
        left = end - time.monotonic()
        world.say(f"the API server is down: {max(0, left):.0f} s left, {client.ok} calls, 0 failed",
                  every=10)
        time.sleep(max(0, min(1, left)))


@scenario("two API servers behind one address, upgraded one after the other", seconds=120)
def rolled(world):
    cluster, taken = world.cluster, []
    with world.by_hand(1 + 3 * len(PORTS)) as backends, cluster.second_apiserver(), \
            world.balanced(*PORTS) as balancer, world.service("rolled") as service, \
            world.load(service) as client:
        service.api = Api(cluster.folder, BALANCER_PORT)
        with world.watch(service) as watch:
            change = by_hand(service, client, watch, backends)
            service.create(selector=False)
            next(change)
            watch.never_empty()
            client.mark()
            for number in range(len(PORTS)):
                balancer.aim(PORTS[1 - number])  # as its failing /readyz would make it
                cluster.terminate_apiserver(number)
                taken.append(next(change))
                cluster.stop_apiserver(number)
                taken.append(next(change))
                cluster.start_apiserver(number)
                balancer.aim(*PORTS)
                taken.append(next(change))
            client.expect_no_failure("the upgrade")
            return (f"{client.ok} calls, 0 failed; changes while one was ending, was away, was "
                    f"back were listed after {', '.join(f'{t:.2f}' for t in taken)} s; "
                    f"{watch.told()}")


def by_hand(service, client, watch, backends):
    """Adds one backend after the other to a slice; how long each takes to the lists, in seconds."""
    for count in range(1, len(backends) + 1):
        listed = dict(list(backends.items())[:count])
        start = time.monotonic()
        service.put_slice("hand", listed)
        watch.settle(within=30)
        taken = time.monotonic() - start
        client.expect_backends(set(listed.values()))
        yield taken


def follow(world, client, watch, service, within=60):
    """One pod more: how long it takes from the API to the lists, in seconds."""
    service.scale(len(service.pods) + 1)
    service.wait_api(set(service.pods), within)
    start = time.monotonic()
    watch.settle(within)
    taken = time.monotonic() - start
    client.expect_backends(set(service.pods))
    return taken


@scenario("etcd is restored from an older snapshot", seconds=150)
def restored(world):
    return restore(world, "restored", Balancer.close, Balancer.open, passing=False)


@scenario("etcd is restored, and written past what Lookaside had, before Lookaside returns",
          seconds=150)
def restored_and_passed(world):
    return restore(world, "passed", Balancer.close, Balancer.open, passing=True)


@scenario("etcd is restored and written past that, behind connections that say nothing",
          seconds=150)
def restored_and_frozen(world):
    def cut_and_thaw(balancer):
        balancer.cut()
        balancer.thaw()
    return restore(world, "frozen", Balancer.freeze, cut_and_thaw, passing=True)


def restore(world, namespace, away, back, passing):
    """The pods that the snapshot knows live on; those that came after it are unknown again.

    away and back: how Lookaside loses its API server, and how it gets it back. passing: the new
    history passes the version that Lookaside had.
    """
    cluster, snapshot = world.cluster, world.cluster.path(f"{namespace}.snapshot")
    with world.balanced() as balancer, world.service(namespace) as service, \
            world.load(service) as client, world.watch(service) as watch:
        begin(world, client, watch, service)
        cluster.etcd.snapshot(snapshot)
        known, then = list(service.pods), cluster.etcd.revision()
        for _ in range(5):  # so that versions of slices are spent that will come again
            service.scale(len(known) + 3)
            watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == len(service.pods))
            service.remove_pods(service.pods[len(known):], grace_seconds=0)
        service.scale(len(known) + 2)
        world.settle(client, service, within=10)
        had = cluster.etcd.revision()
        away(balancer)
        with cluster.without_apiserver():
            cluster.etcd.stop()
            cluster.etcd.restore(snapshot)
            cluster.etcd.start()
        forgotten, service.pods = len(service.pods) - len(known), known
        start = cluster.etcd.revision()
        assert start < had, f"revision {start} after the restore, {had} before it"
        if passing:
            write_past(service, had)
        else:
            service.add_pod(node_of(ZONES[0]))
        back_at, at = time.monotonic(), cluster.etcd.revision()
        assert (at > had) == passing, f"revision {at} when Lookaside returns, {had} before"
        back(balancer)
        service.wait_api(set(service.pods), within=60)
        watch.settle(within=RESTORED_SECONDS)
        taken = time.monotonic() - back_at
        world.lookaside.verify()
        client.expect_backends(set(service.pods))
        follow(world, client, watch, service)
        return (f"right {taken:.1f} s after the API server's return: revision {had}, then {start} "
                f"(snapshot {then}), then {at}; {forgotten} pods forgotten; {watch.told()}")


def write_past(service, revision):
    """The Service's own slices first, then other things: a watch that goes on from where it was
    finds none of the former."""
    service.add_pod(node_of(ZONES[0]))
    service.wait_api(set(service.pods), within=60)
    at = service.cluster.etcd.revision()
    assert at < revision, f"revision {at} already, when the slices are written"
    while service.cluster.etcd.revision() < revision + 50:
        for number in range(50):
            service.put(f"/api/v1/namespaces/{service.namespace}/configmaps",
                        {"metadata": {"name": "filler"}, "data": {"number": str(number)}})


@scenario("a version that the API server no longer has (410)")
def compacted(world):
    """The watches are frozen while things change, and go on at a server that has just begun."""
    with world.balanced() as balancer, world.service("compacted") as service, \
            world.load(service) as client, world.watch(service) as watch:
        begin(world, client, watch, service)
        relists = world.lookaside.metric("lookaside_source_relists_total")
        balancer.freeze()
        old = service.pods[:2]
        service.scale(5)
        service.remove_pods(old)
        service.wait_api(set(service.pods))
        told = world.lookaside.verify(status=1)
        assert f"compacted/{service.name}" in told, f"verify does not name the stale list: {told}"
        world.cluster.etcd.compact()
        with world.cluster.second_apiserver() as second:
            balancer.aim(second)
            balancer.cut()
            balancer.thaw()
            start = time.monotonic()
            watch.settle(within=30)
            taken = time.monotonic() - start
            world.lookaside.verify()
            client.expect_backends(set(service.pods))
            relists = world.lookaside.metric("lookaside_source_relists_total") - relists
            assert relists, "no watch was told that its version is gone"
            follow(world, client, watch, service)
            balancer.aim(PORTS[0])
        follow(world, client, watch, service)  # which was another such change of servers
        world.gone(service, old)
        client.expect_no_failure("the changes of servers")
        return f"right {taken:.2f} s after the reconnect, {relists:.0f} relists; {watch.told()}"


@scenario("the right to list and watch is taken away and given back")
def revoked(world):
    with world.balanced() as balancer, world.service("revoked") as service, \
            world.load(service) as client, world.watch(service) as watch:
        begin(world, client, watch, service)
        kept, errors = watch.expected(), world.lookaside.metric("lookaside_source_errors_total")
        world.cluster.take_rights()
        try:
            balancer.cut()  # rights are looked at when a request begins
            wait_until(lambda: world.lookaside.metric("lookaside_source_errors_total")
                       >= errors + 3, 30, "Lookaside is refused")
            service.scale(5)
            service.wait_api(set(service.pods))
            assert world.lookaside.ready(), "Lookaside is unready because it is refused"
            assert all(w.last == kept[w.place] for w in watch.watchers), "the list is not kept"
            wait_until(lambda: "forbidden" in world.lookaside.explain(watch.target).get(
                "source_problem", ""), 10, "explain says that it is refused")
        finally:
            world.cluster.give_rights()
        start = time.monotonic()
        watch.settle(within=60)
        taken = time.monotonic() - start
        client.expect_backends(set(service.pods))
        client.expect_no_failure("being refused")
        return f"right again {taken:.1f} s after the right came back; {watch.told()}"


@scenario("streaming lists are refused by one of two API servers (422)")
def refused(world):
    old = OldServer(world.cluster.folder, PORTS[0])
    old.start()
    try:
        with world.balanced(OLD_PORT) as balancer, world.service("refused") as service, \
                world.load(service) as client, world.watch(service) as watch:
            begin(world, client, watch, service)
            assert old.refused, "Lookaside has not asked for a streaming list"
            taken = []
            for ports in (PORTS[:1], (OLD_PORT,), (OLD_PORT, PORTS[0])):
                balancer.aim(*ports)
                balancer.cut()
                taken.append(follow(world, client, watch, service))
            client.expect_no_failure("the changes of servers")
            return (f"{old.refused} streaming lists refused; after each change of servers a pod "
                    f"was listed in {', '.join(f'{t:.2f}' for t in taken)} s; {watch.told()}")
    finally:
        old.stop()


@scenario("an etcd without streaming lists (500 in the stream): scaling, an outage, a new start",
          seconds=120, configuration=DEBIAN_ETCD)
def debian_etcd(world):
    with world.service("debian") as service, world.load(service) as client, \
            world.watch(service) as watch:
        begin(world, client, watch, service)
        refused = world.lookaside.metric("lookaside_source_streams_refused_total")
        assert refused, "this etcd was to have no streaming lists"
        follow(world, client, watch, service)
        with world.cluster.without_apiserver():
            client.expect_backends(set(service.pods))
        taken = follow(world, client, watch, service)
        world.lookaside.kill()
        world.lookaside.start()
        follow(world, client, watch, service)
        service.remove_pods(service.pods[:2])
        watch.settle()
        world.lookaside.verify()
        client.expect_no_failure("all of that")
        return f"right {taken:.1f} s after the API server's return; {watch.told()}"
