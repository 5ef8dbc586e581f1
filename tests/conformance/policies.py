"""What each field of a LookasideService does with a stock client of each language, seen at the backends.

A row's function makes the client call, and returns one word about what it saw: YES, ROUND_ROBIN (it
balances as without the policy), IGNORED, RECONNECTS (it does what it should, but by new connections)
EARLY or LATE. What is none of these fails. matrix.py compares the words with the table in README.md.
"""
import time
from dataclasses import dataclass, replace
from typing import Callable

from conformance.matrix import Row
from conformance.world import Site, World
from support.lookaside import bootstrap
from support.process import free_port, wait_until

YES, ROUND_ROBIN, IGNORED = "yes", "RoundRobin instead", "ignored"
RECONNECTS, EARLY, LATE = "reconnects", "1 to 2 s early", "at their deadline"

CANARY_CALLS, CANARY_SHARE, CANARY_TOLERANCE = 10000, 0.10, 0.02
CHANNELS = 12                   # that all take the same of three backends: once in 3^11
VALUES = 24                     # of a hashed header
AT_ONCE_MS = 600                # a call that is not let through, beside a backend that takes BUSY_MS
BUSY_MS = 2000
BLACKOUT_S = 10                 # of WeightedRoundRobin, from the first report of a backend (gRFC A58)
HOST_SUFFIX = "example.com"

# The backends that behave in some way: name → flags. b1 to b10 just answer.
SPECIAL = {
    "near": (),
    "slow": ("--delay-ms", 100),
    "busy": ("--delay-ms", BUSY_MS),
    "asleep": ("--delay-ms", 10000),
    "half": ("--fail-percent", 50, "--status", "unavailable"),
    "broken": ("--fail-percent", 100, "--status", "internal"),
    "light-1": ("--load-percent", 10),
    "light-2": ("--load-percent", 10),
    "heavy": ("--load-percent", 90),
}
SPECIAL_FIRST = 20              # the number of the first's address


class PolicySite(Site):
    def __init__(self, work, flags=()):
        self.other_door = f"[::1]:{free_port('::1')}"     # who comes in there is another peer
        super().__init__(work, ("--host-suffixes", HOST_SUFFIX, "--listen", self.other_door, *flags))

    def resource(self, name):
        """What the controller says of the LookasideService, or None."""
        return next((entry for entry in self.lookaside.json("/debug/resources")["resources"]
                     if entry["name"] == name), None)


class PolicyWorld(World):
    """A world whose Services have LookasideServices, and whose backends tell of their connections."""

    def __init__(self, work, command, site=None):
        super().__init__(work, command, site or PolicySite(work), ("--log-level", "debug"))
        self.numbers = {name: SPECIAL_FIRST + i for i, name in enumerate(SPECIAL)}

    def start_greeters(self):
        super().start_greeters()
        for name, flags in SPECIAL.items():
            self.start_greeter(self.numbers[name], name, *flags)

    def named(self, *names):
        """Endpoints of backends by name: "b1", "slow"."""
        return self.endpoints(*(self.numbers.get(name) or int(name[1:]) for name in names))

    def published(self, name):
        """Its condition Published."""
        return next(condition for condition in self.site.resource(name)["conditions"]
                    if condition["type"] == "Published")

    def shape(self, name, endpoints, wanting=(), **spec):
        """A Service of these backends with a policy, in force; returns the target to dial. wanting: reasons
        of conditions that may be False."""
        self.policy(name, **spec)
        target, _ = self.publish(name, self.named(*endpoints))

        def in_force():
            resource = self.site.resource(name)
            return (resource and all(c["status"] or c["reason"] in wanting
                                     for c in resource["conditions"])
                    and len(self.listed(name)) == len(endpoints))
        wait_until(in_force, 10, lambda: f"the policy is in force: {self.site.resource(name)}")
        return target

    def nacks(self):
        """Responses that clients have refused."""
        return sum(value for name, value in self.lookaside.metrics().items()
                   if name.startswith("lookaside_nacks_total"))

    def connections(self, *names):
        """How many connections these backends have been made."""
        return {greeter.name: greeter.connections() for greeter in self.greeters
                if greeter.name in names}

    def first_call(self, target, **fields):
        """On a loaded machine a client's first takes its time."""
        wait_until(lambda: self.call(target, **fields)["ok"], 60, "a first call", interval=0.1)

    def sample(self, target, n, **fields):
        """Calls that must all succeed: {backend: share}."""
        got = self.call(target, n, **{"threads": 4, "timeout_ms": 20000, **fields})
        assert got["failed"] == 0, f"{got['failed']} of {n} calls failed: {got['first_error']}"
        return {name: count / n for name, count in got["by_backend"].items()}


