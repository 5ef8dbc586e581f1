"""The product under test, as a process, and what its admin port says."""

import http.client
import json
import re
import signal
import subprocess
from contextlib import contextmanager

from oracle import NOWHERE
from process import Process, wait_until

LISTEN, ADMIN = "127.0.0.1:18000", "127.0.0.1:18080"
START_SECONDS = 20
STOP_SECONDS = 20


def flags(place):
    return [word for name, value in place._asdict().items() if value
            for word in (f"--{name}", value)]


class Lookaside:
    """Of several replicas each has ports of its own."""

    def __init__(self, program, kubeconfig, log_path, flags=(), listen=LISTEN, admin=ADMIN):
        self.program, self.kubeconfig, self.log_path = program, kubeconfig, log_path
        self.flags, self.listen, self.admin = flags, listen, admin
        self.direct = kubeconfig  # also while it goes another way
        self.process = None

    def start(self):
        self.process = Process("lookaside", [self.program, *self.source(), "--listen",
                                             self.listen, "--admin", self.admin, *self.flags],
                               self.log_path)
        wait_until(self.started, START_SECONDS, "Lookaside ready")

    def source(self):
        return "--kubeconfig", self.kubeconfig

    @contextmanager
    def through(self, kubeconfig):
        """Another way to the API server, for as long as this lasts."""
        before, self.kubeconfig = self.kubeconfig, kubeconfig
        self.stop()
        try:
            self.start()
            yield
        finally:
            self.kubeconfig = before
            self.stop()
            self.start()

    def started(self):
        self.check_alive()
        try:
            return self.ready()
        except OSError:
            return False

    def running(self):
        return self.process is not None and self.process.status() is None

    def check_alive(self):
        if not self.running():
            raise AssertionError(f"Lookaside ended by itself with status {self.process.status()}")

    def get(self, path):
        connection = http.client.HTTPConnection(self.admin, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ready(self):
        return self.get("/readyz")[0] == 200

    def endpoints(self, service):
        """{(address, port, zone)} as it is published; a Service that it does not know has none."""
        self.check_alive()
        status, body = self.get("/debug/services")
        assert status == 200, f"/debug/services answers {status}"
        for found in json.loads(body)["services"]:
            if (found["namespace"], found["name"]) == (service.namespace, service.name):
                return {(e["address"], e["port"], e.get("zone") or "")
                        for port in found["ports"] if port["number"] == service.port
                        for e in port["endpoints"]}
        return set()

    def wait_equal(self, service, within=5):
        """Until what is published is what the API holds."""
        found = {}

        def equal():
            found["published"] = self.endpoints(service)
            found["truth"] = {(b.address, b.port, b.zone) for b in service.expected(service.port)}
            return found["published"] == found["truth"]

        def difference():
            published, truth = found["published"], found["truth"]
            return (f"Lookaside's list of {service.namespace}/{service.name} is the API's; "
                    f"missing {sorted(truth - published)[:5]}, "
                    f"too many {sorted(published - truth)[:5]}")
        wait_until(equal, within, difference)

    def metric(self, name, **labels):
        """The sum of a family's samples that have these labels."""
        status, body = self.get("/metrics")
        assert status == 200, f"/metrics answers {status}"
        total = 0
        for line in body.decode().splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name and all(f'{k}="{v}"' in (match[2] or "")
                                                  for k, v in labels.items()):
                total += float(match[3])
        return total

    def ctl(self, *args, status=0):
        """What lookasidectl prints."""
        done = subprocess.run([self.program.parent / "lookasidectl", *args], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == status, (f"lookasidectl {' '.join(map(str, args))}: status "
                                           f"{done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def verify(self, place=NOWHERE, status=0):
        """lookasidectl's own opinion of every list at this place, by a fresh look at the API."""
        return self.ctl("verify", "--kubeconfig", self.direct, "--server", self.listen,
                        *flags(place), status=status)

    def explain(self, target, place=NOWHERE):
        """Why a client there gets what it gets. What a person would read goes to a log."""
        argv = ("explain", target, *flags(place), "--admin", self.admin)
        with open(self.log_path.with_name("explanations.log"), "a") as log:
            log.write(f"$ lookasidectl {' '.join(argv)}\n{self.ctl(*argv)}\n")
        return json.loads(self.ctl(*argv, "-o", "json"))["explain"]

    def kill(self):
        process, self.process = self.process, None
        process.stop(first=signal.SIGKILL)

    def stop(self):
        process, self.process = self.process, None
        return process.stop(STOP_SECONDS) if process else None


class FromDirectory(Lookaside):
    """Another one, which reads manifests and knows no API server."""

    def __init__(self, program, folder, log_path):
        super().__init__(program, None, log_path, (), "127.0.0.1:18002", "127.0.0.1:18082")
        self.folder = folder

    def source(self):
        return "--directory", self.folder
