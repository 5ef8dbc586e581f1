"""Faults at every kind of place of the bytes between the API server and the controller.

The places come from a clean exchange that was recorded: the first and the middle byte of every kind of
place in it, and every n-th byte besides. LOOKASIDE_LONG=1 takes other n-th bytes in several rounds.
"""
import os
from dataclasses import dataclass
from typing import Callable

from tests.e2e import certificates
from tests.support import manifests
from tests.support.process import PLAIN_BUILD, wait_until
from tests.support.tcp_proxy import Fault

from .fleet import DEADLINE, Fleet, places, spread, wait_all
from .world import SERVICE

LONG = os.environ.get("LOOKASIDE_LONG") == "1"
ROUNDS = 8 if LONG else 1
SIZE = 240 if LONG else 120        # namespaces, and so faults, of one sweep; 256 can be watched
LIST, PAGE = "/namespaces/{}/endpointslices?limit=", "/namespaces/{}/endpointslices?limit=500&continue="
WATCH = "/namespaces/{}/endpointslices?watch=1&resourceVersion="
ANY_WATCH = "/namespaces/{}/endpointslices?watch=1"
STREAM = "/namespaces/{}/endpointslices?watch=1&sendInitialEvents=true"
BREAKS = ("cut", "reset", "pause")
HEAD = {"in the status line", "in a header", "between head and body"}
CHARACTERS = {"in a UTF-8 character", "in an escape"}
IN_LIST = HEAD | CHARACTERS | {"in a list"}
IN_GZIP = HEAD | {"in a gzip stream"}
IN_WATCH = HEAD | CHARACTERS | {"in a chunk's size", "behind a chunk's size", "behind a chunk", "in a line",
                                "before the end of a line", "at the start of a line", "in a bookmark"}