def _either(share, yes, otherwise, what):
    """YES if the share is in the one range, ROUND_ROBIN if it is in the other."""
    if yes[0] <= share <= yes[1]:
        return YES
    assert otherwise[0] <= share <= otherwise[1], f"{what} got {share:.1%} of the calls"
    return ROUND_ROBIN


# ---- where calls go: weights ----

def round_robin(world, notes):
    target = world.shape("even", ("b1", "b2", "b3"), loadBalancing={"policy": "RoundRobin"})
    world.reach(target, ("b1", "b2", "b3"))
    shares = world.sample(target, 300)
    assert all(abs(share - 1 / 3) < 0.02 for share in shares.values()), f"shares: {shares}"
    return YES


def canary(world, notes):
    world.publish("canary-next", world.named("b3"))
    backends = [{"service": "canary", "weight": 90}, {"service": "canary-next", "weight": 10}]
    target = world.shape("canary", ("b1", "b2"), backends=backends)
    world.reach(target, ("b1", "b2", "b3"))
    share = world.sample(target, CANARY_CALLS, threads=8).get("b3", 0)
    assert abs(share - CANARY_SHARE) <= CANARY_TOLERANCE, f"the canary got {share:.2%}"
    notes.append(f"{share:.2%} of {CANARY_CALLS} calls")
    return YES


def weight_change(world, notes):
    """Of the canary that is there already."""
    target, backends = "xds:///canary.shop:8001", ("b1", "b2", "b3")
    before = world.connections(*backends)
    with world.load(target) as load:
        load.wait_calls(50)
        for mine, next_ in ((50, 50), (10, 90), (95, 5)):
            world.policy("canary", backends=[{"service": "canary", "weight": mine},
                                             {"service": "canary-next", "weight": next_}])

            def follows():
                got = load.stats()["by_backend"]
                total = sum(got.values())
                return total > 60 and abs(got.get("b3", 0) / total - next_ / 100) < 0.15
            wait_until(follows, 10, f"the canary gets {next_} %", interval=0.2)
    load.assert_unfailed()
    made = {name: count - before[name] for name, count in world.connections(*backends).items()}
    notes.append(f"{load.ok} calls, 0 failed, new connections: {sum(made.values())}")
    return RECONNECTS if any(made.values()) else YES


def share_redistributed(world, notes):
    """One of three loses its endpoints: the others have its share, by their weights."""
    world.publish("share-b", world.named("b2"))
    world.publish("share-c", world.named("b3"))
    backends = [{"service": "share", "weight": 40}, {"service": "share-b", "weight": 40},
                {"service": "share-c", "weight": 20}]
    target = world.shape("share", ("b1",), backends=backends)
    world.reach(target, ("b1", "b2", "b3"))
    world.manifests.slice("share-b", [])
    wait_until(lambda: set(world.call(target, 60, threads=4)["by_backend"]) == {"b1", "b3"}, 10,
               "the empty one gets no call", interval=0.05)
    shares = world.sample(target, 600)
    assert abs(shares["b1"] - 2 / 3) < 0.08, f"shares: {shares}"
    with world.load(target) as load:
        load.wait_calls(50)
        world.manifests.slice("share-b", world.named("b2"))
        world.reach(target, ("b1", "b2", "b3"))
    load.assert_unfailed()
    notes.append(f"{shares['b1']:.0%} and {shares['b3']:.0%} of 2:1, then back; 0 failed")
    return YES


def share_fails(world, notes):
    world.publish("fail-empty", [])
    backends = [{"service": "fail", "weight": 50},
                {"service": "fail-empty", "weight": 50, "whenEmpty": "Fail"}]
    target = world.shape("fail", ("b1",), wanting=("BackendEmpty",), backends=backends)
    world.first_call(target)
    got = world.call(target, 400, threads=40, timeout_ms=1500)
    assert 0.4 < got["failed"] / 400 < 0.6, f"{got['failed']} of 400 calls failed"
    notes.append(f"{got['failed'] / 400:.0%} of the calls fail")
    error, = got["errors"]
    return {"UNAVAILABLE": YES, "DEADLINE_EXCEEDED": LATE}[error]


# ---- where calls go: balancing ----

