"""How stock clients come in: in plain text, over TLS, with a certificate, with a token.

A row's function makes the client call, and returns one word about how it did: YES, NO, or what it takes besides its bootstrap. matrix.py compares
the words with the table in README.md.
"""
import contextlib

from conformance.matrix import Row, run_in
from conformance.world import World
from e2e import certificates
from support import fake_apiserver, lookaside, manifests, tokens
from support.process import wait_until

YES, NO = "yes", "no"
OWN_STORE, SWITCHED = "with its own trust store", "with a switch"
ACCOUNT = "shop/frontend"
GUARDED = "xds:///guarded.shop:8001"
# What a client that cannot come in has time for.
DENIED_S = 3
CALL_CREDENTIALS = "GRPC_EXPERIMENTAL_XDS_BOOTSTRAP_CALL_CREDS"
LOADS = 'lookaside_tls_certificate_loads_total{result="used"}'


class SecurityWorld(World):
    """trust: what the client needs in its environment to come in over TLS; None: it cannot, or has not tried."""

    def __init__(self, work, command, language):
        super().__init__(work, command)
        self.language, self.trust = language, None

    @property
    def ca(self):
        return self.work / "ca.crt"


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


def _reaches(agent, target):
    """Whether its calls reach the first backend."""
    def reaches():
        got = agent.ask("call", target=target, n=2, threads=1)
        return got["failed"] == 0 and set(got["by_backend"]) == {"b1"}
    with contextlib.suppress(AssertionError):
        return wait_until(reaches, DENIED_S, "a call", interval=0.2)
    return False


def _first_way(world, bootstrap, target, ways):
    """The first of (word, environment) that a client comes in by; (NO, None): none."""
    for word, env in ways:
        with world.fresh_agent(bootstrap=bootstrap, env=env) as agent:
            if _reaches(agent, target):
                return word, env
    return NO, None


def plain(world, notes):
    target, _ = world.publish("open", world.endpoints(1))
    world.reach(target, ("b1",))
    return YES


def over_tls(world, notes):
    """Any later row depends on this one."""
    target, _ = world.publish("secure", world.endpoints(1))
    world.lookaside.bootstrap(world.work / "tls.json", "tls", server=world.site.tls_listen, flags=["--tls-ca", world.ca])
    ways = [(YES, {})]
    if world.language.trust:
        ways.append((OWN_STORE, world.language.trust(world.ca)))
    word, world.trust = _first_way(world, "tls.json", target, ways)
    return word


def renewed(world, notes):
    """The stream lives on when the certificate is renewed; new clients see the new one."""
    if world.trust is None:
        return NO
    dial = {"bootstrap": "tls.json", "env": world.trust}
    target, _ = world.publish("renewed", world.endpoints(1))
    before = world.lookaside.metrics()
    with world.fresh_agent(**dial) as agent:
        world.reach(target, ("b1",), agent=agent)
        world.site.renew_certificate()
        wait_until(lambda: world.lookaside.metrics()[LOADS] > before[LOADS], 20, "the new certificate")
        world.manifests.slice("renewed", world.endpoints(2))
        world.reach(target, ("b2",), agent=agent)
        with world.fresh_agent(**dial) as newcomer:
            world.reach(target, ("b2",), agent=newcomer)
    after = world.lookaside.metrics()
    made = {name: after[name] - before[name] for name in after if "tls_handshakes" in name}
    assert made.pop("lookaside_tls_handshakes_total") == 2, made
    assert not any(made.values()), f"handshakes failed: {made}"
    return YES


def _guarded_way(world, flags, ways):
    """How it proves its account, and how many tokens counted; without the flags it does not."""
    if world.trust is None:
        return NO, 0
    with _guarded(world) as (controller, server, token):
        def bootstrap(flags):
            controller.bootstrap(world.work / "guarded.json", "guarded", server=server,
                                 flags=["--tls-ca", world.ca, *flags])
        bootstrap([])
        nobody, _ = _first_way(world, "guarded.json", GUARDED, [(YES, world.trust)])
        assert nobody == NO, "who proves nothing sees it"
        bootstrap(flags(token))
        word, _ = _first_way(world, "guarded.json", GUARDED, [(word, {**world.trust, **env}) for word, env in ways])
        return word, controller.metrics()['lookaside_tokens_total{result="accepted"}']


def certificate(world, notes):
    files = ["--tls-cert", world.work / "frontend.crt", "--tls-key", world.work / "frontend.key"]
    word, accepted = _guarded_way(world, lambda _: files, [(YES, {})])
    assert accepted == 0, f"{accepted} tokens"
    return word


def token(world, notes):
    word, accepted = _guarded_way(world, lambda path: ["--token-file", path],
                                  [(YES, {}), (SWITCHED, {CALL_CREDENTIALS: "true"})])
    assert (accepted > 0) == (word != NO), f"{word}, and {accepted} tokens accepted"
    return word


ROWS = [
    Row("in plain text", plain),
    Row("over TLS", over_tls),
    Row("the same when the certificate is renewed", renewed),
    Row("with a certificate of its own (mTLS)", certificate),
    Row("with a token", token),
]


def run_language(language, command, work, report, table):
    run_in(lambda: SecurityWorld(work, command, language), language, ROWS, report, table, "comes in: ", "security")
