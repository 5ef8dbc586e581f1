"""LookasideServices in bad times: invalid, deleted under the pen, written by others, many at once,
with their kind gone, and with a leader that hangs."""

import copy
import queue
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from api import ApiError
from audit import Audit, busiest, idle, wrong
from cluster import CRD, LOOKASIDE_NAMESPACE
from lookaside import LISTEN, Lookaside
from process import wait_until
from resources import Follower, Resources, is_told, WELL
from support import ads
from workload import Service
from world import FLAGS, RESOURCES, scenario

KIND = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/lookasideservices.lookaside.dev"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{LOOKASIDE_NAMESPACE}/leases/lookaside"
LEASE_SECONDS = 15
LOAD = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"
NO_SERVICE = {"ResolvedRefs": "ServiceNotFound", "Published": "NotPublished"}
LOOK_SECONDS = 35  # at a kind that is not there: every 30 s
WRITES_PER_SECOND = 10
# Turns are 100 ms apart as Lookaside counts; those under way may come closer on a busy machine.
UNDER_WAY = 4


def limit(number):
    return {"circuitBreaker": {"maxRequests": number}}


@contextmanager
def kind_as(world, change):
    """The kind, with its version's part of the CRD as change() makes it; afterwards as it was."""
    found = world.cluster.api.get(KIND)
    before = found["spec"]["versions"]
    versions = copy.deepcopy(before)
    change(versions[0])
    world.cluster.api.patch(KIND, {"spec": {"versions": versions}})
    try:
        yield
    finally:
        world.cluster.api.patch(KIND, {"spec": {"versions": before}})


def takes_anything(version):
    version["schema"]["openAPIV3Schema"]["properties"]["spec"] = {
        "type": "object", "x-kubernetes-preserve-unknown-fields": True}


def apply_anything(resources, name, spec):
    """The API server takes a moment until it follows a changed kind."""
    def applied():
        try:
            return resources.apply(name, spec)
        except ApiError as error:
            if error.code not in (400, 422, 500):
                raise
            return None
    return wait_until(applied, 15, "the API server takes anything", every=0.2)


@scenario("a resource that becomes invalid keeps its last accepted policy", seconds=120,
          configuration=RESOURCES)
def invalid(world):
    resources = Resources(world.cluster.api, "invalid")
    with world.service("invalid") as service:
        service.create()
        resources.apply("greeter", limit(11))
        resources.wait("greeter")
        with Follower(LISTEN, service.target()) as follower:
            follower.wait(11)
            with kind_as(world, takes_anything):
                becomes_invalid(resources, follower)
                never_valid(world, resources)
            stays_invalid(resources, follower, service)
            resources.apply("greeter", limit(12))
            follower.wait(12)
            resources.wait("greeter")
            resources.wait_event("greeter", "Accepted", "is in force", "Normal")
            assert follower.limits == [11, None, 11, 12], follower.limits
        resources.delete("greeter")
    return "with and without its schema, and while its Service is away"


def becomes_invalid(resources, follower):
    apply_anything(resources, "greeter", limit("many"))
    problem = ("spec.circuitBreaker.maxRequests: expected a whole number from 1 to 1000000, found "
               "a string; generation 1 is in force instead")
    messages = resources.wait("greeter", Accepted="Invalid")
    assert messages["Accepted"] == problem, messages
    resources.wait_event("greeter", "Invalid", problem)
    follower.stays(11, 1)
    resources.apply("greeter", {**limit(13), "retry": {}})
    messages = resources.wait("greeter", Accepted="Invalid")
    assert messages["Accepted"].startswith("spec.retry.attempts: missing; generation 1"), messages
    follower.stays(11, 1)


def never_valid(world, resources):
    with world.service("invalid", "never") as service:
        service.create()
        resources.apply("never", {"subset": {"size": 0}})
        messages = resources.wait("never", Accepted="Invalid", Published="NeverAccepted")
        assert messages["Published"] == "no version was ever accepted: the Service has the defaults"
        resources.delete("never")


def stays_invalid(resources, follower, service):
    """With the schema back, what stands there is invalid to the API server, too: its status is
    written all the same."""
    service.delete()
    resources.wait("greeter", Accepted="Invalid", ResolvedRefs="ServiceNotFound", within=15,
                   Published="NotPublished")
    follower.wait(None)
    service.create()
    resources.wait("greeter", Accepted="Invalid")
    follower.wait(11)
    follower.stays(11, 1)


# ---- others write, too ----

