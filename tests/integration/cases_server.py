"""The server itself: away, back, restored from a backup, behind TLS, with tokens that rotate."""
import base64
import time

from tests.e2e import certificates
from tests.support import api_faults as faults
from tests.support.process import wait_until

from .world import World, endpoint_slice


def refused_connections_keep_the_last_list(work):
    with World(work) as world:
        client = world.client()
        world.stop_api()
        assert world.readyz()[0] == 200
        world.client()                                 # a new client is served, too
        world.put("a", "10.0.0.5")
        world.api.start()
        world.settle()
        assert len(client.seen) == 2, client.seen
        wait_until(lambda: world.log().count("source is current again") == 3, 10, "recovered")
        assert len(world.warnings()) == 3, world.warnings()


def starts_before_its_server(work):
    with World(work, start=False) as world:
        world.api.stop()
        world.starting()
        world.wait_reason("Connection refused")
        world.api.start()
        world.wait_ready()
        world.client()


def restarts_of_the_server(work):
    with World(work) as world:
        world.client()
        for number in range(3):
            world.api.stop(reset=number == 1)
            world.put("a", f"10.0.0.{number + 3}")
            world.api.start()
            world.settle()


def changes_while_the_server_is_away_arrive_as_one(work):
    with World(work) as world:
        world.put("d", *[f"10.0.4.{number}" for number in range(5)])  # less than half goes
        client = world.client()
        world.put("b", "10.0.1.1")
        world.settle()
        before = len(client.seen)
        world.stop_api()
        world.api.delete(endpoint_slice("b", []))
        world.put("c", "10.0.2.1")
        world.put("a", "10.0.0.2")
        world.api.start()
        world.settle()
        assert len(client.seen) == before + 1, client.seen


def restored_backup_is_taken_as_it_is(work):
    with World(work) as world:
        world.client()
        backup = world.api.snapshot()
        world.put("a", "10.0.0.7", "10.0.0.8")
        world.settle()
        world.stop_api()
        world.api.restore(backup)
        world.api.start()
        world.settle()
        world.log_has("resource version went back")
        world.put("a", "10.0.0.9")
        world.settle()


def restored_backup_that_overtook_us_is_noticed(work):
    """The restored server has passed our version before we are back: only a list tells the truth."""
    with World(work) as world:
        world.client()
        backup = world.api.snapshot()
        world.put("a", "10.0.0.7", "10.0.0.8")
        world.put("z", "10.0.3.1")
        world.settle()
        world.stop_api()
        world.api.restore(backup)
        for number in range(10):                       # of another Service
            world.api.put(endpoint_slice("other", [f"10.1.0.{number}"], of="other"))
        world.doubts("10.0.3.1")                       # all that there was is gone
        world.api.start()
        world.settle()
        world.log_has("a list lacks more than half")


def hung_server_disturbs_nobody(work):
    """Accepts connections and says nothing: the clients keep what they have."""
    with World(work) as world:
        client = world.client()
        fault = world.api.fault(None, None, faults.hang(), times=None)
        world.api.drop_watches()
        fault.wait(2)
        newcomer = world.client()
        assert newcomer.seen == client.seen
        assert world.readyz()[0] == 200


def staleness_says_how_old_the_view_is(work):
    with World(work, bookmark_seconds=0.2) as world:
        name = 'lookaside_source_staleness_seconds{resource="endpointslices",namespace=""}'
        time_of_stop = time.monotonic()
        assert world.controller.metrics()[name] < 1
        world.api.stop()
        wait_until(lambda: world.controller.metrics()[name] > 1.2, 10, "staleness grows")
        assert world.controller.metrics()[name] < time.monotonic() - time_of_stop + 1
        world.api.start()
        wait_until(lambda: world.controller.metrics()[name] < 1, 10, "staleness falls")


# ---- identity ----

def _data(path):
    return base64.b64encode(path.read_bytes()).decode()


def _authority(work):
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=fake", "serverAuth", "IP:127.0.0.1,DNS:api.example")
    certificates.sign(work, "client", "/CN=tester", "clientAuth")
    return work / "ca.crt", (work / "server.crt", work / "server.key")