class WeightedRoundRobin:
    """Its weights come into force BLACKOUT_S after the first report, while other rows run."""
    BACKENDS = ("light-1", "light-2", "heavy")
    TARGET = "xds:///weighted.shop:8001"

    @classmethod
    def begin(cls, world):
        world.shape("weighted", cls.BACKENDS, loadBalancing={"policy": "WeightedRoundRobin"})
        world.first_call(cls.TARGET)
        world.reach(cls.TARGET, cls.BACKENDS)
        world.weighted_since, world.weighted_by = time.monotonic(), world.agent

    @classmethod
    def run(cls, world, notes):
        def share():
            return world.sample(cls.TARGET, 90)["heavy"]
        if world.agent is not world.weighted_by:         # it was started again meanwhile
            cls.begin(world)
        until = world.weighted_since + BLACKOUT_S + 4
        while share() > 0.15 and time.monotonic() < until:
            time.sleep(0.5)                 # the next of its updates of weights, once a second
        last = world.sample(cls.TARGET, 300).get("heavy", 0)
        notes.append(f"{last:.0%} to one of three that has nine times the load")
        return _either(last, (0.01, 0.15), (0.31, 0.36), "the loaded one")


def least_request(world, notes):
    backends = ("b1", "b2", "b3", "slow")
    target = world.shape("least", backends, loadBalancing={"policy": "LeastRequest"})
    world.reach(target, backends)
    share = world.sample(target, 400, threads=10).get("slow", 0)
    notes.append(f"{share:.0%} to the slow one of four")
    return _either(share, (0, 0.16), (0.23, 0.27), "the slow one")


def _homes(world, target, calls=4):
    """{value of the header: backends that its calls went to}."""
    return {value: frozenset(world.sample(target, calls, threads=1, header="x-user-id",
                                          value=f"user-{value}")) for value in range(VALUES)}


def _are_spread(homes):
    """Most have several: a channel that is new may have connected to one alone."""
    return 2 * sum(len(found) > 1 for found in homes) > len(homes)


def ring_by_header(world, notes):
    backends = ("b1", "b2", "b3", "b4")
    target = world.shape("ring", backends, loadBalancing={
        "policy": "RingHash", "ringHash": {"header": "x-user-id"}})
    world.first_call(target)
    before = _homes(world, target)
    if _are_spread(before.values()):
        return ROUND_ROBIN
    assert all(len(homes) == 1 for homes in before.values()), f"homes: {before}"
    assert len(set(before.values())) > 1, "all values have the same home"
    world.manifests.slice("ring", world.named("b1", "b2", "b3"))
    gone = frozenset(["b4"])
    wait_until(lambda: gone not in (after := _homes(world, target)).values() and after, 10,
               "nobody's home is the one that left")
    after = _homes(world, target)
    moved = sum(before[value] != after[value] for value in before if before[value] != gone)
    stayed = sum(homes != gone for homes in before.values())
    assert moved <= 0.45 * stayed, f"{moved} of {stayed} moved that had not to"
    notes.append(f"{VALUES} values, of one home each; when another's leaves, {moved} of {stayed} move")
    return YES


def _channel_homes(world, target, calls=5):
    """The backends of each channel."""
    homes = []
    for channel in range(CHANNELS):
        world.first_call(target, channel=f"c{channel}")
        homes.append(frozenset(world.sample(target, calls, threads=1, channel=f"c{channel}")))
    return homes


def _one_home_each(world, target, notes):
    homes = _channel_homes(world, target)
    if _are_spread(homes):
        return ROUND_ROBIN
    assert all(len(found) == 1 for found in homes), f"homes: {homes}"
    assert len(set(homes)) > 1, f"all channels call {homes[0]}"
    notes.append(f"{CHANNELS} channels, of one home each, {len(set(homes))} homes")
    return YES


def ring_by_channel(world, notes):
    target = world.shape("ring-channel", ("b1", "b2", "b3"), loadBalancing={"policy": "RingHash"})
    return _one_home_each(world, target, notes)


def pick_first(world, notes):
    target = world.shape("first", ("b1", "b2", "b3"), loadBalancing={"policy": "PickFirst"})
    return _one_home_each(world, target, notes)


# ---- who gets what ----

