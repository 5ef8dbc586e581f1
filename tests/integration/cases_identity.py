"""How the controller reaches an API server, and who it is there: plugins, certificates that rotate, proxies."""
import base64
import json
import time

from tests.e2e import certificates
from tests.support.forward_proxy import ForwardProxy
from tests.support.process import wait_until

from .world import World

V1 = "client.authentication.k8s.io/v1"


def _data(path):
    return base64.b64encode(path.read_bytes()).decode()


def _authority(work, names="IP:127.0.0.1"):
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=fake", "serverAuth", names)
    return work / "ca.crt", (work / "server.crt", work / "server.key")


# ---- credential plugins ----

class _Plugin:
    """A script that prints what is in a file, and notes its runs."""

    def __init__(self, work, version=V1):
        self.work, self.version = work, version
        self.script = work / "plugin"
        self.script.write_text(
            f"#!/bin/sh\ncd '{work}'\necho \"$KUBERNETES_EXEC_INFO\" >> runs\n"
            "ls -l /proc/self/fd > descriptors\n"
            "[ -f credential ] || { echo first >&2; echo 'please log in' >&2; exit 1; }\n"
            "sed \"s/END/$(date -u -d \"$(cat life) seconds\" +%Y-%m-%dT%H:%M:%SZ)/\" credential\n")
        self.script.chmod(0o755)

    def user(self, **fields):
        return {"exec": {"apiVersion": self.version, "command": "./plugin", **fields}}

    def gives(self, life=3600, **status):
        (self.work / "life").write_text(str(life))
        (self.work / "next").write_text(json.dumps({
            "kind": "ExecCredential", "apiVersion": self.version,
            "status": {"expirationTimestamp": "END", **status}}))
        (self.work / "next").rename(self.work / "credential")

    def runs(self):
        try:
            return (self.work / "runs").read_text().splitlines()
        except FileNotFoundError:
            return []


def plugin_gives_a_token(work):
    plugin = _Plugin(work)
    plugin.gives(token="one")
    with World(work, token="one", kubeconfig=({}, plugin.user(provideClusterInfo=True))) as world:
        world.client()
        assert len(plugin.runs()) == 1, plugin.runs()
        info = json.loads(plugin.runs()[0])
        assert info["apiVersion"] == V1 and info["spec"]["interactive"] is False, info
        assert info["spec"]["cluster"]["server"] == world.api.url, info
        assert world.api.unauthorized == 0
        assert "one" not in world.log()
        inherited = [line.split()[8] for line in (work / "descriptors").read_text().splitlines()[1:]]
        assert set(inherited) == {"0", "1", "2", "3"}, inherited           # 3 is that folder itself


def plugin_of_v1beta1(work):
    plugin = _Plugin(work, version="client.authentication.k8s.io/v1beta1")
    plugin.gives(token="one")
    with World(work, token="one", kubeconfig=({}, plugin.user())) as world:
        world.client()


def plugin_is_asked_again_on_401(work):
    """The server revokes the token: nobody notices but the plugin."""
    plugin = _Plugin(work)
    plugin.gives(token="one")
    with World(work, token="one", kubeconfig=({}, plugin.user())) as world:
        world.client()
        plugin.gives(token="two")
        world.api.token = "two"
        before = world.metric("lookaside_source_errors_total", "endpointslices")
        world.api.drop_watches()
        world.put("a", "10.0.0.7")
        world.settle()
        assert len(plugin.runs()) == 2, plugin.runs()
        assert not [line for line in world.warnings() if "HTTP 401" in line], world.warnings()
        # The lost watch is the only error.
        assert world.metric("lookaside_source_errors_total", "endpointslices") == before + 1


def plugin_is_asked_again_before_the_end(work):
    """From three quarters of the token's life on, beside the request that finds it so."""
    plugin = _Plugin(work)
    plugin.gives(token="one", life=8)
    begin = time.monotonic()
    with World(work, token="one", kubeconfig=({}, plugin.user())) as world:
        world.client()
        world.api.drop_watches()
        world.put("a", "10.0.0.7")
        world.settle()
        assert len(plugin.runs()) == 1 or time.monotonic() - begin > 5, "asked too early"
        wait_until(lambda: time.monotonic() - begin > 6.5, 10, "its time has come")
        world.api.drop_watches()
        world.put("a", "10.0.0.8")
        world.settle()
        wait_until(lambda: len(plugin.runs()) == 2, 5, "the second run")
        assert world.api.unauthorized == 0


def plugin_that_fails_is_said(work):
    plugin = _Plugin(work)
    with World(work, start=False, token="one",
               kubeconfig=({}, plugin.user(installHint="see example.com"))) as world:
        world.starting()
        world.wait_reason("plugin': exit status 1: please log in")
        assert "first" not in world.readyz()[1]
        plugin.gives(token="one")
        world.wait_ready()
        world.client()


def plugin_that_is_not_there_is_said(work):
    user = {"exec": {"apiVersion": V1, "command": "no-such-plugin", "installHint": "see example.com"}}
    with World(work, start=False, kubeconfig=({}, user)) as world:
        world.starting()
        world.wait_reason("cannot run 'no-such-plugin': no such file or directory; see example.com")


def plugin_gives_certificates(work):
    """And others later, with which new connections are made."""
    ca, server = _authority(work)
    for name in ("first", "second"):
        certificates.sign(work, name, f"/CN={name}", "clientAuth")
    plugin = _Plugin(work)

    def give(name, life):
        plugin.gives(clientCertificateData=(work / f"{name}.crt").read_text(),
                     clientKeyData=(work / f"{name}.key").read_text(), life=life)
    give("first", 4)
    with World(work, tls=server, client_ca=ca,
               kubeconfig=({"certificate-authority": "ca.crt"}, plugin.user())) as world:
        world.client()
        give("second", 3600)

        def renewed():
            world.api.drop_watches()
            return world.api.asked()[-1].user == "second"
        wait_until(renewed, 15, "requests of the second")
        world.put("a", "10.0.0.7")
        world.settle()
        assert {request.user for request in world.api.asked()} == {"first", "second"}


