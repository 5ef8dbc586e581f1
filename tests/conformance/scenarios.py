"""What every language's client has to see. Each function is one case: (world, language, notes)."""
import math
import time
from dataclasses import replace

from conformance import existence, servers
from support.greeters import Greeter
from support.manifests import Endpoint
from support.process import free_port, wait_until

GROWTH_LIMIT_MS = 1000          # on a machine that runs two languages at once; see story.py
FAST_MS = 2000                  # a call that fails must not wait for a timer (they wait 15 s)
ADDRESS_FORMS = ("names.shop:8001", "names.shop:grpc", "names.shop", "names.shop.svc",
                 "names.shop.svc:8001", "names.shop.svc.cluster.local:8001")


def assert_shares(by_backend, expected, tolerance):
    """Every backend's share of the calls is expected, +- tolerance, and nobody else has any."""
    total = sum(by_backend.values())
    shares = {name: by_backend.get(name, 0) / total for name in expected}
    assert set(by_backend) <= set(expected), f"calls to strangers: {by_backend}"
    bad = {name: f"{share:.2%}" for name, share in shares.items()
           if abs(share - expected[name]) > tolerance}
    assert not bad, f"shares off by more than {tolerance:.2%}: {bad} of {total} calls"
    return shares


def spread_over_three(world, language, notes):
    target, _ = world.publish("spread", world.endpoints(1, 2, 3))
    world.reach(target, ("b1", "b2", "b3"))
    got = world.call(target, n=3000, threads=10)
    assert got["failed"] == 0, f"{got['failed']} calls failed: {got['first_error']}"
    third = 1 / 3
    assert_shares(got["by_backend"], {"b1": third, "b2": third, "b3": third}, 0.01 * third)
    notes.append("/".join(str(count) for _, count in sorted(got["by_backend"].items())))


def scale_up(world, language, notes):
    target, _ = world.publish("grow", world.endpoints(1, 2, 3))
    world.reach(target, ("b1", "b2", "b3"))
    with world.load(target) as load:
        load.wait_calls(50)
        moment = world.manifests.slice("grow", world.endpoints(1, 2, 3, 4))
        took = load.wait_seen("b4") - moment * 1000
    load.assert_unfailed()
    assert took < GROWTH_LIMIT_MS, f"the first call of the fourth came after {took:.0f} ms"
    notes.append(f"first call after {took:.1f} ms")


def drain_under_load(world, language, notes):
    greeter, leaving = world.leaver()
    target, _ = world.publish("drain", world.endpoints(1, 2) + [leaving])
    world.reach(target, ("b1", "b2", greeter.name))
    with world.load(target) as load:
        load.wait_calls(50)
        world.manifests.slice("drain", world.endpoints(1, 2) + [leaving.draining()])
        load.wait_unseen(greeter.name)
        greeter.drain()
        code = greeter.process.wait(10)
        assert code == 0, f"greeter: exit {code}: {greeter.process.log()}"
        world.manifests.slice("drain", world.endpoints(1, 2))
        load.wait_calls(100)
    load.assert_unfailed()
    notes.append(f"{load.ok} calls, 0 failed")


def to_zero_and_back(world, language, notes):
    """The list becomes empty, then the backends end, then one is there again."""
    leavers = [world.leaver(12), world.leaver(13)]
    target, _ = world.publish("zero", [endpoint for _, endpoint in leavers])
    world.reach(target, [greeter.name for greeter, _ in leavers])
    world.manifests.slice("zero", [])

    def fails():
        return world.call(target)["failed"] == 1
    if language.heeds_empty:
        wait_until(fails, 10, "calls fail once the list is empty")
    for greeter, _ in leavers:
        greeter.drain()
        greeter.process.wait(10)
    wait_until(fails, 10, "calls fail once the backends are gone")
    got = world.call(target, n=20, threads=20, timeout_ms=2 * FAST_MS)
    error = "UNAVAILABLE" if language.fails_on_empty else "DEADLINE_EXCEEDED"
    assert got["errors"] == {error: 20}, f"errors: {got['errors']} ({got['ok']} ok)"
    if language.fails_on_empty:
        assert got["slowest_ms"] < FAST_MS, f"a call took {got['slowest_ms']:.0f} ms to fail"
    world.manifests.slice("zero", world.endpoints(2))
    world.reach(target, ("b2",))
    notes.append(f"fails within {got['slowest_ms']:.0f} ms")


