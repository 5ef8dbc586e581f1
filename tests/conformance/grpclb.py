"""What stock clients do with grpclb: they find Lookaside by SRV, in a DNS of the test's own, and are given lists by it.

A row's function makes the client call, and returns YES; what does not come out fails. A client without grpclb never opens a stream: then every
row is NO. matrix.py compares the words with the table in README.md. Each client runs in a mount namespace in which /etc/resolv.conf names the
test's name server: JNDI, which Java looks up SRV records with, reads no other.
"""
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from conformance.matrix import Row, column_of, run_rows
from conformance.scenarios import FAST_MS
from support import ads
from support.dns import NameServer
from support.manifests import Endpoint
from support.process import wait_until
from support.report import Skip
from conformance.world import World

YES, NO = "yes", "no"
DOMAIN = "svc.cluster.local"
BALANCER = f"lookaside.lookaside.{DOMAIN}"
SILENT = f"nobody.lookaside.{DOMAIN}"
OWN_RESOLVER = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"']
REPORT_SECONDS = 25             # clients report every 10 s, C-core from its first list on
FALLBACK_SECONDS = 20           # they wait for a balancer for 10 s
SPARE = 9                       # the backend that DNS knows
TOKEN_POD = "greeter-6d9f7c8b45-x7k2p"


class TokenBackend:
    """A backend that keeps the metadata lb-token of each call."""

    def __init__(self, address, name):
        self.tokens = set()
        self.reply = ads.encode((1, f"Hello agent from {name}"))
        self.server = grpc.server(ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(self._say_hello)
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("helloworld.Greeter", {"SayHello": handler})])
        assert self.server.add_insecure_port(f"{address}:8001"), f"{address}:8001 is in use"
        self.server.start()

    def _say_hello(self, _request, context):
        self.tokens |= {value for key, value in context.invocation_metadata() if key == "lb-token"}
        return self.reply

    def close(self):
        self.server.stop(None)


class GrpclbWorld(World):
    """A world whose client asks a name server of its own. Each Service is a name there, too, with a balancer."""

    def __init__(self, work, command):
        if os.geteuid() != 0:
            raise Skip("grpclb needs root: a mount namespace, and port 53 of a loopback address")
        resolver = Path(work) / "resolv.conf"
        super().__init__(work, [*OWN_RESOLVER, resolver, *command])
        self.names = NameServer(self.site.address(253))
        self.names.hosts = {BALANCER: [self.site.address(254)], SILENT: [self.site.address(252)]}
        self.names.balancers[BALANCER] = (BALANCER, 18000)
        resolver.write_text(f"nameserver {self.site.address(253)}\noptions timeout:2 attempts:2\n")

    def __exit__(self, *error):
        super().__exit__(*error)
        self.names.close()

    def channel(self, name, asked=None, balancer=BALANCER):
        """How to dial a Service by its DNS name, which has the address of the spare backend."""
        host = f"{name}.shop.{DOMAIN}"
        self.names.hosts[host] = [self.endpoint(SPARE).address]
        self.names.balancers[host] = (balancer, 18000)
        return {"target": f"dns:///{host}:8001", "grpclb": asked or f"{name}.shop:8001"}

    def publish(self, name, endpoints):
        """Returns once Lookaside has it: before, a client falls back."""
        published = super().publish(name, endpoints)
        wait_until(lambda: len(self.listed(name)) == len(endpoints)
                   and any(service["name"] == name for service in self.lookaside.services()["services"]),
                   10, f"{name} is listed")
        return published

    def reach_by(self, channel, backends, timeout=20):
        """Waits until calls go to these backends, all of them and no other; gives the seconds that took."""
        begin, wanted = time.monotonic(), set(backends)

        def probe():
            got = self.call(n=4 * len(wanted), threads=2, **channel)
            return got["failed"] == 0 and set(got["by_backend"]) == wanted
        wait_until(probe, timeout, f"calls by {channel} reach {sorted(wanted)} and nobody else", 0.05)
        return time.monotonic() - begin

    def streams(self, name=""):
        """The open grpclb streams for that Service, as /debug/streams has them."""
        return [stream for stream in self.lookaside.streams()["streams"]
                if stream["protocol"] == "grpclb"
                and any(target["name"].startswith(name) for target in stream["targets"])]

    def reported(self, name):
        """What the client has told of its calls."""
        found = self.streams(name)
        return found[0]["calls"] if found else {}


# ---- finding it ----

def by_srv(world, notes):
    """The Service is Lookaside's own, as its chart makes it; whose backends are wanted says serviceName."""
    world.publish("srv", world.endpoints(1, 2, 3))
    channel = {"target": f"dns:///{BALANCER}:18000", "grpclb": "srv.shop:8001"}
    took = world.reach_by(channel, ("b1", "b2", "b3"))
    notes.append(f"after {took:.1f} s")
    return YES


