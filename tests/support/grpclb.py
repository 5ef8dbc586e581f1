"""A client of grpc.lb.v1.LoadBalancer, by hand: no generated code."""
import ipaddress
import queue

from . import ads

METHOD = "/grpc.lb.v1.LoadBalancer/BalanceLoad"
KINDS = {1: "initial", 2: "list", 3: "fallback"}
SECONDS = 10


class Stream:
    """One stream that asks for a name. Iterates over what comes: (kind, value), where a list's value is [(address, port, token)]."""

    def __init__(self, channel, name, metadata=None):
        self.outgoing = queue.Queue()
        self.call = channel.stream_stream(METHOD)(iter(self.outgoing.get, None), timeout=SECONDS, metadata=metadata)
        self.send(ads.encode((1, ads.encode((1, name)))))

    def send(self, request):
        self.outgoing.put(request)

    def __iter__(self):
        return self

    def __next__(self):
        (number, values), = ads.decode(next(self.call)).items()
        return KINDS[number], _servers(values[-1]) if number == 2 else values[-1]

    def cancel(self):
        self.outgoing.put(None)
        self.call.cancel()


def until(stream, kind, length):
    """The first list of that kind and length."""
    return next(value for got, value in stream if got == kind and len(value) == length)


def _servers(data):
    servers = []
    for entry in map(ads.decode, ads.decode(data).get(1, [])):
        address = str(ipaddress.ip_address(entry[1][-1])) if 1 in entry else "drop"
        servers.append((address, entry.get(2, [0])[-1], entry.get(3, [b""])[-1].decode()))
    return servers