def controller_restarted(world, language, notes):
    target, _ = world.publish("steady", world.endpoints(1, 2, 3))
    world.reach(target, ("b1", "b2", "b3"))
    with world.load(target) as load:
        load.wait_calls(50)
        world.lookaside.restart()
        load.wait_calls(50)
        moment = world.manifests.slice("steady", world.endpoints(1, 2, 3, 4))
        found = load.wait_seen("b4", timeout=60) - moment * 1000
        moment = world.manifests.slice("steady", world.endpoints(1, 2, 3, 4, 5))
        pushed = load.wait_seen("b5") - moment * 1000
    load.assert_unfailed()
    notes.append(f"{load.ok} calls, 0 failed; back after {found:.0f} ms, "
                 f"the next change after {pushed:.1f} ms")


def nine_and_one(world, language, notes):
    numbers = range(1, 10)
    endpoints = world.endpoints(*numbers) + [world.endpoint(10, "zone-b")]
    target, _ = world.publish("zones", endpoints)
    world.reach(target, [f"b{number}" for number in range(1, 11)], timeout=30)
    got = world.call(target, n=language.calls, threads=10, timeout_ms=20000)
    assert got["failed"] == 0, f"{got['failed']} calls failed: {got['first_error']}"
    # Zones are drawn at random by their weights: at a small count chance alone exceeds 1 %.
    chance = 4.5 * math.sqrt(0.1 * 0.9 / language.calls)
    shares = assert_shares(got["by_backend"], {f"b{number}": 0.1 for number in range(1, 11)},
                           max(0.01, chance))
    notes.append(f"{min(shares.values()):.2%} to {max(shares.values()):.2%} of {language.calls}")


def zone_hints(world, language, notes):
    """The client says that it is in zone-a. With hints it calls the backends that are hinted for it, and only those."""
    plain = world.endpoints(1, 2) + [world.endpoint(3, "zone-b")]
    hinted = [replace(endpoint, for_zones=(endpoint.zone,)) for endpoint in plain]
    target, _ = world.publish("hints", plain)
    world.reach(target, ("b1", "b2", "b3"))
    with world.load(target) as load:
        load.wait_calls(50)
        world.manifests.slice("hints", hinted)
        load.wait_unseen("b3")
        world.reach(target, ("b1", "b2"))
        moment = world.manifests.slice("hints", plain)
        wait_until(lambda: "b3" in load.stats()["by_backend"], 20, "b3 is called again", interval=0.005)
        took = (time.time() - moment) * 1000
    load.assert_unfailed()
    notes.append(f"{load.ok} calls, 0 failed; all zones again after {took:.0f} ms")


def pod_with_two_addresses(world, language, notes):
    """One backend with an address in each family: called where the Service prefers it, and where that does not answer, at the other."""
    port = free_port("::1")
    four = Greeter(world.site.address(30), "ipv4", world.work, port)
    six = Greeter("::1", "ipv6", world.work, port)
    world.greeters += [four, six]
    for greeter in (four, six):
        greeter.start().wait_ready()
    # Two Services: a client goes on with the connection that it has when only the order changes.
    for name, families in (("dual-four", ["IPv4", "IPv6"]), ("dual-six", ["IPv6", "IPv4"])):
        for greeter, suffix, family in ((four, "a", "IPv4"), (six, "b", "IPv6")):
            world.manifests.slice(name, [Endpoint(greeter.address, "zone-a", pod="dual")],
                                  suffix=suffix, family=family, port=port)
        world.manifests.service(name, ipFamilies=families)
    world.reach("xds:///dual-four.shop:8001", ("ipv4",))
    world.reach("xds:///dual-six.shop:8001", ("ipv6",))
    with world.load("xds:///dual-four.shop:8001") as load:
        load.wait_calls(50)
    load.assert_unfailed()
    assert set(load.last) <= {"ipv4"}, f"the other address was called: {load.last}"
    six.process.kill()
    if language.both_families_switch:
        with world.fresh_agent(language.both_families_switch) as agent:
            world.reach("xds:///dual-six.shop:8001", ("ipv4",), agent=agent)
        notes.append(f"with {language.both_families_switch} at the other address")
    if not language.both_families:
        notes.append("called where the Service prefers it; the client knows no other addresses")
        return
    world.reach("xds:///dual-six.shop:8001", ("ipv4",))
    notes.append("called where the Service prefers it, then at the other address")


def external_and_back(world, language, notes):
    """The Cluster changes its type under the same name: EDS, a name that the client resolves, EDS."""
    target, _ = world.publish("outside", world.endpoints(1))
    world.reach(target, ("b1",))
    with world.load(target) as load:
        load.wait_calls(50)
        world.manifests.service("outside", type="ExternalName", externalName=world.endpoint(2).address)
        load.wait_unseen("b1")
        world.reach(target, ("b2",))
        world.manifests.service("outside")
        load.wait_unseen("b2")
        world.reach(target, ("b1",))
    load.assert_unfailed()
    notes.append(f"{load.ok} calls, 0 failed")