def prefer_zone(world, notes):
    """The client is in zone-a. Its one backend there dies and comes back, then leaves the list."""
    near, far = world.named("near")[0], replace(world.named("b3")[0], zone="zone-b")
    world.policy("zoned", locality={"mode": "PreferZone"})
    target, _ = world.publish("zoned", [near, far])
    process = next(greeter for greeter in world.greeters if greeter.name == "near")
    world.first_call(target)
    world.reach(target, ("near",))
    assert set(world.sample(target, 100)) == {"near"}, "calls leave the zone"
    process.process.kill()
    world.reach(target, ("b3",))
    process.start().wait_ready()
    begin = time.monotonic()
    world.reach(target, ("near",), timeout=40)          # once the client has connected again
    notes.append(f"the other zone while there is nobody, back after {time.monotonic() - begin:.1f} s")
    with world.load(target) as load:
        load.wait_calls(50)
        world.manifests.slice("zoned", [far])
        load.wait_unseen("near")
    load.assert_unfailed()
    world.reach(target, ("b3",))
    return YES


def subset(world, notes):
    backends = tuple(f"b{number}" for number in range(1, 9))
    target = world.shape("part", backends, subset={"size": 3})
    world.first_call(target)
    seen = set()
    wait_until(lambda: seen.update(world.sample(target, 200)) or len(seen) >= 3, 10,
               lambda: f"three of eight are called: {sorted(seen)}")
    seen.update(world.sample(target, 200))
    assert len(seen) == 3, f"{len(seen)} of 8: {sorted(seen)}"
    notes.append(f"{', '.join(sorted(seen))} of 8")
    return YES


# ---- what calls may do ----

def max_call_duration(world, notes):
    target = world.shape("short", ("asleep",), maxCallDuration="2500ms")
    wait_until(lambda: world.call(target)["errors"] != {"UNAVAILABLE": 1}, 60, "a first call")
    got = world.call(target, 3, threads=3, timeout_ms=8000)
    assert got["errors"] == {"DEADLINE_EXCEEDED": 3}, f"errors: {got['errors']}"
    notes.append(f"ends after {got['slowest_ms']:.0f} ms of 2500")
    if got["slowest_ms"] > 7900:
        return IGNORED
    assert 450 < got["slowest_ms"] < 4000, f"it took {got['slowest_ms']:.0f} ms"
    return YES if got["slowest_ms"] >= 2450 else EARLY


def short_duration(world, notes):
    """C-core would count from before the call: all of them would fail."""
    target = world.shape("brief", ("b1", "b2", "b3"), maxCallDuration="1s")
    world.reach(target, ("b1", "b2", "b3"))
    got = world.call(target, 100, threads=4)
    assert got["failed"] == 0, f"{got['failed']} of 100 calls failed: {got['first_error']}"
    slow = world.shape("brief-slow", ("busy",), maxCallDuration="1s")
    wait_until(lambda: world.call(slow)["errors"] != {"UNAVAILABLE": 1}, 60, "a first call")
    got = world.call(slow, 2, threads=2, timeout_ms=8000)
    notes.append(f"{got['errors'] or 'none fails'}, {got['slowest_ms']:.0f} ms")
    if got["failed"] == 0:
        return IGNORED
    assert got["errors"] == {"DEADLINE_EXCEEDED": 2} and 900 < got["slowest_ms"] < 1900, got
    return YES


def retry(world, notes):
    """One of three fails every other call."""
    target = world.shape("retried", ("b1", "b2", "half"),
                         retry={"attempts": 5, "backoff": {"base": "1ms", "max": "5ms"}})
    wait_until(lambda: set(world.call(target, 12)["by_backend"]) == {"b1", "b2", "half"}, 10,
               "calls reach all three")
    failed = world.call(target, 600, threads=4)["failed"] / 600
    notes.append(f"{failed:.1%} fail of 16.7 %")
    if failed > 0.1:
        return IGNORED
    assert failed < 0.01, f"{failed:.1%} of the calls failed"
    return YES


def circuit_breaker(world, notes):
    """Five calls stay in flight; others are not let through. On a busy machine the five, or the others, may come late."""
    target = world.shape("bounded", ("busy",), circuitBreaker={"maxRequests": 5})
    world.first_call(target)
    for _ in range(3):
        with world.load(target, threads=5):
            time.sleep(0.3)                 # the five are on their way; none is answered before BUSY_MS
            got = world.call(target, 8, threads=8)
        if got["failed"] in (0, 8):
            break
    if got["failed"] == 0:
        return IGNORED
    assert got["errors"] == {"UNAVAILABLE": 8}, f"errors: {got['errors']}"
    assert got["slowest_ms"] < AT_ONCE_MS, f"it took {got['slowest_ms']:.0f} ms to fail"
    notes.append(f"the sixth fails within {got['slowest_ms']:.0f} ms")
    return YES