def check_writes(statuses):
    """None on an object that it is not about, none without a difference, none that is malformed."""
    malformed = [e for e in statuses if e.code not in (200, 404, 409)]
    for kind, found in (("on another object", wrong(statuses)), ("malformed", malformed),
                        ("without a difference", idle(statuses))):
        assert not found, f"{len(found)} writes {kind}: {found[:3]}"


@scenario("resources that are deleted and made anew while their status is written", seconds=120,
          configuration=RESOURCES)
def under_the_pen(world):
    names, rounds = [f"pen-{number}" for number in range(6)], 6
    resources, log = Resources(world.cluster.api, "pen"), Audit(world.cluster.audit_log())
    with world.service("pen", names[0]) as service, world.balanced() as balancer:
        service.create()
        wait_until(lambda: world.lookaside.metric("lookaside_leader") == 1, 40, "it leads")
        for number in range(1, rounds + 1):
            balancer.hold_requests()
            for name in names:
                resources.apply(name, limit(2 * number))
            under_way(world)
            for name in names[number % 2:]:
                resources.delete(name)
            for name in names[number % 3:]:
                resources.apply(name, limit(2 * number + 1))
            balancer.thaw()
            for name in names[number % 3:]:
                resources.wait(name, within=20, **({} if name == names[0] else NO_SERVICE))
        written = log.statuses()
        for name in names:
            resources.delete(name)
    check_writes(written)
    missed = sum(e.code != 200 for e in written)
    assert missed >= rounds / 2, f"{missed} writes met an object that was made anew: no test"
    return f"{len(written)} writes, {missed} of them refused by their version"


def under_way(world):
    """Until writes are on their way, which may take the pause of a second after the last ones."""
    wait_until(lambda: world.lookaside.metric("lookaside_status_pending") > 3, 5,
               "writes under way")
    time.sleep(0.2)


FOREIGN = {"type": "Audited", "status": "True", "reason": "ByHand", "message": "not Lookaside's",
           "lastTransitionTime": "2026-01-01T00:00:00Z"}


@scenario("another field manager writes the status at the same time", configuration=RESOURCES)
def conflict(world):
    resources = Resources(world.cluster.api, "conflict")
    with world.service("conflict") as service:
        service.create()
        resources.apply("greeter", limit(1))
        resources.wait("greeter")
        log, stop = Audit(world.cluster.audit_log()), threading.Event()

        def scribble():
            number = 0
            while not stop.is_set():
                number += 1
                resources.apply_status("greeter", {"observedGeneration": number % 3, "conditions": [
                    FOREIGN, {**FOREIGN, "type": "Accepted", "status": "False",
                              "message": str(number)}]}, "scribbler")
        with ThreadPoolExecutor(1) as pool:
            scribbler, began = pool.submit(scribble), time.monotonic()
            try:
                for number in range(2, 9):
                    resources.apply("greeter", limit(number))
                    time.sleep(1)
            finally:
                stop.set()
            scribbler.result(10)
        seconds = time.monotonic() - began
        messages = resources.wait("greeter")
        assert messages["Audited"] == FOREIGN["message"], messages
        written = log.statuses()
        resources.delete("greeter")
    check_writes(written)
    assert len(written) <= 2 * seconds + 5, f"{len(written)} writes in {seconds:.0f} s"
    return (f"{len(written)} writes in {seconds:.0f} s, {sum(e.code == 409 for e in written)} of "
            "them refused by their version; what is the other's stays")


# ---- the leader hangs ----

@contextmanager
def replica(world, identity, port, *more):
    """Another one, with a token of its own."""
    kubeconfig = world.cluster.write_kubeconfig(identity)
    log = world.lookaside.log_path.with_name(f"lookaside-{identity}.log")
    flags = [*({"a": identity}.get(word, word) for word in FLAGS[RESOURCES]), *more]
    other = Lookaside(world.lookaside.program, kubeconfig, log, flags, f"127.0.0.1:{port}",
                      f"127.0.0.1:{port + 80}")
    other.start()
    try:
        yield other
    finally:
        other.stop()


def load_report(succeeded, failed):
    """A message of a client, of calls in a second, to one place."""
    calls = ads.encode((1, b""), (2, succeeded), (4, failed), (8, succeeded + failed))
    return ads.encode((2, ads.encode((1, "load/greeter:8001"), (2, calls))))


@scenario("what clients report of their calls is in the status, written seldom", seconds=150,
          configuration=RESOURCES)
