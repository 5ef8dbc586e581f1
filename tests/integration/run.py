"""The controller against a fake API server that misbehaves, and against bad input of every kind.

    tests/integration/run.py [--jobs N] [NAME...]     NAME: a part of a case's name

Every case is a function with a work folder of its own; what it measured, it returns as text. A case that failed keeps its folder and prints
where it is.
"""
import argparse
import importlib
import logging
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.lookaside import build_has  # noqa: E402
from tests.support.report import Report, Skip  # noqa: E402

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))


# They wait for bounds of half a minute and more: begun first, they end with the rest.
SLOW = ["clients.half_open_connections_are_found", "tls.slow_handshakes_end_in_time",
        "tokens.a_key_that_is_rotated_is_asked_for_once_a_minute",
        "wire.list_that_freezes",
        "wire.streamed_list_that_freezes", "list.a_page_that_hangs_is_given_up",
        "wire.hundreds_of_faults_leave_nothing",
        "source.forbidden_policies_are_missed_for_half_a_minute",
        "source.forbidden_policies_that_decide_what_is_published_are_waited_for"]


def all_cases():
    """(name, function), in the order in which they begin."""
    cases = {}
    for module in MODULES:
        loaded = importlib.import_module(f"tests.integration.{module}")
        for case in loaded.CASES:
            cases[f"{module.removeprefix('cases_')}.{case.__name__}"] = case
    slow = {name: cases.pop(name) for name in SLOW}
    return [*slow.items(), *cases.items()]


def run_case(report, name, case):
    work = Path(tempfile.mkdtemp(prefix="lookaside-integration-"))
    with report.case(name) as notes:
        try:
            notes += filter(None, [case(work)])
        except Skip:
            raise
        except Exception:
            (work / "traceback.txt").write_text(traceback.format_exc())
            report.note(f"{name}: see {work}")
            raise
    if not (work / "traceback.txt").exists():
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)   # it warns of peers that went away
    report = Report("integration")
    missing = build_has("lookaside", "lookasidectl", "xds-fixture", "grpc-testserver")
    if missing:
        report.fail("build", f"{missing} is not built")
        return report.finish()
    chosen = [(name, case) for name, case in all_cases()
              if not args.names or any(part in name for part in args.names)]
    begin = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        for future in [pool.submit(run_case, report, *entry) for entry in chosen]:
            future.result()
    report.note(f"{len(chosen)} cases in {time.monotonic() - begin:.0f} s")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
