"""The story that the product exists for, at full speed: a million calls, one joins, one leaves."""
import statistics
import time

from conformance.scenarios import assert_shares
from conformance.world import World

CALLS = 1_000_000
THREADS = 10
JOIN_LIMIT_MS = 50
JOINS = 5
TOTAL_SECONDS = 900


def _million_calls(world, target, report, notes):
    by_backend, done, begin = {}, 0, time.monotonic()
    step = CALLS // 10
    while done < CALLS:
        got = world.agent.ask("call", timeout=TOTAL_SECONDS, target=target, n=step,
                              threads=THREADS)
        assert got["failed"] == 0, f"{got['failed']} calls failed: {got['first_error']}"
        done += got["ok"]
        for name, count in got["by_backend"].items():
            by_backend[name] = by_backend.get(name, 0) + count
        report.note(f"{done:,} calls, {done / (time.monotonic() - begin):,.0f} a second")
    assert_shares(by_backend, {name: 1 / 3 for name in ("b1", "b2", "b3")}, 0.01 / 3)
    notes.append("/".join(f"{count:,}" for _, count in sorted(by_backend.items())))


def _join(world, target, notes):
    """The fourth, and then four more: one measurement on a busy machine says little."""
    times, present = [], [1, 2, 3]
    with world.load(target, threads=THREADS, pause_us=0) as load:
        for number in range(4, 4 + JOINS):
            load.wait_calls(1000)
            present.append(number)
            moment = world.manifests.slice("greeter", world.endpoints(*present))
            times.append(load.wait_seen(f"b{number}") - moment * 1000)
    load.assert_unfailed()
    every = ", ".join(f"{took:.1f}" for took in times)
    median = statistics.median(times)
    assert median < JOIN_LIMIT_MS, f"first calls of new backends came after {every} ms"
    notes.append(f"first calls after {every} ms (median {median:.1f}); {load.ok:,} calls, 0 failed")


def _leave(world, target, notes):
    greeter, leaving = world.leaver()
    world.manifests.slice("greeter", world.endpoints(1, 2, 3) + [leaving])
    world.reach(target, ("b1", "b2", "b3", greeter.name))
    with world.load(target, threads=THREADS, pause_us=0) as load:
        load.wait_calls(1000)
        world.manifests.slice("greeter", world.endpoints(1, 2, 3) + [leaving.draining()])
        load.wait_unseen(greeter.name)
        greeter.drain()
        greeter.process.wait(10)
        world.manifests.slice("greeter", world.endpoints(1, 2, 3))
        load.wait_calls(1000)
    load.assert_unfailed()
    notes.append(f"{load.ok:,} calls, 0 failed")


def run(command, work, report):
    with World(work, command) as world:
        target, _ = world.publish("greeter", world.endpoints(1, 2, 3))
        with report.case("story: a million calls over three, even within 1 %") as notes:
            world.reach(target, ("b1", "b2", "b3"))
            _million_calls(world, target, report, notes)
        with report.case(f"story: new ones are called within {JOIN_LIMIT_MS} ms (median)") as notes:
            _join(world, target, notes)
        with report.case("story: one drains, no call is lost") as notes:
            _leave(world, target, notes)
