"""Memory: what idle clients cost, resident, and whether changes make it grow."""
import machine
from client import Plan
from judge import Row, Target, at_most
from world import world

ENDPOINTS = 100
IDLE_KIB = 12
GROWTH_KIB = 0.5       # what a page here and there may come to


def measure(station, clients, changes):
    empty = machine.resident_kib(station.side.pid)
    station.load.open()
    machine.rest(station.side.pid)
    idle = machine.resident_kib(station.side.pid)
    for number in range(changes):
        station.side.publish(0, ENDPOINTS + 1 + number % 2)
        station.load.expect(0, ENDPOINTS + 1 + number % 2)
    machine.rest(station.side.pid)
    after = machine.resident_kib(station.side.pid)
    return {"idle": (idle - empty) / clients, "after": (after - empty) / clients, "empty": empty / 1024}


def grows_not(row):
    return all(values["lookaside"] <= GROWTH_KIB for values in row.rounds)


def run(bench):
    for clients in bench.pick((1000,), (1000, 10000)):
        scenario, results = f"memory, {clients:,} clients", []
        for _ in range(bench.pick(2, 3)):        # a process each time: memory that was once taken stays
            with world(bench, Plan(clients), ENDPOINTS, (ENDPOINTS + 1, ENDPOINTS + 2), opened=False) as stations:
                results += bench.rounds(scenario, stations, lambda station: measure(station, clients, bench.pick(40, 100)), 1)
        bench.rows += [
            Row(scenario, "resident, per idle client", "KiB", [{n: r["idle"] for n, r in result.items()} for result in results],
                at_most(IDLE_KIB, "KiB")),
            Row(scenario, "resident, per client after the changes", "KiB",
                [{n: r["after"] for n, r in result.items()} for result in results]),
            Row(scenario, "growth by the changes, per client", "KiB",
                [{n: r["after"] - r["idle"] for n, r in result.items()} for result in results],
                Target(f"none (≤ {GROWTH_KIB:g} KiB)", grows_not)),
            Row(scenario, "resident without clients", "MiB", [{n: r["empty"] for n, r in result.items()} for result in results])]
        bench.bar_group("memory", "Resident memory of a client", "KiB", f"{clients:,} idle", bench.rows[-4])
        bench.bar_group("memory", "Resident memory of a client", "KiB", f"{clients:,} after changes", bench.rows[-3])
