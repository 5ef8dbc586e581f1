"""The bench refuses to compare unlike things: each of them is brought about here, on a small scale, and must be refused in the right words."""
import multiprocessing
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import machine  # noqa: E402
from child import Refused  # noqa: E402
from client import Arrival, Plan  # noqa: E402
from judge import FLOOR, OURS, PEER, Heard, Row, alike, at_most, below_peer, complete, times_floor  # noqa: E402
from scenarios import fan_out  # noqa: E402
from support.report import Report  # noqa: E402
from world import Bench, world  # noqa: E402

CLIENTS, CHANGES = 20, 3
STEPS = range(fan_out.ENDPOINTS + 1, fan_out.ENDPOINTS + CHANGES + 1)


def refused(act, words):
    try:
        act()
    except Refused as reason:
        assert words in str(reason), f"refused, but for another reason: {reason}"
        return
    raise AssertionError(f"not refused: {words}")


def heard(*arrivals):
    found = Heard()
    for client, endpoints, value in arrivals:
        found.add(Arrival(0, value, 0, endpoints, client, 100))
    return found


def answers():
    """What a side answered, by the log."""
    expected = {(0, 101): 2}
    complete(heard((0, 101, 7), (1, 101, 7)), FLOOR, expected)
    refused(lambda: complete(heard((0, 101, 7)), PEER, expected), "1 of 2 clients")
    refused(lambda: complete(heard((0, 101, 7), (1, 101, 8)), PEER, expected), "2 different lists")
    refused(lambda: complete(heard((0, 101, 7), (1, 101, 7), (1, 102, 9)), PEER, expected), "nobody had published")


def bytes_of_sides():
    same, other = heard((0, 101, 7)), heard((0, 101, 8))
    alike({FLOOR: same, OURS: same})
    refused(lambda: alike({FLOOR: same, OURS: other}), "sent other bytes")


def targets():
    def row(floor, peer, ours, target):
        return Row("s", "f", "u", [{FLOOR: floor, PEER: peer, OURS: ours}] * 3, target).met
    assert row(10, 80, 15, times_floor(1.5)) is True
    assert row(10, 80, 15.1, times_floor(1.5)) is False
    assert row(10, 80, 16, below_peer(5)) is True
    assert row(10, 79, 16, below_peer(5)) is False
    assert row(10, None, 16, below_peer(5)) is None, "without a peer nothing can be said"
    assert row(None, None, 13, at_most(12, "KiB")) is False


def _burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def disturbances():
    watch = machine.Watch()
    watch.paces[0] /= 10                         # as if it had been ten times faster before
    watch.begin([])
    refused(watch.end, "slower than before")

    watch = machine.Watch()
    machine.SLOWER_MAX, kept = 100, machine.SLOWER_MAX
    others = [multiprocessing.Process(target=_burn, args=(0.6,)) for _ in range(machine.note()["cores"])]
    for other in others:
        other.start()
    watch.begin([])
    time.sleep(0.4)
    refused(watch.end, "other processes took")   # before they are waited for, and so counted as children of ours
    for other in others:
        other.join()
    machine.SLOWER_MAX = kept


def with_sides(act):
    """A small world of the bare loop and Lookaside; act(bench, stations) is to be refused."""
    bench = Bench(True, lambda text: None, tolerant=True)
    with world(bench, Plan(CLIENTS), fan_out.ENDPOINTS, STEPS, (FLOOR, OURS)) as stations:
        return act(bench, stations)


def rounds(bench, stations, count=1):
    return bench.rounds("a round", stations, lambda station: fan_out.measure(station, CHANGES, CLIENTS), count)


def other_bytes(bench, stations):
    assert len(rounds(bench, stations)) == 1 and not bench.refused, f"a good round was refused: {bench.refused}"
    lists = stations[0].side.recording.lists
    lists[STEPS[0]] = lists[STEPS[0]].replace(b"10.1.0.7", b"10.1.0.8")
    refused(lambda: rounds(bench, stations), "only 0 of 1")
    assert "sent other bytes" in bench.refused[0]["reason"], bench.refused


def answered_less(bench, stations):
    load = stations[0].load
    whole = load.arrivals
    load.arrivals = lambda: whole()[:-1]
    refused(lambda: rounds(bench, stations), "only 0 of 1")
    assert f"{CLIENTS - 1} of {CLIENTS} clients" in bench.refused[0]["reason"], bench.refused


def lost_stream(bench, stations):
    """Does not count; in the next round the clients are whole again, whatever they still had to say."""
    station, broken = stations[1], []

    def measure(station):
        if not broken:
            broken.append(station.side.lookaside.process.kill())
            station.side.lookaside.start()
            station.load.close()                 # hears of the loss, and leaves its answer behind
        return fan_out.measure(station, CHANGES, CLIENTS)
    found = bench.rounds("a round", [station], measure, 1)
    assert len(found) == 1 and "lost a stream" in bench.refused[0]["reason"], bench.refused


def main():
    report = Report("bench-refusals")
    for act in (answers, bytes_of_sides, targets, disturbances):
        with report.case(act.__name__):
            act()
    for act in (other_bytes, answered_less, lost_stream):
        with report.case(act.__name__):
            with_sides(act)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
