"""What scenarios are, and what they share.

A scenario is a function of a World. It raises AssertionError where the product is wrong, and
returns the line that stands behind its "ok".
"""

import statistics
import time
from collections import namedtuple
from contextlib import contextmanager

from client import CALLS_SECONDS, LIGHT_US
from cluster import PORTS
from lookaside import LISTEN
from middle import Balancer
from oracle import NOWHERE, Place
from kubelet import ZONES, listens
from process import wait_until
from watchers import Watch
from workload import Service

DEFAULT, RESOURCES, DEBIAN_ETCD = "default", "LookasideServices", "Debian's etcd"
# Of Lookaside, beyond those that every configuration has.
FLAGS = {RESOURCES: ("--leader-election", "--lease", "lookaside-system/lookaside", "--identity",
                     "a", "--host-suffixes", "example.com,apps.example.org")}
EXPLAINED_SECONDS = 3  # changes are collected for up to a second
HERE = Place(zone=ZONES[0])  # where clients are unless a scenario says otherwise

Scenario = namedtuple("Scenario", "title run seconds configuration")
SCENARIOS = []


def scenario(title, seconds=60, configuration=DEFAULT):
    """Registers a function; it has to end within so many seconds (times the run's factor)."""
    def register(function):
        SCENARIOS.append(Scenario(title, function, seconds, configuration))
        return function
    return register


def spread(values):
    return (f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f} ms "
            "(least / median / most)")


class World:
    """The cluster, what runs on it, and the steps that scenarios share."""

    def __init__(self, cluster, kubelet, lookaside, times, make_client, say, factor):
        self.cluster, self.kubelet, self.lookaside = cluster, kubelet, lookaside
        self.times, self.make_client, self.say, self.factor = times, make_client, say, factor

    @contextmanager
    def service(self, namespace, name="greeter"):
        service = Service(self.cluster, self.kubelet, namespace, name)
        try:
            yield service
        finally:
            service.clean_up()

    @contextmanager
    def by_hand(self, count):
        """Greeters that no pod stands behind: {address: name}."""
        backends = {f"10.244.251.{i + 1}": f"hand-{i + 1}" for i in range(count)}
        greeters = []
        try:
            greeters += [self.kubelet.greet(name, [address]) for address, name in backends.items()]
            for address in backends:
                wait_until(lambda a=address: listens(a), 10, f"a greeter listens on {address}")
            yield backends
        finally:
            for greeter in greeters:
                greeter.stop()

    @contextmanager
    def load(self, service, port=None, hostname="", place=HERE, pause_us=LIGHT_US):
        target = service.target(service.port if port is None else port, hostname)
        with self.make_client(target, place) as client:
            client.start_load(pause_us)
            yield client

    @staticmethod
    def watch(service, port=None, hostname="", places=(NOWHERE,), zones=True):
        """zones: whether they count, which they do for the endpoint's life as it was first seen."""
        port = service.port if port is None else port
        return Watch(LISTEN, service, port, hostname, places, zones)

    @contextmanager
    def balanced(self, *ports):
        """Lookaside behind a balancer, for as long as this lasts; begins it anew twice."""
        balancer = Balancer()
        balancer.aim(*(ports or PORTS[:1]))
        balancer.open()
        try:
            with self.lookaside.through(self.cluster.path("balanced.kubeconfig")):
                yield balancer
        finally:
            balancer.stop()

    def settle(self, client, service, within=5, calls_within=CALLS_SECONDS):
        """API, Lookaside and the client's calls agree on the Service's pods, and none fails then.

        Returns how long after the API Lookaside and the client had it, in milliseconds.
        """
        names = set(service.pods)
        service.wait_api(names)
        start = time.monotonic()
        self.lookaside.wait_equal(service, within)
        published = time.monotonic()
        if names:
            client.expect_backends(names, calls_within)
        else:
            client.expect_unavailable(calls_within)
        return (published - start) * 1000, (time.monotonic() - start) * 1000

    def first_call_ms(self, client, names):
        """For each pod: from its slice, as a watch saw it, to the first call that reached it.

        Our watch may see it later than Lookaside's: then it is zero.
        """
        return [max(0, client.wait_first_seen(name) - self.times.of(name)) for name in names]

    def why(self, watch, reasons, place=NOWHERE):
        """Waits until lookasidectl explains these {pod or address: reason}, and says of all others
        that they are in or out as the API has it."""
        wanted = watch.expected(place)

        def explained():
            found = self.lookaside.explain(watch.target, place)
            rows = [e for s in found["slices"] for e in s["endpoints"]] + found["kept"]
            listed = {e["address"] for e in rows if e.get("in", True)}
            given = {who: {e["reason"] for e in rows if who in (e.get("pod"), e["address"])}
                     for who in reasons}
            problem = [f"{who}: {given[who] or 'unknown'}, and not {reason}"
                       for who, reason in reasons.items() if reason not in given[who]]
            wrong = listed ^ {a for b in wanted for a in (b.address, b.other) if a}
            explained.problem = problem or (wrong and f"in or out the wrong way: {sorted(wrong)}")
            return not explained.problem
        wait_until(explained, EXPLAINED_SECONDS,
                   lambda: f"explain {watch.target} at {place}: {explained.problem}", every=0.1)

    @staticmethod
    def gone(service, names, within=15):
        """Until pods that were deleted have ended."""
        def remaining():
            items = service.api.get(service.pods_path)["items"]
            return {p["metadata"]["name"] for p in items} & set(names)
        wait_until(lambda: not remaining(), within, f"{len(names)} old pods have gone")
