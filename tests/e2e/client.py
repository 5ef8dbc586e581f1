"""The test's side of an agent: a gRPC client in a process of its own, under continuous load.

The agent is the Python one of tests/conformance, whose README tells the commands.
"""

import hashlib
import json
import os
import pathlib
import selectors
import subprocess
import sys
import time

from kubelet import REGION
from process import Process, wait_until
from programs import Missing, cache_root

AGENT = pathlib.Path(__file__).resolve().parents[1] / "conformance/agents/python/agent.py"
REQUIREMENTS = AGENT.parent / "requirements.txt"
CALL_TIMEOUT_MS = 5000
# From Lookaside's list to the client's calls: what a busy machine of two cores may take. A pod that
# was taken off the list serves for longer (PRESTOP_SECONDS of kubelet.py), so that its end cannot
# pass for the list's news.
CALLS_SECONDS = 2
LOAD = {"cmd": "start", "threads": 10, "timeout_ms": CALL_TIMEOUT_MS, "wait_for_ready": False}
# Between a thread's calls: where only failures count, and where the first call is waited for.
LIGHT_US, BUSY_US = 20000, 4000


def has_grpc(python):
    return subprocess.run([python, "-c", "import grpc"], capture_output=True,
                          check=False).returncode == 0


def find_python():
    """A Python with grpcio: this one, Debian's, or an environment made once in the cache.

    The suite itself runs in it too, for the sake of its raw clients (watchers.py).
    """
    for python in (sys.executable, "/usr/bin/python3"):
        if has_grpc(python):
            return python
    folder = cache_root() / f"python-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    if not (python.exists() and has_grpc(python)):
        print(f"e2e: installing grpcio into {folder}", flush=True)
        for argv in ([sys.executable, "-m", "venv", "--clear", folder],
                     [python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]):
            if subprocess.run(argv, check=False).returncode != 0:
                raise Missing("no Python with grpcio: install python3-grpcio, or python3-venv")
    return str(python)


def write_bootstrap(path, server, place):
    path.write_text(json.dumps({
        "xds_servers": [{"server_uri": server, "channel_creds": [{"type": "insecure"}],
                         "server_features": ["xds_v3"]}],
        "node": {"id": "e2e", "locality": {"region": REGION, "zone": place.zone},
                 "metadata": {"node": place.node} if place.node else {}},
    }))
    return path


class Client:
    """An agent. Its totals since mark() are kept here, so that no window's failures are lost."""

    numbers = 0

    def __init__(self, agent, bootstrap, target, log_folder):
        """agent: a command; bootstrap: the variable that tells it where Lookaside is."""
        Client.numbers += 1
        self.target = target
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.process = Process("agent", [*agent, target],
                               log_folder / f"agent-{Client.numbers}.log", env={**env, **bootstrap},
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.stdin, self.stdout = self.process.child.stdin, self.process.child.stdout
        self.first_seen, self.loaded = {}, False
        self.mark()

    def mark(self):
        """From here on no call may fail; see expect_no_failure()."""
        self.ok, self.failed, self.errors, self.first_error = 0, 0, {}, ""

    def send(self, command):
        self.stdin.write(json.dumps(command).encode() + b"\n")
        self.stdin.flush()

    def answer(self, within=60):
        raw, deadline = b"", time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            while not raw.endswith(b"\n"):
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise AssertionError(f"the client said nothing for {within} s")
                piece = os.read(self.stdout.fileno(), 65536)
                if not piece:
                    raise AssertionError(f"the client ended\n{self.process.log_tail()}")
                raw += piece
        answer = json.loads(raw)
        if "error" in answer:
            raise RuntimeError(f"the client: {answer['error']}")
        return answer

    def ask(self, command, within=60):
        self.send(command)
        return self.answer(within)

    def start_load(self, pause_us):
        self.ask({**LOAD, "pause_us": pause_us})
        self.loaded = True
        self.mark()

    def call(self, n, threads=1, wait_for_ready=False, timeout_ms=CALL_TIMEOUT_MS):
        return self.ask({"cmd": "call", "n": n, "threads": threads, "timeout_ms": timeout_ms,
                         "wait_for_ready": wait_for_ready})

    def window(self):
        """What the load did since the last window."""
        totals = self.ask({"cmd": "stats"})
        self.ok += totals["ok"]
        self.failed += totals["failed"]
        for code, count in totals["errors"].items():
            self.errors[code] = self.errors.get(code, 0) + count
        self.first_error = self.first_error or totals["first_error"]
        for backend, at in totals["first_seen_ms"].items():
            self.first_seen.setdefault(backend, at)
        return totals

    def expect_no_failure(self, during):
        self.window()
        if self.failed:
            raise AssertionError(f"{self.failed} of {self.failed + self.ok} calls failed during "
                                 f"{during}: {self.errors}, first {self.first_error}")

    def expect_backends(self, names, within=CALLS_SECONDS):
        """Calls go to exactly these, and none of the calls fails, after `within` at the latest."""
        seen, last = set(), self.window()
        deadline = time.monotonic() + within
        while seen != names:
            if time.monotonic() > deadline:
                called = set(last["by_backend"])
                raise AssertionError(
                    f"{self.target}: not within {within} s: calls to just {len(names)} backends; "
                    f"not called {sorted(names - called)[:5]}, called though not listed "
                    f"{sorted(called - names)[:5]}, failed {last['failed']} {last['first_error']}")
            time.sleep(0.02)
            last = self.window()
            if last["failed"] or not last["by_backend"].keys() <= names:
                seen = set()  # still the old list: begin again
            else:
                seen |= last["by_backend"].keys()

    def expect_unavailable(self, within=CALLS_SECONDS):
        """No call is answered any more, and each is told so at once."""
        def quiet():
            self.window()  # may still hold what was under way
            time.sleep(0.05)
            totals = self.window()
            return totals["failed"] and not totals["ok"] and totals
        totals = wait_until(quiet, within, f"{self.target}: calls fail, since nothing is listed")
        if totals["errors"].keys() != {"UNAVAILABLE"}:
            raise AssertionError(f"calls without a backend end with {totals['errors']}, "
                                 f"first {totals['first_error']}")

    def wait_first_seen(self, backend, within=5):
        """When the first call reached this backend, in Unix milliseconds."""
        def seen():
            self.window()
            return self.first_seen.get(backend)
        return wait_until(seen, within, f"a call to {backend}", every=0.005)

    def close(self):
        """The end of its input ends the agent, with status 0."""
        try:
            if self.loaded:
                self.ask({"cmd": "stop"})
            self.stdin.close()
            status = self.process.child.wait(15)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            status = "none within 15 s"
        self.process.stop()
        if status != 0:
            raise AssertionError(f"the client's exit status: {status}\n{self.process.log_tail()}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_rest):
        if kind is None:
            self.close()
        else:
            self.process.stop()  # what went wrong is told already