def tls_with_authority_as_a_file(work):
    ca, server = _authority(work)
    with World(work, tls=server, kubeconfig=({"certificate-authority": ca.name}, {})) as world:
        world.client()
        world.put("a", "10.0.0.7")
        world.settle()


def tls_with_client_certificate_as_data(work):
    ca, server = _authority(work)
    user = {"client-certificate-data": _data(work / "client.crt"),
            "client-key-data": _data(work / "client.key")}
    with World(work, tls=server, client_ca=ca,
               kubeconfig=({"certificate-authority-data": _data(ca)}, user)) as world:
        world.client()


def tls_with_client_certificate_as_files(work):
    ca, server = _authority(work)
    user = {"client-certificate": "client.crt", "client-key": "client.key"}
    with World(work, tls=server, client_ca=ca,
               kubeconfig=({"certificate-authority": "ca.crt"}, user)) as world:
        world.client()


def tls_of_another_name(work):
    """The certificate does not name the address, but the tls-server-name."""
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=fake", "serverAuth", "DNS:api.example")
    with World(work, tls=(work / "server.crt", work / "server.key"), kubeconfig=(
            {"certificate-authority": "ca.crt", "tls-server-name": "api.example"}, {})) as world:
        world.client()


def tls_not_verified_on_request(work):
    _, server = _authority(work)
    with World(work, tls=server, kubeconfig=({"insecure-skip-tls-verify": True}, {})) as world:
        world.client()


def tls_of_a_stranger_is_refused(work):
    _, server = _authority(work)
    stranger = work / "stranger"
    stranger.mkdir()
    certificates.make_authority(stranger)
    with World(work, start=False, tls=server, kubeconfig=(
            {"certificate-authority": "stranger/ca.crt"}, {})) as world:
        world.starting()
        world.wait_reason("certificate")
        assert not world.api.asked()


def tls_of_a_wrong_name_is_refused(work):
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=fake", "serverAuth", "DNS:api.example")
    with World(work, start=False, tls=(work / "server.crt", work / "server.key"), kubeconfig=(
            {"certificate-authority": "ca.crt"}, {})) as world:
        world.starting()
        world.wait_reason("certificate")
        assert not world.api.asked()


def token_is_sent(work):
    with World(work, token="s3cret", kubeconfig=({}, {"token": "s3cret"})) as world:
        world.client()
        assert "s3cret" not in world.log()


def wrong_token_is_said_and_not_shown(work):
    with World(work, start=False, token="right", kubeconfig=({}, {"token": "wr0ng"})) as world:
        world.starting()
        world.log_has("HTTP 401")
        assert "wr0ng" not in world.log()


def rotated_token_is_read_again(work):
    (work / "token").write_text("one\n")
    with World(work, token="one", kubeconfig=({}, {"tokenFile": "token"})) as world:
        world.client()
        (work / "token.next").write_text("two\n")
        (work / "token.next").rename(work / "token")
        world.api.token = "two"
        world.api.drop_watches()
        world.put("a", "10.0.0.7")
        world.settle()
        assert not [line for line in world.warnings() if "HTTP 401" in line], world.warnings()


def proxy_of_the_kubeconfig_is_used(work):
    """The server's own name leads nowhere; the fake plays the proxy to it."""
    with World(work, start=False) as world:
        world.api.kubeconfig(work / "kubeconfig", {"server": "http://api.invalid:8080",
                                                   "proxy-url": world.api.url})
        world.ready()
        world.client()
        assert all(request.target.startswith("http://api.invalid:8080/api")
                   for request in world.api.asked())


CASES = [refused_connections_keep_the_last_list, starts_before_its_server, restarts_of_the_server,
         changes_while_the_server_is_away_arrive_as_one, restored_backup_is_taken_as_it_is,
         restored_backup_that_overtook_us_is_noticed, hung_server_disturbs_nobody,
         staleness_says_how_old_the_view_is, tls_with_authority_as_a_file,
         tls_with_client_certificate_as_data, tls_with_client_certificate_as_files,
         tls_of_another_name, tls_not_verified_on_request, tls_of_a_stranger_is_refused,
         tls_of_a_wrong_name_is_refused, token_is_sent, wrong_token_is_said_and_not_shown,
         rotated_token_is_read_again, proxy_of_the_kubeconfig_is_used]
