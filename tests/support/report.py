"""What a suite prints: one line per case, and a last line that counts."""
import contextlib
import os
import sys
import threading
import time
import traceback

SKIP_EXIT = 77


class Skip(Exception):
    """A case or a group of cases that cannot run here, with the reason."""


class Report:
    """Counts cases; several threads may use one. A skip fails where LOOKASIDE_NO_SKIP=1."""

    def __init__(self, suite, out=sys.stdout):
        self.suite, self.out = suite, out
        self.lock = threading.Lock()
        self.passed = self.failed = self.skipped = 0
        self.no_skip = os.environ.get("LOOKASIDE_NO_SKIP") == "1"

    def line(self, word, name, seconds=None, note=""):
        took = "" if seconds is None else f"  {seconds:.2f} s"
        with self.lock:
            print(f"{word:7} {name}{took}{'  ' + note if note else ''}", file=self.out, flush=True)

    def note(self, text):
        with self.lock:
            print(f"        {text}", file=self.out, flush=True)

    def ok(self, name, seconds=None, note=""):
        self.passed += 1
        self.line("ok", name, seconds, note)

    def fail(self, name, reason, seconds=None):
        self.failed += 1
        self.line("FAILED", name, seconds, reason)

    def skip(self, name, reason):
        if self.no_skip:
            self.fail(name, f"skipped, and LOOKASIDE_NO_SKIP=1: {reason}")
            return
        self.skipped += 1
        self.line("skipped", name, note=reason)

    @contextlib.contextmanager
    def case(self, name):
        """Runs its body as one case: an exception fails it, Skip skips it, and the suite goes on.

        Gives a list: what the body puts there is printed on the case's line.
        """
        begin, notes = time.monotonic(), []
        try:
            yield notes
        except Skip as reason:
            self.skip(name, str(reason))
        except Exception as error:
            self.fail(name, _reason(error), time.monotonic() - begin)
        else:
            self.ok(name, time.monotonic() - begin, ", ".join(notes))

    def finish(self):
        """Prints the last line and returns the exit code."""
        tail = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.suite}: {self.passed} passed, {self.failed} failed{tail}", file=self.out,
              flush=True)
        if self.failed:
            return 1
        return 0 if self.passed else SKIP_EXIT


def _reason(error):
    if isinstance(error, AssertionError) and str(error):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{error}  ({os.path.basename(frame.filename)}:{frame.lineno})"
    return "".join(traceback.format_exception(error)).strip()
