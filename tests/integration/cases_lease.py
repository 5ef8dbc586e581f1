"""Several replicas of which one writes: the Lease, and counting clients over all of them."""
import contextlib
import signal
import time

from tests.support import api_faults as faults
from tests.support import manifests
from tests.support.lookaside import Lookaside
from tests.support.process import wait_until

from .world import NAMESPACE, World

LEASE = ("lookaside", "lookaside")
ELECTION = ["--leader-election", "--lease", "/".join(LEASE)]
DURATION, RENEW = 15, 10           # seconds, of the product


def leads(controller):
    return controller.metrics().get("lookaside_leader") == 1


def wait_leads(*controllers, timeout=2 * DURATION):
    """Until one of them leads; that one."""
    wait_until(lambda: any(leads(each) for each in controllers), timeout,
               lambda: "one leads\n" + "\n".join(each.process.log() for each in controllers))
    return next(each for each in controllers if leads(each))


def holder(world):
    lease = world.api.written.objects["leases"].get(LEASE)
    return lease["spec"]["holderIdentity"] if lease else None


def renewals(world, identity=None):
    """The updates that counted."""
    return [write for write in world.api.wrote("leases")
            if write.verb in ("create", "update") and write.code in (200, 201)
            and identity in (None, write.body["spec"]["holderIdentity"])]


def alone(work, flags=(), **server):
    return World(work, flags=[*ELECTION, "--identity", "a", *flags], **server)


@contextlib.contextmanager
def two(work, flags=()):
    """A world with replica a, which leads, and replica b."""
    (work / "b").mkdir()
    with alone(work, flags) as world:
        wait_leads(world.controller)
        other = Lookaside(work / "b", flags=["--kubeconfig", work / "kubeconfig", "--threads", "1",
                                             *ELECTION, "--identity", "b", *flags])
        with other:
            yield world, other


# ---- who holds it ----

def nobody_asked_for_it(work):
    with World(work) as world:
        world.client()
        assert not world.api.wrote(), world.api.wrote()


def one_of_two_leads(work):
    with two(work) as (world, other):
        seen = len(renewals(world))
        wait_until(lambda: len(renewals(world)) >= seen + 4, 30, "the Lease is renewed")
        assert leads(world.controller) and not leads(other)
        assert {write.body["spec"]["holderIdentity"] for write in renewals(world)} == {"a"}
        spec = world.api.written.objects["leases"][LEASE]["spec"]
        assert spec["leaseDurationSeconds"] == DURATION and spec["leaseTransitions"] == 0, spec
        gaps = [b.moment - a.moment for a, b in zip(renewals(world)[1:], renewals(world)[2:])]
        assert all(1.5 < gap < 4 for gap in gaps), gaps


def killed_leader_is_followed(work):
    with two(work) as (world, other):
        world.controller.kill()
        died = time.monotonic()
        wait_leads(other)
        assert DURATION - 4 < time.monotonic() - died < DURATION + 8, time.monotonic() - died
        spec = world.api.written.objects["leases"][LEASE]["spec"]
        assert spec["holderIdentity"] == "b" and spec["leaseTransitions"] == 1, spec
        world.controller.start()                       # it ended with a signal: not the last word
        time_of_start = time.monotonic()
        world.api.wait_watched()
        wait_until(lambda: [write for write in world.api.wrote("leases", "get")
                            if write.moment > time_of_start], 20, "a looks at the Lease")
        assert leads(other) and not leads(world.controller)


def stopped_leader_is_followed_and_finds_out(work):
    with two(work) as (world, other):
        world.controller.process.signal(signal.SIGSTOP)
        wait_leads(other)
        taken = renewals(world, "b")[0].moment
        world.controller.process.signal(signal.SIGCONT)
        wait_until(lambda: not leads(world.controller), 5, "a knows that it does not lead")
        asked = len(world.api.wrote("leases", "get"))
        wait_until(lambda: len(world.api.wrote("leases", "get")) >= asked + 3, 30, "a looks on")
        late = [write for write in renewals(world, "a") if write.moment > taken]
        assert not late, late
        assert leads(other) and not leads(world.controller)
        assert world.controller.metrics()["lookaside_leader_lost_total"] == 1


def leader_that_ends_hands_over(work):
    with two(work) as (world, other):
        begin = time.monotonic()
        assert world.controller.stop() == 0
        wait_leads(other, timeout=6)
        assert time.monotonic() - begin < 6
        empty = [write for write in world.api.wrote("leases", "update")
                 if write.body["spec"]["holderIdentity"] == ""]
        assert len(empty) == 1 and empty[0].code == 200, empty
        world.controller.start()
        world.api.wait_watched()


def end_does_not_wait_for_the_lease(work):
    with alone(work) as world:
        wait_leads(world.controller)
        world.api.fault("leases", None, faults.hang(), times=None)
        begin = time.monotonic()
        assert world.controller.stop() == 0
        assert time.monotonic() - begin < 6