def load(world):
    resources, outgoing = Resources(world.cluster.api, "load"), queue.Queue()
    with world.service("load") as service:
        service.create()
        resources.apply("greeter", limit(1))
        wait_until(lambda: (resources.get("greeter").get("status") or {}).get("conditions"), 40, "a status")
        assert "load" not in resources.get("greeter")["status"], resources.get("greeter")
        world.lookaside.stop()
        try:
            with replica(world, "b", 18100, "--load-reports", "--load-report-interval", "1s") as other:
                with ads.connect("127.0.0.1:18100") as channel:
                    call = channel.stream_stream(LOAD)(iter(outgoing.get, None))
                    outgoing.put(b"")
                    next(call)
                    done, log = threading.Event(), Audit(world.cluster.audit_log())

                    def report():
                        while not done.wait(1):
                            outgoing.put(load_report(90, 10))

                    def told():
                        return (resources.get("greeter").get("status") or {}).get("load") or {}
                    with ThreadPoolExecutor(1) as pool:
                        pool.submit(report)
                        try:
                            wait_until(lambda: 80 <= told().get("requestsPerSecond", 0) <= 110
                                       and told()["errorPercent"] == 10, 120,
                                       lambda: f"some 100 calls a second, of which 10 % fail: {told()}")
                        finally:
                            done.set()
                            outgoing.put(None)
                writes = len(log.statuses())
                assert other.metric("lookaside_load_reports_total") > 10
        finally:
            world.lookaside.start()
        resources.delete("greeter")
    assert writes <= 6, f"{writes} writes"
    return f"{writes} writes until the load is told"


def holder(world):
    return world.cluster.api.get(LEASE)["spec"]["holderIdentity"]


@scenario("a leader hangs in the middle of writes, and wakes up after another has taken over",
          seconds=150, configuration=RESOURCES)
def leader_hangs(world):
    names = [f"hang-{number}" for number in range(10)]
    resources = Resources(world.cluster.api, "hang")
    log = Audit(world.cluster.audit_log())
    Service(world.cluster, world.kubelet, "hang")  # makes the namespace
    with world.balanced() as balancer, replica(world, "b", 18100) as other:
        wait_until(lambda: world.lookaside.metric("lookaside_leader") == 1, 40, "a leads")
        for name in names:
            resources.apply(name, limit(1))
        for name in names:
            resources.wait(name, within=20, **NO_SERVICE)
        leader = log.statuses()[-1].credential
        balancer.hold_requests()  # it hears of what changes, and what it then writes is on its way
        for name in names:
            resources.apply(name, limit(2))
        under_way(world)
        world.lookaside.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            wait_until(lambda: holder(world) == "b", 3 * LEASE_SECONDS, "b leads")
            taken = time.monotonic() - stopped
            resources.apply(names[0], limit(3))
            for name in names:
                resources.wait(name, within=20, **NO_SERVICE)
            told, mark = resources.all(), Audit(world.cluster.audit_log())
            balancer.thaw()
            wait_until(lambda: [e for e in mark.statuses() if e.credential == leader], 20,
                       "what was on its way arrives")
        finally:
            world.lookaside.process.send_signal(signal.SIGCONT)
        wait_until(lambda: world.lookaside.metric("lookaside_leader") == 0, 15, "a knows it")
        resources.apply(names[1], limit(4))
        resources.wait(names[1], **NO_SERVICE)
        late = [e for e in mark.statuses() if e.credential == leader]
        check_untouched(resources, told, names[1])
        assert late and all(e.code == 409 for e in late), [(e.name, e.code) for e in late]
        assert other.metric("lookaside_leader") == 1
        written = log.statuses()
        for name in names:
            resources.delete(name)
    check_writes(written)
    return (f"b took over after {taken:.1f} s; writes of a's that came late: {len(late)}, all of "
            "them refused")


def check_untouched(resources, told, but):
    now = resources.all()
    for name, item in told.items():
        assert name == but or now[name]["status"] == item["status"], (item, now[name])


# ---- how much is written ----

def address(number, generation):
    return f"10.244.{100 + 50 * generation + number // 250}.{number % 250 + 1}"


def ready_slice(service, number, generation, count):
    """So many endpoints, all of them others in another generation."""
    service.put_slice("all", {address(count * number + i, generation): f"e-{i}"
                              for i in range(count)})


def told_well(resources, wanted, endpoints=None):
    """Those of `wanted` of which the status does not say yet that all is well."""
    found = resources.all()
    return [name for name in wanted if not is_told(found.get(name), WELL) or
            (endpoints and found[name]["status"]["endpoints"]["ready"] != endpoints)]


@scenario("status costs the API server little: many resources, and a rollout of their endpoints",
          seconds=240, configuration=RESOURCES)
