"""make bench: fan-out beside a bare epoll loop that writes the same bytes to the same clients, in one run.

One Service of 100 endpoints changes, one change at a time; 1,000 clients on 1,000 connections each get the new list. The two sides take turns; every
figure is the median of the rounds. Exit 1 when a limit below is passed.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from support import lookaside  # noqa: E402
from support.manifests import Endpoint, Manifests, endpoint_slice  # noqa: E402
from support.process import BUILD, Process, free_port, wait_until  # noqa: E402

ENDPOINTS = 100
CPU_LIMIT = 2.0                                  # times the bare loop
LAST_LIMIT = 2.0                                 # times the bare loop
MEMORY_LIMIT_KIB = 16.0                          # per client, idle and after the pushes
STALL_SECONDS = 60


class Child:
    """One of the bench's C programs: lines in, lines out."""

    def __init__(self, work, *argv):
        self.process = Process([BUILD / "bench", *argv], work / f"{argv[0]}.log", pipes=True).start()

    def tell(self, line):
        self.process.child.stdin.write(line + "\n")
        self.process.child.stdin.flush()

    def read(self, word):
        line = self.process.child.stdout.readline()
        if not line.startswith(word):
            raise SystemExit(f"bench: expected '{word}', got '{line.strip()}'\n{self.process.log()}")
        return line.split()[1:]

    def stop(self):
        self.process.child.stdin.close()
        self.process.terminate()


def cpu_us(pid):
    """CPU time of all threads so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def resident_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("bench: no VmRSS")


class Side:
    """A server with all its clients; change() makes one change and waits until every client has it."""

    def __init__(self, pid, load, trigger):
        self.pid, self.load, self.trigger = pid, load, trigger

    def round(self, changes, clients):
        begin, spans, size = cpu_us(self.pid), [], 0
        for _ in range(changes):
            self.trigger()
            first, last, size = map(int, self.load.read("change"))
            spans.append((last - first) / 1000)
        wait_quiet(self.pid)
        return {"cpu_us": (cpu_us(self.pid) - begin) / changes / clients,
                "last_ms": statistics.median(spans), "bytes": size}


def wait_quiet(pid):
    """Until the server has read the last acknowledgements: its CPU time stands still."""
    last = [cpu_us(pid)]

    def quiet():
        now, before = cpu_us(pid), last[0]
        last[0] = now
        return now - before < 50
    wait_until(quiet, STALL_SECONDS, "the server comes to rest", interval=0.02)


class Flip:
    """One change at a time: the last endpoint comes and goes in turn. JSON, as the API server speaks it."""

    def __init__(self, directory):
        self.path, self.count = Path(directory) / "slice.json", ENDPOINTS
        self.write()

    def write(self):
        endpoints = [Endpoint(f"10.0.{i // 250}.{1 + i % 250}", "zone-a", pod=f"pod-{i}")
                     for i in range(self.count)]
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(endpoint_slice("greeter-a", "greeter", endpoints)))
        os.rename(fresh, self.path)

    def __call__(self):
        self.count = ENDPOINTS + 1 if self.count == ENDPOINTS else ENDPOINTS
        self.write()


def run(work, arguments):
    manifests = Manifests(work / "manifests")
    manifests.service("greeter")
    flip = Flip(manifests.directory)
    clients, processes = str(arguments.clients), []
    server = lookaside.Lookaside(work, manifests.directory)
    try:
        server.start()
        processes.append(server)
        pid = server.process.pid
        empty = resident_kib(pid)
        host, port = server.listen.split(":")
        load = Child(work, "load", host, port, clients)
        processes.append(load)
        load.read("ready")
        wait_quiet(pid)
        idle = (resident_kib(pid) - empty) / arguments.clients
        product = Side(pid, load, flip)
        load.tell(f"dump {work / 'message'}")
        load.read("dumped")

        bare_port = str(free_port())
        bare = Child(work, "bare", "127.0.0.1", bare_port, str(work / "message"))
        processes.append(bare)
        bare.read("listening")
        bare_load = Child(work, "load", "127.0.0.1", bare_port, clients)
        processes.append(bare_load)
        bare_load.read("ready")
        floor = Side(bare.process.pid, bare_load, lambda: bare.tell("push"))

        rounds = []
        for number in range(arguments.rounds + 1):
            pair = (product.round(arguments.changes, arguments.clients), floor.round(arguments.changes, arguments.clients))
            if number:                           # the first warms both up
                rounds.append(pair)
                print(f"  round {number}: Lookaside {pair[0]['cpu_us']:.1f} us, {pair[0]['last_ms']:.1f} ms; "
                      f"bare loop {pair[1]['cpu_us']:.1f} us, {pair[1]['last_ms']:.1f} ms", flush=True)
        after = (resident_kib(pid) - empty) / arguments.clients
        return summary(rounds, idle, after, arguments)
    finally:
        for process in reversed(processes):
            process.stop()


def summary(rounds, idle, after, arguments):
    def median(side, key):
        return statistics.median(pair[side][key] for pair in rounds)

    result = {
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]},
        "clients": arguments.clients, "endpoints": ENDPOINTS, "changes": arguments.changes, "rounds": arguments.rounds,
        "bytes": median(0, "bytes"),
        "lookaside": {"cpu_us": median(0, "cpu_us"), "last_ms": median(0, "last_ms"),
                      "memory_idle_kib": idle, "memory_after_kib": after},
        "bare": {"cpu_us": median(1, "cpu_us"), "last_ms": median(1, "last_ms")},
    }
    result["cpu_ratio"] = statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in rounds)
    result["last_ratio"] = statistics.median(a["last_ms"] / b["last_ms"] for a, b in rounds)
    return result


def print_table(result):
    ours, bare = result["lookaside"], result["bare"]
    machine = result["machine"]
    print(f"\n{result['clients']:,} clients, {result['endpoints']} endpoints, {result['bytes']:.0f} bytes a list, "
          f"{result['rounds']} rounds of {result['changes']} changes; {machine['cores']} cores, Linux {machine['kernel']}, "
          f"load {machine['load']:.1f}\n")
    print("| | CPU per client and change | first to last client | memory per client, idle / after |")
    print("|---|---|---|---|")
    print(f"| bare epoll loop, same bytes | {bare['cpu_us']:.1f} us | {bare['last_ms']:.1f} ms | – |")
    print(f"| Lookaside | {ours['cpu_us']:.1f} us | {ours['last_ms']:.1f} ms | "
          f"{ours['memory_idle_kib']:.1f} / {ours['memory_after_kib']:.1f} KiB |")
    print(f"| ratio | {result['cpu_ratio']:.2f} | {result['last_ratio']:.2f} | |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="lookaside-bench-"))
    try:
        begin = time.monotonic()
        result = run(work, arguments)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print_table(result)
    (BUILD / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    ours = result["lookaside"]
    checks = [("CPU", result["cpu_ratio"], CPU_LIMIT, "times the bare loop"),
              ("first to last client", result["last_ratio"], LAST_LIMIT, "times the bare loop"),
              ("memory, idle", ours["memory_idle_kib"], MEMORY_LIMIT_KIB, "KiB per client"),
              ("memory, after", ours["memory_after_kib"], MEMORY_LIMIT_KIB, "KiB per client")]
    failed = 0
    for name, value, limit, unit in checks:
        failed += value > limit
        print(f"{'FAILED' if value > limit else 'ok':7} {name}: {value:.2f} {unit}, at most {limit:g}")
    print(f"bench: {len(checks) - failed} passed, {failed} failed  ".rstrip())
    print(f"        {time.monotonic() - begin:.0f} s, {BUILD / 'bench.json'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
