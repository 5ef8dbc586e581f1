"""Hundreds of faults at once: one controller that watches many namespaces, each by connections of its own.

A proxy stands between it and the fake API server. Each namespace has its own fault, at its own byte of
one and the same kind of exchange, and its own backoff: so a sweep over every place of an exchange takes
as long as one fault. Two observers follow every namespace's Service all the time, over ADS and over the
native stream; whatever they see must have been true (world.py).
"""
import threading
import time
from pathlib import Path

from tests.support import ads, manifests, native, process
from tests.support.fake_apiserver import RESOURCES, FakeApiServer
from tests.support.lookaside import Lookaside
from tests.support.tcp_proxy import Fault, TcpProxy

from .world import SERVICE, check_seen

NOTE = "z\u00fcrich \u20ac \U0001f600 \"quoted\" \\ \u0001"    # characters of 2 to 4 bytes, and escapes
DEADLINE = 45


class Observer:
    """Sees every list of every Service, over one stream."""

    def __init__(self, names):
        self.seen = {name: [] for name in names}
        self.error = None
        self.news = threading.Condition()
        self.closing = False

    def note(self, name, addresses):
        with self.news:
            self.seen[name].append(frozenset(addresses))
            self.news.notify_all()

    def end(self, error):
        with self.news:
            self.error = self.error or error
            self.news.notify_all()

    def wait(self, truth, timeout):
        """Until the newest list of every name is the true one."""
        def missing():
            return [name for name, want in truth.items() if self.seen[name][-1:] != [want]]
        with self.news:
            if not self.news.wait_for(lambda: self.error or not missing(), timeout):
                name = missing()[0]
                raise AssertionError(
                    f"{type(self).__name__}: {len(missing())} lists are not right within {timeout} s: "
                    f"{name} should be {sorted(truth[name])}, is {list(map(sorted, self.seen[name][-1:]))}")
            if self.error:
                raise AssertionError(f"{type(self).__name__}: the stream ended: {self.error}")


class AdsObserver(Observer):
    def __init__(self, server, names):
        super().__init__(names)
        self.channel = ads.connect(server)
        self.stream = ads.Stream(self.channel)
        self.names = {f"{namespace}/{SERVICE}:8001": namespace for namespace in names}
        self.stream.send(ads.EDS, list(self.names))
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        try:
            while True:
                response = self.stream.recv(timeout=3600)
                self.stream.ack(response)
                for cluster, resource in response.resources.items():
                    self.note(self.names[cluster], resource.addresses)
        except Exception as error:
            self.end(error)

    def close(self):
        self.stream.cancel()
        self.channel.close()


class NativeObserver(Observer):
    def __init__(self, server, names):
        super().__init__(names)
        self.channel = ads.connect(server)
        self.names = {f"{SERVICE}.{namespace}:8001": namespace for namespace in names}
        self.watch = native.Watch(self.channel, list(self.names), self._on_list)
        threading.Thread(target=self.watch.run, daemon=True).start()

    def _on_list(self, target, addresses):
        if target is None:
            self.end(addresses)
        else:
            self.note(self.names[target], addresses)

    def close(self):
        self.watch.cancel()
        self.channel.close()


