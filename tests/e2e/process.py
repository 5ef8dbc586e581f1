"""Child processes: each in a process group of its own, with a log file, and certain to end."""

import os
import shutil
import signal
import subprocess
import time

# The kernel ends a child whose starting thread has gone, whatever ended that: nothing outlives a
# run that was killed. So a child is started by a thread that lives as long as the child shall.
GUARD = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
TAIL_LINES = 25


class Process:
    def __init__(self, name, argv, log_path, env=None, **popen):
        self.name = name
        self.log_path = log_path
        # A process group of its own: Ctrl-C reaches only the run itself, which ends its children
        # in order.
        with open(log_path, "a") as log:
            self.child = subprocess.Popen(
                GUARD + [str(a) for a in argv], env=env, start_new_session=True,
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **popen})

    @property
    def pid(self):
        return self.child.pid

    def status(self):
        """The exit status, or None while it runs."""
        return self.child.poll()

    def send_signal(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def stop(self, timeout=10, first=signal.SIGTERM):
        """Asks, waits, then kills the whole group. Returns the exit status."""
        self.send_signal(first)
        try:
            self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.child.wait()

    def log_tail(self, lines=TAIL_LINES):
        try:
            with open(self.log_path, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError as error:
            return f"({error})\n"


def wait_until(condition, within, what, every=0.02):
    """The first true value of condition(), which is asked every few milliseconds."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what() if callable(what) else what}")
        time.sleep(every)
