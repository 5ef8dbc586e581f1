"""A watch that breaks in every way that a watch can break."""
import json
import time

from tests.support import api_faults as faults
from tests.support.process import wait_until

from .world import World, endpoint_slice


def follows_changes(work):
    with World(work) as world:
        client = world.client()
        world.put("a", "10.0.0.1", "10.0.0.2", "10.0.0.3")
        world.settle()
        world.put("b", "10.0.1.1")
        world.settle()
        world.api.delete(endpoint_slice("a", []))
        world.settle()
        world.put("b")
        world.settle()
        assert client.seen[-1] == frozenset(), client.seen


def skips_no_change_in_a_storm(work):
    with World(work) as world:
        world.client()
        for number in range(300):
            world.put("a", *[f"10.0.{number // 200}.{number % 200 + i}" for i in range(3)])
        world.settle()


def http_410_lists_again(work):
    with World(work) as world:
        world.client()
        fault = world.api.fault("endpointslices", "watch", faults.status(410))
        world.api.pause_events()
        world.put("a", "10.0.0.9")
        world.api.end_watches_after(1.2)
        fault.wait()
        world.settle()
        world.api.resume_events()


def in_stream_410_lists_again(work):
    with World(work) as world:
        world.client()
        world.api.pause_events()
        world.put("a", "10.0.0.9")
        world.put("a", "10.0.0.8")
        world.api.compact()
        lists = len(world.api.lists("endpointslices"))
        world.api.end_watches_after(1.2)
        world.api.wait_lists(lists + 1, "endpointslices")
        world.settle()
        world.api.resume_events()
        assert world.metric("lookaside_source_relists_total", "endpointslices") >= 1


def in_stream_410_in_mid_watch(work):
    with World(work) as world:
        world.client()
        world.api.pause_events()
        world.put("a", "10.0.0.9")
        world.api.inject("endpointslices", json.dumps(
            {"type": "ERROR", "object": faults.status_object(410, "too old")}) + "\n")
        world.settle()
        world.api.resume_events()


def in_stream_error_keeps_state(work):
    with World(work) as world:
        client = world.client()
        fault = world.api.fault("endpointslices", "watch", faults.error_event(500), times=2)
        world.api.end_watches_after(1.2)
        fault.wait(2)
        world.put("a", "10.0.0.7")
        world.settle()
        assert len(client.seen) == 2, client.seen
        assert len(world.api.lists("endpointslices")) == 1


def server_errors_keep_state(work):
    with World(work) as world:
        client = world.client()
        fault = world.api.fault(None, "watch", faults.status(500), times=6)
        world.api.end_watches_after(1.2)
        fault.wait(6)
        world.put("a", "10.0.0.7")
        world.settle()
        assert len(client.seen) == 2, client.seen
        wait_until(lambda: world.log().count("source is current again") == 3, 10, "recovered")
        assert len(world.warnings()) == 3, world.warnings()
        assert all("retrying in" in line for line in world.warnings())


def too_many_requests_waits_as_asked(work):
    with World(work) as world:
        world.client()
        fault = world.api.fault("endpointslices", "watch", faults.status(429, retry_after=3))
        watches = len(world.api.asked("endpointslices", "watch"))
        world.api.end_watches_after(1.2)
        fault.wait()
        world.put("a", "10.0.0.7")
        first, second = world.api.wait_asked(watches + 2, "endpointslices", "watch")[-2:]
        assert 3 <= second.moment - first.moment < 6, second.moment - first.moment
        world.settle()


def clean_end_resumes_at_once(work):
    with World(work) as world:
        world.client()
        watches = len(world.api.asked("endpointslices", "watch"))
        world.api.end_watches_after(1.2)
        asked = world.api.wait_asked(watches + 1, "endpointslices", "watch")
        assert len(world.api.lists("endpointslices")) == 1
        assert int(asked[-1].query["resourceVersion"]) >= world.api.version, asked[-1]
        world.put("a", "10.0.0.7")
        world.settle()
        assert world.metric("lookaside_source_errors_total", "endpointslices") == 0


def short_watches_do_not_spin(work):
    with World(work) as world:
        world.api.fault(None, "watch", faults.stream(then="end"), times=None)
        before = len(world.api.asked("endpointslices"))
        begin = time.monotonic()
        world.api.end_watches_after(1.2)
        world.api.wait_asked(before + 4, "endpointslices")
        assert time.monotonic() - begin > 2, "no backoff"
        world.api.clear_faults()
        world.client()
        world.put("a", "10.0.0.7")
        world.settle()


def resets_and_disconnects(work):
    with World(work) as world:
        world.client()
        for number, reset in enumerate((False, True, False)):
            lists = len(world.api.lists("endpointslices"))
            world.api.drop_watches(reset)
            world.put("a", f"10.0.0.{number + 3}")
            world.api.wait_lists(lists + 1, "endpointslices")
            world.settle()


