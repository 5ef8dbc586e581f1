"""All abuses at once, round and round, while a hundred honest clients follow a Service that changes.

    tests/integration/abuse_run.py [--seconds N]     LOOKASIDE_BUILD: the folder of the programs

The abuses (abuses.py, and what takes long) run in a process of their own, from addresses of their own. A change counts
as missed when a client does not have it although it stands; those that the next one overtakes need not be sent. Memory
is flat when its mean of the last minute is not MEMORY_SLACK above that of the second; a run of less than FLAT_SECONDS
only has to stay below MEMORY_MAX.
"""
import argparse
import contextlib
import errno
import json
import os
import random
import re
import selectors
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e import certificates  # noqa: E402
from tests.integration import abuses  # noqa: E402
from tests.integration.world import CLUSTER, Client  # noqa: E402
from tests.support import ads, h2raw, manifests, native, process  # noqa: E402
from tests.support.lookaside import Lookaside  # noqa: E402

RAW, STOCK, NATIVE, TLS = 60, 20, 10, 10    # honest clients
ENDPOINTS = 40                     # of a list, which each change replaces
BURST, PAUSE = 10, 0.1             # changes that may be overtaken, before one that stands
DEADLINE = 20                      # s, for a change that stands
ABUSER, CROWD = "127.0.0.66", "127.0.0.67"     # only the crowd has more connections than an address may
MEMORY_SLACK, MEMORY_MAX, FLAT_SECONDS = 16 * 1024, 256 * 1024, 180    # KiB
# Times that a run of seconds reaches; and the abuser may not keep the honest from connecting.
LIMIT = 300                        # connections of an address
LIMITS = ("handshake=2s", "stalled=4s", "keepalive=5s", "keepalive-timeout=5s", f"connections-per-address={LIMIT}",
          "tls-handshakes=20")
# What was freed is kept for a while only: else memory grows for as long as it is not full.
SANITIZER = "detect_leaks=1:quarantine_size_mb=8:thread_local_quarantine_size_kb=64"


# ---- the abuser ----

def _each_fault(site):
    for fault in abuses.FAULTS:
        peer = abuses.answered(site.listen, source=ABUSER)
        got = abuses.commit(peer, fault)
        assert got == (fault.code and (fault.code, fault.stream)), f"{fault.name}: {got}"
        peer.close()


def _each_flood(site):
    for name in abuses.FLOODS:
        code = abuses.flood(site.listen, name, source=ABUSER)
        assert code in (None, h2raw.ENHANCE_YOUR_CALM), f"{name}: {code}"


def _gzip_bombs(site):
    peer = abuses.answered(site.listen, source=ABUSER)
    abuses.gzip_bomb(peer, 3)
    assert peer.status(3) == 8
    peer.close()


def _many_connections(site):
    peers = [h2raw.Peer(site.listen, preface=False, source=CROWD) for _ in range(600)]
    for peer in peers[LIMIT:]:
        peer.wait_closed()
    for peer in peers:
        peer.close()


def _hold(server, count, said, seconds):
    """That many connections that say this and wait to be closed."""
    peers = [h2raw.Peer(server, preface=False, source=ABUSER, timeout=seconds) for _ in range(count)]
    for peer in peers:
        peer.send(said)
    for peer in peers:
        peer.wait_closed()
        peer.close()


def _slow_preface(site):
    _hold(site.listen, 30, h2raw.PREFACE[:10], 10)


def _slow_handshake(site):
    _hold(site.secure, 30, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 10)


def _port_scan(site):
    """Nobody's protocol, and nothing at all."""
    for said in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\r\n\r\n", random.randbytes(300), b"SSH-2.0-scan\r\n", b"\x16" * 500,
                 h2raw.PREFACE, b"POST /healthz HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + bytes(4096)):
        for server in (site.listen, site.secure):
            peer = h2raw.Peer(server, preface=False, source=ABUSER)
            with abuses.ENDED:
                peer.send(said)
            try:
                peer.sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                assert error.errno == errno.ENOTCONN, error     # it was faster
            peer.wait_closed()
            peer.close()


