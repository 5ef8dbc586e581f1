"""make bench: Lookaside beside the fastest peer and beside the floor, in one run.

  run.py [--quick] [--only WORD]... [--tolerate] [--write-readme] [--list]

The sides take turns in rounds; every figure is the median of the rounds that count, every ratio the median of the ratios within a round. A Markdown table
goes to standard output, all figures to build/bench/result.json, pictures beside it. Exit status: 0 every target that was measured is met, 1 one is missed,
2 a scenario could not be measured.
"""
import argparse
import importlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import peer_program  # noqa: E402
import table  # noqa: E402
from child import Refused  # noqa: E402
from support.process import BUILD  # noqa: E402
from support.report import Skip  # noqa: E402
from world import Bench  # noqa: E402

SCENARIOS = ("fan_out", "memory", "uninterested", "churn", "big_service", "cold_start", "reconnect", "slow_readers", "many_names",
             "api_server")
FILES_WANTED = 20000


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def raise_files():
    """Ten thousand connections a process: as many descriptors as may be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, FILES_WANTED) if os.geteuid() == 0 else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < FILES_WANTED:
        say(f"only {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} descriptors a process (of {soft} at first), {FILES_WANTED} are wanted")


def find_peer(bench):
    try:
        bench.peer = peer_program.ensure(say)
    except peer_program.Missing as reason:
        bench.skip(f"peer: {reason}")


def run_scenario(bench, name):
    """False if it could not be measured."""
    begin = time.monotonic()
    say(name.replace("_", " "))
    try:
        importlib.import_module(f"scenarios.{name}").run(bench)
    except Skip as reason:
        bench.skip(f"{name.replace('_', ' ')}: {reason}")
    except Refused as reason:
        bench.refused.append({"scenario": name, "reason": str(reason)})
        say(f"not measured: {reason}")
        return False
    say(f"{name.replace('_', ' ')}: {time.monotonic() - begin:.0f} s")
    return True


def write_files(bench, seconds):
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    table.write_json(folder / "result.json", bench, peer_program.version(), seconds)
    for name, picture in bench.figures.items():
        (folder / f"{name}.svg").write_text(picture)
    return folder


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer clients, rounds and seconds: under two minutes")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="only scenarios with this word in their names")
    parser.add_argument("--tolerate", action="store_true", help="rounds count on a busy machine, too")
    parser.add_argument("--write-readme", action="store_true", help="the README's table anew")
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    return parser.parse_args()


def main():
    options = arguments()
    chosen = [name for name in SCENARIOS if not options.only or any(word in name for word in options.only)]
    if options.list:
        print("\n".join(chosen))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begin = time.monotonic()
    raise_files()
    bench = Bench(options.quick, say, tolerant=options.tolerate)
    find_peer(bench)
    measured = []
    try:
        for name in chosen:
            measured.append(run_scenario(bench, name))
    finally:                                     # what was measured before an interruption is not lost
        folder = write_files(bench, time.monotonic() - begin)
        table.print_all(bench, peer_program.version())
    if options.write_readme:
        table.write_readme(bench)
    missed = [row for row in bench.rows if row.met is False]
    for row in missed:
        print(f"FAILED  {row.scenario}: {row.figure}: {row.target.text}")
    with_target = sum(1 for row in bench.rows if row.met is not None)
    print(f"bench: {with_target - len(missed)} passed, {len(missed)} failed")
    print(f"        {time.monotonic() - begin:.0f} s, {len(bench.refused)} rounds or scenarios did not count, {folder}")
    if not all(measured) and not options.tolerate:
        print("        with TOLERATE=1 rounds on a busy machine count, too")
    if bench.skipped and os.environ.get("LOOKASIDE_NO_SKIP") == "1":
        print(f"FAILED  skipped, and LOOKASIDE_NO_SKIP=1: {'; '.join(bench.skipped)}")
        return 2
    return 2 if not all(measured) else 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
