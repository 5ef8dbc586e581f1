"""Processes of a test: started with their log in a file, stopped by process id, never left behind.

Every child is started through setpriv(1) so that the kernel kills it when the thread that started
it ends, however that happens. Start children in the main thread, or in one that outlives them.
"""
import os
import random
import socket
import subprocess
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / os.environ.get("LOOKASIDE_BUILD", "build")
# Where memory is measured: a sanitizer keeps what was freed.
PLAIN_BUILD = REPOSITORY / "build" if "san" in BUILD.name else BUILD


class WaitTimeout(AssertionError):
    """Something that had to happen did not happen in time."""


def wait_until(probe, timeout, what, interval=0.01):
    """Calls probe until it returns something true, and returns that.

    Raises WaitTimeout that names what was awaited and what the probe last returned. what may be
    a function, for a text that is only known at the end.
    """
    deadline = time.monotonic() + timeout
    while True:
        last = probe()
        if last:
            return last
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise WaitTimeout(f"not within {timeout:g} s: {text} (last: {last!r})")
        time.sleep(interval)


class Process:
    """One child process whose output goes to a log file.

    With pipes, its standard input and output are the test's (child.stdin, child.stdout) and only
    its errors are logged. A value None in env takes a variable away.
    """

    def __init__(self, argv, log, name=None, env=None, cwd=None, pipes=False):
        self.argv = [str(word) for word in argv]
        self.name = name or Path(self.argv[0]).name
        self.log_path = Path(log)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.environment = {k: str(v) for k, v in {**os.environ, **(env or {})}.items()
                            if v is not None}
        self.cwd, self.pipes = cwd, pipes
        self.child = None

    def start(self):
        pipe = subprocess.PIPE if self.pipes else None
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=pipe or subprocess.DEVNULL, stdout=pipe or log, stderr=log,
                env=self.environment, cwd=self.cwd, text=self.pipes)
        return self

    @property
    def pid(self):
        return self.child.pid

    @property
    def exit_code(self):
        """None while it runs; minus the signal's number if a signal ended it."""
        return self.child.poll() if self.child else None

    @property
    def running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        if self.running:
            self.child.send_signal(number)

    def wait(self, timeout):
        """Waits for the end and returns the exit code; raises WaitTimeout."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise WaitTimeout(f"{self.name} did not end within {timeout:g} s") from None

    def terminate(self, timeout=10):
        """SIGTERM, then SIGKILL after timeout. Returns the exit code."""
        if not self.running:
            return self.child.returncode if self.child else None
        self.child.terminate()
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        """SIGKILL; returns once the process is gone."""
        if self.running:
            self.child.kill()
        return self.child.wait(10) if self.child else None

    def log(self, lines=40):
        """The end of the log, for a failure's text."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self):
        return self.start() if self.child is None else self

    def __exit__(self, *_):
        self.terminate()


_PORTS = range(12000, 32000)    # below the ports that outgoing connections take
_claimed = []                   # held until this process ends


def free_port(address="127.0.0.1"):
    """A TCP port of address that nobody listens on, and that no other test is given.

    The claim is an abstract unix socket: a port whose server is down for a moment must not go to
    a neighbour, who would get this test's requests.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0lookaside-test-port-{port}")
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError:
            claim.close()
            continue
        _claimed.append(claim)
        return port
    raise OSError("no free port")


def accepts(address, port):
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


class Block:
    """A /24 of 127.0.0.0/8 for one test, so that several run side by side on fixed ports.

    Outgoing connections take their port on 127.0.0.1, so a port in the block that a killed
    process leaves stays free for its successor. The first address is bound as a claim.
    """
    _claims = threading.Lock()

    def __init__(self):
        for _ in range(200):
            self.prefix = f"127.{random.randrange(16, 250)}.{random.randrange(1, 255)}"
            self.claim = socket.socket()
            try:
                with self._claims:
                    self.claim.bind((self.address(1), 7999))
                return
            except OSError:
                self.claim.close()
        raise RuntimeError("no free block of loopback addresses")

    def address(self, last):
        return f"{self.prefix}.{last}"

    def close(self):
        self.claim.close()