def _window_of(site, size, seconds):
    peer = h2raw.Peer(site.listen, source=ABUSER, timeout=1)
    peer.send(h2raw.frame(h2raw.SETTINGS, payload=h2raw.settings({h2raw.INITIAL_WINDOW_SIZE: size})))
    for _ in range(20):
        peer.open_call(abuses.REQUEST)
    return peer, time.monotonic() + seconds


def _zero_windows(site):
    peer, end = _window_of(site, 0, 3)
    time.sleep(end - time.monotonic())
    peer.close()


def _windows_of_a_byte(site):
    peer, end = _window_of(site, 1, 6)
    while time.monotonic() < end:
        with abuses.ENDED:
            peer.send(b"".join(abuses.window(stream, 1) for stream in (0, *range(1, 40, 2))))
        time.sleep(0.01)
    peer.close()


def _readers_that_never_read(site):
    peers = [h2raw.Peer(site.listen, window=h2raw.WINDOW_MAX, receive_buffer=4096, source=ABUSER) for _ in range(5)]
    for peer in peers:
        for _ in range(50):
            peer.open_call(abuses.REQUEST)
    time.sleep(5)
    for peer in peers:
        peer.close()


def _names_by_the_million(site):
    """Streams that ask for ten thousand each, as long as there is room for them."""
    refused = 0
    for connection in range(8):
        with ads.connect(site.listen, [("grpc.max_receive_message_length", -1)]) as channel:
            for part in range(3):
                stream = ads.Stream(channel)
                stream.send(ads.EDS, [f"shop/n{connection}-{part}-{number}:1" for number in range(10_000)])
                try:
                    stream.recv(timeout=60)
                except AssertionError:
                    assert stream.status().value[0] == 8, stream.call.details()
                    refused += 1
    assert refused == 8, refused


def _bad_requests(site):
    """On every stream something else that is no request."""
    with ads.connect(site.listen) as channel:
        for method in (ads.METHOD, ads.DELTA_METHOD, native.METHOD):
            for data in (b"\xff\xff\xff", b"\x0a\x7f", random.randbytes(100), b"\x1a\x00" * 20_000):
                call = channel.stream_stream(method)(iter([data]), timeout=10)
                with contextlib.suppress(grpc.RpcError):
                    list(call)
                assert call.code() in REFUSED, f"{method} {data[:100]}: {call.code()} {call.details()}"


ABUSES = [_each_fault, _each_flood, _gzip_bombs, _many_connections, _slow_preface, _slow_handshake, _port_scan,
          _zero_windows, _windows_of_a_byte, _readers_that_never_read, _names_by_the_million, _bad_requests]


# Noise may be a request, too.
REFUSED = (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Target:
    def __init__(self, listen, secure):
        self.listen, self.secure = listen, secure


def abuse(listen, secure, seconds):
    """Until the time is over; prints how often each was done as it should be, and what went otherwise: that one is not
    done again. True: each was done, and nothing went otherwise."""
    site, end, faults = Target(listen, secure), time.monotonic() + seconds, []
    rounds = {function.__name__.strip("_"): 0 for function in ABUSES}

    def repeat(function):
        name = function.__name__.strip("_")
        while time.monotonic() < end:
            try:
                function(site)
            except Exception as error:
                faults.append(f"{name}: {error!r}")
                return
            rounds[name] += 1
    threads = [threading.Thread(target=repeat, args=(function,), daemon=True) for function in ABUSES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"rounds": rounds, "faults": faults}))
    return not faults and all(rounds.values())


# ---- the honest ----

