"""Clients that are known by the pod that has their address. Each case has a network of its own, where every pod's address is this
machine's: who dials one calls from it."""
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import ads, api_faults, hidden, manifests, process, tokens  # noqa: E402
from tests.support.fake_apiserver import FakeApiServer  # noqa: E402
from tests.support.lookaside import Lookaside  # noqa: E402
from tests.support.report import Skip  # noqa: E402

FRONTEND, BATCH, HOST, STRANGER, SIXTH = "10.64.0.1", "10.64.0.2", "10.64.0.3", "10.64.0.4", "fd64::6"
AGAIN = "who calls from this address has changed: call again"
CLUSTER, PORT = "shop/greeter:8001", 18000
PEERS = 'lookaside_peers_total{result="%s"}'
MOVED, CLASHES = "lookaside_peers_moved_total", "lookaside_pod_address_clashes"
STALENESS = 'lookaside_source_staleness_seconds{resource="pods",namespace=""}'
ACCESS = {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
          "metadata": {"name": "greeter", "namespace": "shop"},
          "spec": {"access": {"serviceAccounts": ["web/frontend"]}}}


def _frontend(*addresses, name="frontend-1", **how):
    return manifests.pod(name, "frontend", *(addresses or (FRONTEND,)), namespace="web", **how)


def _batch(*addresses, **how):
    return manifests.pod("batch-1", "job", *(addresses or (BATCH,)), namespace="batch", **how)


class Cluster:
    """A controller on an API server that tells of pods."""

    def __init__(self, work, *flags, start=True):
        self.work, self.begin, self.api = work, start, FakeApiServer()
        self.api.put(manifests.service("greeter"), ACCESS,
                     manifests.endpoint_slice("greeter-a", "greeter", [manifests.Endpoint("10.0.0.1")]))
        self.flags = ["--threads", "1", "--identify-pods", "--listen", f":{PORT}", *flags]

    def __enter__(self):
        self.api.__enter__()
        self.controller = Lookaside(self.work, flags=[
            "--kubeconfig", self.api.kubeconfig(self.work / "kubeconfig"), *self.flags])
        if self.begin:
            self.controller.start()
        return self

    def __exit__(self, *_):
        code = self.controller.stop()
        self.api.__exit__(None, None, None)
        assert code == 0, self.controller.process.log()

    def metric(self, name):
        return self.controller.metrics()[name]

    def seen(self, address, metadata=None):
        """The addresses that a client at `address` is told at first."""
        with dial(address) as channel:
            stream = ads.Stream(channel, ads.node(), metadata=metadata)
            addresses = stream.subscribe(ads.EDS, [CLUSTER]).resources[CLUSTER].addresses
            stream.cancel()
            return list(addresses)

    def wait_seen(self, address, addresses=("10.0.0.1",)):
        """A client that was there too early calls again."""
        def sees():
            try:
                return self.seen(address) == list(addresses)
            except AssertionError as error:
                assert AGAIN in str(error), error
                return False
        process.wait_until(sees, 5, f"{address} sees {addresses}")

    def differences(self, address, none):
        """By which protocols a client there can tell that there is a Service."""
        with dial(address) as channel:
            return hidden.differences(hidden.told(channel, "greeter"), none)

    def audit(self):
        return [line for line in self.controller.process.log().splitlines() if "may not see" in line]


def dial(address):
    return ads.connect(f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}")


def follow(channel, metadata=None):
    """A stream that has its list, and the list."""
    stream = ads.Stream(channel, ads.node(), metadata=metadata)
    return stream, list(stream.subscribe(ads.EDS, [CLUSTER]).resources[CLUSTER].addresses)


def pods_are_accounts(work):
    none = hidden.told_of_none(work, "greeter")
    with Cluster(work) as world:
        world.api.put(_frontend(FRONTEND, SIXTH), _batch(), _frontend(HOST, name="agent", hostNetwork=True))
        world.wait_seen(FRONTEND)
        world.wait_seen(SIXTH)
        for address in (BATCH, HOST, STRANGER, "127.0.0.1"):
            assert world.seen(address) == [], address
            assert world.differences(address, none) == [], address
        assert world.differences(FRONTEND, none) == ["EDS", "CDS of all", "delta EDS", "native", "grpclb"]
        with dial(BATCH) as channel:
            stream, _ = follow(channel)
            assert world.controller.streams()["streams"][0]["account"] == {
                "namespace": "batch", "name": "job", "by": "pod"}
            # Names of one label are of its namespace, whatever it says of itself.
            assert stream.subscribe(ads.LDS, ["greeter:8001"]).resources["greeter:8001"].cluster == "batch/greeter:8001"
            stream.cancel()
        assert any("account=batch/job" in line and "by=pod" in line and f"peer={BATCH}:" in line
                   for line in world.audit()), world.audit()
        assert any("account=nobody" in line and f"peer={HOST}:" in line for line in world.audit()), world.audit()
        assert world.metric(PEERS % "pod") > 0 and world.metric(PEERS % "pod-unknown") > 0
        assert world.metric("lookaside_pods") == 2 and world.metric("lookaside_bad_pods_total") == 0


