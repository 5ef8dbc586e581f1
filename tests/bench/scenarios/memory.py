"""Memory: what idle clients cost, resident, and whether changes make it grow."""
import machine
from client import Plan
from judge import OURS, PEER, Row, Target, at_most
from world import world

ENDPOINTS = 100
AT_ONCE = 100          # connect at a time: what a storm leaves behind is a row of the storm's
IDLE_KIB, TLS_IDLE_KIB = 12, 28
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


def measure_all(bench, scenario, plan, names, limit):
    results = []
    # Processes of its own each time: memory that was once taken stays.
    for _ in range(3 if plan.clients == 1000 and not bench.quick else 1):
        with world(bench, plan, ENDPOINTS, (ENDPOINTS + 1, ENDPOINTS + 2), names, opened=False) as stations:
            results += bench.rounds(scenario, stations, lambda station: measure(station, plan.clients, bench.pick(20, 100)), 1,
                                    timed=False)

    def pick(of):
        return [{name: of(one) for name, one in result.items()} for result in results]
    idle = Row(scenario, "resident, per idle client", "KiB", pick(lambda one: one["idle"]), at_most(limit, "KiB"))
    after = Row(scenario, "resident, per client after the changes", "KiB", pick(lambda one: one["after"]))
    bench.rows += [idle, after,
                   Row(scenario, "growth by the changes, per client", "KiB", pick(lambda one: one["after"] - one["idle"]),
                       Target(f"none (≤ {GROWTH_KIB:g} KiB)", grows_not)),
                   Row(scenario, "resident without clients", "MiB", pick(lambda one: one["empty"]))]
    label = f"{plan.clients:,}{', TLS' if plan.tls else ''}"
    bench.bar_group("memory", "Resident memory of a client, idle and after changes", "KiB", f"{label}, idle", idle)
    bench.bar_group("memory", "Resident memory of a client, idle and after changes", "KiB", f"{label}, after", after)


def run(bench):
    for clients in bench.pick((1000,), (1000, 10000)):
        measure_all(bench, f"memory, {clients:,} clients", Plan(clients, at_once=AT_ONCE), (), IDLE_KIB)
        measure_all(bench, f"memory, {clients:,} clients, TLS", Plan(clients, at_once=AT_ONCE, tls=True), (PEER, OURS), TLS_IDLE_KIB)
