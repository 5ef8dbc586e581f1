"""Tables of what clients do, in the README, and the cases that fill them: one for each row.

A table stands between two comments in README.md. A cell that comes out otherwise than it is written
there fails; --write-readme writes what came out.
"""
import threading
from dataclasses import dataclass
from typing import Callable

from support import process

README = process.REPOSITORY / "README.md"


@dataclass(frozen=True)
class Row:
    """A line of a table. run(world, notes) makes the client call, and gives the word of its cell."""
    title: str
    run: Callable


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


def run_row(world, row, judge, notes):
    """The word is the first of the notes, also where judge(row, word) fails."""
    notes.insert(0, "")
    notes[0] = row.run(world, notes)
    judge(row, notes[0])


def run_in(open_world, language, rows, report, table, what, topic):
    """The rows in the world that it opens, and that this ends cleanly; what comes out of them is the table's to judge."""
    def judge(row, word):
        table.judge(row.title, column_of(language), word)

    try:
        with open_world() as world:
            run_rows(world, language, rows, judge, report, what)
            with report.case(f"{language.name}: the controller ends cleanly"):
                world.end_controller()
    except Exception as error:
        report.fail(f"{language.name}: set-up of {topic}", str(error))


def run_rows(world, language, rows, judge, report, what=""):
    """A case for each row."""
    for row in rows:
        world.revive()
        with report.case(f"{language.name}: {what}{row.title}") as notes:
            world.run(lambda *_, row=row, notes=notes: run_row(world, row, judge, notes), language, notes)