class Follower:
    """A client of ADS by hand, which does what it should; `versions`: of the lists that it was sent."""

    def __init__(self, server):
        self.peer, self.buffer, self.data, self.error = h2raw.Peer(server, window=1 << 24), b"", b"", None
        self.versions = []
        self.peer.open_call(abuses.REQUEST)
        self.peer.sock.setblocking(False)

    def read(self):
        try:
            data = self.peer.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            data, self.error = b"", error
        if not data:
            self.error = self.error or "closed"
            return
        self.buffer += data
        while len(self.buffer) >= 9:
            size = 9 + int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < size:
                return
            self._take(self.buffer[3], self.buffer[4], self.buffer[9:size])
            self.buffer = self.buffer[size:]

    def _take(self, kind, flags, payload):
        if kind in (h2raw.RST_STREAM, h2raw.GOAWAY):
            self.error = payload
        elif kind == h2raw.PING and not flags & h2raw.ACK:
            self.peer.send(h2raw.frame(h2raw.PING, h2raw.ACK, payload=payload))
        elif kind == h2raw.SETTINGS and not flags & h2raw.ACK:
            self.peer.send(h2raw.frame(h2raw.SETTINGS, h2raw.ACK))
        elif kind == h2raw.DATA and payload:
            self.data += payload
            self.peer.send(abuses.window(0, len(payload)) + abuses.window(1, len(payload)))
            self._messages()

    def _messages(self):
        while len(self.data) >= 5 and len(self.data) >= 5 + int.from_bytes(self.data[1:5], "big"):
            size = 5 + int.from_bytes(self.data[1:5], "big")
            response = ads.Response.parse(self.data[5:size])
            self.data = self.data[size:]
            self.versions.append(version_of(response.resources[CLUSTER].addresses))
            self.peer.send(h2raw.frame(h2raw.DATA, 0, 1, h2raw.message(ads.request(
                ads.EDS, [CLUSTER], response.version, response.nonce))))

    def close(self):
        self.peer.close()


class StockClient(Client):
    @property
    def versions(self):
        return [version_of(addresses) for addresses in list(self.seen)]


class NativeClient:
    def __init__(self, server, ca=None):
        self.channel, self.versions, self.error = ads.connect(server, ca=ca), [], None
        self.watch = native.Watch(self.channel, ["greeter.shop:8001"], self._on_list)
        threading.Thread(target=self.watch.run, daemon=True).start()

    def _on_list(self, target, addresses):
        if target is None:
            self.error = addresses
        elif addresses is not None:
            self.versions.append(version_of(addresses))

    def close(self):
        self.watch.cancel()
        self.channel.close()


def addresses_of(version):
    return [f"10.{version >> 8 & 255}.{version & 255}.{number}" for number in range(ENDPOINTS)]


def version_of(addresses):
    """All of one change, or the list is of two. 0: there was none yet."""
    if not addresses:
        return 0
    (found,) = {tuple(map(int, address.split(".")[1:3])) for address in addresses}
    assert len(addresses) == ENDPOINTS, addresses
    return found[0] << 8 | found[1]


class Honest:
    """All of them, and the Service that they follow."""

    def __init__(self, folder, server, secure, ca):
        self.folder, self.version, self.slowest, self.stood = folder, 0, 0, 0
        self.change()
        self.followers = [Follower(server) for _ in range(RAW)]
        self.clients = [*self.followers, *[StockClient(server) for _ in range(STOCK)],
                        *[NativeClient(server) for _ in range(NATIVE)],
                        *[NativeClient(secure, ca) for _ in range(TLS)]]
        self.closing = threading.Event()
        self.selector = selectors.DefaultSelector()
        for follower in self.followers:
            self.selector.register(follower.peer.sock, selectors.EVENT_READ, follower)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        while not self.closing.is_set():
            for key, _ in self.selector.select(0.2):
                try:
                    key.data.read()
                except Exception as error:
                    key.data.error = repr(error)
                if key.data.error:
                    self.selector.unregister(key.fileobj)

    def change(self):
        self.version += 1
        self.folder.slice("greeter", [manifests.Endpoint(address) for address in addresses_of(self.version)])

    def follow(self, deadline=DEADLINE):
        """Some changes, and one that stands: every client has to have that."""
        for _ in range(BURST):
            self.change()
            time.sleep(PAUSE)
        begin = time.monotonic()
        process.wait_until(lambda: not self._behind(), deadline, self._why)
        self.slowest = max(self.slowest, time.monotonic() - begin)
        self.stood += 1

    def _behind(self):
        return [client for client in self.clients if client.error or client.versions[-1:] != [self.version]]

    def _why(self):
        behind = self._behind()
        return (f"{len(behind)} of {len(self.clients)} clients have change {self.version}: " + ", ".join(
            f"{type(client).__name__} has {client.versions[-1:]} ({client.error})" for client in behind[:5]))

    def check(self):
        """Nobody was sent an old list behind a newer one."""
        for client in self.clients:
            assert client.versions == sorted(set(client.versions)), client.versions
        return sum(len(client.versions) for client in self.clients)

    def close(self):
        self.closing.set()
        self.reader.join()
        for client in self.clients:
            client.close()


