"""Faults at every kind of place of the bytes between the API server and the controller.

The places come from a clean exchange that was recorded: the first and the middle byte of every kind of
place in it, and every n-th byte besides. LOOKASIDE_LONG=1 takes many more of them, in several rounds.
"""
import os
import time

from .fleet import Fleet, places, spread, wait_all

LONG = os.environ.get("LOOKASIDE_LONG") == "1"
SIZE = 240                         # namespaces, and so faults, of one sweep; 256 can be watched
ROUNDS = 8 if LONG else 1
LIST, PAGE = "/namespaces/{}/endpointslices?limit=", "/namespaces/{}/endpointslices?limit=500&continue="
WATCH = "/namespaces/{}/endpointslices?watch=1&resourceVersion="
STREAM = "/namespaces/{}/endpointslices?watch=1&sendInitialEvents=true"
EVERYWHERE = {"in the status line", "in a header", "between head and body"}
IN_LINES = EVERYWHERE | {"in a chunk's size", "behind a chunk's size", "behind a chunk", "in a line",
                         "in a UTF-8 character", "in an escape", "before the end of a line",
                         "at the start of a line", "in a bookmark"}
IN_LISTS = EVERYWHERE | {"in a list", "in a UTF-8 character", "in an escape"}


def _record(work, request, script, **server):
    """The bytes that answer the request when nothing goes wrong."""
    folder = work / "clean"
    folder.mkdir(exist_ok=True)
    with Fleet(folder, 1, record=True, **server) as fleet:
        fleet.start()
        script(fleet)
        fleet.settle()
        return fleet.recorded(request)


def _sweep(work, request, script, acts, kinds, only=None, **server):
    """One fault of each act at each place of the answers to that request, all at once. `only`: at
    places of that kind."""
    answer = _record(work, request, script, **server)
    missing = kinds - set(places(answer).values())
    assert not missing, f"the recorded answer has no place {missing}: {answer!r}"
    for number in range(ROUNDS):
        folder = work / f"round-{number}"
        folder.mkdir()
        offsets = spread(answer[:-2], SIZE // len(acts), number, only)
        with Fleet(folder, len(offsets) * len(acts), **server) as fleet:
            faults = fleet.plan(acts, offsets, request)
            fleet.start()
            script(fleet)
            wait_all(faults)
            fleet.settle()
            fleet.check_back()


def _nothing(_):
    pass


def _changes(fleet):
    """Every kind of event, each once, and a bookmark."""
    fleet.change(2)
    fleet.settle()
    fleet.api.bookmark("endpointslices")


def first_list(work):
    _sweep(work, LIST, _nothing, ("cut", "reset", "pause"), IN_LISTS, gzip=False, streams=False)


def first_list_in_gzip(work):
    _sweep(work, LIST, _nothing, ("cut", "reset", "pause"), EVERYWHERE | {"in a gzip stream"},
           streams=False)


def first_list_in_gzip_with_a_wrong_byte(work):
    """What a checksum finds, no list is made of."""
    _sweep(work, LIST, _nothing, ("corrupt",), {"in a gzip stream"}, only="in a gzip stream",
           streams=False)


def watch(work):
    _sweep(work, WATCH, _changes, ("cut", "reset", "pause"), IN_LINES, streams=False)


def streamed_list(work):
    """And the watch that it becomes."""
    _sweep(work, STREAM, _changes, ("cut", "reset", "pause"), IN_LINES)


CASES = [first_list, first_list_in_gzip, first_list_in_gzip_with_a_wrong_byte, watch,
         streamed_list]
