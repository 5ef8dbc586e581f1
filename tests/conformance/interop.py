"""The programs for tests against stock clients: the interoperability clients of grpc-go and grpc-java call
grpc-testserver, over plaintext and TLS; the Go agent follows xds-fixture."""
import os
import subprocess
from dataclasses import dataclass

from conformance.agents import Agent, build_go, build_interop, build_interop_java, java_trust_store
from e2e import certificates
from support import ads, fixtures, greeters, lookaside, process
from support.manifests import Endpoint, Manifests
from support.report import Skip

SECONDS = 60
# Those of grpc-go that need no cloud's credentials.
CASES = ("empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong",
         "empty_stream", "timeout_on_sleeping_server", "cancel_after_begin",
         "cancel_after_first_response", "status_code_and_message", "special_status_message",
         "custom_metadata", "unimplemented_method", "unimplemented_service", "pick_first_unary")
# And what only grpc-java has.
JAVA_CASES = ("client_compressed_unary", "server_compressed_unary", "client_compressed_streaming",
              "server_compressed_streaming", "very_large_request")
SERVICE = "greeter"
TARGET, CLUSTER = f"{SERVICE}.shop:8001", f"shop/{SERVICE}:8001"


@dataclass
class Client:
    """How it is told that there is no TLS, and whom to trust if there is."""
    name: str
    command: list
    cases: tuple
    plain: list
    secure: list
    environment: dict

    def run(self, address, case, tls):
        host, _, port = address.rpartition(":")
        done = subprocess.run([*self.command, f"--server_host={host}", f"--server_port={port}",
                               f"--test_case={case}", *(self.secure if tls else self.plain)],
                              env={**os.environ, **(self.environment if tls else {})},
                              capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-500:]}"


def clients(ca, report):
    named = ["--use_tls=true", "--server_host_override=localhost"]
    yield Client("Go", build_interop(report.note), CASES, [],
                 [*named, "--use_test_ca=true", f"--ca_file={ca}"], {})
    try:
        yield Client("Java", build_interop_java(report.note), JAVA_CASES, ["--use_tls=false"],
                     [*named, "--use_test_ca=false"], java_trust_store(ca))
    except Skip as reason:
        report.skip("interop, Java", str(reason))


def run_interop(work, report):
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=server", "serverAuth", "IP:127.0.0.1,DNS:localhost")
    tls = ["--tls-cert", work / "server.crt", "--tls-key", work / "server.key"]
    for client in clients(work / "ca.crt", report):
        for words, flags in (("plaintext", []), ("TLS", tls)):
            with fixtures.Program("grpc-testserver", work / f"{client.name}-{words}", *flags) as program:
                for case in client.cases:
                    with report.case(f"interop, {client.name}, {words}: {case}"):
                        client.run(program.address, case, tls=bool(flags))


# ---- xds-fixture ----

class Copy:
    """What the product serves for one Service, for a fixture to serve."""

    def __init__(self, work, block):
        self.work, self.block = work, block
        self.manifests = Manifests(work / "manifests")
        self.manifests.service(SERVICE)
        self.slice("b1")

    def slice(self, name):
        self.manifests.slice(SERVICE, [Endpoint(self.block.address(10 + int(name[1:])))])

    def read(self, stream):
        """The resources of the client's three subscriptions."""
        return [(url, name, f"{url.rpartition('.')[2]} 1",
                 fixtures.any_of(url, stream.subscribe(url, [name]).resources[name].raw))
                for url, name in ((ads.LDS, TARGET), (ads.CDS, CLUSTER), (ads.EDS, CLUSTER))]

    def of_product(self):
        """These for b1, and the assignment for b2."""
        with lookaside.Lookaside(self.work, self.manifests.directory) as controller:
            with ads.connect(controller.listen) as channel:
                stream = ads.Stream(channel)
                first = self.read(stream)
                self.slice("b2")
                assignment = stream.until(ads.EDS, lambda got: self.block.address(12) in
                                          got.resources[CLUSTER].addresses).resources[CLUSTER].raw
                stream.cancel()
        return first, fixtures.any_of(ads.EDS, assignment)


def reaches(agent, backend):
    got = agent.ask("call", target=f"xds:///{TARGET}", n=4, wait_for_ready=True)
    return got["failed"] == 0 and list(got["by_backend"]) == [backend]


def follow(fixture, agent, first, second, report):
    def log():
        return fixture.streams("conformance")[-1]

    fixture.set_state({url: "first" for url, *_ in first}, first, node="conformance")
    with report.case("xds-fixture: a Go client calls what it is told"):
        process.wait_until(lambda: reaches(agent, "b1"), SECONDS, "calls reach b1")
        got = process.wait_until(lambda: log() if sum(asked.verdict == "ACK" for asked in log().asked) >= 3
                                 else None, SECONDS, "three ACKs")
        assert {sent.version for sent in got.sent} == {"first"}, got.sent
        assert {asked.version for asked in got.asked if asked.verdict == "ACK"} == {"first"}, got.asked
    with report.case("xds-fixture: it follows an update"):
        fixture.update(ads.EDS, CLUSTER, "second", second, node="conformance")
        process.wait_until(lambda: reaches(agent, "b2"), SECONDS, "calls reach b2")
    with report.case("xds-fixture: what it refuses is told with its words"):
        fixture.update(ads.CDS, CLUSTER, "third", fixtures.named(ads.CDS, CLUSTER), node="conformance")
        [nack] = process.wait_until(lambda: [asked for asked in log().asked if asked.verdict == "NACK"],
                                    SECONDS, "a NACK")
        assert nack.error and nack.version == "first" and nack.type_url == ads.CDS, nack
        assert reaches(agent, "b2")                    # it keeps what it had


def run_fixture(work, report):
    command, block = build_go(report.note), process.Block()
    try:
        backends = greeters.start_all([block.address(11), block.address(12)], work)
        first, second = Copy(work, block).of_product()
        with fixtures.Program("xds-fixture", work) as program, ads.connect(program.address) as channel:
            (work / "bootstrap.json").write_text(
                lookaside.bootstrap(program.address, "conformance", "zone-a"))
            agent = Agent(command, work / "bootstrap.json", work / "agent.log").start()
            follow(fixtures.Fixture(channel), agent, first, second, report)
            agent.close()
        for backend in backends:
            backend.stop()
    finally:
        block.close()


def run(work, report):
    work.mkdir(parents=True, exist_ok=True)
    for name, part in (("interop", run_interop), ("xds-fixture", run_fixture)):
        try:
            part(work, report)
        except Skip as reason:
            report.skip(name, str(reason))
        except Exception as error:
            report.fail(f"{name}: set-up", str(error))
