"""make test: every suite, one line each, and at the end `N passed, N failed`.

A suite is a command. What it counted is read from its own last line (`suite: N passed, N failed`), from Criterion's
summaries, or, for a command without counts, from its exit code.
"""
import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COUNTS = re.compile(r"^[\w-]+: (\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
CRITERION = re.compile(r"Synthesis: Tested: .*?(\d+).*?Passing: .*?(\d+).*?Failing: .*?(\d+).*?Crashing: .*?(\d+)")
COLORS = re.compile(r"\x1b\[[0-9;]*m")
SKIP_EXIT = 77
NO_SKIP = os.environ.get("LOOKASIDE_NO_SKIP") == "1"
PROGRESS_SECONDS = 20
LOG_TAIL = 60

# name, command, environment, bound in seconds
SUITES = [
    ("layers", ["make", "-s", "layers"], {}, 60),
    ("headers", ["make", "-s", "headers"], {}, 300),
    ("unit", ["make", "-s", "unit"], {}, 900),
    ("race", ["make", "-s", "race"], {}, 600),
    ("fuzz", ["make", "-s", "fuzz"], {}, 900),
    ("simulate", ["make", "-s", "simulate"], {}, 300),
    ("image", [sys.executable, "tests/image/run.py"], {}, 1500),
    ("chart", [sys.executable, "tests/chart/run.py"], {}, 900),
    ("integration", [sys.executable, "tests/integration/run.py"], {"LOOKASIDE_BUILD": "build-asan"}, 900),
    ("conformance", [sys.executable, "tests/conformance/run.py"], {"LOOKASIDE_BUILD": "build-asan"}, 2400),
    ("story", [sys.executable, "tests/conformance/run.py", "--story"], {}, 900),
    ("e2e", [sys.executable, "tests/e2e/run.py"], {"LOOKASIDE_BUILD": "build-asan"}, 2400),
]


class Suite:
    def __init__(self, name, argv, env, bound):
        self.name, self.argv, self.bound = name, argv, bound
        self.env = {**os.environ, **env}
        self.log = tempfile.NamedTemporaryFile("w+", prefix=f"lookaside-{name}-", suffix=".log", delete=False)
        self.passed = self.failed = 0
        self.skipped = []
        self.problem = None                      # what no count tells

    def run(self):
        """In a process group of its own: its end, or its bound, ends everything that it started."""
        begin = time.monotonic()
        child = subprocess.Popen(self.argv, cwd=REPOSITORY, env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                 start_new_session=True)
        killer = threading.Timer(self.bound, self._out_of_time, [child])
        killer.start()
        try:
            self._follow(child, begin)
            exit_code = child.wait()
        finally:
            killer.cancel()
            end_group(child)
        self._count(exit_code)
        self._print(exit_code, time.monotonic() - begin)

    def _out_of_time(self, child):
        self.problem = f"did not end within {self.bound} s"
        end_group(child)

    def _follow(self, child, begin):
        last = begin
        for line in child.stdout:
            self.log.write(line)
            text = COLORS.sub("", line).strip()
            if text.startswith("skipped"):
                self.skipped.append(text)
            if text.startswith("FAILED"):
                print(f"    {text[:400]}", flush=True)
            elif text and time.monotonic() - last > PROGRESS_SECONDS:
                last = time.monotonic()
                print(f"    {self.name} {last - begin:4.0f} s: {text[:110]}", flush=True)
        self.log.flush()

    def text(self):
        return COLORS.sub("", Path(self.log.name).read_text(errors="replace"))

    def _count(self, exit_code):
        text = self.text()
        counted = False
        for tested, passing, failing, crashing in CRITERION.findall(text):
            self.passed += int(passing)
            self.failed += int(failing) + int(crashing)
            counted = True
        for passed, failed, _ in COUNTS.findall(text):
            self.passed += int(passed)
            self.failed += int(failed)
            counted = True
        if counted and exit_code == 0 and self.passed + self.failed == 0:
            self.problem = self.problem or "ran nothing"
        if exit_code == SKIP_EXIT and NO_SKIP:
            self.problem = self.problem or "was skipped, and LOOKASIDE_NO_SKIP=1"
        if exit_code not in (0, SKIP_EXIT) and self.failed == 0:
            self.problem = self.problem or f"exit code {exit_code}"
        if self.problem:
            self.failed += 1
        elif not counted and exit_code == 0:
            self.passed = 1

    def _print(self, exit_code, seconds):
        word = "FAILED" if self.failed else "skipped" if exit_code == SKIP_EXIT else "ok"
        print(f"{word:8}{self.name:13}{self.passed:5} passed {self.failed:3} failed {seconds:7.1f} s", flush=True)
        for reason in self.skipped:
            print(f"        {reason}")
        if self.failed:
            print("\n".join("    " + line for line in self.text().splitlines()[-LOG_TAIL:]), flush=True)
        if self.problem:
            print(f"    FAILED {self.name}: {self.problem}", flush=True)
        if not self.failed:
            os.unlink(self.log.name)


def end_group(child):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", help="only these: " + " ".join(name for name, *_ in SUITES))
    wanted = parser.parse_args().suites
    unknown = set(wanted) - {name for name, *_ in SUITES}
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    suites = [Suite(*entry) for entry in SUITES if not wanted or entry[0] in wanted]
    for suite in suites:
        suite.run()
    print(f"{sum(s.passed for s in suites)} passed, {sum(s.failed for s in suites)} failed")
    return 1 if any(s.failed for s in suites) else 0


if __name__ == "__main__":
    sys.exit(main())