def namesakes_do_not_both_lead(work):
    (work / "b").mkdir()
    with alone(work) as world:
        wait_leads(world.controller)
        other = Lookaside(work / "b", flags=["--kubeconfig", work / "kubeconfig", *ELECTION,
                                             "--identity", "a"])
        with other:
            seen = len(world.api.wrote("leases", "get"))
            wait_until(lambda: len(world.api.wrote("leases", "get")) >= seen + 3, 30, "it looks")
            assert leads(world.controller) and not leads(other)


# ---- what goes wrong ----

def serving_does_not_depend_on_the_lease(work):
    with alone(work, start=False) as world:
        world.api.fault("leases", None, faults.status(403, "leases is forbidden"), times=None)
        world.ready()
        client = world.client()
        wait_until(lambda: len(world.api.wrote("leases")) >= 3, 30, "it tries on")
        world.put("a", "10.0.0.9")
        client.wait(["10.0.0.9"])
        assert not leads(world.controller)
        said = [line for line in world.warnings() if "leases is forbidden" in line]
        assert len(said) == 1, said
        world.api.clear_faults()
        wait_leads(world.controller)


def _renewed_although(name, act, times=1):
    def case(work):
        with alone(work) as world:
            wait_leads(world.controller)
            fault = world.api.fault("leases", "update", act, times=times)
            fault.wait()
            seen = len(renewals(world))
            wait_until(lambda: len(renewals(world)) >= seen + 2, 30, "the Lease is renewed")
            assert leads(world.controller)
            assert world.controller.metrics()["lookaside_leader_lost_total"] == 0
    case.__name__ = f"renewed_although_{name}"
    return case


def lost_in_time_while_the_server_hangs(work):
    """Before anybody else could see it run out, and taken up again."""
    with alone(work) as world:
        wait_leads(world.controller)
        world.api.fault("leases", None, faults.hang(), times=None)
        last = renewals(world)[-1].moment
        wait_until(lambda: not leads(world.controller), DURATION, "it is lost")
        assert time.monotonic() - last < RENEW + 2, time.monotonic() - last
        world.api.clear_faults()
        wait_leads(world.controller)
        assert holder(world) == "a"


def lost_while_the_server_is_down(work):
    with alone(work) as world:
        client = world.client()
        wait_leads(world.controller)
        world.stop_api()
        wait_until(lambda: not leads(world.controller), DURATION, "it is lost")
        assert client.error is None
        world.api.start()
        wait_leads(world.controller)
        assert world.controller.metrics()["lookaside_leader_acquired_total"] == 2


# ---- clients over all replicas ----

def _replicas(*addresses):
    """The Service of the replicas' admin ports."""
    service = manifests.service("admins", "lookaside")
    slices = []
    for number, address in enumerate(addresses):
        host, _, port = address.rpartition(":")
        slices.append({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"admins-{number}", "namespace": "lookaside",
                         "labels": {"kubernetes.io/service-name": "admins"}},
            "ports": [{"name": "admin", "port": int(port), "protocol": "TCP"}],
            "endpoints": [{"addresses": [host], "conditions": {"ready": True},
                           "targetRef": {"kind": "Pod", "name": f"pod-{number}"}}]})
    return [service, *slices]


def counts_are_told(work):
    with World(work) as world:
        assert world.controller.json("/counts") == {"services": {}}
        world.client()
        world.client()
        name = f"{NAMESPACE}/greeter"
        wait_until(lambda: world.controller.json("/counts") == {"services": {name: 2}}, 10,
                   lambda: f"two are counted: {world.controller.json('/counts')}")
        world.clients.pop().close()
        wait_until(lambda: world.controller.json("/counts") == {"services": {name: 1}}, 10,
                   lambda: f"one is counted: {world.controller.json('/counts')}")


def replicas_are_asked(work):
    (work / "b").mkdir()
    flags = [*ELECTION, "--replicas-service", "lookaside/admins"]
    with World(work, flags=flags, start=False) as world:
        other = Lookaside(work / "b", flags=["--kubeconfig", work / "kubeconfig"])
        world.api.put(*_replicas(world.controller.admin, other.admin, "127.0.0.1:1"))
        with other:
            world.ready()
            wait_leads(world.controller)
            wait_until(lambda: world.controller.metrics().get("lookaside_replicas") == 3, 20,
                       lambda: f"three are asked: {world.controller.metrics()}")
            assert world.controller.metrics()["lookaside_replicas_unanswered"] == 1
            world.log_has("replicas do not say how many clients they have")
            assert "replicas=pod-2" in world.log(), world.log()
            assert other.metrics().get("lookaside_replicas") is None


CASES = [
    nobody_asked_for_it, one_of_two_leads, killed_leader_is_followed,
    stopped_leader_is_followed_and_finds_out, leader_that_ends_hands_over,
    end_does_not_wait_for_the_lease, namesakes_do_not_both_lead,
    serving_does_not_depend_on_the_lease,
    _renewed_although("a_conflict", faults.status(409)),
    _renewed_although("an_error", faults.status(500)),
    _renewed_although("a_connection_is_reset", faults.reset()),
    _renewed_although("an_answer_never_comes", faults.hang()),
    _renewed_although("an_answer_is_nonsense", faults.body("{}")),
    lost_in_time_while_the_server_hangs, lost_while_the_server_is_down,
    counts_are_told, replicas_are_asked,
]
