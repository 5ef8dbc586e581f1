"""Who sees every list: raw clients of both protocols, which keep what they are told and judge it.

A Watcher follows one target from one place, over ADS or over the native stream, and connects again
when that ends. A Watch is a set of them for one Service, with the API's own history beside it.
"""

import queue
import threading
import time
from collections import Counter, namedtuple

import grpc

import oracle
from api import Watch as ApiWatch
from oracle import Backend
from support import ads, native

RETRY_SECONDS = 0.05
POLL_SECONDS = 0.02
HISTORY_SECONDS = 5
SETTLE_SECONDS = 2
ROWS_SHOWN = 12
PROTOCOLS = ("ads", "native")

Seen = namedtuple("Seen", "at rows")


def text_of(struct):
    """{name: text} as a google.protobuf.Struct."""
    return ads.encode(*((1, ads.encode((1, key), (2, ads.encode((3, value)))))
                        for key, value in struct.items()))


def without_zones(backends):
    return frozenset(b._replace(zone="") for b in backends)


class Watcher(threading.Thread):
    def __init__(self, server, target, place, protocol, zones):
        super().__init__(name=f"{protocol} watcher of {target}", daemon=True)
        self.server, self.target, self.place, self.protocol = server, target, place, protocol
        self.lists, self.problem, self.may_be_empty = [], None, True
        self.zones = zones
        self.native_lists = native.Lists()
        self.connections, self.call = 0, None
        self.stopped = threading.Event()

    def title(self):
        where = " ".join(f"{k}={v}" for k, v in self.place._asdict().items() if v) or "anywhere"
        return f"{self.protocol}, {where}"

    @property
    def last(self):
        """The list in force, or None before the first."""
        return self.lists[-1].rows if self.lists else None

    def run(self):
        follow = self.follow_ads if self.protocol == "ads" else self.follow_native
        while not self.stopped.is_set():
            channel = ads.connect(self.server)
            requests = queue.SimpleQueue()
            try:
                follow(channel, requests)
            except grpc.RpcError:
                pass  # it went away; the last list stays in force, as with any client
            except Exception as error:  # pylint: disable=broad-except
                self.problem = self.problem or f"{self.title()}: {error!r}"
            requests.put(None)
            channel.close()
            self.stopped.wait(RETRY_SECONDS)

    def stop(self):
        self.stopped.set()
        if self.call:
            self.call.cancel()
        self.join(5)

    def accept(self, rows):
        """A list as it came, duplicates and all."""
        addresses = [(r.address, r.port) for r in rows] + [(r.other, r.port) for r in rows
                                                           if r.other]
        twice = [a for a, count in Counter(addresses).items() if count > 1]
        if twice:
            self.problem = self.problem or f"{self.title()}: twice in one list: {twice[:5]}"
        if not rows and not self.may_be_empty:
            self.problem = self.problem or f"{self.title()}: an empty list"
        rows = frozenset(rows) if self.zones else without_zones(rows)
        self.lists.append(Seen(time.monotonic(), rows))

    def follow_native(self, channel, requests):
        lists = self.native_lists  # of the streams before
        requests.put(native.request([self.target], place=self.place, versions=lists.versions))
        self.call = channel.stream_stream(native.METHOD)(iter(requests.get, None))
        for data in self.call:
            now = lists.take(native.Response.parse(data))
            if now is not None:
                self.accept([self.native_row(fields) for fields in now.values()])

    @staticmethod
    def native_row(fields):
        text = {n: fields.get(n, [b""])[-1].decode() for n in (1, 3, 8)}
        return Backend(text[1], fields.get(2, [0])[-1], text[3], text[8])

    def follow_ads(self, channel, requests):
        metadata = text_of({"node": self.place.node}) if self.place.node else None
        node = ads.node("e2e-watcher", self.place.zone or None, metadata=metadata)
        names = {ads.LDS: [self.target]}
        requests.put(ads.request(ads.LDS, names[ads.LDS], node=node))
        self.call = channel.stream_stream(ads.METHOD)(iter(requests.get, None))
        for data in self.call:
            got = ads.Response.parse(data)
            requests.put(ads.request(got.type_url, names[got.type_url], got.version, got.nonce))
            for kind, wanted in self.next_names(got, names).items():
                names[kind] = wanted
                requests.put(ads.request(kind, wanted))

    def next_names(self, got, names):
        """What to subscribe to because of this response."""
        if got.type_url == ads.EDS:
            for name in names[ads.EDS]:
                if name in got.resources:
                    self.accept(self.rows(got.resources[name]))
            return {}
        wanted = {}
        for name in names[got.type_url]:
            found = got.resources.get(name)
            if not found:
                continue
            if got.type_url == ads.LDS:
                wanted = {ads.CDS: [found.cluster]}
            elif found.host:
                self.accept([Backend(*found.host)])
                wanted = {ads.EDS: []} if ads.EDS in names else {}
            else:
                wanted = {ads.EDS: [found.eds_name]}
        return {kind: new for kind, new in wanted.items() if names.get(kind) != new}

    @staticmethod
    def rows(assignment):
        return [Backend(address, port, zone,
                        assignment.others.get((address, port), ("",))[0])
                for zone, address, port in assignment.endpoints]


