"""A world: the sides that are compared, each with clients of its own, and the rounds in which they take turns."""
import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import machine
import plot
import sides
from child import Refused
from client import Load
from feed import now_us
from judge import FLOOR, OURS, PEER, alike

SPARE_ROUNDS = 2       # times as many rounds are tried as are wanted
# Lookaside's window for changes of one Service, in seconds, and in times of the last fan-out; with something to spare.
WINDOW_LEAST, WINDOW_MOST, WINDOW_FANOUTS = 0.012, 1.02, 4.5


class Bench:
    """What all scenarios share: options, the peer's program, rows, plots and what was refused."""

    def __init__(self, quick, say, peer=None, tolerant=False):
        self.quick, self.say, self.peer, self.tolerant = quick, say, peer, tolerant
        self.rows, self.refused, self.skipped, self.disturbed = [], [], [], []
        self.figures, self.groups = {}, {}       # {name: SVG}, {name: (title, unit, groups of bars)}
        self.machine = machine.note()

    def pick(self, quick, full):
        return quick if self.quick else full

    def sides(self, *names):
        """Those that there are."""
        return [name for name in names or (FLOOR, PEER, OURS) if name != PEER or self.peer]

    @contextlib.contextmanager
    def folder(self):
        path = Path(tempfile.mkdtemp(prefix="lookaside-bench-"))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def line_plot(self, name, title, unit_x, unit_y, series, log_x=False):
        self.figures[name] = plot.lines(title, unit_x, unit_y, series, log_x)

    def bar_group(self, name, title, unit, label, row):
        """Another group of bars in a picture: a row's sides."""
        found = {FLOOR: row.floor, PEER: row.peer, OURS: row.ours}
        groups = self.groups.setdefault(name, (title, unit, []))[2]
        groups.append((label, {side: (value.median, value.least, value.most) for side, value in found.items() if value}))
        self.figures[name] = plot.bars(title, unit, groups)

    def skip(self, reason):
        self.skipped.append(reason)
        self.say(f"skipped: {reason}")

    def refuse(self, scenario, reason):
        self.refused.append({"scenario": scenario, "reason": str(reason)})
        self.say(f"{scenario}: a round does not count: {reason}")

    def rounds(self, scenario, sides_of, measure, count, warm=False, timed=True):
        """Calls measure(side) for each side in turn, in `count` rounds that count: [{side name: its result}]. With `warm`, once more before.

        A result has `heard`, judged here, where lists came. What is not timed, nobody disturbs. Raises Refused when too few rounds counted.
        """
        results, tried, watch = [], 0, machine.Watch(self.tolerant or not timed)
        if warm:
            try:
                self._round(sides_of, measure, machine.Watch(tolerant=True))
            except Refused:                      # it would not count anyway
                recover(sides_of)
        while len(results) < count and tried < count * SPARE_ROUNDS:
            order = sides_of[tried % len(sides_of):] + sides_of[:tried % len(sides_of)]
            tried += 1
            try:
                results.append(self._round(order, measure, watch))
            except Refused as reason:
                self.refuse(scenario, reason)
                recover(sides_of)
        self.disturbed.append(watch.worst())
        if len(results) < count:
            raise Refused(f"{scenario}: only {len(results)} of {count} rounds counted")
        return results

    @staticmethod
    def _round(order, measure, watch):
        result = {}
        watch.begin_round()
        for side in order:
            watch.begin(side.pids())
            result[side.name] = measure(side)
            watch.end()
        heard = {name: one["heard"] for name, one in result.items() if "heard" in one}
        if len(heard) > 1:
            alike(heard)
        return result


def recover(sides_of):
    for side in sides_of:
        if hasattr(side, "recover"):
            side.recover()


class Station:
    """One side with its clients."""

    def __init__(self, side, load):
        self.side, self.load, self.name = side, load, side.name

    def pids(self):
        return [self.side.pid, self.load.pid]

    def change(self, service, endpoints):
        """Publishes a list and waits until all have it, and until Lookaside would send another at once; the moment before.

        Changes that follow each other sooner than that it takes together, which is not what is measured where changes are counted.
        """
        moment = self.side.publish(service, endpoints)
        self.load.expect(service, endpoints)
        took = (now_us() - moment) / 1e6
        time.sleep(max(WINDOW_LEAST, min(WINDOW_MOST, WINDOW_FANOUTS * took) - took))
        return moment

    def remove(self, service, endpoints):
        """Takes endpoints away until there are so many; the moment before."""
        moment = self.side.publish(service, endpoints, remove=True)
        self.load.expect(service, endpoints)
        return moment

    def recover(self):
        """After a round that was given up: all clients anew, and nothing left of what they said."""
        self.load.close_quietly()
        for service in range(self.side.services):
            self.side.publish(service, self.side.endpoints)
        for last in (False, False, True):        # a storm of its own may lose one, too
            try:
                self.load.open()
                break
            except Refused:
                if last:
                    raise
                self.load.close_quietly()
        self.load.expect("*", self.side.endpoints)
        self.load.arrivals()


@contextlib.contextmanager
def world(bench, plan, endpoints, steps, names=(), services=None, per_slice=None, opened=True):
    """Stations of the sides `names` (all by default), whose Services (by default those that are asked for) have so many endpoints, and may get any of
    `steps`."""
    with bench.folder() as work, contextlib.ExitStack() as stack:
        recording = sides.record(work, [endpoints, *steps], plan.only_endpoints, per_slice)
        stations = []
        for name in bench.sides(*names):
            side = sides.make(name, work, recording, services or plan.services, endpoints, plan, bench.peer, per_slice)
            stack.callback(side.stop)
            side.start()
            load = Load(work, name, side.port, plan)
            stack.callback(load.stop)
            stations.append(Station(side, load))
            if opened:
                load.open()
                machine.rest(side.pid)
                load.arrivals()
        for station in stations:
            for note in station.load.notes:
                bench.say(f"note: {note}")
        yield stations
