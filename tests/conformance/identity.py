"""Clients that prove which service account they are, to a controller that shows its Service to that one alone."""
import contextlib

from e2e import certificates
from support import fake_apiserver, lookaside, manifests, tokens
from support.process import wait_until

ACCOUNT = "shop/frontend"
TARGET = "xds:///guarded.shop:8001"
# What a client that cannot prove it has time for.
DENIED_S = 3
CALL_CREDENTIALS = "GRPC_EXPERIMENTAL_XDS_BOOTSTRAP_CALL_CREDS"


@contextlib.contextmanager
def _guarded(world):
    """The controller, on an API server that has keys; its certificates are the site's."""
    work = world.work / "guarded"
    work.mkdir(exist_ok=True)
    key, server = tokens.Key(work, "key"), world.site.address(253)
    certificates.sign(world.work, "guarded", "/CN=guarded", "serverAuth", f"IP:{server}")
    namespace, _, name = ACCOUNT.partition("/")
    certificates.sign(world.work, "frontend", "/CN=frontend", "clientAuth",
                      f"URI:spiffe://cluster.local/ns/{namespace}/sa/{name}")
    (work / "token").write_text(key.token(ACCOUNT, life=3600))
    with fake_apiserver.FakeApiServer() as api:
        api.documents.update(tokens.documents(key))
        api.put(manifests.service("guarded"),
                manifests.endpoint_slice("guarded-a", "guarded", world.endpoints(1)),
                {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
                 "metadata": {"name": "guarded", "namespace": "shop"},
                 "spec": {"access": {"serviceAccounts": [ACCOUNT]}}})
        controller = lookaside.Lookaside(
            work, None, f"{server}:18000", f"{server}:18080",
            ["--kubeconfig", api.kubeconfig(work / "kubeconfig"), "--tokens", "--tls-listen", f"{server}:18443",
             "--tls-cert", world.work / "guarded.crt", "--tls-key", world.work / "guarded.key",
             "--tls-client-ca", world.work / "ca.crt"])
        try:
            controller.start()
            wait_until(lambda: controller.metrics()["lookaside_token_keys"] == 1, 10, "the keys")
            yield controller, f"{server}:18443", work / "token"
        finally:
            controller.stop()


def _is_known(world, agent):
    """Whether its calls reach the backend."""
    def reaches():
        got = agent.ask("call", target=TARGET, n=2, threads=1)
        return got["failed"] == 0 and set(got["by_backend"]) == {"b1"}
    with contextlib.suppress(AssertionError):
        return wait_until(reaches, DENIED_S, "a call", interval=0.2)
    return False


def who_it_is(world, language, notes):
    """By a certificate, and by a token; a client that shows neither sees no backend."""
    if not language.tls:
        notes.append("its bootstrap knows no TLS")
        return
    ca, ways = world.work / "ca.crt", {}
    with _guarded(world) as (controller, server, token):
        for way, flags in (("nothing", []), ("a certificate", ["--tls-cert", world.work / "frontend.crt", "--tls-key",
                                                               world.work / "frontend.key"]),
                           ("a token", ["--token-file", token])):
            controller.bootstrap(world.work / "guarded.json", "guarded", server=server, flags=["--tls-ca", ca, *flags])
            env = {**language.tls(ca), CALL_CREDENTIALS: "true"}
            with world.fresh_agent(bootstrap="guarded.json", env=env) as agent:
                ways[way] = _is_known(world, agent)
        said = controller.metrics()
    expected = {"nothing": False, "a certificate": language.shows, "a token": language.sends_token}
    assert ways == expected, f"its account is proven by {ways}, expected: {expected}"
    accepted = said['lookaside_tokens_total{result="accepted"}']
    assert (accepted > 0) == language.sends_token, f"{accepted} tokens accepted"
    notes.append(", ".join(way for way, known in ways.items() if known) or "it proves nothing")


SCENARIOS = [("proves which service account it is", who_it_is)]