def outlier_detection(world, notes):
    backends = ("b1", "b2", "b3", "broken")
    target = world.shape("outlier", backends, outlierDetection={
        "failurePercentage": {"threshold": 50, "minimumHosts": 3, "requestVolume": 10},
        "interval": "500ms", "baseEjection": "60s", "maxEjectionPercent": 50})
    begin = time.monotonic()
    with world.load(target) as load:
        load.wait_calls(100)
        assert load.failed, f"no call failed: {load.last}"
        try:
            wait_until(lambda: (got := load.stats()) and got["ok"] > 50 and got["failed"] == 0, 6,
                       "the broken one is left out", interval=0.3)
        except AssertionError:
            return IGNORED
        notes.append(f"left out after {time.monotonic() - begin:.1f} s")
    assert set(load.errors) == {"INTERNAL"}, f"errors: {load.errors}"
    return YES


# ---- names and changes ----

def hosts(world, notes):
    name = f"greeter.{HOST_SUFFIX}"
    world.shape("hosted", ("b1", "b2"), hosts=[name])
    world.reach(f"xds:///{name}", ("b1", "b2"))
    world.reach(f"xds:///{name}:8001", ("b1", "b2"))
    return YES


CHANGES = (
    {"loadBalancing": {"policy": "LeastRequest"}},
    {"loadBalancing": {"policy": "RingHash", "ringHash": {"header": "x-user-id"}}},
    {"loadBalancing": {"policy": "PickFirst"}},
    {"loadBalancing": {"policy": "WeightedRoundRobin"}, "retry": {"attempts": 3}},
    {"circuitBreaker": {"maxRequests": 1000}, "maxCallDuration": "30s",
     "outlierDetection": {"failurePercentage": {}}},
    {"backends": [{"service": "changing", "weight": 1}, {"service": "changing-b", "weight": 1}]},
    {},
)


def policy_change(world, notes):
    """Each policy after the other, under load."""
    world.publish("changing-b", world.named("b4"))
    target = world.shape("changing", ("b1", "b2", "b3"))
    world.reach(target, ("b1", "b2", "b3"))
    with world.load(target) as load:
        load.wait_calls(50)
        for spec in CHANGES:
            world.policy("changing", **spec)
            load.wait_calls(300)
        world.reach(target, ("b1", "b2", "b3"))
    load.assert_unfailed()
    notes.append(f"{len(CHANGES)} changes, {load.ok} calls, 0 failed")
    return YES


# ---- a client that refuses ----

REFUSED_BACKENDS = ("b1", "b2", "b3", "slow")
REFUSAL = ("AGENT_REFUSES_LEAST_REQUEST", "not this one")     # the switch, and the client's words


def _spares_the_slow(agent, target):
    got = agent.ask("call", target=target, n=200, threads=10, timeout_ms=10000)
    assert got["failed"] == 0, f"{got['failed']} of 200 calls failed: {got['first_error']}"
    return _either(got["by_backend"].get("slow", 0) / 200, (0, 0.16), (0.23, 0.27), "the slow one") == YES


def _refused_by(world, refuser, target, kind):
    """The client is served round robin, at once; kind: the condition tells of its kind."""
    world.reach(target, REFUSED_BACKENDS, timeout=5, agent=refuser)
    assert not _spares_the_slow(refuser, target), "it uses the policy that it refuses"
    condition = world.published("refused")
    assert condition["status"] == (not kind), f"condition: {condition}"
    if kind:
        assert condition["reason"] == "ClientRejected", f"condition: {condition}"
        assert "gRPC Go" in condition["message"] and REFUSAL[1] in condition["message"], condition