# ---- certificates in files ----

def rotated_client_certificate_is_used(work):
    """For the next watch, and for the next page: not on the connection that was made with the old one."""
    ca, server = _authority(work)
    for name in ("first", "second"):
        certificates.sign(work, name, f"/CN={name}", "clientAuth")

    def install(name):
        for end in ("key", "crt"):
            (work / "next").write_bytes((work / f"{name}.{end}").read_bytes())
            (work / "next").rename(work / f"client.{end}")
    install("first")
    user = {"client-certificate": "client.crt", "client-key": "client.key"}
    with World(work, tls=server, client_ca=ca, streams=False,
               kubeconfig=({"certificate-authority": "ca.crt"}, user)) as world:
        world.client()
        assert {request.user for request in world.api.asked()} == {"first"}
        install("second")
        world.api.pause_events()
        world.put("a", "10.0.0.7")
        world.api.compact()
        asked = len(world.api.asked())
        watches = len(world.api.asked("endpointslices", "watch"))
        world.api.drop_watches()
        world.settle()
        world.api.resume_events()
        world.api.wait_asked(watches + 1, "endpointslices", "watch")  # behind the list
        later = world.api.asked()[asked:]
        assert {request.verb for request in later} >= {"list", "watch"}, later
        assert {request.user for request in later} == {"second"}, later


def rotated_authority_is_trusted(work):
    """The server's certificate and its authority change together."""
    new = work / "new"
    new.mkdir()
    _, server = _authority(work)
    _, new_server = _authority(new)
    with World(work, tls=server, kubeconfig=({"certificate-authority": "ca.crt"}, {})) as world:
        client = world.client()
        world.stop_api()
        (work / "next").write_bytes((new / "ca.crt").read_bytes())
        (work / "next").rename(work / "ca.crt")
        world.put("a", "10.0.0.7")
        world.api.tls = new_server
        world.api.start()
        world.settle()
        assert len(client.seen) == 2, client.seen


# ---- proxies and names ----

def _through(work, proxy, scheme, ca, server, prefix="", **cluster):
    """A world whose server has a name that only the proxy knows."""
    with World(work, start=False, tls=server) as world:
        proxy.names["api.invalid"] = ("127.0.0.1", world.api.port)
        world.api.kubeconfig(work / "kubeconfig", {
            "server": "https://api.invalid:6443", "certificate-authority": ca.name,
            "proxy-url": f"{scheme}://{prefix}127.0.0.1:{proxy.port}", **cluster})
        world.ready()
        world.client()
        world.put("a", "10.0.0.7")
        world.settle()
        assert proxy.asked, "the proxy was not asked"
        return world.log()


def http_proxy(work):
    ca, server = _authority(work, "DNS:api.invalid")
    with ForwardProxy({}) as proxy:
        _through(work, proxy, "http", ca, server)
        assert set(proxy.asked) == {"CONNECT api.invalid:6443"}, proxy.asked


def http_proxy_with_a_password(work):
    ca, server = _authority(work, "DNS:api.invalid")
    with ForwardProxy({}, user="me:s3cret") as proxy:
        assert "s3cret" not in _through(work, proxy, "http", ca, server, "me:s3cret@")


def https_proxy(work):
    """Its certificate is of the cluster's authority, as kubectl wants it."""
    ca, server = _authority(work, "IP:127.0.0.1,DNS:api.invalid")
    with ForwardProxy({}, tls=server) as proxy:
        _through(work, proxy, "https", ca, server)
        assert set(proxy.asked) == {"CONNECT api.invalid:6443"}, proxy.asked


def socks5_proxy(work):
    """It is the proxy that resolves the name."""
    ca, server = _authority(work, "DNS:api.invalid")
    with ForwardProxy({}) as proxy:
        _through(work, proxy, "socks5", ca, server)
        assert set(proxy.asked) == {"SOCKS api.invalid:6443"}, proxy.asked


def another_tls_name_through_a_proxy(work):
    """The proxy is asked for the server, the certificate is checked for the other name."""
    ca, server = _authority(work, "DNS:api.example")
    with ForwardProxy({}) as proxy:
        _through(work, proxy, "http", ca, server, **{"tls-server-name": "api.example"})
        assert set(proxy.asked) == {"CONNECT api.invalid:6443"}, proxy.asked


def proxy_that_refuses_is_said(work):
    ca, server = _authority(work, "DNS:api.invalid")
    with ForwardProxy({}, user="me:s3cret") as proxy, World(work, start=False, tls=server) as world:
        world.api.kubeconfig(work / "kubeconfig", {
            "server": "https://api.invalid:6443", "certificate-authority": ca.name,
            "proxy-url": f"http://me:wr0ng@127.0.0.1:{proxy.port}"})
        world.starting()
        world.wait_reason("407")
        assert "wr0ng" not in world.log() + world.readyz()[1]


CASES = [plugin_gives_a_token, plugin_of_v1beta1, plugin_is_asked_again_on_401,
         plugin_is_asked_again_before_the_end, plugin_that_fails_is_said,
         plugin_that_is_not_there_is_said, plugin_gives_certificates,
         rotated_client_certificate_is_used, rotated_authority_is_trusted, http_proxy,
         http_proxy_with_a_password, https_proxy, socks5_proxy, another_tls_name_through_a_proxy,
         proxy_that_refuses_is_said]
