"""Slow readers: 100 of 1,000 clients stop reading, for good, and are behind by more than their sockets hold. What that does to the others, and to memory."""
import machine
from client import Plan
from child import Refused
from judge import OURS, PEER, Row, Target, percentile
from world import world

CLIENTS, SLOW = 1000, 100
ENDPOINTS, PER_SLICE = 1000, 100   # 20 KB a list, so that sockets fill
WITHIN = 1.25
BOUND_MIB = 64


def others(station, changes):
    """p99 over the clients that read, of lists that are pushed in turn; ms."""
    times = []
    for number in range(changes):
        endpoints = ENDPOINTS + 1 + number % 2
        moment = station.change(0, endpoints)
        times += [(arrival.us - moment) / 1000 for arrival in station.load.arrivals() if arrival.client >= SLOW]
    return percentile(sorted(times), 99)


def measure(station, changes, fill):
    without = others(station, changes)
    memory = machine.resident_kib(station.side.pid)
    station.load.ask(f"pause {SLOW}", "paused")
    for number in range(fill):                   # until they have no room left
        station.side.publish(0, ENDPOINTS + 1 + number % 2)
        station.load.expect(0, ENDPOINTS + 1 + number % 2)
    station.change(0, ENDPOINTS + 2)
    station.load.arrivals()
    stalled = others(station, changes)
    held = (machine.resident_kib(station.side.pid) - memory) / 1024
    station.load.ask("resume", "resumed")
    station.load.expect(0, ENDPOINTS + 2)
    machine.rest(station.side.pid)
    caught = sum(1 for arrival in station.load.arrivals() if arrival.client < SLOW) / SLOW
    if caught > fill + changes:
        raise Refused(f"{station.name}: the slow clients were never behind, they got all {caught:.0f} lists")
    return {"without": without, "with": stalled, "ratio": stalled / without, "held": held, "skipped": fill + 1 + changes - caught}


def run(bench):
    changes, fill = bench.pick(6, 15), 40
    scenario = f"slow readers, {SLOW} of {CLIENTS:,}"
    with world(bench, Plan(CLIENTS), ENDPOINTS, (ENDPOINTS + 1, ENDPOINTS + 2), names=bench.pick((OURS,), (OURS, PEER)), per_slice=PER_SLICE) as stations:
        results = bench.rounds(scenario, stations, lambda station: measure(station, changes, fill), bench.pick(1, 5))

    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in results]
    bench.rows += [
        Row(scenario, "p99 of the others without", "ms", pick("without")), Row(scenario, "p99 of the others with", "ms", pick("with")),
        Row(scenario, "with, times without", "×", pick("ratio"), Target(f"≤ {WITHIN:g} ×", lambda row: row.ours.median <= WITHIN)),
        Row(scenario, "memory held for them", "MiB", pick("held"), Target(f"bounded (≤ {BOUND_MIB} MiB)",
                                                                          lambda row: row.ours.most <= BOUND_MIB)),
        Row(scenario, "lists that a slow client skipped", "", pick("skipped"))]
