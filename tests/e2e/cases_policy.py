"""What LookasideServices promise, with stock clients: rows of tests/conformance's table about where
calls go, and which fail, with the resources applied at the API server."""

import time
from concurrent.futures import ThreadPoolExecutor

from cluster_site import ClusterSite
from conformance import matrix, policies, policies_run
from conformance.agents import LANGUAGES
from oracle import Place
from process import wait_until
from release import find_agents
from resources import Resources
from world import RESOURCES, scenario

ROWS = [row for row in policies.ROWS if row.run in (
    policies.canary, policies.retry, policies.circuit_breaker, policies.outlier_detection,
    policies.ring_by_header, policies.prefer_zone)]
AT_ONCE = 3  # clients that wait most of their time
# A zone that was short of backends, and has enough again, comes first after so long.
ZONE_WAIT_SECONDS, ZONE_SLACK_SECONDS = 30, 5


class Run:
    """A client of a language, and a namespace for it."""

    def __init__(self, world, table, number, language, command):
        self.cluster, self.table, self.language = world.cluster, table, language
        self.command, self.number, self.say = command, number, world.say
        self.problems, self.canary = [], ""

    def go(self):
        work = self.cluster.folder / f"policies-{self.language.name}"
        work.mkdir()
        site = ClusterSite(self.cluster, work, work.name.replace(".", "-"), self.number)
        try:
            with policies.PolicyWorld(work, self.command, site) as world:
                for row in ROWS:
                    self.check(world, row)
        except Exception as error:  # of the thread; the scenario tells all of them
            self.problems.append(f"{self.language.name}: {error!r}")

    def check(self, world, row):
        notes = []
        try:
            judge = policies_run.judge_of(world, self.language, self.table)
            matrix.run_row(world, row, judge, notes)
            if row.run is policies.canary:
                self.canary = notes[-1].split()[0]
        except Exception as error:
            self.problems.append(f"{self.language.name}: {row.title}: {error!r}")
        self.say(f"{self.language.name}: {row.title}: {', '.join(notes)}")


@scenario("policies applied with kubectl, as clients of every language carry them out", seconds=300,
          configuration=RESOURCES)
def carried_out(world):
    commands, table = find_agents(), matrix.Matrix("policies", policies.ROWS, writing=False)
    runs = [Run(world, table, number, language, commands[language.name])
            for number, language in enumerate(LANGUAGES) if language.name in commands]
    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        zone = pool.submit(zone_waits, world)
        list(pool.map(Run.go, runs))
    problems = [problem for run in runs for problem in run.problems]
    if zone.exception():
        problems.append(repr(zone.exception()))
    assert not problems, "\n".join(problems)
    canaries = ", ".join(f"{run.canary} of {run.language.name}" for run in runs)
    return (f"{len(ROWS)} policies as the README has them; the canary of 10 % got {canaries}; "
            f"{zone.result()}")


def zone_waits(world):
    """A zone with too few backends for its minimum is not preferred, nor yet when it has enough, but
    half a minute later."""
    resources = Resources(world.cluster.api, "zoned")
    with world.service("zoned") as service:
        service.create()
        near, other, far = (service.add_pod(node) for node in ("node-a", "node-a2", "node-b"))
        service.wait_api({near, other, far})
        resources.apply("greeter", {"locality": {"mode": "PreferZone", "minimumPerZone": 2}})
        resources.wait("greeter")
        with world.load(service, place=Place("a")) as client:
            client.expect_backends({near, other}, within=20)
            client.mark()
            service.set_ready(other, False)
            client.expect_backends({near, far})
            service.set_ready(other, True)
            started = time.monotonic()
            client.expect_backends({near, other, far})
            wait_until(lambda: leaves_out(client, far), ZONE_WAIT_SECONDS + ZONE_SLACK_SECONDS,
                       "the zone is preferred", every=0.5)
            took = time.monotonic() - started
            assert took >= ZONE_WAIT_SECONDS - 1, f"the zone is preferred after {took:.1f} s"
            client.expect_backends({near, other})
            client.expect_no_failure("all of that")
        resources.delete("greeter")
    return f"the zone is preferred again after {took:.1f} s"


def leaves_out(client, backend):
    """A good number of calls in a row has passed it by."""
    window = client.window()
    return window["ok"] >= 50 and backend not in window["by_backend"]
