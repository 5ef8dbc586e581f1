"""Fan-out: one Service of 100 endpoints, whose changes go to 1,000 and 10,000 clients. A change is one more endpoint that is ready; that these are
taken away again, for which Lookaside waits, is a row of its own."""
import machine
from client import Plan
from judge import FLOOR, OURS, PEER, Row, below_peer, complete, percentile, times_floor
from world import world

ENDPOINTS = 100


def change_times(arrivals, moments):
    """{endpoints: sorted milliseconds from its publication to each client}."""
    times = {}
    for arrival in arrivals:
        times.setdefault(arrival.endpoints, []).append((arrival.us - moments[arrival.endpoints]) / 1000)
    return {endpoints: sorted(values) for endpoints, values in times.items()}


def median_of(times, percent):
    return sorted(percentile(values, percent) for values in times.values())[len(times) // 2]


def measure(station, changes, clients):
    begin, moments = machine.cpu_us(station.side.pid), {}
    for endpoints in range(ENDPOINTS + 1, ENDPOINTS + changes + 1):
        moments[endpoints] = station.change(0, endpoints)
    machine.rest(station.side.pid)
    cpu = machine.cpu_us(station.side.pid) - begin
    arrivals, heard = station.load.heard()
    complete(heard, station.name, {(0, endpoints): clients for endpoints in moments})
    times = change_times(arrivals, moments)
    removed = station.remove(0, ENDPOINTS)
    removal = change_times(station.load.arrivals(), {ENDPOINTS: removed})
    return {"heard": heard, "cpu": cpu / changes / clients, "bytes": heard.sizes[0, ENDPOINTS + changes],
            "first": median_of(times, 0), "median": median_of(times, 50), "last": median_of(times, 100),
            "removal": median_of(removal, 100), "curve": times[ENDPOINTS + changes]}


def rows(scenario, results):
    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in results]
    yield Row(scenario, "CPU per client and change", "µs", pick("cpu"), times_floor(1.5))
    yield Row(scenario, "CPU against the peer's", "µs", pick("cpu"), below_peer(5))
    yield Row(scenario, "time to the first client", "ms", pick("first"))
    yield Row(scenario, "time to the median client", "ms", pick("median"))
    yield Row(scenario, "time to the last client", "ms", pick("last"), times_floor(1.25))
    yield Row(scenario, "one list", "bytes", pick("bytes"))
    yield Row(scenario, "time to the last client, of a removal", "ms", pick("removal"),
              note="Lookaside waits 10 ms for the endpoints to turn up in another slice")


def run(bench):
    for clients in bench.pick((1000,), (1000, 10000)):
        scenario, changes = f"fan-out, {clients:,} clients", 10 if bench.quick or clients > 1000 else 20
        with world(bench, Plan(clients), ENDPOINTS, range(ENDPOINTS + 1, ENDPOINTS + changes + 1)) as stations:
            results = bench.rounds(scenario, stations, lambda station: measure(station, changes, clients), bench.pick(3, 5), warm=True)
        bench.rows += rows(scenario, results)
        bench.bar_group("fan-out-cpu", "CPU per client and change", "µs", f"{clients:,} clients", bench.rows[-7])
        curves = {name: one["curve"] for name, one in results[-1].items()}
        bench.line_plot(f"fan-out-{clients}", f"One change, {clients:,} clients: how many have it after how long", "ms after the change",
                        "clients", {name: [(at, i + 1) for i, at in enumerate(curves[name])] for name in (FLOOR, PEER, OURS) if name in curves})
