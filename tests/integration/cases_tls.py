"""The gRPC port over TLS: stock clients, lookasidectl, certificates that are bad, and that change."""
import json
import os
import socket
import ssl
import subprocess
import time

from tests.e2e import certificates
from tests.support import ads, manifests, process
from tests.support.lookaside import Lookaside

TARGET = "greeter.shop:8001"
EXPIRY = "lookaside_tls_certificate_expiry_timestamp_seconds"
LOADS = 'lookaside_tls_certificate_loads_total{result="%s"}'
FAILED = 'lookaside_tls_handshakes_failed_total{reason="%s"}'


class Secured:
    """A controller on a directory of manifests whose certificate lies as a mounted Secret's does."""

    def __init__(self, work, *flags):
        self.work, self.ca = work, work / "ca.crt"
        certificates.make_authority(work)
        self.secret = work / "secret"
        self.secret.mkdir()
        self.issue("first")
        for name in ("tls.crt", "tls.key"):
            (self.secret / name).symlink_to(f"..data/{name}")
        self.folder = manifests.Manifests(work / "manifests")
        self.folder.service("greeter")
        self.put("10.0.0.1")
        self.listen = f"127.0.0.1:{process.free_port()}"
        self.controller = Lookaside(work, directory=work / "manifests", flags=[
            "--tls-listen", self.listen, "--tls-cert", self.secret / "tls.crt",
            "--tls-key", self.secret / "tls.key", *flags])

    def put(self, *addresses):
        self.folder.slice("greeter", [manifests.Endpoint(address) for address in addresses])

    def issue(self, name):
        """What the kubelet does: a new folder, and one link that is swapped."""
        certificates.sign(self.work, name, f"/CN={name}", "serverAuth", "DNS:localhost,IP:127.0.0.1")
        folder = self.secret / f"..{name}"
        folder.mkdir()
        os.replace(self.work / f"{name}.crt", folder / "tls.crt")
        os.replace(self.work / f"{name}.key", folder / "tls.key")
        (self.secret / "..data_tmp").symlink_to(folder.name)
        os.replace(self.secret / "..data_tmp", self.secret / "..data")

    def connect(self, protocols=("h2",), ca=None):
        """A TLS connection of Python's own."""
        context = ssl.create_default_context(cafile=ca or self.ca)
        context.set_alpn_protocols(list(protocols))
        host, _, port = self.listen.rpartition(":")
        return context.wrap_socket(socket.create_connection((host, int(port)), 10),
                                   server_hostname="localhost")

    def served(self):
        """The name in the certificate that a new connection gets."""
        with self.connect() as connection:
            return dict(part[0] for part in connection.getpeercert()["subject"])["commonName"]

    def metric(self, name):
        return self.controller.metrics()[name]

    def watch(self, *argv):
        done = subprocess.run([process.BUILD / "lookasidectl", "watch", TARGET, "--once", *argv],
                              capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stdout + done.stderr

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        code = self.controller.stop()
        assert code == 0, self.controller.process.log()


def _follow(channel):
    """An ADS stream that has its list, and how to wait for the next one."""
    stream = ads.Stream(channel, ads.node())
    stream.subscribe(ads.EDS, ["shop/greeter:8001"])

    def until(*addresses):
        def wanted(response):
            return sorted(response.resources["shop/greeter:8001"].addresses) == sorted(addresses)
        stream.until(ads.EDS, wanted)
    return stream, until


def stock_clients_on_both_ports(work):
    with Secured(work) as world, ads.connect(world.controller.listen) as plain, \
            ads.connect(world.listen, ca=world.ca) as secure:
        streams = [_follow(channel) for channel in (plain, secure)]
        world.put("10.0.0.2", "10.0.0.3")
        for _, until in streams:
            until("10.0.0.2", "10.0.0.3")
        assert world.metric("lookaside_tls_handshakes_total") == 1
        for stream, _ in streams:
            stream.cancel()


def certificate_changes_under_live_connections(work):
    with Secured(work) as world, ads.connect(world.listen, ca=world.ca) as channel:
        stream, until = _follow(channel)
        assert world.served() == "first"
        before = world.metric(EXPIRY)
        assert abs(before - time.time() - 2 * 86400) < 3600
        assert world.metric("lookaside_tls_certificate_ends_soon") == 0
        for number, name in enumerate(("second", "third")):
            world.issue(name)
            process.wait_until(lambda: world.served() == name, 5, f"{name} is served")
            world.put(f"10.0.1.{number}")
            until(f"10.0.1.{number}")
        assert world.metric(LOADS % "used") == 3 and world.metric(LOADS % "refused") == 0
        assert world.metric(EXPIRY) >= before
        stream.cancel()


def bad_certificates_leave_the_last_one(work):
    with Secured(work) as world:
        (world.secret / "tls.crt").unlink()
        (world.secret / "tls.crt").write_text("not yet\n")
        process.wait_until(lambda: "holds no certificate in PEM" in world.controller.process.log(), 5,
                           "the refusal")
        assert world.served() == "first" and world.metric(LOADS % "refused") == 1
        certificates.sign(world.work, "other", "/CN=other", "serverAuth", "DNS:localhost")
        os.replace(work / "other.crt", world.secret / "tls.crt")
        process.wait_until(lambda: "does not belong to" in world.controller.process.log(), 5, "the mismatch")
        assert world.served() == "first"
        os.replace(work / "other.key", world.secret / "tls.key")
        process.wait_until(lambda: world.served() == "other", 5, "the pair is complete")


def bad_certificates_are_refused_at_start(work):
    certificates.make_authority(work)
    certificates.sign(work, "good", "/CN=good", "serverAuth", "DNS:localhost")
    certificates.sign(work, "other", "/CN=other", "serverAuth", "DNS:localhost")
    certificates.openssl(work, "x509", "-req", "-in", "good.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                         "-days", "-1", "-out", "old.crt")
    certificates.openssl(work, "pkey", "-in", "good.key", "-aes128", "-passout", "pass:secret",
                         "-out", "locked.key")
    certificates.openssl(work, "x509", "-in", "good.crt", "-outform", "der", "-out", "good.der")
    (work / "manifests").mkdir()
    for cert, key, words in (("absent.crt", "good.key", ("absent.crt", "No such file")),
                             ("good.crt", "absent.key", ("absent.key", "No such file")),
                             ("good.crt", "other.key", ("other.key", "does not belong", "good.crt")),
                             ("old.crt", "good.key", ("old.crt", "has expired at 20")),
                             ("good.crt", "locked.key", ("locked.key", "is encrypted")),
                             ("good.der", "good.key", ("good.der",)),
                             ("ca.cnf", "good.key", ("ca.cnf", "holds no certificate in PEM"))):
        child = process.Process([process.BUILD / "lookaside", "--directory", work / "manifests",
                                 "--tls-cert", work / cert, "--tls-key", work / key], work / "run.log")
        child.log_path.unlink(missing_ok=True)
        with child:
            code = child.wait(20)
        log = child.log()
        assert code == 1 and "cannot start" in log, f"{cert}, {key}: exit {code}: {log}"
        assert all(word in log for word in words), f"{words} in {log}"


def settings_that_do_not_fit(work):
    config = work / "config.yaml"
    config.write_text("tlsCert: a\n")
    for flags, words in ((["--tls-cert", "a"], "--tls-cert needs --tls-key"),
                         (["--config", config], "--tls-cert needs --tls-key"),
                         (["--tls-key", "a"], "--tls-key needs --tls-cert"),
                         (["--tls-listen", ":1"], "--tls-listen needs --tls-cert"),
                         (["--tls-listen", "nonsense"], "--tls-listen"),
                         (["--tls-client-ca", "a"], "--tls-client-ca needs --tls-cert"),
                         (["--tls-cert", "a", "--tls-key", "a", "--tls-client-auth", "require"],
                          "--tls-client-auth require needs --tls-client-ca"),
                         (["--tls-client-auth", "perhaps"], "expected optional or require"),
                         (["--tls-cert=", "--tls-key", "a"], "--tls-cert: expected the name of a file")):
        child = process.Process([process.BUILD / "lookaside", *flags], work / "run.log")
        child.log_path.unlink(missing_ok=True)
        with child:
            code = child.wait(20)
        assert code == 2 and words in child.log(), f"{flags}: exit {code}: {child.log()}"


def lookasidectl_over_tls(work):
    stranger = work / "stranger"
    stranger.mkdir()
    certificates.make_authority(stranger)
    with Secured(work) as world:
        localhost = f"localhost:{world.listen.rpartition(':')[2]}"
        for server, flags in ((world.listen, ("--tls-ca", world.ca)), (localhost, ("--tls-ca", world.ca)),
                              (world.listen, ("--tls-ca", world.ca, "--tls-server-name", "localhost")),
                              (world.listen, ("--tls-insecure",))):
            code, log = world.watch("--server", server, *flags)
            assert code == 0 and "+ 10.0.0.1:8001" in log, (flags, code, log)
        for flags, words in ((("--tls",), "the server's certificate: unable to get local issuer"),
                             (("--tls-ca", stranger / "ca.crt"), "the server's certificate: "),
                             (("--tls-ca", world.ca, "--tls-server-name", "example.com"), "hostname mismatch"),
                             (("--tls-ca", work / "absent"), "No such file"),
                             (("--tls-ca", world.ca, "--tls-insecure"), "exclude each other"),
                             ((), "closed by the peer before it said anything: does it want TLS")):
            code, log = world.watch("--server", world.listen, *flags)
            assert code == 1 and words in log, (flags, code, log)
        code, log = world.watch("--server", world.controller.listen, "--tls")
        assert code == 1 and "closed by the peer before it said anything: does it serve TLS" in log, (code, log)
        done = subprocess.run([process.BUILD / "lookasidectl", "verify", "--directory", work / "manifests",
                               "--server", world.listen, "--tls-ca", world.ca], capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == 0 and "1 list of 1 Service equal" in done.stdout, done
        assert world.metric(FAILED % "refused") == 3 and world.metric(FAILED % "no-tls") == 1


def bootstraps_for_tls(work):
    for flags, credentials in (
            ((), {"type": "insecure"}), (("--tls",), {"type": "tls"}),
            (("--tls-ca", "/certs/ca.crt"),
             {"type": "tls", "config": {"ca_certificate_file": "/certs/ca.crt"}}),
            (("--tls-cert", "/certs/tls.crt", "--tls-key", "/certs/tls.key"),
             {"type": "tls", "config": {"certificate_file": "/certs/tls.crt",
                                        "private_key_file": "/certs/tls.key"}})):
        done = subprocess.run([process.BUILD / "lookasidectl", "bootstrap", *flags], capture_output=True,
                              text=True, timeout=10, check=True)
        assert json.loads(done.stdout)["xds_servers"][0]["channel_creds"] == [credentials], done.stdout
        assert "call_creds" not in json.loads(done.stdout)["xds_servers"][0], done.stdout
    done = subprocess.run([process.BUILD / "lookasidectl", "bootstrap", "--tls", "--token-file", "/token"],
                          capture_output=True, text=True, timeout=10, check=True)
    assert json.loads(done.stdout)["xds_servers"][0]["call_creds"] == [
        {"type": "jwt_token_file", "config": {"jwt_token_file": "/token"}}], done.stdout
    done = subprocess.run([process.BUILD / "lookasidectl", "bootstrap", "--token-file", "/token"],
                          capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2 and "--token-file needs --tls" in done.stderr, done


def who_is_no_tls_client_is_counted(work):
    with Secured(work) as world:
        host, _, port = world.listen.rpartition(":")
        for protocols in ((), ("http/1.0",)):
            try:
                world.connect(protocols)
                raise AssertionError(f"{protocols} is accepted")
            except ssl.SSLError as error:
                assert "no application protocol" in str(error).lower(), error
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""):
            with socket.create_connection((host, int(port)), 10) as connection:
                connection.sendall(said)
                if said:
                    connection.settimeout(10)
                    while connection.recv(1000):
                        pass
        process.wait_until(lambda: (world.metric(FAILED % "alpn"), world.metric(FAILED % "no-tls"),
                                    world.metric(FAILED % "closed")) == (2, 2, 1), 5,
                           lambda: str(world.controller.metrics()))
        assert world.metric("lookaside_connections_broken_total") == 0


def slow_handshakes_end_in_time(work):
    """Half a hello, many times: each ends after ten seconds, and nobody else waits."""
    with Secured(work, "--threads", "1") as world, ads.connect(world.listen, ca=world.ca) as channel:
        stream, until = _follow(channel)
        host, _, port = world.listen.rpartition(":")
        slow = [socket.create_connection((host, int(port)), 20) for _ in range(50)]
        begin = time.monotonic()
        for connection in slow:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        world.put("10.0.0.9")
        until("10.0.0.9")
        assert world.served() == "first"
        for connection in slow:
            assert connection.recv(1) == b""
            connection.close()
        assert 9 < time.monotonic() - begin < 15, time.monotonic() - begin
        assert world.metric(FAILED % "given-up") == 50
        stream.cancel()


def stalled_handshakes_make_room(work):
    """More of them than may be unfinished: who comes then waits for a second, not for ten."""
    with Secured(work, "--threads", "1") as world:
        host, _, port = world.listen.rpartition(":")
        slow = []
        for _ in range(600):
            slow.append(socket.create_connection((host, int(port)), 20))
            slow[-1].sendall(b"\x16")
        begin = time.monotonic()
        assert world.served() == "first"
        assert time.monotonic() - begin < 4, time.monotonic() - begin
        assert world.metric(FAILED % "stalled") >= 100 and world.metric(FAILED % "given-up") == 0
        for connection in slow:
            connection.close()


CASES = [stock_clients_on_both_ports, certificate_changes_under_live_connections,
         bad_certificates_leave_the_last_one, bad_certificates_are_refused_at_start,
         settings_that_do_not_fit, lookasidectl_over_tls, bootstraps_for_tls,
         who_is_no_tls_client_is_counted, slow_handshakes_end_in_time,
         stalled_handshakes_make_room]
