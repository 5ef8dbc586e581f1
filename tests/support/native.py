"""A client of lookaside.v1.BackendDiscovery, by hand: no generated code."""
import queue
from dataclasses import dataclass, field

from . import ads

METHOD = "/lookaside.v1.BackendDiscovery/Watch"
LIST = "/lookaside.v1.BackendDiscovery/List"


def request(targets, namespace="", place=None, versions=None):
    """place: zone, node, group; None: the server finds it out."""
    fields = [(1, target) for target in targets]
    if namespace:
        fields.append((2, namespace))
    if place is not None:
        fields.append((3, ads.encode(*((number, value) for number, value in enumerate(place, 1) if value))))
    fields += [(4, ads.encode((1, target), (2, version))) for target, version in (versions or {}).items()]
    return ads.encode(*fields)


def key_of(fields):
    return fields.get(1, [b""])[-1].decode(), fields.get(2, [0])[-1]


@dataclass
class Response:
    target: str
    version: str
    backends: dict              # (address, port): the fields of each
    problem: str
    changes: bool
    removed: list               # of (address, port)

    @classmethod
    def parse(cls, data):
        fields = ads.decode(data)
        text = {number: fields.get(number, [b""])[-1].decode() for number in (1, 2, 4)}
        backends = [ads.decode(entry) for entry in fields.get(3, [])]
        made = cls(text[1], text[2], {key_of(backend): backend for backend in backends}, text[4],
                   bool(fields.get(5, [0])[-1]), [key_of(ads.decode(entry)) for entry in fields.get(6, [])])
        assert len(made.backends) == len(backends), f"{made.target}: twice in one list: {backends}"
        return made


@dataclass
class Lists:
    """What responses make of each target: {target: {(address, port): fields}}."""
    lists: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)

    def take(self, response):
        """The target's list, or None: the response carried none."""
        if not response.version:
            assert not response.backends and response.problem, response
            return None
        if not response.changes:
            assert not response.removed, response
            self.lists[response.target] = {}
        now = self.lists[response.target]
        for key in response.removed:
            del now[key]                               # KeyError: it was not told of
        now.update(response.backends)
        self.versions[response.target] = response.version
        return now


class Watch:
    """One stream that follows targets. fn(target, addresses or None) is called for every list, from a
    thread of gRPC's; None: the list stays as it was. The end of the stream is `fn(None, error)`."""

    def __init__(self, channel, targets, fn, metadata=None):
        self.outgoing = queue.Queue()
        self.call = channel.stream_stream(METHOD)(iter(self.outgoing.get, None), metadata=metadata)
        self.fn, self.lists = fn, Lists()
        self.outgoing.put(request(targets))

    def run(self):
        """Reads until the stream ends."""
        try:
            for data in self.call:
                response = Response.parse(data)
                now = self.lists.take(response)
                self.fn(response.target, None if now is None else [address for address, _ in now])
        except Exception as error:                 # the end of the stream, too
            self.fn(None, error)

    def cancel(self):
        self.outgoing.put(None)
        self.call.cancel()
