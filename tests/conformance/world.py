"""What every scenario stands on: one controller, ten backends and a leaver, one client agent."""
import contextlib
import os
from pathlib import Path

from conformance.agents import Agent
from e2e import certificates
from support import greeters, lookaside
from support.manifests import Endpoint, Manifests
from support.process import Block, wait_until

BACKENDS = 10


class Site:
    """Where a world is: its controller, the objects that this one reads, its addresses.

    Here the objects are files of a directory, and everything lives on one block of loopback
    addresses, so that worlds run side by side.
    """

    def __init__(self, work, flags=()):
        self.block = Block()
        self.work = Path(work)
        self.manifests = Manifests(self.work / "manifests")
        server = self.address(254)
        self.tls_listen = f"{server}:18443"
        certificates.make_authority(self.work)
        self._certify("certificate")
        self.lookaside = lookaside.Lookaside(
            self.work, self.manifests.directory, f"{server}:18000", f"{server}:18080",
            ["--tls-listen", self.tls_listen, "--tls-cert", self.work / "certificate.crt",
             "--tls-key", self.work / "certificate.key", *flags])

    def address(self, last):
        return self.block.address(last)

    def start(self):
        self.lookaside.start()

    def stop(self):
        self.lookaside.stop()
        self.block.close()

    def _certify(self, name):
        certificates.sign(self.work, name, f"/CN={name}", "serverAuth", f"IP:{self.address(254)}")

    def renew_certificate(self):
        """Another certificate and key in the place of those in use."""
        self._certify("renewed")
        for kind in ("crt", "key"):
            os.replace(self.work / f"renewed.{kind}", self.work / f"certificate.{kind}")


