"""The product under test: build/lookaside on a directory of manifests, and what its ports say."""
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from . import process

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?) ([^ ]+)(?: \d+)?$")


def fetch(url, timeout=5):
    """GET: (status, body as text). Errors of HTTP are answers, others are raised."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def parse_metrics(text):
    """Prometheus text → {'name{labels}': value}."""
    samples = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match:
            samples[match.group(1)] = float(match.group(2))
    return samples


class Lookaside:
    """One controller process; start, stop, kill and start again keep its ports and its log."""

    def __init__(self, work, directory=None, listen="127.0.0.1:0", admin="127.0.0.1:0", flags=(),
                 build=process.BUILD):
        self.work = Path(work)
        self.listen, self.admin = (_concrete(listen), _concrete(admin))
        source = ["--directory", directory] if directory else []
        argv = [build / "lookaside", *source, "--listen", self.listen,
                "--admin", self.admin, *flags]
        self.process = process.Process(argv, self.work / "lookaside.log", "lookaside")

    def start(self, timeout=15):
        self.process.start()
        process.wait_until(self._ready, timeout,
                           lambda: "lookaside is ready\n" + self.process.log())
        return self

    def _ready(self):
        if not self.process.running:
            raise AssertionError(self.end())
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def ended(self, within=1):
        """Whether the process is gone, or goes within this time (a crash takes a moment)."""
        try:
            process.wait_until(lambda: not self.process.running, within, "")
        except process.WaitTimeout:
            return False
        return True

    def end(self):
        """How the process ended, for a failure's text."""
        return f"lookaside ended with {self.process.exit_code}; its log:\n{self.process.log(15)}"

    def stop(self, timeout=15):
        """SIGTERM; returns the exit code."""
        return self.process.terminate(timeout)

    def kill(self):
        """SIGKILL; returns once the process is gone."""
        self.process.kill()

    def restart(self):
        """Killed and started again on the same ports."""
        self.kill()
        return self.start()

    def get(self, path):
        return fetch(f"http://{self.admin}{path}")

    def json(self, path):
        status, body = self.get(path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body}")
        return json.loads(body)

    def metrics(self):
        return parse_metrics(self.get("/metrics")[1])

    def memory(self):
        """Resident KiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def services(self):
        return self.json("/debug/services")

    def streams(self):
        return self.json("/debug/streams")

    def bootstrap(self, path, node_id="test", zone="zone-a", server=None, flags=()):
        """Writes the bootstrap file of a client, as lookasidectl prints it; returns its path."""
        Path(path).write_text(bootstrap(server or self.listen, node_id, zone, flags))
        return Path(path)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def bootstrap(server, node_id, zone, flags=()):
    """The JSON that a gRPC client needs to find the controller."""
    tool = process.BUILD / "lookasidectl"
    if tool.exists():
        done = subprocess.run([tool, "bootstrap", "--server", server, "--node-id", node_id,
                               "--zone", zone, *flags], capture_output=True, text=True, timeout=10)
        if done.returncode != 0:
            raise AssertionError(f"lookasidectl bootstrap: exit {done.returncode}: {done.stderr}")
        return done.stdout
    return json.dumps({
        "xds_servers": [{"server_uri": server, "channel_creds": [{"type": "insecure"}]}],
        "node": {"id": node_id, "cluster": "", "locality": {"zone": zone}}})


def _concrete(address):
    """ADDRESS:0 with a free port in place of the 0."""
    host, _, port = address.rpartition(":")
    return f"{host}:{process.free_port(host)}" if port == "0" else address


def build_has(*names):
    """The first of these programs that the build folder lacks, or None."""
    return next((name for name in names if not os.access(process.BUILD / name, os.X_OK)), None)
