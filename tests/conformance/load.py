"""What stock clients report of their calls, and what Lookaside makes of it: LoadReportingService.

A row's function makes the client call, and returns one word about what was reported: YES, or what is different. What is none of these fails.
matrix.py compares the words with the table in README.md.
"""
import time

from conformance.matrix import Row, run_in
from conformance.policies import PolicySite, PolicyWorld
from support.process import wait_until

YES, NO = "yes", "no"
UNBEGUN = "not those that began"
NAMED, CPU = "only named ones", "only `cpu_utilization`"
INTERVAL_S = 1
REPORTED_S = 20                 # a loaded machine, and a stream that has to be opened first
NAMESPACE = "shop"
DROPPED = 8                     # calls beside those that may be in flight
# Those of a backend's report; Go tells of those, too, that are not in it.
METRICS = {"percent": 90, "application_utilization": 0.9, "cpu_utilization": 0.9}
UNTOLD = {"mem_utilization": 0}


class LoadWorld(PolicyWorld):
    bootstrap_flags = ("--namespace", NAMESPACE)

    def __init__(self, work, command):
        site = PolicySite(work, ("--load-reports", "--load-report-interval", f"{INTERVAL_S}s"))
        super().__init__(work, command, site)

    def rows(self, name):
        """{zone: row} of a Service, as /debug/load has them."""
        return {row["zone"]: row for row in self.lookaside.json("/debug/load")["load"]
                if row["service"] == f"{self.manifests.namespace}/{name}"}

    def await_rows(self, name, wanted, what):
        """Until the rows are as wanted(rows) says; gives them."""
        wait_until(lambda: wanted(self.rows(name)), REPORTED_S,
                   lambda: f"{what}: {self.rows(name)}", interval=0.1)
        return self.rows(name)

    def zoned(self, name, zone):
        return self.endpoint(self.numbers.get(name) or int(name[1:]), zone)


def _total(rows, member):
    return sum(row[member] for row in rows.values())


def calls(world, notes):
    target, _ = world.publish("called", world.named("b1"))
    world.first_call(target)
    world.await_rows("called", lambda rows: _total(rows, "succeeded") >= 1, "the first call is reported")
    before = _total(world.rows("called"), "succeeded")
    world.sample(target, 200)
    begin = time.monotonic()
    rows = world.await_rows("called", lambda rows: _total(rows, "succeeded") >= before + 200,
                            "200 calls are reported")
    issued = _total(rows, "issued")
    assert _total(rows, "succeeded") == before + 200 and issued in (0, before + 200), f"{rows}"
    assert _total(rows, "failed") == 0 and _total(rows, "callsPerSecond") > 0, f"{rows}"
    notes.append(f"after {time.monotonic() - begin:.1f} s")
    return YES if issued else UNBEGUN


def failures(world, notes):
    target = world.shape("failing", ("broken",))
    got = world.call(target, 20)
    assert got["failed"] == 20, f"{got}"
    rows = world.await_rows("failing", lambda rows: _total(rows, "failed") >= 20, "20 failures are reported")
    assert _total(rows, "failed") == 20 and _total(rows, "succeeded") == 0, f"{rows}"
    return YES


def zones(world, notes):
    target, _ = world.publish("zoned", [world.zoned("b1", "zone-a"), world.zoned("b2", "zone-b")])
    world.reach(target, ("b1", "b2"))
    rows = world.await_rows("zoned", lambda rows: len(rows) == 2 and _total(rows, "succeeded") >= 8,
                            "both zones are reported")
    assert set(rows) == {"zone-a", "zone-b"}, f"{rows}"
    return YES


def client_namespace(world, notes):
    target, _ = world.publish("told", world.named("b1"))
    world.first_call(target)
    rows = world.await_rows("told", lambda rows: _total(rows, "succeeded") >= 1, "a call is reported")
    said = {row["clientNamespace"] for row in rows.values()}
    assert said == {NAMESPACE}, f"namespaces: {said}"
    return YES


def in_progress(world, notes):
    target = world.shape("pending", ("busy",))
    world.first_call(target)
    with world.load(target, threads=3):
        world.await_rows("pending", lambda rows: _total(rows, "inProgress") == 3, "three calls are in progress")
    world.await_rows("pending", lambda rows: _total(rows, "inProgress") == 0, "none is any more")
    return YES


def dropped(world, notes):
    target = world.shape("bounded", ("busy",), circuitBreaker={"maxRequests": 5})
    world.first_call(target)
    with world.load(target, threads=5):
        time.sleep(0.3)                     # the five are on their way
        got = world.call(target, DROPPED, threads=DROPPED)
    assert got["errors"] == {"UNAVAILABLE": DROPPED}, f"{got}"
    rows = world.await_rows("bounded", lambda rows: any(row["drops"] for row in rows.values()), "drops are reported")
    drops = [drop for row in rows.values() for drop in row["drops"]]
    assert [(drop["category"], drop["calls"]) for drop in drops] == [("uncategorized", DROPPED)], f"{drops}"
    return YES


def metrics(world, notes):
    target = world.shape("telling", ("heavy",))
    world.first_call(target)
    world.sample(target, 50)
    rows = world.await_rows("telling", lambda rows: _total(rows, "succeeded") >= 50, "calls are reported")
    told = {metric["name"]: metric["mean"] for row in rows.values() for metric in row["metrics"]}
    assert all(told.pop(name, mean) == mean for name, mean in UNTOLD.items()), f"{rows}"
    notes.append(f"{told}")
    assert all(abs(METRICS[name] - mean) < 1e-9 for name, mean in told.items()), f"{told}"
    return {frozenset(METRICS): YES, frozenset({"percent"}): NAMED, frozenset({"cpu_utilization"}): CPU,
            frozenset(): NO}[frozenset(told)]


def restarted(world, notes):
    target, _ = world.publish("again", world.named("b1", "b2"))
    world.reach(target, ("b1", "b2"))
    world.await_rows("again", lambda rows: _total(rows, "succeeded") >= 1, "a call is reported")
    with world.load(target) as load:
        load.wait_calls(20)
        world.lookaside.restart()
        begin = time.monotonic()
        wait_until(lambda: _total(world.rows("again"), "succeeded") > 0, 60, "calls are reported again", interval=0.1)
        notes.append(f"after {time.monotonic() - begin:.1f} s")
    load.assert_unfailed()
    return YES


ROWS = [
    Row("calls, none twice and none missing", calls),
    Row("calls that failed", failures),
    Row("by zone of the backend", zones),
    Row("with the client's namespace", client_namespace),
    Row("calls in progress", in_progress),
    Row("what `circuitBreaker` held back, as drops", dropped),
    Row("what backends tell (ORCA)", metrics),
    Row("again after Lookaside is restarted, no call lost", restarted),
]


def run_language(language, command, work, report, table):
    run_in(lambda: LoadWorld(work, command), language, ROWS, report, table, "load reports: ", "load reports")
