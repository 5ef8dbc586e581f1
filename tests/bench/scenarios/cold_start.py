"""Cold start: 100,000 endpoints in 2,000 Services, as JSON that an API server sends at once. Counted from the first byte of it that is there for
Lookaside to read until it says that it is ready, that is with the time it takes to read."""
import machine
from feed import now_us
from judge import OURS, Row, at_most
from sides import Product
from support.process import wait_until

SERVICES, ENDPOINTS = 2000, 50
LIMIT_MS, LIMIT_MIB = 2000, 150
POLL_SECONDS = 0.002


class Starting:
    """A side of its own each round."""
    name = OURS

    def __init__(self, bench):
        self.bench = bench

    def pids(self):
        return []


def measure(station):
    with station.bench.folder() as work:
        product = Product(work, SERVICES, ENDPOINTS, ENDPOINTS)
        try:
            product.feed.start()
            product.lookaside.process.start()
            wait_until(lambda: is_ready(product.lookaside), 60, "lookaside is ready", POLL_SECONDS)
            end = now_us()
            begin = min(product.feed.begun_us.values())
            return {"ready": (end - begin) / 1000, "peak": machine.resident_kib(product.pid, peak=True) / 1024,
                    "cpu": machine.cpu_us(product.pid) / 1000, "bytes": sum(map(len, product.feed.lists.values())) / 1e6}
        finally:
            product.stop()


def is_ready(lookaside):
    try:
        return lookaside.get("/readyz")[0] == 200
    except OSError:
        return False


def run(bench):
    scenario = f"cold start, {SERVICES * ENDPOINTS:,} endpoints, {SERVICES:,} services"
    results = bench.rounds(scenario, [Starting(bench)], measure, bench.pick(2, 5))

    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in results]
    bench.rows += [Row(scenario, "first byte to ready", "ms", pick("ready"), at_most(LIMIT_MS, "ms")),
                   Row(scenario, "peak resident memory", "MiB", pick("peak"), at_most(LIMIT_MIB, "MiB")),
                   Row(scenario, "CPU", "ms", pick("cpu")), Row(scenario, "JSON", "MB", pick("bytes"))]