class World:
    """A site with backends and a client."""
    bootstrap_flags = ()            # of lookasidectl bootstrap

    def __init__(self, work, command, site=None, greeter_flags=()):
        self.work, self.command, self.greeter_flags = Path(work), command, greeter_flags
        self.site = site or Site(work)
        self.manifests, self.lookaside = self.site.manifests, self.site.lookaside
        self.greeters, self.agent = [], None

    def __enter__(self):
        self.cleanup = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.site.stop)
            undo.callback(lambda: [greeter.process.kill() for greeter in self.greeters])
            self.start_greeters()
            for greeter in self.greeters:
                greeter.wait_ready()
            self.site.start()
            bootstrap = self.lookaside.bootstrap(self.work / "bootstrap.json", "conformance",
                                                 flags=self.bootstrap_flags)
            self.agent = Agent(self.command, bootstrap, self.work / "agent.log").start()
            undo.callback(lambda: self.agent.close())
            self.cleanup = undo.pop_all()
        return self

    def __exit__(self, *_):
        self.cleanup.close()

    def start_greeter(self, number, name, *flags):
        greeter = greeters.Greeter(self.site.address(10 + number), name, self.work,
                                   flags=(*self.greeter_flags, *flags))
        self.greeters.append(greeter.start())
        return greeter

    def start_greeters(self):
        for number in range(1, BACKENDS + 1):
            self.start_greeter(number, f"b{number}")

    def end_controller(self):
        code = self.lookaside.stop()
        assert code == 0, f"lookaside: exit {code}:\n{self.lookaside.process.log()}"

    def run(self, scenario, language, notes):
        try:
            scenario(self, language, notes)
        except Exception as error:
            if self.lookaside.ended():
                raise AssertionError(self.lookaside.end()) from error
            raise

    def revive(self):
        """Starts again what the scenario before this one ended."""
        if not self.lookaside.process.running:
            self.lookaside.start()
        if not self.agent.running:
            self.agent = Agent(self.command, self.work / "bootstrap.json",
                               self.work / "agent.log").start()

    def endpoint(self, number, zone="zone-a"):
        return Endpoint(self.site.address(10 + number), zone, pod=f"pod-{number}")

    def endpoints(self, *numbers):
        return [self.endpoint(number) for number in numbers]

    def leaver(self, number=11):
        """One more backend, for a scenario to end: the process and its endpoint."""
        return self.start_greeter(number, f"b{number}").wait_ready(), self.endpoint(number)

    def publish(self, name, endpoints):
        """A new Service and its slice; returns the target and the moment of the slice's write."""
        self.manifests.service(name)
        moment = self.manifests.slice(name, endpoints)
        return f"xds:///{name}.{self.manifests.namespace}:8001", moment

    def remove(self, name):
        """What publish() made is deleted, as the API would: the Service first."""
        self.manifests.remove_service(name)
        self.manifests.remove_slice(name)

    def policy(self, name, **spec):
        """A LookasideService for the Service of its name."""
        namespace = self.manifests.namespace
        self.manifests.put(f"{namespace}-{name}-policy", {
            "apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec})

    def listed(self, name):
        """The backends that are published for a Service."""
        return [endpoint for service in self.lookaside.services()["services"]
                if service["namespace"] == self.manifests.namespace and service["name"] == name
                for port in service["ports"]
                for endpoint in port["endpoints"]]

    @contextlib.contextmanager
    def fresh_agent(self, *switches, bootstrap="bootstrap.json", env=None):
        """Another process of the same client, with these set in its environment."""
        agent = Agent(self.command, self.work / bootstrap, self.work / "fresh.log", switches,
                      env).start()
        try:
            yield agent
        finally:
            agent.close()

    def call(self, target, n=1, **fields):
        return self.agent.ask("call", target=target, n=n, **fields)

    def reach(self, target, backends, timeout=20, agent=None):
        """Waits until calls go to these backends, all of them and no other."""
        wanted = set(backends)

        def probe():
            got = (agent or self.agent).ask("call", target=target, n=4 * len(wanted), threads=2)
            return got["failed"] == 0 and set(got["by_backend"]) == wanted
        wait_until(probe, timeout, f"calls to {target} reach {sorted(wanted)} and nobody else")

    @contextlib.contextmanager
    def load(self, target, **fields):
        """Continuous calls for the time of the body; gives a Load."""
        fields = {"threads": 4, "pause_us": 1000, "timeout_ms": 10000, **fields}
        self.agent.ask("start", target=target, **fields)
        load = Load(self.agent)
        try:
            yield load
        except BaseException:
            with contextlib.suppress(AssertionError):
                self.agent.ask("stop")
            raise
        load.add(self.agent.ask("stop"))


class Load:
    """The sum of what a continuous load has counted so far."""

    def __init__(self, agent):
        self.agent = agent
        self.ok = self.failed = 0
        self.errors, self.first_error = {}, ""
        self.last, self.first_seen = {}, {}

    def add(self, totals):
        self.last = totals["by_backend"]
        self.ok += totals["ok"]
        self.failed += totals["failed"]
        self.first_error = self.first_error or totals["first_error"]
        self.first_seen = totals["first_seen_ms"]
        for code, count in totals["errors"].items():
            self.errors[code] = self.errors.get(code, 0) + count
        return totals

    def stats(self):
        """What happened since the last stats."""
        return self.add(self.agent.ask("stats"))

    def wait_calls(self, count, timeout=20):
        wanted = self.ok + count
        wait_until(lambda: self.stats() and self.ok >= wanted, timeout,
                   lambda: f"{count} more calls ({self.ok} ok, {self.failed} failed: "
                           f"{self.first_error})")

    def wait_seen(self, backend, timeout=20):
        """The unix time, in ms, of the first reply of a backend."""
        wait_until(lambda: self.stats() and backend in self.first_seen, timeout,
                   f"a first call reaches {backend}", interval=0.005)
        return self.first_seen[backend]

    def wait_unseen(self, backend, timeout=10):
        """Waits until a good number of calls in a row has passed a backend by."""
        def probe():
            got = self.stats()
            return got["ok"] >= 20 and backend not in got["by_backend"]
        wait_until(probe, timeout, f"no call goes to {backend} any more", interval=0.05)

    def assert_unfailed(self):
        total = self.failed + self.ok
        assert self.failed == 0, \
            f"{self.failed} of {total} calls failed: {self.errors} {self.first_error}"
        assert self.ok > 0, "not one call was made"
