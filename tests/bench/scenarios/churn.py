"""Churn: 200 changes a second over 1,000 Services, each client on five of them. Every list that comes is newer than the one before it; how long a change
takes until a client has it, or a newer one, is the figure."""
import time

import machine
from client import Plan
from judge import Row, at_most, percentile
from child import Refused
from world import world

SERVICES, NAMES = 1000, 5
ENDPOINTS = 10
RATE = 200             # a second
LIMIT_MS = 25
LEAST_MS = 0.01        # where the picture begins


def drive(station, count):
    """Publishes at the rate; {(service, endpoints): moment}. Every Service gets one more endpoint in turn."""
    moments, begin = {}, time.monotonic()
    for number in range(count):
        service, endpoints = number % SERVICES, ENDPOINTS + 1 + number // SERVICES
        pause = begin + number / RATE - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        moments[service, endpoints] = station.side.publish(service, endpoints)
    late = time.monotonic() - begin - count / RATE
    if late > 0.05 * count / RATE:
        raise Refused(f"the bench itself was {late:.1f} s late with its changes")
    return moments


def delays(arrivals, moments, start):
    """Milliseconds of every change at every name; a list that was skipped counts when a newer one came."""
    have, found = {}, []
    for arrival in arrivals:
        key = arrival.client, arrival.service
        before = have.get(key, start)
        if arrival.endpoints <= before:
            raise Refused(f"client {arrival.client} got {arrival.endpoints} endpoints after {before}")
        for endpoints in range(before + 1, arrival.endpoints + 1):
            found.append((arrival.us - moments[arrival.service, endpoints]) / 1000)
        have[key] = arrival.endpoints
    return sorted(found)


def measure(station, count, plan):
    begin = machine.cpu_us(station.side.pid)
    moments = drive(station, count)
    end = ENDPOINTS + count // SERVICES
    station.load.expect("*", end)
    cpu = machine.cpu_us(station.side.pid) - begin
    arrivals, heard = station.load.heard()
    found = delays(arrivals, moments, ENDPOINTS)
    wanted = count // SERVICES * plan.clients * NAMES
    if len(found) != wanted:
        raise Refused(f"{station.name}: {len(found)} of {wanted} changes came to the clients")
    for service in range(SERVICES):
        station.side.publish(service, ENDPOINTS)
    station.load.expect("*", ENDPOINTS)
    station.load.arrivals()
    return {"heard": heard, "cpu": cpu / count, "p50": percentile(found, 50), "p99": percentile(found, 99), "max": found[-1],
            "skipped": wanted - len(arrivals), "curve": found}


def run(bench):
    clients, seconds, rounds = bench.pick(1000, 2000), bench.pick(5, 60), bench.pick(1, 3)
    plan = Plan(clients, names=NAMES, services=SERVICES)
    count = RATE * seconds
    scenario = f"churn, {RATE} changes/s for {seconds} s, {clients:,} clients"
    steps = range(ENDPOINTS + 1, ENDPOINTS + count // SERVICES + 1)
    with world(bench, plan, ENDPOINTS, steps) as stations:
        results = bench.rounds(scenario, stations, lambda station: measure(station, count, plan), rounds)

    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in results]
    bench.rows += [Row(scenario, "CPU per change", "µs", pick("cpu")), Row(scenario, "convergence, p50", "ms", pick("p50")),
                   Row(scenario, "convergence, p99", "ms", pick("p99"), at_most(LIMIT_MS, "ms")),
                   Row(scenario, "convergence, max", "ms", pick("max")),
                   Row(scenario, "lists skipped for a newer one", "", pick("skipped"))]
    curves = {name: one["curve"] for name, one in results[-1].items()}
    bench.line_plot("churn", f"{RATE} changes a second over {SERVICES:,} services, {clients:,} clients", "ms from the change to a client",
                    "% of all", {name: [(max(at, LEAST_MS), 100 * (i + 1) / len(curve)) for i, at in enumerate(curve)]
                                 for name, curve in curves.items()}, log_x=True)