def quarantine(world, notes):
    """A real client that refuses: it gets the plain form at once; after a second one, its kind does."""
    least = {"policy": "LeastRequest"}
    target = world.shape("refused", REFUSED_BACKENDS, loadBalancing=least)
    (world.work / "other.json").write_text(bootstrap(world.site.other_door, "other", "zone-a"))
    world.first_call(target)
    world.reach(target, REFUSED_BACKENDS)
    with world.fresh_agent(REFUSAL[0]) as first, \
            world.fresh_agent(REFUSAL[0], bootstrap="other.json") as second:
        _refused_by(world, first, target, kind=False)
        _refused_by(world, second, target, kind=True)
        assert _spares_the_slow(world.agent, target), "who did not refuse has lost the policy"
        with world.fresh_agent() as third:
            world.reach(target, REFUSED_BACKENDS, agent=third)
            assert not _spares_the_slow(third, target), "one more of the kind is tried"
        before = world.nacks()
        world.policy("refused", loadBalancing=least, circuitBreaker={"maxRequests": 100})
        wait_until(lambda: world.nacks() >= before + 2, 10, "both are given the next version, and refuse it")
        _refused_by(world, first, target, kind=True)
        _refused_by(world, second, target, kind=True)
    notes.append("plain at once; its kind after the second client, and again after a change")


ROUNDS = 12                     # a client that loses calls does so in most of them, but not in each


def backend_added(world, notes):
    """It gets its weight, and is given up, again and again."""
    world.publish("added-b", world.named("b4"))
    target = world.shape("added", ("b1", "b2", "b3"))
    world.reach(target, ("b1", "b2", "b3"))
    with world.load(target, pause_us=500) as load:
        for _ in range(ROUNDS):
            world.policy("added", backends=[{"service": "added"}, {"service": "added-b"}])
            wait_until(lambda: "b4" in load.stats()["by_backend"], 10, "the new one is called")
            world.policy("added")
            load.wait_unseen("b4")
        for late in ("added-c", "added-d"):      # named before they are there
            world.policy("added", backends=[{"service": "added"}, {"service": late}])
            load.wait_calls(1000)
            world.publish(late, world.named("b5"))
            wait_until(lambda: "b5" in load.stats()["by_backend"], 10, "the late one is called")
    load.assert_unfailed()
    notes.append(f"{ROUNDS} times, and 2 whose Service came later, {load.ok} calls, 0 failed")
    return YES


def backend_drained(world, notes):
    """Its only endpoint shuts down, as a pod does, and another comes."""
    last = world.named("b4")
    world.publish("drained-b", last)
    target = world.shape("drained", ("b1", "b2", "b3"),
                         backends=[{"service": "drained"}, {"service": "drained-b"}])
    world.reach(target, ("b1", "b2", "b3", "b4"))
    with world.load(target, pause_us=500) as load:
        for _ in range(ROUNDS):
            world.manifests.slice("drained-b", [endpoint.draining() for endpoint in last])
            load.wait_unseen("b4")
            world.manifests.slice("drained-b", [])
            load.wait_calls(100)
            world.manifests.slice("drained-b", last)
            wait_until(lambda: "b4" in load.stats()["by_backend"], 10, "it is called again")
    load.assert_unfailed()
    notes.append(f"{ROUNDS} times, {load.ok} calls, 0 failed")
    return YES


@dataclass(frozen=True)
class PolicyRow(Row):
    """resource: whose condition names the clients that cannot. begin: before the first row runs."""
    resource: str = ""
    begin: Callable | None = None


ROWS = [
    PolicyRow("`backends`: 90 to 10, 10,000 calls", canary),
    PolicyRow("another weight, no new connection", weight_change),
    PolicyRow("`whenEmpty: Redistribute`", share_redistributed),
    PolicyRow("`whenEmpty: Fail`", share_fails),
    PolicyRow("`RoundRobin`", round_robin),
    PolicyRow("`LeastRequest`", least_request, "least"),
    PolicyRow("`RingHash` by header", ring_by_header, "ring"),
    PolicyRow("`RingHash` by channel", ring_by_channel, "ring-channel"),
    PolicyRow("`PickFirst`, shuffled", pick_first, "first"),
    PolicyRow("`locality: PreferZone`, with failover", prefer_zone),
    PolicyRow("`subset`", subset),
    PolicyRow("`maxCallDuration`", max_call_duration, "short"),
    PolicyRow("`maxCallDuration` of at most 2 s", short_duration, "brief"),
    PolicyRow("`retry`", retry),
    PolicyRow("`circuitBreaker`", circuit_breaker, "bounded"),
    PolicyRow("`outlierDetection`", outlier_detection, "outlier"),
    PolicyRow("`hosts`", hosts),
    PolicyRow("another policy under load, no call lost", policy_change),
    PolicyRow("a new backend under load, no call lost", backend_added),
    PolicyRow("a backend that shuts down under load, no call lost", backend_drained),
    PolicyRow("`WeightedRoundRobin`, by load", WeightedRoundRobin.run, "weighted",
        WeightedRoundRobin.begin),
]
