"""Backends: build/greeter processes, each on a loopback address of its own."""
from pathlib import Path

from . import process


class Greeter:
    """One backend. SIGTERM makes it drain: calls in flight end, then it exits."""

    def __init__(self, address, name, logs, port=8001, flags=()):
        self.address, self.name, self.port = address, name, port
        listen = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        argv = [process.BUILD / "greeter", "--listen", listen, "--name", name, *flags]
        self.process = process.Process(argv, Path(logs) / f"greeter-{name}.log", f"greeter {name}")

    def start(self):
        self.process.start()
        return self

    def wait_ready(self, timeout=10):
        def ready():
            if not self.process.running:
                raise AssertionError(f"greeter {self.name} ended:\n{self.process.log()}")
            return process.accepts(self.address, self.port)
        process.wait_until(ready, timeout, f"greeter {self.name} accepts connections")
        return self

    def connections(self):
        """How many have been accepted; with --log-level debug."""
        return self.process.log_path.read_text(errors="replace").count(" accepted ")

    def drain(self):
        """Asks the process to finish its calls and end."""
        self.process.child.terminate()

    def stop(self):
        self.process.terminate()


def start_all(addresses, logs, port=8001, name="b{}"):
    """Starts one greeter per address, named b1, b2, ..., and waits for them all."""
    greeters = [Greeter(address, name.format(i), logs, port).start()
                for i, address in enumerate(addresses, 1)]
    for greeter in greeters:
        greeter.wait_ready()
    return greeters