def budget(world):
    count, size = (500, 4) if world.factor > 1 else (100, 4)
    resources, log = Resources(world.cluster.api, "budget"), Audit(world.cluster.audit_log())
    names = [f"many-{number}" for number in range(count)]
    patience = 2 * count / WRITES_PER_SECOND + 15  # an Event each, too
    with many_services(world, names, size) as services:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: resources.apply(n, limit(1)), names))
        begun = time.monotonic()
        wait_until(lambda: not told_well(resources, names, size), patience + 30,
                   lambda: f"{len(told_well(resources, names, size))} of {count} are not told", 0.5)
        first = time.monotonic() - begun
        late = roll(resources, services, names, size)
        wait_until(lambda: not told_well(resources, names, size + 1), patience + 60,
                   lambda: f"{len(told_well(resources, names, size + 1))} of {count} are not told",
                   0.5)
        second = time.monotonic() - begun - first
        writes, statuses = log.writes(), log.statuses()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(resources.delete, names))
    most, in_ten = busiest(writes), busiest(writes, 10)
    assert most <= WRITES_PER_SECOND + UNDER_WAY, f"{most} writes within a second"
    assert in_ten <= 10 * WRITES_PER_SECOND + UNDER_WAY, f"{in_ten} writes within ten seconds"
    check_writes(statuses)
    refused = [e for e in writes if e.code >= 400]
    return (f"{count} resources told in {first:.0f} s, {count * (size + 1)} new endpoints in "
            f"{second:.0f} s; {len(statuses)} statuses and {len(writes) - len(statuses)} Events, "
            f"at most {most} in a second and {in_ten} in ten, {len(refused)} refused; a changed "
            f"resource is told within {late:.1f} s")


@contextmanager
def many_services(world, names, size):
    def make(numbered):
        number, service = numbered
        service.create(selector=False)
        ready_slice(service, number, 0, size)

    services = [Service(world.cluster, world.kubelet, "budget", name) for name in names]
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, enumerate(services)))
        yield services
    finally:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda s: s.delete(), services))


def roll(resources, services, names, size):
    """All endpoints are replaced, and now and then somebody changes a resource. How long that took
    to be told at most."""
    late, step = [0], max(1, len(names) // 8)

    def replace(number):
        ready_slice(services[number], number, 1, size + 1)
        if number % step == 0:
            resources.apply(names[number], limit(2))
            at = time.monotonic()
            resources.wait(names[number], within=10)
            late.append(time.monotonic() - at)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(replace, range(len(names))))
    return max(late)


# ---- the kind comes and goes ----

@scenario("the kind is taken away and comes back while Lookaside runs", seconds=240,
          configuration=RESOURCES)
def kind_goes(world):
    resources = Resources(world.cluster.api, "kind")
    with world.by_hand(2) as backends, world.service("kind") as service, \
            world.watch(service) as watch:
        first, second = list(backends.items())
        service.create(selector=False)
        service.put_slice("all", dict([first]))
        resources.apply("greeter", limit(21))
        resources.wait("greeter")
        with Follower(LISTEN, service.target()) as follower:
            follower.wait(21)
            with kind_as(world, lambda version: version.update(served=False)):
                wait_until(lambda: absent(world), LOOK_SECONDS, "Lookaside is refused the kind")
                follower.stays(21, 2)
                service.put_slice("all", dict([second]))
                watch.settle(when=lambda lists: len(next(iter(lists.values()))) == 1)
            wait_until(lambda: not absent(world), LOOK_SECONDS, "the kind is there again")
            follower.stays(21, 1)
            change(resources, limit(22))
            follower.wait(22)
            world.cluster.kubectl("delete", "-f", CRD)
            follower.wait(None, within=20)  # its grace is 5 s
            service.put_slice("all", backends)
            watch.settle(when=lambda lists: len(next(iter(lists.values()))) == 2)
            assert world.lookaside.ready(), "it is not ready without an optional kind"
            world.cluster.prepare_resources()
            change(resources, limit(23))
            follower.wait(23, within=LOOK_SECONDS)
            resources.wait("greeter", within=10)
            assert follower.limits == [21, 22, None, 23], follower.limits
        resources.delete("greeter")
    return ("not served: its policy stays; deleted, and its resources with it: the defaults; "
            "back with another: that")


def absent(world):
    return world.lookaside.metric("lookaside_source_absent", resource="lookasideservices") == 1


def change(resources, spec):
    """The API server serves the kind again a moment after it was told to."""
    def changed():
        try:
            return resources.apply("greeter", spec)
        except ApiError as error:
            if error.code not in (404, 429, 503):
                raise
            return None
    return wait_until(changed, 20, "the kind is served", every=0.2)
