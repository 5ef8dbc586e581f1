"""make bench-count: what a push, a subscription and a connection cost, counted and not timed, so that it repeats on a busy machine.

Each figure is what the clients that are added cost, that is a difference of two populations, which leaves out what a change costs by itself. Fails where one
passes its limit in thresholds.json.
"""
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import machine  # noqa: E402
from client import Load, Plan  # noqa: E402
from counters import Callgrind, Counted  # noqa: E402
from support.process import BUILD  # noqa: E402
from support.report import Report  # noqa: E402
from world import WINDOW_LEAST, Station  # noqa: E402

ENDPOINTS = 100
CHANGES, WARM = 20, 6
SHOWN = 40             # functions
THRESHOLDS = HERE / "thresholds.json"


class Populations:
    """Clients that come in groups, all of which hear of every change."""

    def __init__(self, work, product):
        self.work, self.product, self.loads = work, product, []

    def add(self, plan):
        load = Load(self.work, f"group-{len(self.loads)}", self.product.port, plan)
        self.loads.append(load)
        load.open()
        machine.rest(self.product.pid, 120)

    def change(self, count):
        for number in range(count):
            endpoints = ENDPOINTS + 1 + number % 2
            for load in self.loads[1:]:
                load.tell(f"await 0 {endpoints}")
            Station(self.product, self.loads[0]).change(0, endpoints)
            for load in self.loads[1:]:
                load.hear("arrived")
        machine.rest(self.product.pid, 120)

    def stop(self):
        for load in self.loads:
            load.stop()


def count_calls(work, few=50, more=200):
    """Over plain connections: calls, allocations, heap."""
    counted = Counted(work, 1, ENDPOINTS, ENDPOINTS + 2)
    product = counted.product.start()
    groups = Populations(work, product)

    def pushes():
        groups.change(WARM)
        before = counted.read()
        groups.change(CHANGES)
        return {key: value - before[key] for key, value in counted.read().items()}
    try:
        groups.add(Plan(few))
        first, before = pushes(), counted.read()
        groups.add(Plan(more))
        connected = {key: (value - before[key]) / more for key, value in counted.read().items()}
        second = pushes()
    finally:
        groups.stop()
        product.stop()
    each = {key: (second[key] - first[key]) / CHANGES / more for key in first}
    heap = connected["live bytes"]
    return {"heap per connection, bytes": heap, "sends per connection": connected["sends"],
            "receives per connection": connected["receives"], "epoll_ctl per connection": connected["watches"],
            "allocations per connection": connected["allocations"], "allocations per push": each["allocations"], "sends per push": each["sends"],
            "receives per push": each["receives"], "epoll_ctl per push": each["watches"],
            "heap per connection after pushes, bytes": heap + each["live bytes"] * CHANGES}


def count_tls_heap(work, few=50, more=200):
    counted = Counted(work, 1, ENDPOINTS, ENDPOINTS + 2, tls=True)
    product = counted.product.start()
    groups = Populations(work, product)
    try:
        groups.add(Plan(few, tls=True))
        live = counted.read()["live bytes"]
        groups.add(Plan(more, tls=True))
        return {"heap per TLS connection, bytes": (counted.read()["live bytes"] - live) / more}
    finally:
        groups.stop()
        product.stop()


def per(many, few, count):
    """By function, for each of `count` that are more."""
    return Counter({name: (many[name] - few[name]) / count for name in many.keys() | few.keys()})


def count_instructions(work, few=50, more=300):
    callgrind = Callgrind(work, 1, ENDPOINTS, ENDPOINTS + 2)
    product = callgrind.product.start(120)
    groups = Populations(work, product)

    def cost(act):
        callgrind.instructions()                 # what was before
        act()
        return callgrind.instructions()

    def pushes():
        groups.change(WARM)
        return cost(lambda: groups.change(CHANGES))
    try:
        groups.add(Plan(1))                      # pays for what is made once
        opened = cost(lambda: groups.add(Plan(few)))
        first = pushes()
        opened_more = cost(lambda: groups.add(Plan(more)))
        second = pushes()
    finally:
        groups.stop()
        product.stop()
    pushes_each = per(second, first, CHANGES * more)
    opened_each = per(opened_more, opened, more - few)
    return {"instructions per push": sum(pushes_each.values()), "instructions per connection": sum(opened_each.values())}, \
        {"push": pushes_each, "connection": opened_each}


def count_names(work, few=100, more=1000):
    """A name's share of a stream that asks for many; and a change of a Service that nobody asks for, the first of so many."""
    callgrind = Callgrind(work, more + 1, 10, 12)
    product = callgrind.product.start(120)
    groups = Populations(work, product)
    try:
        groups.add(Plan(1, names=more, services=more, only_endpoints=True))
        costs = []
        for names in (few, more):
            callgrind.instructions()
            groups.add(Plan(1, names=names, services=more, only_endpoints=True))
            costs.append(callgrind.instructions())
        apart(product, more, WARM)
        callgrind.instructions()
        apart(product, more, CHANGES)
        change = per(callgrind.instructions(), Counter(), CHANGES)
    finally:
        groups.stop()
        product.stop()
    subscription = per(costs[1], costs[0], more - few)
    return {"instructions per subscription": sum(subscription.values()), "instructions per change that nobody asked for": sum(change.values())}, \
        {"subscription": subscription, "change": change}


def apart(product, service, changes):
    """Changes one after the other."""
    for number in range(changes):
        product.publish(service, 11 + number % 2)
        time.sleep(WINDOW_LEAST)
        machine.rest(product.pid, 120)


def in_folder(count):
    work = Path(tempfile.mkdtemp(prefix="lookaside-count-"))
    try:
        return count(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def judge(report, figures, limits):
    for figure in sorted(figures.keys() | limits.keys()):
        value, limit = figures.get(figure), limits.get(figure)
        text = f"{figure}: {'not measured' if value is None else f'{value:,.2f}'}, at most {'nothing said' if limit is None else f'{limit:,}'}"
        if value is None or limit is None or value > limit:
            report.fail(text, "passes its limit in thresholds.json" if value is not None and limit is not None else "is in one place only")
        else:
            report.ok(text)


def main():
    report, figures = Report("bench-count"), {}
    figures.update(in_folder(count_calls))
    instructions, profiles = in_folder(count_instructions)
    figures.update(instructions)
    for_names, more_profiles = in_folder(count_names)
    figures.update(for_names)
    profiles.update(more_profiles)
    figures.update(in_folder(count_tls_heap))
    judge(report, figures, json.loads(THRESHOLDS.read_text()))
    folder = BUILD / "bench"
    (folder / "counts.json").write_text(json.dumps({"machine": machine.note(), "figures": figures}, indent=1) + "\n")
    for what, profile in profiles.items():
        lines = [f"{value:9.1f}  {name}" for name, value in profile.most_common(SHOWN)]
        (folder / f"instructions-{what}.txt").write_text(f"instructions of a {what}, by function\n" + "\n".join(lines) + "\n")
    report.note(f"{folder}: counts.json, and where the instructions go: {', '.join(f'instructions-{what}.txt' for what in profiles)}")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