def as_dialled(world, notes):
    world.publish("dialled", world.endpoints(1, 2))
    world.reach_by(world.channel("dialled", asked="*"), ("b1", "b2"))
    notes.append("asks for " + world.streams("dialled")[0]["targets"][0]["name"])
    return YES


# ---- lists ----

def even(world, notes):
    world.publish("even", world.endpoints(1, 2, 3))
    channel = world.channel("even")
    world.reach_by(channel, ("b1", "b2", "b3"))
    got = world.call(n=300, **channel)
    assert got["failed"] == 0, f"{got['failed']} calls failed: {got['first_error']}"
    counts = sorted(got["by_backend"].values())
    notes.append("/".join(map(str, counts)))
    assert counts[0] >= 97 and counts[-1] <= 103, f"calls: {got['by_backend']}"
    return YES


def follows(world, notes):
    """Nobody is lost while one joins and one shuts down."""
    world.publish("grow", world.endpoints(1, 2))
    channel = world.channel("grow")
    world.reach_by(channel, ("b1", "b2"))
    with world.load(**channel) as load:
        load.wait_calls(50)
        moment = world.manifests.slice("grow", world.endpoints(1, 2, 3))
        joined = load.wait_seen("b3") - moment * 1000
        world.manifests.slice("grow", [world.endpoint(1).draining(), *world.endpoints(2, 3)])
        load.wait_unseen("b1")
    load.assert_unfailed()
    notes.append(f"first call after {joined:.1f} ms; {load.ok} calls, 0 failed")
    return YES


def empty_and_back(world, notes):
    world.publish("empty", world.endpoints(1, 2))
    channel = world.channel("empty")
    world.reach_by(channel, ("b1", "b2"))
    world.manifests.slice("empty", [])
    wait_until(lambda: world.call(**channel)["failed"] == 1, 10, "calls fail once the list is empty")
    got = world.call(n=20, **channel)
    assert got["errors"] == {"UNAVAILABLE": 20}, f"errors: {got['errors']} ({got['ok']} ok)"
    assert got["slowest_ms"] < FAST_MS, f"a call took {got['slowest_ms']:.0f} ms to fail"
    world.manifests.slice("empty", world.endpoints(2))
    world.reach_by(channel, ("b2",))
    notes.append(f"fails within {got['slowest_ms']:.0f} ms, and does not fall back")
    return YES


def token(world, notes):
    address = world.site.address(40)
    with contextlib.closing(TokenBackend(address, "told")) as backend:
        world.publish("token", [Endpoint(address, "zone-a", pod=TOKEN_POD)])
        world.reach_by(world.channel("token"), ("told",))
        assert backend.tokens == {TOKEN_POD}, f"tokens: {backend.tokens}"
    notes.append(TOKEN_POD)
    return YES


def split(world, name, first, second, **more):
    """Of a Service with one backend each, or none."""
    world.manifests.put(f"shop-{name}-policy", {
        "apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
        "metadata": {"name": name, "namespace": "shop"}, "spec": {"backends": [
            {"service": name, "weight": first}, {"service": f"{name}-next", "weight": second, **more}]}})


def weights(world, notes):
    world.publish("weights", world.endpoints(1))
    world.publish("weights-next", world.endpoints(2))
    split(world, "weights", 80, 20)
    channel = world.channel("weights")
    world.reach_by(channel, ("b1", "b2"))
    for first in (80, 30):
        split(world, "weights", first, 100 - first)

        def shares():
            got = world.call(n=400, **channel)
            assert got["failed"] == 0, f"{got['failed']} calls failed: {got['first_error']}"
            notes.append(f"{got['by_backend'].get('b1', 0) / 4:.2f} %")
            return abs(got["by_backend"].get("b1", 0) - 4 * first) <= 4
        wait_until(shares, 10, f"{first} % of the calls go there, to 1 %", interval=0.1)
        del notes[1:-1]
    return YES


def drops(world, notes):
    """Of what is to fail the client is told to let it."""
    world.publish("drops", world.endpoints(1))
    world.publish("drops-next", [])
    split(world, "drops", 50, 50, whenEmpty="Fail")
    channel = world.channel("drops")
    wait_until(lambda: world.call(**channel)["ok"], 20, "a first call")
    wait_until(lambda: world.call(n=4, **channel)["failed"] == 2, 10, "every second call fails")
    got = world.call(n=400, **channel)
    assert got["errors"] == {"UNAVAILABLE": 200}, f"errors: {got['errors']}"

    def told():
        return world.reported("drops.").get("droppedByToken", {}).get("empty:drops-next", 0) >= 200
    wait_until(told, REPORT_SECONDS, lambda: f"drops are reported: {world.streams('drops.')}", interval=0.1)
    notes.append(f"{got['failed']} of 400 calls; reported: {world.reported('drops.')['droppedByToken']}")
    return YES


