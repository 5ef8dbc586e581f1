#!/usr/bin/env python3
"""The e2e suite: Lookaside on a real API server, real processes as pods, stock gRPC clients.

  python3 tests/e2e/run.py [--build DIR] [--only WORD]... [--long] [--keep] [--list] [--prepare]

Exit status: 0 all passed, 1 something failed, 77 skipped for want of a tool (said by name). With
LOOKASIDE_NO_SKIP=1 what would be skipped has failed.
"""

import argparse
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # for "support"

import namespace  # noqa: E402  (nothing is to be left in the tree)
import programs  # noqa: E402
from release import find_agents  # noqa: E402
from client import AGENT, Client, find_python, has_grpc, write_bootstrap  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXIT_FAILED, EXIT_SKIPPED = 1, 77
LONG_FACTOR = 10


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / os.environ.get("LOOKASIDE_BUILD", "build")),
                        help="folder of lookaside and lookasidectl (default: $LOOKASIDE_BUILD, "
                        "else build)")
    parser.add_argument("--only", action="append", default=[], metavar="WORD",
                        help="only scenarios whose title has this word in it; may be repeated")
    parser.add_argument("--long", action="store_true",
                        help=f"outages and the like last {LONG_FACTOR} times as long")
    parser.add_argument("--keep", action="store_true", help="keep the logs, also of a good run")
    parser.add_argument("--prepare", action="store_true",
                        help="only build and install what the suite needs, once, and end")
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    return parser.parse_args()


def chosen(words):
    """Those of one configuration next to each other."""
    from scenarios import SCENARIOS  # pylint: disable=import-outside-toplevel  (needs grpcio)
    found = [s for s in SCENARIOS
             if not words or any(word.lower() in s.title.lower() for word in words)]
    return [(name, list(group)) for name, group
            in itertools.groupby(found, lambda s: s.configuration)]


class OutOfTime(AssertionError):
    """A scenario has passed its bound."""


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
    """A cluster of one configuration, with Lookaside on it."""

    def __init__(self, binaries, folder, arguments, etcd, configuration):
        from cluster import Cluster
        from lookaside import LISTEN, Lookaside
        from world import FLAGS, RESOURCES
        self.folder, self.logs, self.factor = folder, folder / "logs", arguments.factor
        self.logs.mkdir(parents=True)
        self.server = LISTEN
        self.cluster = Cluster(binaries, folder, etcd)
        self.lookaside = Lookaside(arguments.build / "lookaside", folder / "lookaside.kubeconfig",
                                   self.logs / "lookaside.log", FLAGS.get(configuration, ()))
        self.with_resources = configuration == RESOURCES
        self.greeter, self.kubelet, self.times = arguments.greeter, None, None

    def start(self):
        from kubelet import Kubelet
        from workload import SliceTimes
        started = time.monotonic()
        self.cluster.start()
        self.kubelet = Kubelet(self.cluster.api, self.greeter, self.logs)
        self.kubelet.start()
        self.times = SliceTimes(self.folder, self.logs / "slice-times.log")
        if self.with_resources:
            self.cluster.prepare_resources()
        up = time.monotonic()
        self.lookaside.start()
        print(f"e2e: cluster up in {up - started:.1f} s, Lookaside ready in "
              f"{time.monotonic() - up:.2f} s", flush=True)

    def make_client(self, target, place=None):
        from world import HERE
        place = place or HERE
        bootstrap = self.folder / f"bootstrap-{'-'.join(place)}.json"
        write_bootstrap(bootstrap, self.server, place)
        return Client([sys.executable, AGENT], {"GRPC_XDS_BOOTSTRAP": str(bootstrap)},
                      f"xds:///{target}", self.logs)

    def run(self, scenario):
        """One scenario; its line is printed and returned, with whether it passed."""
        from world import World
        started = time.monotonic()
        print(f"e2e: ...  {scenario.title}", flush=True)
        world = World(self.cluster, self.kubelet, self.lookaside, self.times, self.make_client,
                      Printer().say, self.factor)
        try:
            signal.alarm(scenario.seconds * self.factor)
            if not self.lookaside.running():  # an earlier scenario's failure is not this one's
                self.lookaside.start()
            problem, detail = None, scenario.run(world)
            self.kubelet.check()
        except Exception as error:
            problem, detail = error, None
            if not isinstance(error, AssertionError):
                traceback.print_exc()
        finally:
            signal.alarm(0)
        line = f"{scenario.title}  {time.monotonic() - started:.1f} s"
        print(f"{'FAILED' if problem else 'ok':7} {line}  {problem or detail}", flush=True)
        if problem:
            self.print_logs()
        return not problem, line

    def print_logs(self):
        process = self.lookaside.process
        if process:
            print(f"--- {process.log_path}\n{process.log_tail()}", flush=True)

    def stop(self):
        self.lookaside.stop()
        for part in (self.times, self.kubelet, self.cluster):
            if part:
                part.stop()