class History:
    """Every backend that the API ever listed for a place, by a watch of the test's own."""

    def __init__(self, service, wanted, places):
        self.service, self.wanted = service, wanted
        self.objects, self.lock = {}, threading.Lock()
        self.states = {place: [] for place in places}
        self.watches = [ApiWatch(service.api, service.slices_path, self.on_event),
                        ApiWatch(service.api, service.path, self.on_event)]

    def start(self):
        for watch in self.watches:
            watch.start()

    def stop(self):
        for watch in self.watches:
            watch.stop()

    def on_event(self, kind, item):
        with self.lock:
            self.objects[item["metadata"]["uid"]] = item
            if kind == "GONE":
                del self.objects[item["metadata"]["uid"]]
            items = list(self.objects.values())
        slices = [i for i in items if "addressType" in i]
        service = next((i for i in items if "spec" in i
                        and i["metadata"]["name"] == self.service.name), None)
        for place, states in self.states.items():
            state = self.wanted(service, slices, place)
            if not states or states[-1] != state:
                states.append(state)

    def members(self, place):
        return frozenset().union(*self.states[place])


class Watch:
    """Watchers of one name, at several places."""

    def __init__(self, server, service, port, hostname, places, zones):
        self.service, self.port, self.hostname, self.zones = service, port, hostname, zones
        self.target = service.target(port, hostname)
        self.watchers = [Watcher(server, self.target, place, protocol, zones)
                         for place in places for protocol in PROTOCOLS]
        self.history = History(service, self.wanted, places)

    def wanted(self, service, slices, place):
        backends = oracle.expected(service, slices, self.port, place, self.hostname)
        return backends if self.zones else without_zones(backends)

    def __enter__(self):
        self.history.start()
        self.let_settle()
        for watcher in self.watchers:
            watcher.start()
        return self

    def let_settle(self):
        """What changed just before our history began may be on its way yet, and is not in it."""
        place = self.watchers[0].place
        probe = Watcher(self.watchers[0].server, self.target, place, PROTOCOLS[0], self.zones)
        probe.start()
        deadline = time.monotonic() + SETTLE_SECONDS
        while (probe.last or frozenset()) != self.expected(place) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        probe.stop()

    def __exit__(self, kind, *_rest):
        for watcher in self.watchers:
            watcher.stop()
        self.history.stop()
        if kind is None:
            self.check()

    def never_empty(self, on=True):
        for watcher in self.watchers:
            watcher.may_be_empty = not on
            if on and not watcher.last:
                raise AssertionError(f"{watcher.title()}: the list is empty to begin with")

    def expected(self, place=None):
        """{place: backends}, by the API as it is now; or just the backends of one place."""
        service, slices = self.service.state()
        if place is not None:
            return self.wanted(service, slices, place)
        return {place: self.wanted(service, slices, place)
                for place in self.history.states}

    def settle(self, within=5, when=None):
        """Until every watcher's list is the API's, which meets when(). Returns it, for nowhere."""
        deadline = time.monotonic() + within
        while True:
            wanted = self.expected()
            wrong = [w for w in self.watchers if w.last != wanted[w.place]]
            met = when is None or when(wanted)
            if not wrong and met:
                self.check()
                return next(iter(wanted.values()))
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {within:g} s: {self.target} is what the API "
                    f"says{'' if met else ', and the API what it has to be'}\n"
                    + self.side_by_side(wanted, wrong))
            time.sleep(POLL_SECONDS)

    def check(self):
        """That no list so far was one that could not be."""
        for watcher in self.watchers:
            if watcher.problem:
                raise AssertionError(watcher.problem + "\n" + self.story(watcher))
            strange = self.strangers(watcher)
            deadline = time.monotonic() + HISTORY_SECONDS
            while strange and time.monotonic() < deadline:  # our own watch may be the later one
                time.sleep(POLL_SECONDS)
                strange = self.strangers(watcher)
            if strange:
                raise AssertionError(f"{watcher.title()}: {sorted(strange)[:5]} was never in a "
                                     f"list that the API held\n" + self.story(watcher))

    def strangers(self, watcher):
        known = self.history.members(watcher.place)
        return set().union(*(s.rows for s in list(watcher.lists))) - known

    def count(self):
        """Lists seen, and how many of them the API held just so."""
        lists = [(s.rows, set(self.history.states[w.place])) for w in self.watchers
                 for s in w.lists]
        return len(lists), sum(rows in states for rows, states in lists)

    def told(self):
        lists, exact = self.count()
        held = f", {lists - exact} of them held or on the way" if lists > exact else ""
        return f"{lists} lists seen{held}"

    def side_by_side(self, wanted, wrong):
        tables = []
        for watcher in wrong[:4]:
            columns = {"the API says": wanted[watcher.place], watcher.title(): watcher.last or ()}
            tables.append(side_by_side(columns))
        return "\n".join(tables)

    @staticmethod
    def story(watcher):
        """Its last lists, the newest last."""
        now = time.monotonic()
        return "\n".join(f"  {now - s.at:7.3f} s ago: {len(s.rows)} backends "
                         f"{sorted(r.address for r in s.rows)[:6]}" for s in watcher.lists[-8:])


def side_by_side(columns):
    """{title: backends}: a line for each backend, those first that not every column has."""
    rows = set().union(*columns.values())
    odd = [r for r in rows if not all(r in column for column in columns.values())]
    width = max(len(title) for title in columns) + 2
    lines = ["  " + "".join(f"{title:{width}}" for title in columns)]
    for row in sorted(odd)[:ROWS_SHOWN] + sorted(rows - set(odd))[:max(0, ROWS_SHOWN - len(odd))]:
        text = f"{row.address}:{row.port} {row.zone or '-'} {row.other}"
        lines.append("  " + "".join(f"{'yes' if row in c else '-':{width}}"
                                    for c in columns.values()) + text)
    lines.append("  " + "".join(f"{len(c):<{width}}" for c in columns.values())
                 + f"backends; {len(odd)} differ")
    return "\n".join(lines)
