"""A replica is killed under a thousand clients of each kind that can tell what they have, and comes back: only what differs is sent."""
import selectors
import socket
import struct
import time

from tests.support import ads, h2raw, manifests, native, process
from tests.support.lookaside import Lookaside

SERVICES, ENDPOINTS = 20, 100
CLIENTS = 1000                     # of each kind: 50 follow each Service
CHANGED = 0                        # the Service that changes meanwhile
SECONDS = 60
# That a client is sent by HTTP/2 and gRPC until it has all: the server's SETTINGS, the ACK of its own, and the response's headers.
FRAME_BYTES = 120
CONFIRMATION_BYTES = 60            # "that is still so", of one target, with its name and version


class Peer:
    """One connection with one stream. `news`: what it was sent since it connected, in order; `received`: bytes, of all frames."""

    def __init__(self, service):
        self.service, self.sock = service, None

    def connect(self, server, selector):
        host, _, port = server.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), timeout=10)
        self.buffer, self.body, self.received, self.news = b"", b"", 0, []
        self.sock.sendall(h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS)
                          + h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, h2raw.call_headers(self.path))
                          + b"".join(self._data(each) for each in self.asks()))
        self.sock.setblocking(False)
        selector.register(self.sock, selectors.EVENT_READ, self)

    @staticmethod
    def _data(message):
        return h2raw.frame(h2raw.DATA, 0, 1, h2raw.message(message))

    def read(self):
        """False: the connection has ended."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            return False
        self.received += len(data)
        self.buffer += data
        while len(self.buffer) >= 9:
            end = 9 + int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < end:
                break
            payload, (kind, flags) = self.buffer[9:end], self.buffer[3:5]
            self.buffer = self.buffer[end:]
            self._take_frame(kind, flags, payload)
        return bool(data)

    def _take_frame(self, kind, flags, payload):
        if kind in (h2raw.SETTINGS, h2raw.PING) and not flags & h2raw.ACK:
            self.sock.sendall(h2raw.frame(kind, h2raw.ACK, 0, payload if kind == h2raw.PING else b""))
        if kind != h2raw.DATA:
            return
        given_back = struct.pack("!I", len(payload)) if payload else None
        if given_back:
            self.sock.sendall(h2raw.frame(h2raw.WINDOW_UPDATE, 0, 0, given_back)
                              + h2raw.frame(h2raw.WINDOW_UPDATE, 0, 1, given_back))
        self.body += payload
        while len(self.body) >= 5 and len(self.body) >= (end := 5 + int.from_bytes(self.body[1:5], "big")):
            message, self.body = self.body[5:end], self.body[end:]
            self.take(ads.decode(message))

    def close(self, selector):
        selector.unregister(self.sock)
        self.sock.close()


class DeltaPeer(Peer):
    """News are (type, name)."""
    path = ads.DELTA_METHOD

    def __init__(self, service):
        super().__init__(service)
        cluster = f"shop/{service}:8001"
        self.names = {ads.LDS: f"{service}.shop:8001", ads.CDS: cluster, ads.EDS: cluster}
        self.versions = {type_url: {} for type_url in self.names}

    def asks(self):
        return [ads.delta_request(type_url, [name], known=self.versions[type_url],
                                  node=ads.node() if type_url == ads.LDS else None)
                for type_url, name in self.names.items()]

    def take(self, fields):
        type_url, nonce = fields[4][-1].decode(), fields[5][-1].decode()
        for resource in map(ads.decode, fields.get(2, [])):
            name = resource[3][-1].decode()
            self.versions[type_url][name] = resource[1][-1].decode()
            self.news.append((type_url, name))
        assert 6 not in fields, f"removed: {fields[6]}"
        self.sock.sendall(self._data(ads.delta_request(type_url, nonce=nonce)))

    def first(self):
        return sorted(self.names.items())

    def change(self):
        return [(ads.EDS, self.names[ads.EDS])]

    still = []


class NativePeer(Peer):
    """News are (whether it is told as changes, backends in it)."""
    path = native.METHOD
    still = [(True, 0)]            # the confirmation

    def __init__(self, service):
        super().__init__(service)
        self.target, self.version = f"{service}.shop:8001", None

    def asks(self):
        return [native.request([self.target], versions={self.target: self.version} if self.version else None)]

    def take(self, fields):
        self.version = fields[2][-1].decode()
        self.news.append((bool(fields.get(5, [0])[-1]), len(fields.get(3, []))))
        assert 6 not in fields, f"removed: {fields[6]}"

    def first(self):
        return [(False, ENDPOINTS)]

    def change(self):
        """On the stream that has the list before it; a replica that never had that sends all of it."""
        return [(True, 1)]


class Swarm:
    def __init__(self, work):
        self.manifests = manifests.Manifests(work / "manifests")
        self.services = [f"greeter-{i}" for i in range(SERVICES)]
        self.sizes = dict.fromkeys(self.services, ENDPOINTS)
        for service in self.services:
            self.manifests.service(service)
            self._write(service)
        self.controller = Lookaside(work, self.manifests.directory)
        self.peers = [kind(self.services[i % SERVICES]) for kind in (DeltaPeer, NativePeer) for i in range(CLIENTS)]

    def _write(self, service):
        number = self.services.index(service)
        self.manifests.slice(service, [manifests.Endpoint(f"10.0.{number}.{i + 1}") for i in range(self.sizes[service])])

    def grow(self, service):
        self.sizes[service] += 1
        self._write(service)

    def __enter__(self):
        self.selector = selectors.DefaultSelector()
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()
        for peer in self.peers:
            if peer.sock:
                peer.sock.close()
        self.selector.close()

    def connect(self):
        for peer in self.peers:
            peer.connect(self.controller.listen, self.selector)

    def _read(self, seconds):
        for key, _ in self.selector.select(seconds):
            assert key.data.read(), f"the connection of a client of {key.data.service} has ended"

    def until(self, done, what):
        """Reads until done(peer) of all peers."""
        waiting, end = [peer for peer in self.peers if not done(peer)], time.monotonic() + SECONDS
        while waiting:
            assert time.monotonic() < end, f"{len(waiting)} of {len(self.peers)} not within {SECONDS} s: {what}; {waiting[0].news}"
            self._read(0.2)
            waiting = [peer for peer in waiting if not done(peer)]

    def asked(self):
        """Reads until the controller has heard every request."""
        requests = sum(len(peer.asks()) for peer in self.peers)

        def heard():
            self._read(0)
            return self.controller.metrics()["lookaside_requests_total"] >= requests
        process.wait_until(heard, SECONDS, "every request is heard")

    def kill(self):
        self.controller.kill()
        for peer in self.peers:
            while peer.read():
                pass
            peer.close(self.selector)

    def bytes_of(self, kind, service=None):
        """The most that one client of it was sent since it connected."""
        return max(peer.received for peer in self.peers if isinstance(peer, kind) and service in (None, peer.service))


def _come_back(work, changed):
    """The bytes of a client, delta and native: at first, and when it came back; and of those whose Service had changed."""
    with Swarm(work) as swarm:
        swarm.connect()
        swarm.until(lambda peer: len(peer.news) == len(peer.first()), "the first lists")
        for peer in swarm.peers:
            assert sorted(peer.news) == peer.first(), peer.news
        first = [swarm.bytes_of(kind) for kind in (DeltaPeer, NativePeer)]
        swarm.kill()
        if changed:
            swarm.grow(swarm.services[CHANGED])
        swarm.controller.start()
        swarm.connect()
        swarm.asked()

        def owed(peer):
            if not changed or peer.service != swarm.services[CHANGED]:
                return peer.still
            return peer.change() if isinstance(peer, DeltaPeer) else [(False, ENDPOINTS + 1)]
        swarm.until(lambda peer: len(peer.news) >= len(owed(peer)), "what is owed")
        others = swarm.services[1:]
        back = [max(swarm.bytes_of(kind, service) for service in others) for kind in (DeltaPeer, NativePeer)]
        moved = [swarm.bytes_of(kind, swarm.services[CHANGED]) for kind in (DeltaPeer, NativePeer)]
        # What was sent besides would have come before the next change.
        for service in swarm.services:
            swarm.grow(service)
        swarm.until(lambda peer: len(peer.news) >= len(owed(peer)) + 1, "the next change")
        for peer in swarm.peers:
            assert peer.news == owed(peer) + peer.change(), f"{peer.service}: {peer.news}"
        return first, back, moved


def nothing_is_sent_again(work):
    (delta, native_), back, _ = _come_back(work, changed=False)
    assert back[0] <= FRAME_BYTES and back[1] <= FRAME_BYTES + CONFIRMATION_BYTES, back
    return f"bytes of a client, at first and when it is back: delta {delta:,} and {back[0]}, native {native_:,} and {back[1]}"


def only_what_changed_is_sent_again(work):
    first, back, moved = _come_back(work, changed=True)
    assert back[0] <= FRAME_BYTES and back[1] <= FRAME_BYTES + CONFIRMATION_BYTES, back
    return f"bytes of a client whose Service had changed: delta {moved[0]:,} of {first[0]:,}, native {moved[1]:,} of {first[1]:,}; others {back}"


CASES = [nothing_is_sent_again, only_what_changed_is_sent_again]
