"""The load client: what it is asked to do, and what its clients heard."""
import struct
from collections import namedtuple
from dataclasses import dataclass

from child import WAIT_SECONDS, Child
from judge import Heard
from support.process import BUILD, wait_until

ARRIVAL = struct.Struct("<QQIIII")               # struct arrival of load.h
Arrival = namedtuple("Arrival", "us hash service endpoints client bytes")
ASSIGNMENT = 2                                   # its slot


@dataclass(frozen=True)
class Plan:
    """How many connect, and what each asks for: load.h."""
    clients: int
    names: int = 1
    streams: int = 1
    services: int = 1
    at_once: int = 1024
    only_endpoints: bool = False
    tls: bool = False
    narrow: bool = False

    def words(self):
        words = [f"{key}={value}" for key, value in (
            ("names", self.names), ("streams", self.streams), ("services", self.services), ("at-once", self.at_once))]
        return [str(self.clients), *words, *(["only-endpoints"] if self.only_endpoints else []), *(["tls"] if self.tls else []),
                *(["narrow"] if self.narrow else [])]

    def asking(self, service):
        """How many names of all streams are this Service's."""
        whole, rest = divmod(self.clients * self.streams * self.names, self.services)
        return whole + (service < rest)


class Load(Child):
    def __init__(self, work, name, port, plan):
        super().__init__(f"a client of the {name}", [BUILD / "bench/ends", "load", "127.0.0.1", port, *plan.words()], work / f"load-{name}.log")
        self.echoes, self.plan, self.file = 0, plan, work / f"load-{name}.arrivals"

    def open(self):
        """Connects all; (begin, end) in microseconds, the latter when the last of them had its last list."""
        begin, end = self.ask("open", "ready")
        return int(begin), int(end)

    def close(self):
        self.ask("close", "closed")

    def close_quietly(self):
        """Whatever it still has to say."""
        self.tell("close")
        self.echoes += 1
        self.tell(f"echo {self.echoes}")
        while self.lines.get(timeout=WAIT_SECONDS) != ("echo", [str(self.echoes)]):
            if not self.process.running:
                raise RuntimeError(f"{self.process.name} ended\n{self.process.log()}")
        self.lost.clear()

    def expect(self, service, endpoints, timeout=60):
        """Until every name of the Service, or of all ("*"), has a list of so many endpoints."""
        self.ask(f"await {service} {endpoints}", "arrived", timeout)

    def arrivals(self):
        """Those since the last time."""
        self.ask(f"log {self.file}", "logged")
        return [Arrival(*fields) for fields in ARRIVAL.iter_unpack(self.file.read_bytes())]

    def heard(self):
        heard = Heard()
        arrivals = self.arrivals()
        for arrival in arrivals:
            heard.add(arrival)
        return arrivals, heard

    def bytes(self):
        return int(self.ask("bytes", "bytes")[0])

    def message(self, slot=ASSIGNMENT):
        """The first client's newest DiscoveryResponse of a type; waits for the first one."""
        def dumped():
            self.ask(f"dump {slot} {self.file}", "dumped")
            return self.file.read_bytes()
        return wait_until(dumped, WAIT_SECONDS, "a response of every type")
