"""Names without a Service: unknown ones, and Services that go and come back."""
import statistics
import time

from support.process import wait_until

# What is promised on an idle machine, in ms, and how much longer a loaded one may take. All of it
# stays below the 15 s after which a client that got no answer gives up.
WARM_MS, APPEARS_MS, RETURNS_MS = 100, 200, 1000
SLACK, RETURN_SLACK = 20, 5
FIRST_CALL_MAX_MS = 12000
ROUNDS = 3


def told(call, limit, what):
    """How long a call took to learn that nobody is there, in ms."""
    assert call["errors"] == {"UNAVAILABLE": 1}, f"{what}: a call to nobody: {call}"
    assert call["slowest_ms"] < limit, f"{what}: it took {call['slowest_ms']:.0f} ms to fail"
    return call["slowest_ms"]


def unknown_then_created(world, language, notes):
    if not language.fails_on_empty:
        appeared = waiting_call(world, "later", "xds:///later.shop:8001")
        notes.append(f"calls wait, and end {appeared:.0f} ms after the slice")
        return
    with world.fresh_agent() as agent:
        first = told(agent.ask("call", target="xds:///nobody.shop:8001", n=1, timeout_ms=20000),
                     min(SLACK * language.first_call_ms, FIRST_CALL_MAX_MS), "a process's first")
    fresh, warm, appears = [], [], []
    for number in range(ROUNDS):
        target = f"xds:///later-{number}.shop:8001"
        for taken, what in ((fresh, "a new channel's first"), (warm, "a warm channel's")):
            taken.append(told(world.call(target, timeout_ms=20000), SLACK * WARM_MS, what))
        appears.append(waiting_call(world, f"later-{number}", target))
    appeared = statistics.median(appears)
    assert appeared < SLACK * APPEARS_MS, f"waiting calls ended {appears} ms after the slice"
    notes.append(f"fails after {first:.0f} ms in a new process, {statistics.median(fresh):.0f} "
                 f"on a new channel, {max(warm):.1f} on a warm one; a waiting call ends "
                 f"{appeared:.0f} ms after the slice")


def waiting_call(world, name, target):
    """From the write of a Service's slice to the first reply, in ms."""
    with world.load(target, threads=2, wait_for_ready=True, timeout_ms=30000) as load:
        load.stats()
        _, moment = world.publish(name, world.endpoints(5))
        took = load.wait_seen("b5") - moment * 1000
    load.assert_unfailed()
    world.reach(target, ("b5",))
    return took


def deleted_and_back(world, language, notes):
    """First at once, as kubectl replace --force does; then after its list has become empty."""
    endpoints = world.endpoints(8)
    target, _ = world.publish("phoenix", endpoints)
    world.reach(target, ("b8",))
    with world.load(target) as load:
        load.wait_calls(50)
        world.remove("phoenix")
        world.publish("phoenix", endpoints)
        load.wait_calls(200)
    load.assert_unfailed()
    with world.load(target) as load:
        world.remove("phoenix")
        wait_until(lambda: not world.listed("phoenix"), 20, "the list is empty")
        if language.heeds_empty and language.fails_on_empty:
            wait_until(lambda: load.stats()["failed"], 10, "calls fail")
            load.stats()
        _, moment = world.publish("phoenix", endpoints)
        wait_until(lambda: load.stats()["ok"], 20, "calls go through", interval=0.002)
        took = (time.time() - moment) * 1000
    assert took < RETURN_SLACK * RETURNS_MS, f"the first call took {took:.0f} ms"
    world.reach(target, ("b8",))
    notes.append(f"works {took:.0f} ms after it came back" if language.heeds_empty else
                 "its backend was called all the while")
