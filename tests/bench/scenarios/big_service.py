"""A big Service: 10,000 endpoints in 100 slices, whose pods become ready one at a time.

What Lookaside takes to rebuild the Service and encode its list is what is left of its CPU time for a change, when that for a change of a small Service
that nobody asks for (reading one slice of the same size) and the bare loop's for writing the same bytes are taken away."""
import machine
from client import Plan
from judge import FLOOR, OURS, Row, at_most, complete, times_floor
from scenarios.fan_out import change_times, median_of
from world import world

ENDPOINTS, PER_SLICE = 10000, 100
LIMIT_MS = 1
AT_ONCE = 20


def one_by_one(station, first, changes, clients, expected=True):
    begin, moments = machine.cpu_us(station.side.pid), {}
    for endpoints in range(first + 1, first + changes + 1):
        if expected:
            moments[endpoints] = station.change(0, endpoints)
        else:
            station.side.publish(0, endpoints)
            machine.rest(station.side.pid)
    machine.rest(station.side.pid)
    cpu = (machine.cpu_us(station.side.pid) - begin) / changes / 1000
    if not expected:
        return {"cpu": cpu}
    arrivals, heard = station.load.heard()
    complete(heard, station.name, {(0, endpoints): clients for endpoints in moments})
    return {"heard": heard, "cpu": cpu, "last": median_of(change_times(arrivals, moments), 100),
            "bytes": heard.sizes[0, first + changes]}


def all_at_once(station, first):
    """How many lists the first client gets of AT_ONCE changes that nobody waits for."""
    for endpoints in range(first + 1, first + AT_ONCE + 1):
        station.side.publish(0, endpoints)
    station.load.expect(0, first + AT_ONCE)
    machine.rest(station.side.pid)
    return sum(1 for arrival in station.load.arrivals() if arrival.client == 0)


def measure(station, clients):
    first = ENDPOINTS - AT_ONCE
    result = one_by_one(station, first, AT_ONCE, clients)
    back(station, first)
    result["lists"] = all_at_once(station, first)
    back(station, first)
    return result


def back(station, endpoints):
    station.change(0, endpoints)
    station.load.arrivals()


def reading_ms(bench):
    """CPU for a change of one slice of a small Service that nobody asks for."""
    with world(bench, Plan(1), PER_SLICE - AT_ONCE, (PER_SLICE,), (OURS,), services=1, opened=False) as (station,):
        return one_by_one(station, PER_SLICE - AT_ONCE, AT_ONCE, 0, expected=False)["cpu"]


def run(bench):
    reading = reading_ms(bench)
    steps = range(ENDPOINTS - AT_ONCE + 1, ENDPOINTS + 1)
    for clients in bench.pick((1,), (1, 100)):
        scenario = f"big service, 10,000 endpoints, {clients:,} client{'s' * (clients > 1)}"
        with world(bench, Plan(clients), ENDPOINTS - AT_ONCE, steps, per_slice=PER_SLICE) as stations:
            results = bench.rounds(scenario, stations, lambda station: measure(station, clients), bench.pick(3, 5), warm=True)

        def pick(key, results=results):
            return [{name: one[key] for name, one in result.items()} for result in results]
        bench.rows += [Row(scenario, "CPU per change", "ms", pick("cpu")),
                       Row(scenario, "time to the last client", "ms", pick("last"), times_floor(1.25) if clients > 1 else None),
                       Row(scenario, "one list", "bytes", pick("bytes")),
                       Row(scenario, f"lists for {AT_ONCE} changes at once", "", pick("lists"))]
        if clients == 1:
            bench.rows.append(Row(scenario, "rebuild and encode, CPU per change", "ms", [
                {OURS: result[OURS]["cpu"] - reading - result[FLOOR]["cpu"]} for result in results], at_most(LIMIT_MS, "ms"),
                f"without {reading:.2f} ms for reading the slice, and the bare loop's time"))
