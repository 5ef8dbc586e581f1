"""Slow readers: 100 of 1,000 clients stop reading, for good, and are behind by more than their sockets hold. What that does to the others, and to memory.

All ask for one Service; those that are to be slow for a second one, too, whose lists of 20 KB fill their sockets.
"""
import contextlib
import time

import machine
from client import Load, Plan
from child import Refused
from judge import OURS, PEER, Row, Target, percentile
from world import WINDOW_LEAST, world

CLIENTS, SLOW = 900, 100
ENDPOINTS, PER_SLICE = 1000, 100
FILL = 300             # lists that nobody reads: 6 MB for each
WITHIN = 1.25
BOUND_MIB = 64


def others(station, changes):
    """p99 over the clients that read, of lists that are pushed in turn; ms."""
    times = []
    for number in range(changes):
        moment = station.change(0, ENDPOINTS + 1 + number % 2)
        times += [(arrival.us - moment) / 1000 for arrival in station.load.arrivals()]
    return percentile(sorted(times), 99)


def fill(station):
    for number in range(FILL):
        station.side.publish(1, ENDPOINTS + 1 + number % 2)
        time.sleep(WINDOW_LEAST)
    machine.rest(station.side.pid)


def measure(station, slow, changes):
    without = others(station, changes)
    slow.arrivals()
    memory = machine.resident_kib(station.side.pid)
    slow.ask(f"pause {SLOW}", "paused")
    fill(station)
    stalled = others(station, changes)
    held = (machine.resident_kib(station.side.pid) - memory) / 1024
    slow.ask("resume", "resumed")
    slow.expect("*", ENDPOINTS + 2)
    machine.rest(station.side.pid)
    got = sum(1 for arrival in slow.arrivals() if arrival.service == 0) / SLOW
    if got > changes / 2:
        raise Refused(f"{station.name}: the slow clients were not behind: they got {got:.0f} of {changes} lists meanwhile")
    return {"without": without, "with": stalled, "ratio": stalled / without, "held": held, "skipped": changes - got}


def run(bench):
    changes = bench.pick(6, 16)
    scenario = f"slow readers, {SLOW} of {CLIENTS + SLOW:,}"
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(bench.folder())
        stations = stack.enter_context(world(bench, Plan(CLIENTS), ENDPOINTS, (ENDPOINTS + 1, ENDPOINTS + 2), bench.pick((OURS,), (OURS, PEER)), services=2,
                                             per_slice=PER_SLICE))
        slow = {}
        for station in stations:
            slow[station.name] = Load(work, f"slow-{station.name}", station.side.port, Plan(SLOW, names=2, services=2, narrow=True))
            stack.callback(slow[station.name].stop)
            slow[station.name].open()
        results = bench.rounds(scenario, stations, lambda station: measure(station, slow[station.name], changes), bench.pick(1, 5))

    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in results]
    bench.rows += [
        Row(scenario, "p99 of the others without", "ms", pick("without")), Row(scenario, "p99 of the others with", "ms", pick("with")),
        Row(scenario, "with, times without", "×", pick("ratio"), Target(f"≤ {WITHIN:g} ×", lambda row: row.ours.median <= WITHIN)),
        Row(scenario, "memory held for them", "MiB", pick("held"), Target(f"bounded (≤ {BOUND_MIB} MiB)",
                                                                          lambda row: row.ours.most <= BOUND_MIB)),
        Row(scenario, "lists that a slow client skipped meanwhile", f"of {changes}", pick("skipped"))]
