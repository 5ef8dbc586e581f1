"""A reconnect storm: 10,000 clients that lost their server come back at once, each for a Listener, a Cluster and a list of 100 endpoints."""
import machine
import secret
from client import Plan
from judge import FLOOR, OURS, PEER, Row, complete, percentile, share_of_floor
from world import world

ENDPOINTS = 100
AT_ONCE = 4000         # unserved at a time: what waits to be accepted is bounded in the kernel (somaxconn 4096)
SHARE = 0.8


def measure(station, clients):
    station.load.close()
    machine.rest(station.side.pid)
    begin_cpu = machine.cpu_us(station.side.pid)
    begin, end = station.load.open()
    machine.rest(station.side.pid)
    cpu = (machine.cpu_us(station.side.pid) - begin_cpu) / clients
    resident = machine.resident_kib(station.side.pid) / clients
    arrivals, heard = station.load.heard()
    complete(heard, station.name, {(0, ENDPOINTS): clients})
    times = sorted((arrival.us - begin) / 1000 for arrival in arrivals)
    return {"heard": heard, "rate": clients / (end - begin) * 1e6, "last": (end - begin) / 1000, "median": percentile(times, 50), "cpu": cpu,
            "resident": resident}


def storm(bench, plan, names, scenario, floors):
    """floors(): what of the floor is known otherwise than by its clients, for each round."""
    with world(bench, plan, ENDPOINTS, (), names) as stations:
        for station in stations:
            measure(station, plan.clients)
        results = bench.rounds(scenario, stations, lambda station: measure(station, plan.clients), bench.pick(3, 5))

    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in results]
    note = f"{AT_ONCE:,} at a time wait to be served"
    bench.rows += [Row(scenario, "clients served a second", "1/s", [{**values, **floors()} for values in pick("rate")], share_of_floor(SHARE),
                       f"the floor is OpenSSL's handshakes without a network, both ends, on all cores; {note}" if plan.tls else note),
                   Row(scenario, "time until half are served", "ms", pick("median")),
                   Row(scenario, "time until all are served", "ms", pick("last")),
                   Row(scenario, "CPU per connection", "µs", pick("cpu")),
                   Row(scenario, "resident per client afterwards, with the program itself", "KiB", pick("resident"))]


def run(bench):
    clients = bench.pick(2000, 10000)
    scenario = f"reconnect storm, {clients:,} clients"
    storm(bench, Plan(clients, at_once=AT_ONCE), (), scenario, dict)
    with bench.folder() as work:
        storm(bench, Plan(clients, at_once=AT_ONCE, tls=True), (PEER, OURS), f"{scenario}, TLS",
              lambda: {FLOOR: secret.handshakes(work, bench.pick(1, 2))})
