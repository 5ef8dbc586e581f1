"""Many names: one client whose stream asks for 1,000 names, and one connection with 100 streams. Both are to cost in proportion."""
import machine
from client import Plan
from judge import Row, Target, complete
from world import world

ENDPOINTS, SERVICES = 10, 1000
GROWTH_MAX = 1.3       # of the time for a name, from a tenth to all of them


def measure(station, count):
    station.load.close()
    machine.rest(station.side.pid)
    before, begin_cpu = station.load.bytes(), machine.cpu_us(station.side.pid)
    begin, end = station.load.open()
    machine.rest(station.side.pid)
    cpu = machine.cpu_us(station.side.pid) - begin_cpu
    _, heard = station.load.heard()
    complete(heard, station.name, {(service, ENDPOINTS): 1 for service in range(count)})
    return {"heard": heard, "time": (end - begin) / 1000, "bytes": (station.load.bytes() - before) / count, "cpu": cpu / count}


def series(bench, what, plan_of, counts, rounds):
    """{count: rounds}; adds the rows of each."""
    found = {}
    for count in counts:
        scenario = f"{count:,} {what}"
        with world(bench, plan_of(count), ENDPOINTS, (), services=SERVICES) as stations:
            found[count] = bench.rounds(scenario, stations, lambda station: measure(station, count), rounds, warm=True)
        for key, figure, unit in (("time", "time until all are there", "ms"), ("bytes", "bytes for each", "bytes"),
                                  ("cpu", "CPU for each", "µs")):
            bench.rows.append(Row(scenario, figure, unit, [{n: r[key] for n, r in result.items()} for result in found[count]]))
    few, many = counts[0], counts[-1]
    bench.rows.append(Row(what, f"CPU for each: with {many:,}, times with {few:,}", "×", [
        {name: many_of[name]["cpu"] / few_of[name]["cpu"] for name in many_of}
        for few_of, many_of in zip(found[few], found[many])],
        Target(f"linear (≤ {GROWTH_MAX:g} ×)", lambda row: row.ours.median <= GROWTH_MAX)))
    return found


def run(bench):
    rounds = bench.pick(3, 5)
    names = series(bench, "names of one stream", lambda count: Plan(1, names=count, services=SERVICES), bench.pick((100, 1000), (100, 300, 1000)),
                   rounds)
    series(bench, "streams of one connection", lambda count: Plan(1, streams=count, services=SERVICES), bench.pick((10, 100), (10, 30, 100)),
           rounds)
    bench.line_plot("many-names", "One stream asks for many names", "names", "ms until all lists are there", {
        name: [(count, sorted(result[name]["time"] for result in results)[len(results) // 2]) for count, results in names.items()]
        for name in bench.sides()})