def cut_in_mid_line(work):
    _cut(work, lambda line: len(line) // 2)


def cut_one_byte_before_the_end_of_the_line(work):
    _cut(work, lambda line: len(line) - 1)


def cut_in_mid_utf8(work):
    def where(line):
        at = line.find("\u20ac".encode())
        assert at > 0, line
        return at + 1
    _cut(work, where)


def cut_by_reset(work):
    _cut(work, lambda line: len(line) // 3, reset=True)


def _cut(work, where, reset=False):
    with World(work) as world:
        client = world.client()
        cut = world.api.cut_next_event("endpointslices", where, reset)
        fresh = endpoint_slice("a", ["10.0.0.1", "10.0.0.5"])
        fresh["metadata"]["annotations"] = {"note": "\u20ac" * 40}
        world.api.put(fresh)
        cut.wait()
        world.settle()
        assert len(client.seen) == 2, client.seen


def events_byte_by_byte(work):
    with World(work) as world:
        world.client()
        world.api.trickle = (1, 0.0005)
        fresh = endpoint_slice("a", ["10.0.0.1", "10.0.0.5"])
        fresh["metadata"]["annotations"] = {"note": "z\u00fcrich \u20ac \U0001f600"}
        world.api.put(fresh)
        world.put("b", "10.0.2.1")
        world.settle()
        assert len(world.api.lists("endpointslices")) == 1


def malformed_events_are_never_skipped(work):
    lines = ["nonsense\n", '{"type":"ADDED"}\n', '{"type":"WHAT","object":{}}\n',
             b'{"type":"ADDED","object":{"metadata":{"name":"\xff","resourceVersion":"1"}}}\n',
             '{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n']
    with World(work) as world:
        world.client()
        for number, line in enumerate(lines):
            world.api.wait_watched()
            lists = len(world.api.lists("endpointslices"))
            world.api.pause_events()
            world.put("a", f"10.0.0.{number + 3}")     # the malformed line stands for this
            world.api.inject("endpointslices", line)
            world.api.wait_lists(lists + 1, "endpointslices")
            world.settle()
            world.api.resume_events()
        assert world.log().count("malformed watch event") == len(lines)


def an_object_that_is_bad_does_not_hide_the_others(work):
    with World(work) as world:
        world.client()
        nameless = endpoint_slice("x", ["10.0.9.9"])
        world.api.inject("endpointslices", json.dumps({"type": "ADDED", "object": {
            **nameless, "metadata": {"resourceVersion": str(world.api.version)}}}) + "\n")
        wrong = endpoint_slice("y", ["10.0.9.8"])
        wrong["endpoints"] = "none"
        world.api.inject("endpointslices", json.dumps({"type": "ADDED", "object": {
            **wrong, "metadata": {**wrong["metadata"], "resourceVersion": str(world.api.version)}}}) + "\n")
        world.put("a", "10.0.0.1", "10.0.0.6")
        world.settle()
        assert world.metric("lookaside_source_bad_objects_total", "endpointslices") == 1
        assert world.controller.metrics()["lookaside_bad_objects_total"] >= 1
        assert "greeter-y" in world.log()
        assert len(world.api.lists("endpointslices")) == 1


def a_line_without_end_is_bounded(work):
    with World(work) as world:
        world.client()
        lists = len(world.api.lists("endpointslices"))
        world.api.inject("endpointslices", "x" * (9 << 20))
        world.api.wait_lists(lists + 1, "endpointslices")
        world.put("a", "10.0.0.6")
        world.settle()
        assert "longer than" in world.log()


def bookmarks_move_the_version(work):
    with World(work, bookmark_seconds=0.2) as world:
        world.client()
        for number in range(3):                        # of the other resource
            world.api.put(endpoint_slice("other", [f"10.1.0.{number}"], of="other"))
        wait_until(lambda: world.metric("lookaside_source_bookmarks_total", "services") >= 2,
                   10, "bookmarks of services")
        watches = len(world.api.asked("services", "watch"))
        world.api.end_watches_after(1.2)
        asked = world.api.wait_asked(watches + 1, "services", "watch")[-1]
        assert int(asked.query["resourceVersion"]) == world.api.version, asked


def no_bookmarks_at_all(work):
    with World(work, bookmark_seconds=None) as world:
        world.client()
        world.put("a", "10.0.0.6")
        world.settle()
        world.api.compact()                            # the version of services is old now
        world.put("a", "10.0.0.7")
        world.api.drop_watches()
        world.api.put(endpoint_slice("b", ["10.0.3.1"]))
        world.settle()


CASES = [follows_changes, skips_no_change_in_a_storm, http_410_lists_again, in_stream_410_lists_again,
         in_stream_410_in_mid_watch, in_stream_error_keeps_state, server_errors_keep_state,
         too_many_requests_waits_as_asked, clean_end_resumes_at_once, short_watches_do_not_spin,
         resets_and_disconnects, cut_in_mid_line, cut_one_byte_before_the_end_of_the_line,
         cut_in_mid_utf8, cut_by_reset, events_byte_by_byte, malformed_events_are_never_skipped,
         an_object_that_is_bad_does_not_hide_the_others, a_line_without_end_is_bounded,
         bookmarks_move_the_version, no_bookmarks_at_all]
