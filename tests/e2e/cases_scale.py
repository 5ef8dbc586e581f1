"""Pods come, go and change their minds."""

import itertools
import statistics
import time

from client import BUSY_US
from kubelet import CUT_OFF
from oracle import NOWHERE
from process import wait_until
from world import HERE, scenario, spread

# From the write of a slice to the first call: what the product promises, on an idle machine.
FIRST_CALL_MS = 50
MANY = 250


@scenario("0 → 3 → 10 → 2 → 0 → 3 pods")
def scale(world):
    with world.service("shop") as service, \
            world.load(service, pause_us=BUSY_US) as client:
        client.expect_unavailable()  # no such Service: told at once
        service.create()
        client.expect_unavailable()
        with world.make_client(service.target()) as patient:
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
        with world.make_client(service.target()) as client:
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
    rounds = 10
    with world.by_hand(rounds + 1) as backends, world.service("hand") as service, \
            world.load(service, pause_us=BUSY_US) as client:
        service.create(selector=False)
        taken = [write_to_first_call(world, client, service, backends, number)
                 for number in range(1, rounds + 2)][1:]  # the first finds no connection at all
    median = statistics.median(taken)
    assert median <= FIRST_CALL_MS, f"{spread(taken)}; {FIRST_CALL_MS} ms is promised"
    return f"{spread(taken)} after the write was sent, {rounds} times"


def write_to_first_call(world, client, service, backends, number):
    """Adds one backend. All that were there before keep every call."""
    listed = dict(list(backends.items())[:number])
    client.mark()
    sent = time.time() * 1000
    service.put_slice("hand", listed)
    taken = client.wait_first_seen(f"hand-{number}") - sent
    world.lookaside.wait_equal(service)
    client.expect_backends(set(listed.values()))
    if number > 1:
        client.expect_no_failure("the addition of a backend")
    return taken


@scenario(f"0 → {MANY} → 0 pods over several slices, every list looked at", seconds=300)
def many(world):
    with world.service("many") as service, world.load(service) as client, \
            world.watch(service, places=(NOWHERE, HERE)) as watch:
        service.create()
        service.scale(3)
        world.settle(client, service)
        watch.settle()
        watch.never_empty()
        client.mark()
        service.scale(MANY)
        published, called = world.settle(client, service, within=30, calls_within=10)
        watch.settle()
        slices = len(service.slices())
        assert slices >= 3, f"{MANY} pods lie in {slices} slices"
        world.say(f"3 → {MANY}: {slices} slices, Lookaside equal {published:.0f} ms after the "
                  f"API, all called {called:.0f} ms")
        # Holes in every slice, then others to fill them: the controller moves endpoints.
        service.remove_pods(service.pods[::2])
        service.scale(MANY * 3 // 5)
        world.settle(client, service, within=30, calls_within=10)
        service.scale(3)
        world.settle(client, service, within=30, calls_within=10)
        client.expect_no_failure(f"3 → {MANY} → 3 pods")
        watch.settle()
        watch.never_empty(False)
        service.scale(0)
        world.settle(client, service, within=20)
        watch.settle(within=10)
        return f"{slices} slices, {client.ok} calls before the last went, 0 failed; {watch.told()}"


@scenario("readiness flaps; publishNotReadyAddresses on and off", seconds=90)
def readiness(world):
    with world.service("flaps") as service, world.load(service) as client, \
            world.watch(service, places=(NOWHERE, HERE)) as watch:
        service.create()
        service.scale(4)
        world.settle(client, service)
        watch.settle()
        watch.never_empty()
        client.mark()
        flap(service, rounds=15 * world.factor)
        watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == 4)
        client.expect_no_failure("flapping")
        watch.never_empty(False)
        for name in service.pods:
            service.set_ready(name, False)
        watch.settle(when=lambda lists: not lists[NOWHERE])
        client.expect_unavailable()
        world.why(watch, {name: "not-ready" for name in service.pods})
        for on in (True, False, True):
            service.patch(publishNotReadyAddresses=on)
            watch.settle(when=lambda lists: len(lists[NOWHERE]) == (4 if on else 0))
        client.expect_backends(set(service.pods))
        watch.never_empty()
        client.mark()
        for name in service.pods:  # now it makes no difference
            service.set_ready(name, True)
        service.patch(publishNotReadyAddresses=False)
        watch.settle(when=lambda lists: len(lists[NOWHERE]) == 4)
        client.expect_no_failure("publishNotReadyAddresses off, with all pods ready")
        return watch.told()


def flap(service, rounds):
    """Two of four go and come, never the same two, as fast as the API takes it."""
    pairs = itertools.cycle(itertools.combinations(list(service.pods), 2))
    for _ in range(rounds):
        pair = next(pairs)
        for name in pair:
            service.set_ready(name, False)
        for name in pair:
            service.set_ready(name, True)


@scenario("rolling updates with grace lose no call, though half of the pods are cut off at its end")
def rolling(world):
    with world.service("rolling") as service, \
            world.load(service, pause_us=BUSY_US) as client:
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
            service.remove_pods(old)
            retired += old
            world.settle(client, service)
        world.gone(service, retired)
        client.expect_no_failure("the rolling updates")
        return f"{len(retired)} pods replaced under {client.ok} calls, 0 failed"
