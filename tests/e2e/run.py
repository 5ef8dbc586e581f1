#!/usr/bin/env python3
"""The e2e suite: Lookaside on a real API server, real processes as pods, stock gRPC clients.

  python3 tests/e2e/run.py [--build DIR] [--only WORD]... [--keep] [--list] [--prepare]

Exit status: 0 all passed, 1 something failed, 77 skipped for want of a tool (said by name). With
LOOKASIDE_NO_SKIP=1 what would be skipped has failed.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

import namespace  # noqa: E402  (nothing is to be left in the tree)
import programs  # noqa: E402
from client import Client, find_python, write_bootstrap  # noqa: E402
from cluster import Cluster  # noqa: E402
from kubelet import ZONES, Kubelet  # noqa: E402
from lookaside import LISTEN, Lookaside  # noqa: E402
from scenarios import SCENARIOS, World  # noqa: E402
from workload import SliceTimes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXIT_FAILED, EXIT_SKIPPED = 1, 77


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / "build"),
                        help="folder of lookaside and greeter (default: build)")
    parser.add_argument("--only", action="append", default=[], metavar="WORD",
                        help="only scenarios whose title has this word in it; may be repeated")
    parser.add_argument("--keep", action="store_true", help="keep the logs, also of a good run")
    parser.add_argument("--prepare", action="store_true",
                        help="only build and install what the suite needs, once, and end")
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    return parser.parse_args()


def chosen(words):
    return [(title, run) for title, run in SCENARIOS
            if not words or any(word.lower() in title.lower() for word in words)]


class Printer:
    """Progress lines; those said with every=N at most once in N seconds."""

    def __init__(self):
        self.last = 0

    def say(self, text, every=0):
        now = time.monotonic()
        if now - self.last >= every:
            self.last = now
            print(f"e2e:      {text}", flush=True)


class Suite:
    def __init__(self, binaries, folder, build):
        self.folder, self.logs = folder, folder / "logs"
        self.logs.mkdir()
        self.cluster = Cluster(binaries, folder)
        self.python = find_python()
        self.lookaside = Lookaside(build / "lookaside", folder / "lookaside.kubeconfig",
                                   self.logs / "lookaside.log")
        self.greeter, self.kubelet, self.times = build / "greeter", None, None
        self.bootstrap = write_bootstrap(folder / "bootstrap.json", LISTEN, ZONES[0])

    def start(self):
        started = time.monotonic()
        self.cluster.start()
        self.kubelet = Kubelet(self.cluster.api, self.greeter, self.logs)
        self.kubelet.start()
        self.times = SliceTimes(self.folder, self.logs / "slice-times.log")
        up = time.monotonic()
        self.lookaside.start()
        print(f"e2e: cluster up in {up - started:.1f} s, Lookaside ready in "
              f"{time.monotonic() - up:.2f} s", flush=True)

    def make_client(self, target):
        return Client(self.python, self.bootstrap, target, self.logs)

    def run(self, title, function):
        """One scenario; its line is printed, and True returned if it passed."""
        started = time.monotonic()
        print(f"e2e: ...  {title}", flush=True)
        world = World(self.cluster, self.kubelet, self.lookaside, self.times, self.make_client,
                      Printer().say)
        try:
            if not self.lookaside.running():  # an earlier scenario's failure is not this one's
                self.lookaside.start()
            problem, detail = None, function(world)
            self.kubelet.check()
        except Exception as error:
            problem, detail = error, None
            if not isinstance(error, AssertionError):
                traceback.print_exc()
        taken = time.monotonic() - started
        print(f"e2e: {'FAIL' if problem else 'ok  '} {title} ({taken:.1f} s): "
              f"{problem or detail}", flush=True)
        if problem:
            self.print_logs()
        return not problem

    def print_logs(self):
        process = self.lookaside.process
        if process:
            print(f"--- {process.log_path}\n{process.log_tail()}", flush=True)

    def stop(self):
        self.lookaside.stop()
        for part in (self.times, self.kubelet, self.cluster):
            if part:
                part.stop()


def run_all(scenarios, binaries, build, keep):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lookaside-e2e-"))
    passed, suite = 0, None
    try:
        suite = Suite(binaries, folder, build)
        try:
            suite.start()
            for title, function in scenarios:
                passed += suite.run(title, function)
        except Exception:
            traceback.print_exc()
            print(suite.cluster.log_tails(), flush=True)
            suite.print_logs()
    finally:
        if suite:
            suite.stop()
        shutil.rmtree(folder / "etcd", ignore_errors=True)
        if passed == len(scenarios) and not keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"e2e: logs are kept in {folder}", flush=True)
    return passed, len(scenarios) - passed


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def check_built(build):
    missing = [name for name in ("lookaside", "greeter") if not (build / name).exists()]
    if missing:
        sys.exit(f"e2e: {build} has no {' and no '.join(missing)}: build first (make)")


def prepare():
    """What needs the network, so before the namespace is entered. Returns the programs' folder."""
    find_python()
    namespace.unshare_argv()
    return programs.ensure()


def skip(missing):
    if os.environ.get("LOOKASIDE_NO_SKIP") == "1":
        print(f"e2e: FAILED, and nothing may be skipped here: {missing}", flush=True)
        return EXIT_FAILED
    print(f"e2e: SKIPPED: {missing}", flush=True)
    return EXIT_SKIPPED


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    arguments = parse_arguments()
    scenarios, build = chosen(arguments.only), pathlib.Path(arguments.build).resolve()
    if arguments.list:
        print("\n".join(title for title, _ in scenarios))
        return 0
    if not scenarios:
        sys.exit("e2e: no scenario has such a word in its title; see --list")
    try:
        if not arguments.prepare:
            check_built(build)
        binaries = prepare() if not namespace.entered() else programs.ensure()
        if arguments.prepare:
            return 0
        if not namespace.entered():
            namespace.enter()
    except programs.Missing as missing:
        return skip(missing)
    namespace.prepare()
    started = time.monotonic()
    passed, failed = run_all(scenarios, binaries, build, arguments.keep)
    print(f"e2e: {len(scenarios)} scenarios in {time.monotonic() - started:.0f} s")
    print(f"e2e: {passed} passed, {failed} failed", flush=True)
    return EXIT_FAILED if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("e2e: interrupted; everything that was started has ended")