@dataclass
class Sweep:
    """What is damaged: the answers to `request` while script(fleet) runs. `running`: the controller and
    its clients were at work before; else the faults are there when it starts."""
    request: str
    kinds: set                     # places that the clean answer must have
    acts: tuple = BREAKS
    script: Callable = lambda fleet: None
    running: bool = False
    only: str | None = None        # places of this kind
    size: int = SIZE
    deadline: float = DEADLINE

    def run(self, work, **server):
        """One fault of each act at each place, all at once."""
        answer = self.record(_folder(work, "clean"), server)
        missing = self.kinds - set(places(answer).values())
        assert not missing, f"the recorded answer has no place {missing}: {answer!r}"
        for number in range(ROUNDS):
            offsets = spread(answer[:-2], self.size // len(self.acts), number, self.only)
            with Fleet(_folder(work, f"round-{number}"), len(offsets) * len(self.acts),
                       **server) as fleet:
                if self.running:
                    self.begin(fleet)
                faults = fleet.plan(self.acts, offsets, self.request)
                if not self.running:
                    self.begin(fleet)
                self.script(fleet)
                wait_all(faults)
                fleet.settle(self.deadline)
                fleet.check_back()

    def record(self, work, server):
        """The bytes that come when nothing goes wrong."""
        with Fleet(work, 1, record=True, **server) as fleet:
            self.begin(fleet)
            if self.running:
                fleet.proxy.exchanges.clear()
            self.script(fleet)
            fleet.settle()
            return fleet.recorded(self.request)

    @staticmethod
    def begin(fleet):
        fleet.start()
        fleet.settle()


def _folder(work, name):
    folder = work / name
    folder.mkdir()
    return folder


# ---- what the API server says while bytes get lost ----

def _changes(fleet):
    """Every kind of event, each once, and a bookmark."""
    fleet.change(2)
    fleet.settle()
    fleet.api.bookmark("endpointslices")


def _list_again(fleet):
    """Every version is too old: the watches end, and a list must follow."""
    fleet.api.pause_events()
    fleet.change(3)
    fleet.api.compact()
    fleet.api.drop_watches()
    fleet.settle()
    fleet.api.resume_events()


# ---- lists ----

def first_list(work):
    Sweep(LIST, IN_LIST).run(work, streams=False, gzip=False)


def first_list_in_gzip(work):
    Sweep(LIST, IN_GZIP).run(work, streams=False)


def first_list_in_gzip_with_a_wrong_byte(work):
    """Of what a checksum finds, no list is made."""
    Sweep(LIST, IN_GZIP, ("corrupt",), only="in a gzip stream").run(work, streams=False)


def second_page(work):
    Sweep(PAGE, IN_LIST).run(work, streams=False, gzip=False, page_max=2)


def list_under_way(work):
    """The clients keep what they have until the list is whole."""
    Sweep(LIST, IN_LIST, script=_list_again, running=True).run(work, streams=False, gzip=False)


def second_page_under_way(work):
    Sweep(PAGE, IN_LIST, script=_list_again, running=True).run(work, streams=False, gzip=False,
                                                                       page_max=2)


def list_that_freezes(work):
    """The connection stays open, and nothing comes any more: given up after 30 s."""
    Sweep(LIST, IN_LIST, ("freeze",), _list_again_frozen, running=True, size=24,
          deadline=60).run(work, streams=False, gzip=False)


def _list_again_frozen(fleet):
    """The same without waiting: a frozen list takes its time."""
    fleet.api.pause_events()
    fleet.change(3)
    fleet.api.compact()
    fleet.api.drop_watches()
    fleet.api.wait_lists(2 * fleet.size, "endpointslices")
    fleet.api.resume_events()


# ---- watches ----

def watch(work):
    Sweep(WATCH, IN_WATCH, script=_changes).run(work, streams=False)


def streamed_list(work):
    """And the watch that it becomes."""
    Sweep(STREAM, IN_WATCH, script=_changes).run(work)


def streamed_list_under_way(work):
    """The clients keep what they have until the list is whole."""
    Sweep(STREAM, IN_WATCH, script=_list_again, running=True).run(work)


def streamed_list_that_freezes(work):
    """Given up after 10 s."""
    Sweep(STREAM, IN_WATCH, ("freeze",), _list_again_frozen, running=True, size=24).run(work)


def _byte_by_byte(work, requests, verbs, **server):
    with Fleet(work, 24, gzip=False, **server) as fleet:
        for request in requests:
            fleet.plan(("slice",), range(fleet.size), request)
        fleet.start()
        _changes(fleet)
        fleet.check_back()
        assert sum(1 for request in fleet.api.asked("endpointslices")
                   if request.verb in verbs) == fleet.size, "a list broke"


def pages_byte_by_byte(work):
    _byte_by_byte(work, (LIST, WATCH), ("list",), streams=False)


def streams_byte_by_byte(work):
    _byte_by_byte(work, (STREAM,), ("stream", "list"))


def events_that_come_twice(work):
    with Fleet(work, 4) as fleet:
        fleet.api.twice = True
        fleet.start()
        for version in range(2, 6):
            _changes(fleet)
            fleet.change(version)
        fleet.settle()
        assert len(fleet.api.lists("endpointslices")) == fleet.size, "listed again"


def _out_of_step(work, late):
    """The server keeps the order of one resource's events, but not between two resources."""
    with Fleet(work, 4) as fleet:
        fleet.start()
        fleet.settle()
        fleet.api.delays[late] = 0.2
        for version in range(2, 5):
            fleet.change(version)
            for name in fleet.names:                   # and one more port
                fleet.api.put(manifests.service(SERVICE, name, ports=[
                    {"name": "grpc", "port": 8001}, {"name": "more", "port": 9000 + version}]))
            fleet.settle()
        for suffix in "abc":
            fleet.delete(suffix)
        for name in fleet.names:
            fleet.api.delete(manifests.service(SERVICE, name))
        fleet.settle()
        for name in fleet.names:                       # all of it again
            fleet.api.put(manifests.service(SERVICE, name))
        fleet.put("a", 5)
        fleet.settle()


def services_come_later_than_slices(work):
    _out_of_step(work, "services")


def slices_come_later_than_services(work):
    _out_of_step(work, "endpointslices")


# ---- TLS ----

def tls_bytes(work):
    """The first connections, in both directions: handshake, request and answer."""
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=fake", "serverAuth", "IP:127.0.0.1")
    acts = (*BREAKS, "corrupt")
    with Fleet(work, 60, tls=(work / "server.crt", work / "server.key"),
               cluster_fields={"certificate-authority": "ca.crt"}) as fleet:
        places_of = [(act, up, at) for act in acts for up in (True, False)
                     for at in range(0, 700 if up else 2800, 70 if up else 140)]
        faults = [Fault(act, at, up=up, connection=number)
                  for number, (act, up, at) in enumerate(places_of)]
        assert len(faults) <= 2 * fleet.size, len(faults)
        fleet.proxy.plan(*faults)
        fleet.start(60)
        _changes(fleet)
        fleet.check_back()
        met = sum(fault.met.is_set() for fault in faults)
        assert met >= 0.8 * len(faults), f"{met} of {len(faults)} faults were met"


# ---- what stays behind ----

def _all_met(fleet, faults):
    """Also those that lie behind what a watch has to say: a bookmark always comes."""
    fleet.api.bookmark("endpointslices")
    return all(fault.met.is_set() for fault in faults)


def hundreds_of_faults_leave_nothing(work):
    """Memory after the third round of faults is what it was after the first."""
    with Fleet(work, SIZE * 2 // 3, build=PLAIN_BUILD) as fleet:
        Sweep.begin(fleet)
        memory = []
        for number in range(3):
            faults = fleet.plan(("cut", "reset"), range(20, 20 + fleet.size // 2), ANY_WATCH)
            fleet.api.drop_watches(reset=number == 1)
            fleet.change(2 + number)
            wait_until(lambda: _all_met(fleet, faults), DEADLINE, "all faults are met", interval=0.2)
            fleet.settle()
            fleet.check_back()
            memory.append(fleet.controller.memory())
        assert memory[2] - memory[0] < 2048, f"KiB after each round: {memory}"


CASES = [list_that_freezes, first_list, first_list_in_gzip, first_list_in_gzip_with_a_wrong_byte,
         second_page, list_under_way, second_page_under_way, watch, streamed_list,
         streamed_list_under_way, streamed_list_that_freezes, pages_byte_by_byte, streams_byte_by_byte,
         events_that_come_twice, services_come_later_than_slices, slices_come_later_than_services,
         tls_bytes, hundreds_of_faults_leave_nothing]
