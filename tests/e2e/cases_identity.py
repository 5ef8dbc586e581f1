"""Tokens that a real API server issues, and pods that it tells of: what they open."""

import json
from contextlib import contextmanager

from api import ApiError
from cluster import LOOKASIDE, LOOKASIDE_BINDING, RBAC
from lookaside import Lookaside
from process import wait_until
from support import ads, manifests
from world import RESOURCES, scenario

NAMESPACE, CLUSTER = "vault", "vault/greeter:8001"
LISTEN, ADMIN = "127.0.0.1:18002", "127.0.0.1:18082"
KEYS_SECONDS = 15


def _token(world, namespace, audience):
    answer = world.cluster.api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token",
                                      {"spec": {"audiences": [audience], "expirationSeconds": 600}})
    return answer["status"]["token"]


def _asks(token=None, at=LISTEN, cluster=CLUSTER):
    """The addresses of the list that a client with the token gets, or how its stream ends."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with ads.connect(at) as channel:
        stream = ads.Stream(channel, ads.node(), metadata=metadata)
        stream.send(ads.EDS, [cluster])
        try:
            return list(stream.recv(10).resources[cluster].addresses)
        except AssertionError:
            return stream.call.code().name
        finally:
            stream.cancel()


def _objects(namespace):
    yield manifests.service("greeter", namespace)
    yield manifests.endpoint_slice("greeter-a", "greeter", [manifests.Endpoint("10.9.9.9")], namespace)
    yield {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
           "metadata": {"name": "greeter", "namespace": namespace},
           "spec": {"access": {"serviceAccounts": [f"{namespace}/default"]}}}


def _prepare(world, namespace):
    """A namespace, and in it a Service that only its own default account may see."""
    try:
        world.cluster.create_namespace(namespace)
    except ApiError as error:
        assert error.code == 409, error
    for obj in _objects(namespace):
        world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


@scenario("a service account's token opens what a resource closes, also while the API server is away", seconds=90,
          configuration=RESOURCES)
def tokens_of_accounts(world):
    _prepare(world, NAMESPACE)
    own, other = (_token(world, namespace, "lookaside.dev") for namespace in (NAMESPACE, "default"))
    foreign = _token(world, NAMESPACE, "https://kubernetes.default.svc")
    guarded = Lookaside(world.lookaside.program, world.cluster.path("lookaside.kubeconfig"),
                        world.cluster.path("tokens.log"), ("--tokens",), LISTEN, ADMIN)
    expected = {None: [], own: ["10.9.9.9"], other: [], foreign: "UNAUTHENTICATED"}
    guarded.start()
    try:
        wait_until(lambda: guarded.metric("lookaside_token_keys") == 1, KEYS_SECONDS, "the keys are read")
        wait_until(lambda: _asks(own) == ["10.9.9.9"], 10, "the account sees the Service")
        found = {token: _asks(token) for token in expected}
        assert list(found.values()) == list(expected.values()), list(found.values())
        with world.cluster.without_apiserver():
            found = {token: _asks(token) for token in expected}
            assert list(found.values()) == list(expected.values()), f"in the outage: {list(found.values())}"
    finally:
        guarded.stop()
        world.cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    return "by its own keys: the account's, another's, one for another audience, none"


YARD, YARD_CLUSTER, PODS_PORT = "yard", "yard/greeter:8001", 18003
# Of a node's range that the kubelet does not give to pods; each is this machine's, so who dials it calls from it.
FIRST, SECOND, THIRD = ("10.244.252.1", "10.244.252.2", "10.244.252.3")


@contextmanager
def _right_to_pods(api):
    """Lookaside's account has it in no other scenario."""
    name = f"{LOOKASIDE}-pods"
    api.create(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]})
    api.create(f"{RBAC}/clusterrolebindings", {
        **LOOKASIDE_BINDING, "metadata": {"name": name},
        "roleRef": {**LOOKASIDE_BINDING["roleRef"], "name": name}})
    try:
        yield
    finally:
        api.delete(f"{RBAC}/clusterrolebindings/{name}")
        api.delete(f"{RBAC}/clusterroles/{name}")


def _put_pod(api, namespace, name, address, phase="Running", **spec):
    """A pod as a kubelet tells of it; no process stands behind."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        api.create(path, {"metadata": {"name": name}, "spec": {
            "nodeName": "node-a", "containers": [{"name": "main", "image": "elsewhere"}], **spec}})
    except ApiError as error:
        assert error.code == 409, error
    api.patch(f"{path}/{name}/status", {"status": {"phase": phase, "podIP": address, "podIPs": [{"ip": address}]}})


def _sees(address):
    return _asks(at=f"{address}:{PODS_PORT}", cluster=YARD_CLUSTER)


@scenario("a pod is its service account by its address until it ends; who gets the address is another one", seconds=120,
          configuration=RESOURCES)
def pods_of_accounts(world):
    api, seen = world.cluster.api, ["10.9.9.9"]
    _prepare(world, YARD)
    guarded = Lookaside(world.lookaside.program, world.cluster.path("lookaside.kubeconfig"),
                        world.cluster.path("pods.log"), ("--identify-pods",), f":{PODS_PORT}", ADMIN)
    with _right_to_pods(api):
        guarded.start()
        try:
            _put_pod(api, YARD, "first", FIRST)
            _put_pod(api, "default", "second", SECOND)
            _put_pod(api, YARD, "host", THIRD, hostNetwork=True)
            wait_until(lambda: _sees(FIRST) == seen, 10, "the pod of the account sees the Service")
            assert (_sees(SECOND), _sees(THIRD), _sees("127.0.0.1")) == ([], [], [])
            with ads.connect(f"{FIRST}:{PODS_PORT}") as channel:
                stream = ads.Stream(channel, ads.node())
                assert list(stream.subscribe(ads.EDS, [YARD_CLUSTER]).resources[YARD_CLUSTER].addresses) == seen
                with world.cluster.without_apiserver():
                    assert (_sees(FIRST), _sees(SECOND)) == (seen, []), "in the outage"
                    assert stream.call.is_active()
                _put_pod(api, YARD, "first", FIRST, phase="Succeeded")
                assert stream.status(30).name == "UNAVAILABLE", stream.call.code()
            assert _sees(FIRST) == []
            _put_pod(api, "default", "third", FIRST)
            _put_pod(api, YARD, "fourth", SECOND)                  # two pods of it now
            wait_until(lambda: guarded.metric("lookaside_pod_address_clashes") == 1, 10, "the clash is seen")
            assert (_sees(FIRST), _sees(SECOND)) == ([], [])
            api.delete("/api/v1/namespaces/default/pods/second", grace_seconds=0)
            wait_until(lambda: _sees(SECOND) == seen, 10, "it is the other one's")
            api.delete(f"/api/v1/namespaces/{YARD}/pods/fourth", grace_seconds=0)
            wait_until(lambda: _sees(SECOND) == [], 10, "it is nobody's")
        finally:
            guarded.stop()
            for name in ("second", "third"):
                world.cluster.kubectl("delete", "pod", name, "--namespace", "default", "--ignore-not-found", "--wait=false")
            world.cluster.kubectl("delete", "namespace", YARD, "--wait=false")
    return "also in an outage; a pod that ended, one on its node's network, two of one address, one that is gone"