def reports(world, notes):
    world.publish("stats", world.endpoints(1, 2))
    channel = world.channel("stats")
    world.reach_by(channel, ("b1", "b2"))
    world.call(n=100, **channel)

    def told():
        calls = world.reported("stats.")
        return calls and calls["finished"] >= 100 and calls["received"] >= 100 and calls
    calls = wait_until(told, REPORT_SECONDS,
                       lambda: f"calls are reported: {world.reported('stats.')}", interval=0.1)
    notes.append(", ".join(f"{calls[key]} {key}" for key in ("started", "finished", "received")))
    return YES


# ---- fallback ----

def unknown_service(world, notes):
    """It falls back to what DNS says, and comes back with the first list."""
    channel = world.channel("later")
    away = world.reach_by(channel, (f"b{SPARE}",))
    world.publish("later", world.endpoints(1, 2))
    back = world.reach_by(channel, ("b1", "b2"))
    world.remove("later")
    world.reach_by(channel, (f"b{SPARE}",))
    assert len(world.streams("later.")) == 1, f"streams: {world.streams('later.')}"
    notes.append(f"to DNS' addresses after {away:.1f} s, to the list {back:.1f} s after it is there")
    return YES


def to_lookaside_itself(world, notes):
    """Where Lookaside's own Service is dialled, its address is all that DNS says."""
    channel = {"target": f"dns:///{BALANCER}:18000", "grpclb": "never.shop:8001"}
    wait_until(lambda: world.call(**channel)["errors"] == {"UNIMPLEMENTED": 1}, 20,
               lambda: f"UNIMPLEMENTED (last: {world.call(**channel)})", interval=0.1)
    world.publish("never", world.endpoints(3))
    world.reach_by(channel, ("b3",))
    return YES


def no_balancer(world, notes):
    took = world.reach_by(world.channel("alone", balancer=SILENT), (f"b{SPARE}",), FALLBACK_SECONDS)
    notes.append(f"to DNS' addresses after {took:.1f} s")
    return YES


def restarted(world, notes):
    world.publish("steady", world.endpoints(1, 2, 3))
    channel = world.channel("steady")
    world.reach_by(channel, ("b1", "b2", "b3"))
    with world.load(**channel) as load:
        load.wait_calls(50)
        world.lookaside.restart()
        load.wait_calls(50)
        moment = world.manifests.slice("steady", world.endpoints(1, 2, 3, 4))
        found = load.wait_seen("b4", timeout=60) - moment * 1000
    load.assert_unfailed()
    assert f"b{SPARE}" not in load.first_seen, "a call went to DNS' address"
    notes.append(f"{load.ok} calls, 0 failed; the next change after {found:.0f} ms")
    return YES


def asks_nobody(world, notes):
    """Nothing comes of its first calls: the client has no grpclb."""
    got = world.call(n=5, timeout_ms=2000, **world.channel("nobody-asks"))
    assert not world.streams() and world.lookaside.metrics()["lookaside_grpclb_reports_total"] == 0
    notes.append(f"opens no stream; {got['ok']} calls ok: {got['by_backend']}, {got['failed']} failed: "
                 f"{got['first_error']}")
    return NO


ROWS = [
    Row("found by SRV, asks for `serviceName`", by_srv),
    Row("without `serviceName`: for what is dialled", as_dialled),
    Row("even over its backends", even),
    Row("one joins, one shuts down, no call lost", follows),
    Row("an empty list, and back", empty_and_back),
    Row("`lb-token` at the backend names the pod", token),
    Row("weights of `backends`", weights),
    Row("`whenEmpty: Fail`, reported as dropped", drops),
    Row("calls are reported", reports),
    Row("no such Service: falls back, until there is", unknown_service),
    Row("the same by Lookaside's own name: UNIMPLEMENTED, until there is", to_lookaside_itself),
    Row("no balancer: falls back", no_balancer),
    Row("Lookaside restarted under load, no call lost", restarted),
]
NONE = Row("it has none", asks_nobody)      # its word is that of every row


def run_language(language, command, work, report, table):
    def judge(row, word):
        for told in ROWS if row is NONE else [row]:
            table.judge(told.title, column_of(language), word)

    try:
        with GrpclbWorld(work, command) as world:
            run_rows(world, language, ROWS if language.grpclb else [NONE], judge, report, "grpclb: ")
            with report.case(f"{language.name}: the controller ends cleanly"):
                world.end_controller()
    except Skip as reason:
        report.skip(f"{language.name}: grpclb", str(reason))
    except Exception as error:
        report.fail(f"{language.name}: set-up of grpclb", str(error))
