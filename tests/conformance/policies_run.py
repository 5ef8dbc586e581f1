"""Runs the rows of policies.py with a client, and compares what it does with what conditions say of such clients."""
import re

from conformance.matrix import column_of, run_rows
from conformance.policies import EARLY, IGNORED, ROUND_ROBIN, ROWS, PolicyWorld, quarantine


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


def judge_of(world, language, table):
    """What the condition says of such a client, and what README.md has."""
    def judge(row, word):
        if row.resource:
            _check_words(world, language, row, word)
        table.judge(row.title, column_of(language), word)
    return judge


def run_language(language, command, work, report, table):
    try:
        with PolicyWorld(work, command) as world:
            for row in ROWS:
                if row.begin:
                    row.begin(world)
            run_rows(world, language, ROWS, judge_of(world, language, table), report)
            if language.name == "go":
                with report.case(f"{language.name}: a client that refuses a policy") as notes:
                    world.run(lambda *_: quarantine(world, notes), language, notes)
            with report.case(f"{language.name}: the controller ends cleanly"):
                world.end_controller()
    except Exception as error:
        report.fail(f"{language.name}: set-up of policies", str(error))
