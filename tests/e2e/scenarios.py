"""What a user lives through, each with a stock gRPC client under load and the API as the judge.

A scenario is a function of a World. It raises AssertionError where the product is wrong, and
returns the line that stands behind its "ok".
"""

import statistics
import time
from contextlib import contextmanager

from client import CALLS_SECONDS
from kubelet import CUT_OFF, listens
from process import wait_until
from workload import Service

SCENARIOS = []
OUTAGE_SECONDS = 30
# From the write of a slice to the first call: what the product promises, on an idle machine.
FIRST_CALL_MS = 50


def scenario(title):
    def register(function):
        SCENARIOS.append((title, function))
        return function
    return register


class World:
    """The cluster, what runs on it, and the steps that scenarios share."""

    def __init__(self, cluster, kubelet, lookaside, times, make_client, say):
        self.cluster, self.kubelet, self.lookaside = cluster, kubelet, lookaside
        self.times, self.make_client, self.say = times, make_client, say

    @contextmanager
    def service(self, namespace):
        service = Service(self.cluster, self.kubelet, namespace)
        try:
            yield service
        finally:
            service.clean_up()

    @contextmanager
    def load(self, service):
        with self.make_client(service.target) as client:
            client.start_load()
            yield client

    def settle(self, client, service, within=5, calls_within=CALLS_SECONDS):
        """API, Lookaside and the client's calls agree on the Service's pods, and none fails then.

        Returns how long after the API Lookaside and the client had it, in milliseconds.
        """
        names = set(service.pods)
        service.wait_api(names)
        start = time.monotonic()
        self.lookaside.wait_equal(service, within)
        published = time.monotonic()
        if names:
            client.expect_backends(names, calls_within)
        else:
            client.expect_unavailable(calls_within)
        return (published - start) * 1000, (time.monotonic() - start) * 1000

    def first_call_ms(self, client, names):
        """For each pod: from its slice, as a watch saw it, to the first call that reached it.

        Our watch may see it later than Lookaside's: then it is zero.
        """
        return [max(0, client.wait_first_seen(name) - self.times.of(name)) for name in names]


def spread(values):
    return (f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f} ms "
            "(least / median / most)")


@scenario("0 → 3 → 10 → 2 → 0 → 3 pods")
def scale(world):
    with world.service("shop") as service, world.load(service) as client:
        client.expect_unavailable()  # no such Service: told at once
        service.create()
        client.expect_unavailable()
        with world.make_client(service.target) as patient:
            patient.send({"cmd": "call", "n": 1, "timeout_ms": 30000, "wait_for_ready": True})
            scale_step(world, client, service, 3)
            answer = patient.answer()
            assert answer["ok"] == 1, f"a call that waits for backends: {answer}"
        first_calls = []
        for count in (10, 2, 0, 3):
            first_calls += scale_step(world, client, service, count)
    return f"slice to first call {spread(first_calls)}"


def scale_step(world, client, service, count):
    before = set(service.pods)
    client.mark()
    service.scale(count)
    published, called = world.settle(client, service)
    if before and count:
        client.expect_no_failure(f"{len(before)} → {count} pods")
    new = set(service.pods) - before
    first = world.first_call_ms(client, new) if new else []
    world.say(f"{len(before)} → {count}: Lookaside equal {published:.0f} ms after the API, "
              f"calls {called:.0f} ms" + (f"; slice to first call {spread(first)}" if new else ""))
    return first


@scenario("9 pods in one zone and 1 in another: each gets 10 % of the calls")
def shares(world):
    calls = 20000
    with world.service("zones") as service:
        service.create()
        service.scale(9, zones="a")
        service.scale(10, zones="b")
        with world.make_client(service.target) as client:
            service.wait_api(set(service.pods))
            world.lookaside.wait_equal(service)
            wait_until(lambda: client.call(100, threads=10)["by_backend"].keys()
                       == set(service.pods), 10, "calls to all ten")
            totals = client.call(calls, threads=10)
        assert totals["ok"] == calls, f"{totals['failed']} calls failed: {totals['first_error']}"
        percent = {name: 100 * n / calls for name, n in totals["by_backend"].items()}
        assert percent.keys() == set(service.pods)
        assert all(abs(p - 10) <= 1 for p in percent.values()), f"shares in percent: {percent}"
    return f"{min(percent.values()):.2f} to {max(percent.values()):.2f} % over {calls} calls"


@scenario("a slice is written: the new backend's first call")
def first_call(world):
    """Slices by hand, so that the clock starts when the write is sent, not when a watch sees it."""
    rounds, backends, greeters = 10, {}, []
    try:
        for number in range(rounds + 1):
            address, name = f"10.244.250.{number + 1}", f"hand-{number}"
            backends[address] = name
            greeters.append(world.kubelet.greet(name, address))
            wait_until(lambda a=address: listens(a), 10, f"{name} listens")
        with world.service("hand") as service, world.load(service) as client:
            service.create(selector=False)
            taken = [write_to_first_call(world, client, service, backends, number)
                     for number in range(rounds + 1)][1:]  # the first finds no connection at all
    finally:
        for greeter in greeters:
            greeter.stop()
    median = statistics.median(taken)
    assert median <= FIRST_CALL_MS, f"{spread(taken)}; {FIRST_CALL_MS} ms is promised"
    return f"{spread(taken)} after the write was sent, {rounds} times"