# ---- the run ----

def _mean(samples, begin, end):
    """Of resident memory, in KiB; samples are (second, KiB)."""
    chosen = [size for second, size in samples if begin <= second < end]
    return sum(chosen) // max(len(chosen), 1)


def _check_memory(samples):
    """MiB: in the second minute, in the last, at most."""
    end = samples[-1][0]
    early, last, most = _mean(samples, 60, 120), _mean(samples, end - 60, end + 1), max(size for _, size in samples)
    assert most < MEMORY_MAX, f"{most} KiB"
    assert end < FLAT_SECONDS or last - early < MEMORY_SLACK, f"memory grew from {early} to {last} KiB: {samples}"
    return [early >> 10, last >> 10, most >> 10]


def run(work, seconds, say=lambda text: None):
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=server", "serverAuth", "IP:127.0.0.1")
    folder = manifests.Manifests(work / "manifests")
    folder.service("greeter")
    secure = f"127.0.0.1:{process.free_port()}"
    controller = Lookaside(work, directory=work / "manifests", flags=[
        "--threads", "2", "--tls-listen", secure, "--tls-cert", work / "server.crt", "--tls-key", work / "server.key",
        *[word for limit in LIMITS for word in ("--limit", limit)]])
    controller.process.environment["ASAN_OPTIONS"] = f"{SANITIZER}:log_path={work / 'report'}"
    controller.start(60)
    honest = Honest(folder, controller.listen, secure, work / "ca.crt")
    abuser = process.Process([sys.executable, __file__, "--abuse", controller.listen, secure, "--seconds", seconds],
                             work / "abuser.log", env={"GRPC_VERBOSITY": "NONE"})
    samples, next_word = [], 60
    try:
        honest.follow()
        abuser.start()
        begin = time.monotonic()
        while abuser.running:
            honest.follow()
            now = time.monotonic() - begin
            samples.append((now, controller.memory()))
            if now > next_word:
                say(f"{now:.0f} s: change {honest.version}, {samples[-1][1] >> 10} MiB")
                next_word += 60
            assert now < seconds + 120, "the abuser does not end:\n" + abuser.log()
        honest.follow()
        lists = honest.check()
        metrics = controller.metrics()
    finally:
        abuser.kill()
        honest.close()
        code = controller.stop(60)
    return _judge(work, honest, abuser, metrics, samples, code, lists)


def _judge(work, honest, abuser, metrics, samples, code, lists):
    reports = [path.read_text()[:4000] for path in work.glob("report*")]
    assert not reports, reports[0]
    assert code == 0, f"the controller ended with {code}"
    told = json.loads(abuser.log(1) or "{}")
    assert told.get("faults") == [] and all(told["rounds"].values()), abuser.log()
    hits = {re.search('limit="(.*)"', name).group(1): int(value) for name, value in metrics.items()
            if name.startswith("lookaside_grpc_limit_hits_total") and value}
    return {"changes": honest.version, "stood": honest.stood, "slowest_s": round(honest.slowest, 2), "lists": lists,
            "memory_mib": _check_memory(samples), "rounds": told["rounds"], "hits": hits,
            "protocol_errors": int(metrics["lookaside_grpc_protocol_errors_total"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--abuse", nargs=2, metavar=("LISTEN", "SECURE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.abuse:
        return 0 if abuse(*args.abuse, args.seconds) else 1
    with tempfile.TemporaryDirectory(prefix="lookaside-abuse-") as work:
        result = run(Path(work), args.seconds, lambda text: print(text, flush=True))
    for name, value in result.items():
        print(f"{name:16} {value}")
    print(f"abuse: passed, {args.seconds} s of {process.BUILD.name}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
