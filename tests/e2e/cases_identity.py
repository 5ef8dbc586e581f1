"""Tokens that a real API server issues, and what they open."""

import json

from api import ApiError
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


def _asks(token):
    """The addresses of the list that a client with the token gets, or how its stream ends."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with ads.connect(LISTEN) as channel:
        stream = ads.Stream(channel, ads.node(), metadata=metadata)
        stream.send(ads.EDS, [CLUSTER])
        try:
            return list(stream.recv(10).resources[CLUSTER].addresses)
        except AssertionError:
            return stream.call.code().name
        finally:
            stream.cancel()


def _objects():
    yield manifests.service("greeter", NAMESPACE)
    yield manifests.endpoint_slice("greeter-a", "greeter", [manifests.Endpoint("10.9.9.9")], NAMESPACE)
    yield {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
           "metadata": {"name": "greeter", "namespace": NAMESPACE},
           "spec": {"access": {"serviceAccounts": [f"{NAMESPACE}/default"]}}}


@scenario("a service account's token opens what a resource closes, also while the API server is away", seconds=90,
          configuration=RESOURCES)
def tokens_of_accounts(world):
    try:
        world.cluster.create_namespace(NAMESPACE)
    except ApiError as error:
        assert error.code == 409, error
    for obj in _objects():
        world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
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