def _ends(stream):
    assert stream.status(5).name == "UNAVAILABLE", stream.call.code()
    assert stream.call.details() == AGAIN


def streams_move_with_their_pods(work):
    """Nobody keeps an account, nor gets one, on a stream that is open; what a client does then is call again."""
    with Cluster(work) as world, dial(FRONTEND) as channel:
        stream, addresses = follow(channel)
        assert addresses == []
        steps = ((_frontend(phase="Pending"), ["10.0.0.1"]),              # it comes: its init containers run
                 (_frontend(), None),
                 (_batch(FRONTEND), []),                                  # another one has its address, too
                 (_batch(), ["10.0.0.1"]),
                 (_frontend(phase="Succeeded"), []),                      # it ends
                 (_frontend(), ["10.0.0.1"]),
                 (manifests.pod("frontend-1", "other", FRONTEND, namespace="web"), []),
                 (_frontend(), ["10.0.0.1"]),
                 (_frontend(STRANGER), []),                               # its address is another one
                 (_batch(FRONTEND), []))                                  # and that of another pod now
        moved = 0
        for pod, expected in steps:
            world.api.put(pod)
            if expected is None:                                          # it identifies the same
                world.api.put(ACCESS, manifests.service("marker"))
                process.wait_until(lambda: world.metric("lookaside_services") == 2, 5, "the controller has read it")
                assert world.metric(MOVED) == moved
                continue
            _ends(stream)
            stream, addresses = follow(channel)
            assert addresses == expected, (pod, addresses)
            moved += 1
            assert world.metric(MOVED) == moved
        world.api.delete(_batch(FRONTEND))                                # it is deleted
        _ends(stream)
        stream, _ = follow(channel)
        assert "account" not in world.controller.streams()["streams"][0]
        stream.cancel()
        assert world.metric(CLASHES) == 0


def an_address_of_two_pods_is_nobodys(work):
    with Cluster(work) as world:
        world.api.put(_frontend(), _frontend(name="frontend-2"))
        process.wait_until(lambda: world.metric(CLASHES) == 1, 5, "the clash is seen")
        assert world.seen(FRONTEND) == []
        assert world.metric(PEERS % "pod-clash") > 0
        assert "a pod has an address of another one" in world.controller.process.log()
        world.api.delete(_frontend())
        world.wait_seen(FRONTEND)


def streams_that_prove_who_they_are_stay(work):
    key = tokens.Key(work, "first")
    with Cluster(work, "--tokens") as world, dial(FRONTEND) as channel:
        world.api.documents.update(tokens.documents(key))
        metadata = (("authorization", f"Bearer {key.token('web/frontend')}"),)
        process.wait_until(lambda: world.metric("lookaside_token_keys") > 0, 15, "the keys are loaded")
        stream, addresses = follow(channel, metadata)
        nobody, hidden_from = follow(channel)
        assert addresses == ["10.0.0.1"] and hidden_from == []
        world.api.put(_batch(FRONTEND))
        _ends(nobody)
        world.api.put(manifests.endpoint_slice("greeter-a", "greeter", [manifests.Endpoint("10.0.0.9")]))
        stream.until(ads.EDS, lambda got: list(got.resources[CLUSTER].addresses) == ["10.0.0.9"])
        # And a token counts before the address, also one that does not hold.
        refused = ads.Stream(channel, ads.node(), metadata=(("authorization", "Bearer nonsense"),))
        refused.send(ads.EDS, [CLUSTER])
        assert refused.status(5).name == "UNAUTHENTICATED"
        stream.cancel()


def what_is_known_outlives_the_api_server(work):
    with Cluster(work) as world, dial(FRONTEND) as channel:
        world.api.put(_frontend(), _batch())
        world.wait_seen(FRONTEND)
        stream, _ = follow(channel)
        world.api.stop()
        process.wait_until(lambda: world.metric(STALENESS) > 2, 10, "the view is told to be old")
        assert world.seen(FRONTEND) == ["10.0.0.1"] and world.seen(BATCH) == []
        # What happened meanwhile counts once it is heard of: by a list.
        world.api.put(_frontend(phase="Failed"))
        world.api.compact()
        world.api.start()
        _ends(stream)
        assert world.seen(FRONTEND) == []
        process.wait_until(lambda: world.metric(STALENESS) < 2, 10, "the view is new")


def a_list_that_lacks_most_pods_is_doubted(work):
    with Cluster(work) as world, dial(FRONTEND) as channel:
        world.api.put(_frontend(), _batch(), _frontend(STRANGER, name="frontend-2"))
        world.wait_seen(STRANGER)
        stream, _ = follow(channel)
        world.api.stop()
        begin = time.monotonic()
        world.api.delete(_frontend())
        world.api.delete(_frontend(name="frontend-2"))
        world.api.compact()
        world.api.start()
        assert stream.status(30).name == "UNAVAILABLE" and time.monotonic() - begin > 5, time.monotonic() - begin
        assert "a list lacks more than half" in world.controller.process.log()
        assert world.seen(FRONTEND) == [] and world.metric("lookaside_pods") == 1


