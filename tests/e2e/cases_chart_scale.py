"""A replica more: the clients' streams come to be shared by all of them."""

import json
import time
from contextlib import ExitStack

from cases_chart import CLIENTS, PAUSE_US, fleet, follow, greeter
from process import wait_until
from release import Release, ask, ask_inside, find_agents
from support.lookaside import parse_metrics
from world import scenario

# rebalanceAge: here, where all streams are younger when the replica comes, and the chart's own in
# e2e-long, where they are older.
AGE_SECONDS, CHART_AGE_SECONDS = 15, 120
AGES = 300 / 120  # five minutes
SLACK_SECONDS = 30  # of a busy machine, where an age is but a few seconds
SHARE = 0.15
NODES = 2
LOOK_SECONDS = 0.5


class Streams:
    """All streams of all replicas, from looks at them every now and then."""

    def __init__(self, release):
        self.release, self.ages, self.now = release, {}, {}

    def look(self):
        """now: {(replica, stream): node id of its client}; ages: when they were last seen."""
        self.now = {}
        for name, pod in self.release.replicas().items():
            for stream in json.loads(ask_inside(pod, "/debug/streams"))["streams"]:
                self.now[name, stream["id"]] = stream["node"]["id"]
                self.ages[name, stream["id"]] = stream["ageSeconds"]

    def of(self, name):
        return {key for key, client in self.now.items() if client.startswith(name)}

    def held(self):
        """By each replica, as it tells the others."""
        return [json.loads(ask(pod, "/streams"))["streams"]
                for pod in self.release.replicas().values()]

    def metric(self, name):
        return sum(parse_metrics(ask(pod, "/metrics"))[name]
                   for pod in self.release.replicas().values())

    def wait_old(self, age):
        def old():
            self.look()
            return min(self.ages[key] for key in self.now) >= age
        wait_until(old, 5 * age, f"all streams are {age} s old", every=LOOK_SECONDS)

    def wait_rest(self, within):
        """No replica sheds any."""
        def rests():
            self.look()
            return not self.metric("lookaside_rebalancing")
        wait_until(rests, within, lambda: f"streams rest; {self.held()}", every=LOOK_SECONDS)

    def wait_even(self, count, within):
        """Each replica holds its share of so many streams."""
        def even():
            self.look()
            held = self.held()
            mean = count / len(held)
            return sum(held) == count and all(abs(each - mean) <= SHARE * mean for each in held)
        wait_until(even, within, lambda: f"even shares; {self.held()}", every=LOOK_SECONDS)

    def check_ages(self, age):
        """Of those that have ended: each was old enough, as far as looks and whole seconds tell."""
        ended = {key: seen for key, seen in self.ages.items() if key not in self.now}
        early = {key: seen for key, seen in ended.items() if seen < age - 2}
        assert ended and not early, f"{len(early)} of {len(ended)} streams ended early: {early}"


@scenario(f"helm upgrade from 3 to 4 replicas under {CLIENTS} clients: each gets its share",
          seconds=240)
def scale(world):
    agents, values, age = find_agents(), {}, CHART_AGE_SECONDS
    if world.factor == 1:
        age = AGE_SECONDS
        values = {"config": {"rebalanceAge": f"{age}s"}}
    stack, service = greeter(world, "scale")
    with stack, Release(world) as release, ExitStack() as fleets:
        package = release.package()
        release.install(package, values)
        before = set(release.wait_ready())

        def enter(language, count, name):
            return fleets.enter_context(fleet(release, agents[language], service, count, PAUSE_US,
                                              name))
        spared = enter("node", NODES, "node") if "node" in agents else []
        clients = spared + enter("go", CLIENTS, "client")
        streams = Streams(release)
        streams.wait_old(0 if world.factor == 1 else age)
        nodes = streams.of("node")
        release.upgrade(package, {**values, "replicas": 4})
        started = time.monotonic()
        assert before < set(release.wait_ready(4)), "replicas that were there are others now"
        streams.wait_even(len(clients), AGES * age + (SLACK_SECONDS if world.factor == 1 else 0))
        took = time.monotonic() - started
        streams.wait_rest(AGES * age)
        shed = streams.metric("lookaside_streams_shed_total")
        assert shed <= 2 * len(clients), f"{shed:.0f} streams were shed"
        streams.check_ages(age)
        assert nodes == streams.of("node") and len(nodes) == len(spared), "Node's streams moved"
        young = streams.metric('lookaside_streams_spared_total{reason="young"}')
        held = streams.held()
        follow(service, clients, len(service.pods) + 1)
        for client in clients:
            client.expect_no_failure("the move")
        calls = sum(client.ok for client in clients)
    return (f"even after {took:.0f} s ({AGES * age:.0f} s allowed): {held}; {shed:.0f} streams "
            f"shed, none of {len(spared)} of Node, nor a young one ({young:.0f} times one was left "
            f"alone); {calls} calls, 0 failed")
