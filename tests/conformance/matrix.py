"""Tables of what clients do, in the README; and the one of policies: runs the rows of policies.py with every client.

A table stands between two comments in README.md. A cell that comes out otherwise than it is written
there fails; --write-readme writes what came out.
"""
import re
import threading

from conformance.policies import EARLY, IGNORED, ROUND_ROBIN, ROWS, PolicyWorld, quarantine
from support import process

README = process.REPOSITORY / "README.md"


class Matrix:
    """What is written, and what came out: {(row's title, column): word}. what: "policies"."""

    def __init__(self, what, rows, writing):
        self.what, self.rows, self.writing = what, rows, writing
        self.written = _parse(_section(README.read_text(), what)[1])
        self.seen, self.lock = {}, threading.Lock()

    def judge(self, row, column, word):
        """Keeps a cell, and compares it."""
        with self.lock:
            self.seen[row, column] = word
        if self.writing:
            return
        expected = self.written.get((row, column))
        if expected is None:
            raise AssertionError(f"{word}; README.md has no such cell: run.py --{self.what} --write-readme")
        assert word == expected, f"{word}, but README.md has: {expected}"

    def write(self, columns):
        """Cells that did not come out stay as they are written."""
        cells = {**self.written, **self.seen}
        head, _, tail = _section(README.read_text(), self.what)
        lines = [["", *columns], ["---"] * (1 + len(columns)),
                 *([row.title, *(cells.get((row.title, column), "?") for column in columns)]
                   for row in self.rows)]
        README.write_text(head + "".join(f"| {' | '.join(line)} |\n" for line in lines) + tail)


def column_of(language):
    return f"{language.title} {language.version()}"


def _section(text, what):
    first = f"<!-- {what} by clients: make conformance compares it, --write-readme writes it -->"
    last = f"<!-- end of {what} by clients -->"
    head, begin, rest = text.partition(first + "\n")
    table, end, tail = rest.partition(last)
    assert begin and end, f"README.md lacks the lines\n{first}\n{last}"
    return head + begin, table, end + tail


def _parse(table):
    lines = [[cell.strip() for cell in line.strip("| \n").split(" | ")]
             for line in table.splitlines()]
    if not lines:
        return {}
    columns = [cell for cell in lines[0] if cell]
    return {(line[0], column): word for line in lines[2:]
            for column, word in zip(columns, line[1:])}


def _release(version):
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


# What the condition says of clients of which a cell has this word.
SAYINGS = {ROUND_ROBIN: r"use RoundRobin instead: ([^;]*)", EARLY: r"1 to 2 s early[^:]*: ([^;]*)",
           IGNORED: r"these clients ignore [^:]*: ([^;]*)"}


def is_named(message, saying, language):
    """Whether a condition's message says that of such a client: "Go before 1.74, C++ 1.50 to 1.51"."""
    kinds = re.search(saying, message)
    for kind in kinds.group(1).split(", ") if kinds else []:
        name, _, rest = kind.partition(" ")
        bounds = [_release(word) for word in re.findall(r"[\d.]+", rest)]
        release = _release(language.version())
        if name == language.title and (
                not bounds or (release < bounds[0] if rest.startswith("before")
                               else bounds[0] <= release <= bounds[1])):
            return True
    return False


def _check_words(world, language, row, word):
    message = world.published(row.resource)["message"]
    for said, saying in SAYINGS.items():
        assert is_named(message, saying, language) == (word == said), \
            f"{word}, but the condition says: {message!r}"


def run_row(world, language, row, matrix, notes):
    """One cell: what the client does, what the condition says of it, and what README.md has."""
    notes.insert(0, "")
    word = row.run(world, notes)
    notes[0] = word
    if row.resource:
        _check_words(world, language, row, word)
    matrix.judge(row.title, column_of(language), word)


def run_language(language, command, work, report, matrix):
    try:
        with PolicyWorld(work, command) as world:
            for row in ROWS:
                if row.begin:
                    row.begin(world)
            for row in ROWS:
                world.revive()
                with report.case(f"{language.name}: {row.title}") as notes:
                    world.run(lambda *_: run_row(world, language, row, matrix, notes), language,
                              notes)
            if language.name == "go":
                with report.case(f"{language.name}: a client that refuses a policy") as notes:
                    world.run(lambda *_: quarantine(world, notes), language, notes)
            with report.case(f"{language.name}: the controller ends cleanly"):
                world.end_controller()
    except Exception as error:
        report.fail(f"{language.name}: set-up of policies", str(error))
