"""A reconnect storm: 10,000 clients that lost their server come back at once, each for a Listener, a Cluster and a list of 100 endpoints."""
import machine
import secret
from client import Plan
from judge import FLOOR, OURS, PEER, Row, complete, percentile, share_of_floor
from world import world

ENDPOINTS = 100
# Unserved at a time: what waits to be accepted is bounded in the kernel (somaxconn 4096), and a handshake has 10 s, with its turn to wait for.
AT_ONCE, TLS_AT_ONCE = 4000, 1000
SHARE = 0.8


class Handshakes:
    """The floor of a storm over TLS: OpenSSL alone."""
    name = FLOOR

    def __init__(self, work, seconds):
        self.work, self.seconds = work, seconds

    def pids(self):
        return []


def measure(station, clients):
    if isinstance(station, Handshakes):
        return {"rate": secret.handshakes(station.work, station.seconds)}
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


def storm(bench, plan, names, scenario, floors=()):
    with world(bench, plan, ENDPOINTS, (), names) as stations:
        results = bench.rounds(scenario, [*floors, *stations], lambda station: measure(station, plan.clients), bench.pick(3, 5), warm=True)

    def pick(key):
        return [{name: one[key] for name, one in result.items() if key in one} for result in results]
    note = f"{plan.at_once:,} at a time wait to be served"
    bench.rows += [Row(scenario, "clients served a second", "1/s", pick("rate"), share_of_floor(SHARE),
                       f"the floor is OpenSSL's handshakes without a network, both ends, on all cores; {note}" if plan.tls else note),
                   Row(scenario, "time until half are served", "ms", pick("median")),
                   Row(scenario, "time until all are served", "ms", pick("last")),
                   Row(scenario, "CPU per connection", "µs", pick("cpu")),
                   Row(scenario, "resident per client afterwards, with the program itself", "KiB", pick("resident"))]


def run(bench):
    clients, with_tls = bench.pick((2000, 1000), (10000, 10000))
    storm(bench, Plan(clients, at_once=AT_ONCE), (), f"reconnect storm, {clients:,} clients")
    with bench.folder() as work:
        storm(bench, Plan(with_tls, at_once=TLS_AT_ONCE, tls=True), (PEER, OURS), f"reconnect storm, {with_tls:,} clients, TLS",
              [Handshakes(work, bench.pick(1, 3))])