def run_configuration(name, scenarios, binaries, folder, arguments):
    """[(passed, line)] of the scenarios."""
    from world import DEBIAN_ETCD
    etcd, suite, results = "etcd", None, []
    try:
        if name == DEBIAN_ETCD:
            etcd = programs.DEBIAN_ETCD
            binaries = {**binaries, etcd: programs.debian_etcd()}
        print(f"e2e: configuration: {name}", flush=True)
        suite = Suite(binaries, folder, arguments, etcd, name)
        suite.start()
        for scenario in scenarios:
            results.append(suite.run(scenario))
    except programs.Missing as missing:
        if skip(missing) == EXIT_SKIPPED:
            return []
    except Exception:
        traceback.print_exc()
        if suite:
            print(suite.cluster.log_tails(), flush=True)
            suite.print_logs()
    finally:
        if suite:
            suite.stop()
    return results + [(False, f"{s.title} (not run)") for s in scenarios[len(results):]]


def run_all(configurations, binaries, arguments):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lookaside-e2e-"))
    results = []
    try:
        for number, (name, scenarios) in enumerate(configurations):
            results += run_configuration(name, scenarios, binaries, folder / str(number),
                                         arguments)
    finally:
        if arguments.keep or not all(passed for passed, _ in results):
            print(f"e2e: logs are kept in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return results


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def out_of_time(_number, _frame):
    raise OutOfTime("not done within its bound\n" + "".join(traceback.format_stack(limit=6)))


def check_built(arguments):
    """What is called is not what is tested, so it comes from the plain build where there is one."""
    plain = ROOT / "build" / "greeter"
    arguments.greeter = plain if plain.exists() else arguments.build / "greeter"
    for path in (arguments.build / "lookaside", arguments.build / "lookasidectl",
                 arguments.greeter):
        if not path.exists():
            sys.exit(f"e2e: {path} is missing: build first (make)")


def prepare():
    """What needs the network, so before the namespace is entered."""
    find_python()
    namespace.unshare_argv()
    programs.ensure()
    find_agents()
    try:
        programs.debian_etcd()
    except programs.Missing:
        pass  # said where it is wanted


def skip(missing):
    if os.environ.get("LOOKASIDE_NO_SKIP") == "1":
        print(f"e2e: FAILED, and nothing may be skipped here: {missing}", flush=True)
        return EXIT_FAILED
    print(f"skipped: e2e: {missing}", flush=True)
    return EXIT_SKIPPED


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    signal.signal(signal.SIGALRM, out_of_time)
    arguments = parse_arguments()
    arguments.build = pathlib.Path(arguments.build).resolve()
    arguments.factor = LONG_FACTOR if arguments.long else 1
    try:
        if not has_grpc(sys.executable):
            python = find_python()
            os.execv(python, [python, *sys.argv])
        configurations = chosen(arguments.only)
        if arguments.list:
            print("\n".join(s.title for _, scenarios in configurations for s in scenarios))
            return 0
        if not configurations:
            sys.exit("e2e: no scenario has such a word in its title; see --list")
        if not arguments.prepare:
            check_built(arguments)
        if not namespace.entered():
            prepare()
            if arguments.prepare:
                return 0
            namespace.enter()
    except programs.Missing as missing:
        return skip(missing)
    namespace.prepare()
    started = time.monotonic()
    results = run_all(configurations, programs.ensure(), arguments)
    passed = sum(ok for ok, _ in results)
    for ok, line in results:
        print(f"e2e: {'ok' if ok else 'FAILED':7} {line}")
    print(f"e2e: {len(results)} scenarios in {time.monotonic() - started:.0f} s")
    print(f"e2e: {passed} passed, {len(results) - passed} failed", flush=True)
    return 0 if passed == len(results) else EXIT_FAILED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("e2e: interrupted; everything that was started has ended")