def host_name(world, language, notes):
    """The client resolves it; the port is the one that was dialled."""
    backend = Greeter("127.0.0.1", "localhost", world.work, free_port())
    world.greeters.append(backend)
    backend.start().wait_ready()
    world.manifests.service("host", type="ExternalName", externalName="localhost", ports=[])
    target = f"xds:///host.shop:{backend.port}"
    world.reach(target, ("localhost",))
    with world.load(target) as load:
        load.wait_calls(100)
    load.assert_unfailed()
    notes.append(f"{load.ok} calls, 0 failed")


def forms_of_a_name(world, language, notes):
    world.publish("names", world.endpoints(6))
    forms = [form for form in ADDRESS_FORMS if language.dials_port_names or ":grpc" not in form]
    for form in forms:
        world.reach(f"xds:///{form}", ("b6",))
    notes.append(f"{len(forms)} forms")


def _stream_of(world, type_name, name):
    """The number of the stream that asks for that, or None."""
    for stream in world.lookaside.streams()["streams"]:
        for each in stream.get("types", ()):
            if each["type"] == type_name and name in [one["name"] for one in each["names"]]:
                return stream["id"]
    return None


def idle_and_awake(world, language, notes):
    """An idle channel unsubscribes and drops what it knew; the next call asks for it again. Another channel does not idle."""
    beside, _ = world.publish("awake", world.endpoints(6))
    world.reach(beside, ("b6",))
    world.publish("idle", world.endpoints(7))
    channel = {"target": "xds:///idle.shop:8001", "idle_ms": 1000}

    def stream():
        return _stream_of(world, "Listener", "idle.shop:8001")
    wait_until(lambda: world.agent.ask("call", n=1, **channel)["ok"] == 1, 20, "a first call")
    before = stream()
    wait_until(lambda: world.agent.ask("state", **channel)["state"] == "IDLE", 20,
               "the channel is idle", interval=0.1)
    wait_until(lambda: stream() is None, 20, "nobody asks for it")
    got = world.agent.ask("call", n=3, **channel)
    assert got["ok"] == 3, f"calls after idleness: {got}"
    assert got["slowest_ms"] < FAST_MS, f"the first took {got['slowest_ms']:.0f} ms"
    same = stream() == before
    assert same or not language.keeps_clusters, f"stream {before}, then {stream()}"
    notes.append(f"awake within {got['slowest_ms']:.0f} ms, on {'the same' if same else 'another'} stream")


def subscribes_again(world, language, notes):
    """A backend of a split is given up, and comes back: so does what the client asks for, on one stream."""
    world.publish("again-b", world.endpoints(9))
    target, _ = world.publish("again", world.endpoints(8))
    world.reach(target, ("b8",))

    def streams():
        return [_stream_of(world, *what) for what in (("Listener", "again.shop:8001"),
                                                      ("ClusterLoadAssignment", "shop/again-b:8001"))]
    first, _ = streams()
    for _ in range(2):
        world.policy("again", backends=[{"service": "again"}, {"service": "again-b"}])
        world.reach(target, ("b8", "b9"))
        assert streams() == [first, first], f"{streams()}, it was stream {first}"
        world.policy("again")
        world.reach(target, ("b8",))
        if not language.keeps_clusters:
            wait_until(lambda: streams() == [first, None], 20, lambda: f"nobody asks for it: {streams()}")
    notes.append("it keeps what it asks for" if language.keeps_clusters else "twice, on one stream")


SCENARIOS = [
    ("three backends, even within 1 %", spread_over_three),
    ("a fourth backend joins", scale_up),
    ("one drains under load", drain_under_load),
    ("to zero and back", to_zero_and_back),
    ("unknown, then created", existence.unknown_then_created),
    ("a Service is deleted and comes back byte for byte", existence.deleted_and_back),
    ("nine in one zone, one in another", nine_and_one),
    ("zone hints come and go", zone_hints),
    ("one pod, an address in each family", pod_with_two_addresses),
    ("a Service turns into an ExternalName and back", external_and_back),
    ("an ExternalName that is a host name", host_name),
    ("forms of a name", forms_of_a_name),
    ("idle, then called again", idle_and_awake),
    ("unsubscribes and subscribes again", subscribes_again),
    *servers.SCENARIOS,
    ("controller killed and restarted", controller_restarted),
]