def nothing_is_served_before_they_are_read(work):
    with Cluster(work, start=False) as world:
        fault = world.api.fault("pods", None, api_faults.status(403, "no right"), times=None)
        world.controller.process.start()
        fault.wait()

        def reason():
            try:
                return world.controller.get("/readyz")
            except OSError:
                return None, ""
        process.wait_until(lambda: "pods is forbidden: grant list and watch, or switch --identify-pods off" in reason()[1],
                           10, "it says why it waits")
        assert reason()[0] == 503 and "serving" not in world.controller.process.log()
        fault.times = 0
        process.wait_until(lambda: reason()[0] == 200, 45, "it serves")


def pods_that_cannot_be_read_identify_nobody(work):
    with Cluster(work) as world:
        world.api.put(_frontend())
        world.wait_seen(FRONTEND)
        bad = _frontend()
        bad["status"]["podIPs"] = [{"ip": "10.64.0.1"}, {"ip": "nonsense"}]
        world.api.put(bad)
        world.wait_seen(FRONTEND, ())
        assert world.metric("lookaside_bad_pods_total") == 1
        line = [line for line in world.controller.process.log().splitlines() if "bad object" in line][0]
        assert "web/frontend-1: status.podIPs[1].ip: 'nonsense' is no address of a pod" in line, line
        world.api.put(_frontend())
        world.wait_seen(FRONTEND)


def of_some_namespaces(work):
    """Pods of others are not asked for, and nobody's."""
    with Cluster(work, "--namespaces", "shop,web") as world:
        world.api.put(_frontend(), _batch())
        world.wait_seen(FRONTEND)
        assert {request.namespace for request in world.api.asked("pods")} == {"shop", "web"}
        with dial(BATCH) as channel:
            stream, _ = follow(channel)
            assert "account" not in world.controller.streams()["streams"][0]
            stream.cancel()


def a_thousand_pods_in_a_storm(work):
    """Half of them come and go while streams of all protocols follow; in the end each is who it is."""
    with Cluster(work) as world:
        addresses = [f"10.64.{i // 250 + 1}.{i % 250 + 1}" for i in range(1000)]
        pods = [_frontend(address, name=f"pod-{i}") for i, address in enumerate(addresses)]
        world.api.put(*pods)
        process.wait_until(lambda: world.metric("lookaside_pods") == 1000, 20, "all pods are known")
        chosen = addresses[::100]
        channels = [dial(address) for address in chosen]
        watches = [follow(channel)[0] for channel in channels]
        for pod in pods[1::2]:
            world.api.delete(pod)
        for i, pod in enumerate(pods[1::2]):
            world.api.put(_batch(pod["status"]["podIPs"][0]["ip"]) | {"metadata": {
                "name": f"job-{i}", "namespace": "batch", "uid": f"job-{i}"}})
        process.wait_until(lambda: world.metric("lookaside_pods") == 1000, 20, "all pods are known")
        for watch in watches:                                             # even ones: theirs did not move
            assert watch.call.is_active(), f"a stream ended that had no reason: {watch.call.details()}"
            watch.cancel()
        for channel in channels:
            channel.close()
        for i in (0, 1, 500, 501, 998, 999):
            assert world.seen(addresses[i]) == (["10.0.0.1"] if i % 2 == 0 else []), addresses[i]
        assert world.metric(CLASHES) == 0


def settings_that_do_not_fit(work):
    done = subprocess.run([process.BUILD / "lookaside", "--identify-pods", "--directory", work], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == 2 and "--identify-pods and --directory exclude each other" in done.stderr, done


IN_A_NETWORK = [pods_are_accounts, streams_move_with_their_pods, an_address_of_two_pods_is_nobodys,
                streams_that_prove_who_they_are_stay, what_is_known_outlives_the_api_server,
                a_list_that_lacks_most_pods_is_doubted, nothing_is_served_before_they_are_read,
                pods_that_cannot_be_read_identify_nobody, of_some_namespaces, a_thousand_pods_in_a_storm]


def _apart(case):
    """The same in a process that has a network of its own."""
    def run(work):
        if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
            raise Skip("it takes root, unshare and ip to make a network")
        done = subprocess.run(["unshare", "--net", sys.executable, __file__, case.__name__, str(work)], capture_output=True,
                              text=True, timeout=120, check=False)
        assert done.returncode == 0, re.sub(r"\s+", " ", done.stderr[-1500:])
    run.__name__ = case.__name__
    return run


def main():
    for command in ("link set lo up", "route add local 10.64.0.0/16 dev lo", f"address add {SIXTH}/128 dev lo nodad"):
        subprocess.run(["ip", *command.split()], check=True)
    next(case for case in IN_A_NETWORK if case.__name__ == sys.argv[1])(Path(sys.argv[2]))


CASES = [*map(_apart, IN_A_NETWORK), settings_that_do_not_fit]

if __name__ == "__main__":
    main()
