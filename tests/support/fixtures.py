"""build/xds-fixture and build/grpc-testserver: started, and what they are told; see the .proto files beside this one."""
from dataclasses import dataclass, field

from . import ads, process

SERVICE = "/lookaside.fixture.v1.Fixture/"
VERDICTS = ["", "ACK", "NACK", "STALE"]


class Program:
    """One of the two, on a port of its own. `address` is what its first line says."""

    def __init__(self, name, work, *flags, listen="127.0.0.1:0"):
        self.process = process.Process([process.BUILD / name, "--listen", listen, *flags],
                                       work / f"{name}.log")
        self.address = None

    def _first_line(self):
        if not self.process.running:
            raise AssertionError(f"it ended with {self.process.exit_code}:\n{self.process.log()}")
        line, end, _ = self.process.log_path.read_text().partition("\n")
        return line if end else None

    def start(self):
        self.process.start()
        self.address = process.wait_until(self._first_line, 10, "the address")
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        code = self.process.terminate(15)
        if kind is None and code != 0:
            raise AssertionError(f"it ended with {code}:\n{self.process.log()}")


@dataclass
class Asked:
    type_url: str
    version: str
    nonce: str
    names: list
    unsubscribed: list
    known: dict
    verdict: str
    error: str


@dataclass
class Sent:
    type_url: str
    version: str
    nonce: str
    items: dict                                        # name → version
    removed: list


@dataclass
class StreamLog:
    method: str
    node_id: str
    open: bool
    code: int
    message: str
    forgotten: int
    asked: list = field(default_factory=list)
    sent: list = field(default_factory=list)


def any_of(type_url, value):
    """An encoded google.protobuf.Any."""
    return ads.encode((1, type_url), (2, value))


def named(type_url, name):
    """The smallest resource that a parser takes for one of that name."""
    return any_of(type_url, ads.encode((1, name)))


class Fixture:
    """lookaside.fixture.v1.Fixture."""

    def __init__(self, channel):
        self.channel = channel

    def call(self, method, message, timeout=5):
        return self.channel.unary_unary(SERVICE + method)(message, timeout=timeout)

    def set_state(self, versions=None, entries=(), removed=(), node=""):
        """entries: (type_url, name, version, Any bytes); removed: (type_url, name)."""
        fields = [(1, node)] if node else []
        fields += [(2, ads.encode((1, url), (2, version))) for url, version in (versions or {}).items()]
        fields += [(3, ads.encode(*enumerate(entry, 1))) for entry in entries]
        fields += [(4, ads.encode(*enumerate(key, 1))) for key in removed]
        self.call("SetState", ads.encode(*fields))

    def change(self, method, type_url, name, version="", resource=b"", node=""):
        self.call(method, ads.encode((1, node), (2, type_url), (3, name), (4, version), (5, resource)))

    def update(self, *args, **fields):
        self.change("UpdateResource", *args, **fields)

    def add(self, *args, **fields):
        self.change("AddResource", *args, **fields)

    def remove(self, *args, **fields):
        self.change("RemoveResource", *args, **fields)

    def clear(self, node=""):
        self.call("ClearState", ads.encode((1, node)))

    def streams(self, node="", open_only=False):
        reply = ads.decode(self.call("Streams", ads.encode((1, node), (2, int(open_only)))))
        return [_stream(data) for data in reply.get(1, [])]


def _text(fields, number):
    return fields.get(number, [b""])[-1].decode()


def _texts(fields, number):
    return [text.decode() for text in fields.get(number, [])]


def _pairs(entries):
    return {_text(entry, 1): _text(entry, 2) for entry in map(ads.decode, entries)}


def _stream(data):
    fields = ads.decode(data)
    log = StreamLog(_text(fields, 2), _text(fields, 4), bool(fields[5][-1]), fields[6][-1],
                    _text(fields, 7), fields[9][-1])
    for event in map(ads.decode, fields.get(8, [])):
        if 1 in event:
            asked = ads.decode(event[1][-1])
            log.asked.append(Asked(_text(asked, 1), _text(asked, 2), _text(asked, 3),
                                   _texts(asked, 4), _texts(asked, 5), _pairs(asked.get(6, [])),
                                   VERDICTS[asked[7][-1]], _text(asked, 9)))
        else:
            sent = ads.decode(event[2][-1])
            log.sent.append(Sent(_text(sent, 1), _text(sent, 2), _text(sent, 3),
                                 _pairs(sent.get(4, [])), _texts(sent, 5)))
    return log
