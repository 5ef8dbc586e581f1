"""Uninterested: a change of a Service that nobody asked for, among 100, 1,000 and 10,000 Services, beside 10,000 clients of others."""
import time

import machine
from client import Plan
from judge import OURS, PEER, Row, Target, at_most
from world import WINDOW_LEAST, world

ENDPOINTS = 10
LIMIT_US = 200
FLAT = 1.5             # times the CPU with the fewest Services
ASKED = 50             # Services; nobody asks for one beyond


def measure(station, changes):
    """One endpoint of the last Service becomes ready, and unready again, in turn."""
    service = station.side.services - 1
    begin = machine.cpu_us(station.side.pid)
    for number in range(changes):
        station.side.publish(service, ENDPOINTS + 1 + number % 2)
        time.sleep(WINDOW_LEAST)                 # else changes would be taken together
    machine.rest(station.side.pid)
    cpu = (machine.cpu_us(station.side.pid) - begin) / changes
    arrivals, _ = station.load.heard()
    assert not arrivals, f"{station.name}: somebody heard of what nobody had asked for"
    return {"cpu": cpu}



def run(bench):
    clients, changes = bench.pick(1000, 10000), bench.pick(50, 200)
    medians = {}
    for services in bench.pick((100, 1000), (100, 1000, 10000)):
        scenario = f"uninterested, {services:,} services, {clients:,} clients"
        with world(bench, Plan(clients, services=ASKED), ENDPOINTS, (ENDPOINTS + 1, ENDPOINTS + 2), (OURS, PEER),
                   services=services) as stations:
            results = bench.rounds(scenario, stations, lambda station: measure(station, changes), bench.pick(3, 5), warm=True)
        row = Row(scenario, "CPU per change", "µs", [{n: r["cpu"] for n, r in result.items()} for result in results],
                  at_most(LIMIT_US, "µs"), "the peer is given the list; Lookaside reads the object's JSON")
        bench.rows.append(row)
        medians[services] = row
    fewest = next(iter(medians.values()))
    bench.rows.append(Row("uninterested", "CPU per change, from the fewest services to the most", "×",
                          [{OURS: row.ours.median / fewest.ours.median, **(
                              {PEER: row.peer.median / fewest.peer.median} if row.peer else {})}
                           for row in list(medians.values())[-1:]],
                          Target(f"flat (≤ {FLAT:g} ×)", lambda row: row.ours.median <= FLAT)))
    bench.line_plot("uninterested", "A change that nobody asked for", "services", "µs of CPU", {
        name: [(services, getattr(row, "ours" if name == OURS else "peer").median) for services, row in medians.items()]
        for name in bench.sides(PEER, OURS)}, log_x=True)