class Fleet:
    def __init__(self, work, size, record=False, user_fields=None, cluster_fields=None,
                 build=process.BUILD, **server):
        self.work, self.size, self.record, self.build = Path(work), size, record, build
        self.fields = (cluster_fields or {}, user_fields or {})
        self.names = [f"n{number:03}" for number in range(size)]
        self.api = FakeApiServer(**server)
        self.observers = []

    def __enter__(self):
        self.api.__enter__()
        self.proxy = TcpProxy(self.api.port, record=self.record).__enter__()
        config = self.api.kubeconfig(self.work / "kubeconfig", *self.fields, port=self.proxy.port)
        self.controller = Lookaside(self.work, flags=[
            "--kubeconfig", config, "--threads", "1", "--namespaces", ",".join(self.names)],
            build=self.build)
        for name in self.names:
            self.api.put(manifests.service(SERVICE, name))
        for suffix in "abc":
            self.put(suffix, 1)
        return self

    def __exit__(self, kind, *_):
        for observer in self.observers:
            observer.close()
        code = self.controller.stop()
        self.proxy.__exit__()
        self.api.__exit__()
        if kind is not None:
            return
        for observer in self.observers:
            for name in self.names:
                check_seen(observer.seen[name], self.api.history[name, SERVICE])
        if code != 0:
            raise AssertionError(f"the controller ended with {code}:\n" + self.controller.process.log())

    def slice(self, number, suffix, version):
        """Slices of one length, whatever the namespace and the version (1..9)."""
        last = 100 + {"a": 0, "b": 10, "c": 20, "d": 30}[suffix] + version
        entry = manifests.endpoint_slice(
            f"{SERVICE}-{suffix}", SERVICE,
            [manifests.Endpoint(f"10.{100 + number // 100}.{100 + number % 100}.{last + 50 * k}")
             for k in range(2)], self.names[number])
        entry["metadata"]["annotations"] = {"note": NOTE}
        return entry

    def put(self, suffix, version):
        self.api.put(*[self.slice(number, suffix, version) for number in range(self.size)])

    def delete(self, suffix):
        for number in range(self.size):
            self.api.delete(self.slice(number, suffix, 1))

    def change(self, version):
        """What a watch has to tell of every namespace: changed, added, deleted, changed again."""
        self.put("a", version)
        self.put("d", version)
        self.delete("d")
        self.put("b", version)

    def start(self, timeout=DEADLINE):
        self.controller.start(timeout)
        self.observe()

    def observe(self):
        self.observers = [AdsObserver(self.controller.listen, self.names),
                          NativeObserver(self.controller.listen, self.names)]

    def settle(self, timeout=DEADLINE):
        """Until every observer has what the API holds."""
        truth = {name: self.api.backends(name, SERVICE) for name in self.names}
        for observer in self.observers:
            observer.wait(truth, timeout)

    def plan(self, acts, offsets, request):
        """One fault for every namespace: each act at each offset. `request`: with {} for the namespace.
        Returns those that are left when the namespaces are used up."""
        wanted = [(act, at) for at in offsets for act in acts]
        faults = [Fault(act, at, request=request.format(name).encode())
                  for (act, at), name in zip(wanted, self.names)]
        self.proxy.plan(*faults)
        return faults

    def recorded(self, request):
        """The bytes that answer the first such request of the first namespace, when no more come."""
        part = request.format(self.names[0]).encode()
        answer = next(exchange.answer for exchange in self.proxy.exchanges if part in exchange.head)
        size = -1
        while size != len(answer):                 # a bookmark is nothing that could be awaited
            size = len(answer)
            time.sleep(0.2)
        return bytes(answer)

    # -- what must be back afterwards --

    def check_back(self):
        """Every watch is open, the view is current, nothing is left over: of each collection the watch
        and what libcurl keeps for the next list."""
        process.wait_until(lambda: self.stalest() < 5, DEADLINE,
                           lambda: f"current, it is {self.stalest()} s old", interval=0.2)
        process.wait_until(lambda: self.proxy.open_links() <= 6 * self.size, DEADLINE,
                           lambda: f"{self.proxy.open_links()} connections for {self.size} namespaces")

    def stalest(self):
        """Seconds since the view of a collection was proved, after the chance to prove all."""
        for resource in RESOURCES:
            self.api.bookmark(resource)
        return max(value for name, value in self.controller.metrics().items()
                   if name.startswith("lookaside_source_staleness_seconds"))


# ---- places ----

def places(answer):
    """{offset: what kind of place it is} for every byte of an answer: the bytes before it have come."""
    head_end = answer.index(b"\r\n\r\n")
    first = answer.index(b"\r\n")
    kinds = {at: "in the status line" for at in range(first)}
    kinds |= {at: "in a header" for at in range(first, head_end)}
    kinds |= {at: "between head and body" for at in range(head_end, head_end + 4)}
    head, at = answer[:head_end].lower(), head_end + 4
    if b"content-encoding: gzip" in head:
        return kinds | {byte: "in a gzip stream" for byte in range(at, len(answer))}
    if b"chunked" not in head:
        return kinds | _payload(answer, at, len(answer), "list")
    while at < len(answer):
        end = answer.index(b"\r\n", at)
        size = int(answer[at:end], 16)
        kinds |= {byte: "in a chunk's size" for byte in range(at, end)}
        kinds |= {byte: "behind a chunk's size" for byte in range(end, end + 2)}
        if size == 0:
            return kinds | {byte: "in the last chunk" for byte in range(at, len(answer))}
        kinds |= _payload(answer, end + 2, end + 2 + size, "line")
        kinds |= {byte: "behind a chunk" for byte in range(end + 2 + size, end + 4 + size)}
        at = end + 4 + size
    return kinds


def _payload(answer, start, end, what):
    text = answer[start:end]
    inside = "in a bookmark" if b'"BOOKMARK"' in text else f"in a {what}"
    kinds = {}
    for at in range(start, min(end, len(answer))):
        byte, before = answer[at], answer[at - 1]
        if 0x80 <= byte < 0xC0:
            kinds[at] = "in a UTF-8 character"
        elif before == ord("\\"):
            kinds[at] = "in an escape"
        elif byte == ord("\n"):
            kinds[at] = "before the end of a line"
        elif at == start:
            kinds[at] = "at the start of a line"
        else:
            kinds[at] = inside
    return kinds


def spread(answer, count, seed=0, only=None):
    """`count` offsets of an answer: of every kind of place the first and the middle one, the rest
    evenly, beginning at another byte with another seed. `only`: of one kind of places."""
    kinds = {at: kind for at, kind in places(answer).items() if only in (None, kind)}
    of_kind = {}
    for at, kind in kinds.items():
        of_kind.setdefault(kind, []).append(at)
    chosen = {offsets[index] for offsets in of_kind.values() for index in (0, len(offsets) // 2)}
    rest = max(count - len(chosen), 1)
    step = max(len(kinds) // rest, 1)
    for at in sorted(kinds)[seed % step::step]:
        if len(chosen) < count:
            chosen.add(at)
    return sorted(chosen)


def wait_all(faults, deadline=DEADLINE):
    end = time.monotonic() + deadline
    for fault in faults:
        fault.wait(max(end - time.monotonic(), 0.01))