def write_to_first_call(world, client, service, backends, number):
    """Adds one backend. All that were there before keep every call."""
    listed = dict(list(backends.items())[:number + 1])
    client.mark()
    sent = time.time() * 1000
    service.put_slice("hand", listed)
    taken = client.wait_first_seen(f"hand-{number}") - sent
    world.lookaside.wait_equal(service)
    client.expect_backends(set(listed.values()))
    if number:
        client.expect_no_failure("the addition of a backend")
    return taken


@scenario("130 pods in several slices")
def many(world):
    with world.service("many") as service, world.load(service) as client:
        service.create()
        service.scale(3)
        world.settle(client, service)
        client.mark()
        service.scale(130)
        published, called = world.settle(client, service, within=10)
        slices = len(service.slices())
        assert slices > 1, f"130 pods lie in {slices} slice"
        client.expect_no_failure("3 → 130 pods")
        first = world.first_call_ms(client, service.pods[3:])
        world.say(f"3 → 130: {slices} slices, Lookaside equal {published:.0f} ms after the API, "
                  f"all called {called:.0f} ms")
        client.mark()
        service.scale(4)
        world.settle(client, service, within=10)
        client.expect_no_failure("130 → 4 pods")
    return f"{slices} slices, 0 calls failed; slice to first call {spread(first)}"


@scenario("rolling updates with grace lose no call, though half of the pods are cut off at its end")
def rolling(world):
    with world.service("rolling") as service, world.load(service) as client:
        service.create()
        service.scale(4)
        world.settle(client, service)
        client.mark()
        retired = []
        for annotations in ({}, {CUT_OFF: ""}, {CUT_OFF: ""}, {}):
            service.annotations = annotations
            old = service.pods[:2]
            service.scale(len(service.pods) + 2)
            world.settle(client, service)
            for name in old:
                service.remove_pod(name)
            retired += old
            world.settle(client, service)
        wait_until(lambda: not remaining(service, retired), 15, "the old pods have gone")
        client.expect_no_failure("the rolling updates")
        return f"{len(retired)} pods replaced under {client.ok} calls, 0 failed"


def remaining(service, names):
    items = service.api.get(service.pods_path)["items"]
    return {p["metadata"]["name"] for p in items} & set(names)


@scenario("a Service is deleted and recreated")
def recreate(world):
    with world.service("recreate") as service, world.load(service) as client:
        service.create()
        service.scale(3)
        world.settle(client, service)
        client.mark()
        for _ in range(3):  # as "kubectl replace --force" does: the old list is held meanwhile
            service.delete()
            service.create()
            world.settle(client, service)
        client.expect_no_failure("kubectl replace --force")
        service.delete()
        deleted = time.monotonic()
        wait_until(lambda: not world.lookaside.endpoints(service), 10,
                   "the deleted Service's list is empty")
        emptied = time.monotonic() - deleted
        client.expect_unavailable()
        service.create()
        _, called = world.settle(client, service)
    return (f"replaced 3 times, 0 calls failed; empty {emptied:.1f} s after a delete that stays; "
            f"called again {called:.0f} ms after the API listed it")


@scenario(f"the API server is killed for {OUTAGE_SECONDS} s and restarted")
def outage(world):
    with world.service("outage") as service, world.load(service) as client:
        service.create()
        service.scale(3)
        world.settle(client, service)
        client.mark()
        with world.cluster.without_apiserver():
            live_through_outage(world, client, service)
        restarted = time.monotonic()
        service.scale(5)
        service.wait_api(set(service.pods), within=60)
        in_api = time.monotonic()
        world.settle(client, service, within=60)
        arrived = time.monotonic()
        follow_new_service(world)
        service.scale(2)
        world.settle(client, service)
        client.expect_no_failure("the outage and after it")
        return (f"{client.ok} calls, 0 failed; the first change was in the API "
                f"{in_api - restarted:.1f} s after its return, and with the client "
                f"{arrived - in_api:.2f} s later")


def follow_new_service(world):
    """Services are watched beside the slices: both watches must have come back."""
    with world.service("after-outage") as service, world.load(service) as client:
        service.create()
        service.scale(1)
        world.settle(client, service, within=60)


def live_through_outage(world, client, service):
    names, end = set(service.pods), time.monotonic() + OUTAGE_SECONDS
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


@scenario("Lookaside is killed and started again")
def restart(world):
    with world.service("restart") as service, world.load(service) as client:
        service.create()
        service.scale(3)
        world.settle(client, service)
        names = set(service.pods)
        client.mark()
        world.lookaside.kill()
        for _ in range(5):
            client.expect_backends(names)
        service.scale(4)  # a change that nobody tells the client, until Lookaside is back
        service.wait_api(set(service.pods))
        client.expect_backends(names)
        world.lookaside.start()
        _, called = world.settle(client, service, within=30, calls_within=30)
        client.expect_no_failure("the restart of Lookaside")
        return (f"{client.ok} calls, 0 failed; the client had the change {called / 1000:.2f} s "
                "after Lookaside was ready again")


@scenario("SIGTERM ends Lookaside with status 0")
def graceful_end(world):
    start = time.monotonic()
    status = world.lookaside.stop()
    assert status == 0, f"the exit status is {status}"
    return f"in {time.monotonic() - start:.1f} s"
