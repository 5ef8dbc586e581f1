"""The three that are compared, each with the same lists to publish: the bare loop and the peer are given them ready-made, Lookaside reads objects."""
import content
import secret
from child import Child
from client import Load, Plan
from feed import Feed, now_us
from judge import OURS, PEER
from support.lookaside import Lookaside
from support.process import BUILD, free_port

SLOTS = 3
# As many threads as the bare loop is: a second one would share its core with all the clients, and what it costs them would be measured, too. And
# all clients may come from one address, where the load client can have no others.
LIMITS = ("--limit", "connections-per-address=20000")
FLAGS = ("--threads", "1", *LIMITS)


class Recording:
    """The DiscoveryResponses of Service 0 as Lookaside sends them: {endpoints: bytes}, and the Listener's and Cluster's. Those of the others have
    another name of the same length in the same places."""

    def __init__(self):
        self.lists, self.others = {}, {}

    def of(self, service, message):
        return message.replace(content.name_of(0).encode(), content.name_of(service).encode())


class Given:
    """A server that is told what to publish: the bare loop, or the peer."""

    def __init__(self, name, work, recording, services, endpoints, plan, program=None):
        self.name, self.recording, self.services, self.endpoints = name, recording, services, endpoints
        self.port = free_port()
        argv = [program, f"127.0.0.1:{self.port}"] if program else [BUILD / "bench/ends", "bare", self.port, plan.streams]
        argv += secret.make(work) if plan.tls else ()
        self.child = Child(name, argv, work / f"{name}.log")
        self.child.hear("listening")

    @property
    def pid(self):
        return self.child.pid

    def start(self):
        for service in range(self.services):
            for slot, message in [*self.recording.others.items(), (SLOTS - 1, self.recording.lists[self.endpoints])]:
                self.child.tell(f"first {service} {slot}", self.recording.of(service, message))
        self.child.ask("sync", "synced")
        return self

    def publish(self, service, endpoints, **_):
        """Publishes a list; the moment before, in microseconds."""
        message = self.recording.of(service, self.recording.lists[endpoints])
        moment = now_us()
        self.child.tell(f"push {service}", message)
        return moment

    def stop(self):
        self.child.stop()


class Product:
    """Lookaside, which reads all from a Feed. All endpoints of a Service are there all the time, in slices of so many; the first ones are ready."""
    name, port = OURS, None

    def __init__(self, work, services, endpoints, most, per_slice=None, tls=False, flags=(), env=None, wrap=()):
        self.services, self.endpoints, self.most = services, endpoints, most
        self.per_slice = per_slice or most
        self.published = [endpoints] * services
        self.feed = Feed({"services": [content.service_json(i) for i in range(services)],
                          "endpointslices": [self._slice(i, part, endpoints, most) for i in range(services)
                                             for part in range(self._parts(most))]})
        kubeconfig = self.feed.kubeconfig(work / "kubeconfig")
        self.lookaside = Lookaside(work, flags=["--kubeconfig", kubeconfig, "--log-level", "warn", *(self._tls(work) if tls else ()), *flags])
        process = self.lookaside.process
        process.argv, process.environment = [*map(str, wrap), *process.argv], {**process.environment, **(env or {})}
        self.port = self.port or int(self.lookaside.listen.split(":")[1])

    def _tls(self, work):
        self.port = free_port()
        certificate, key = secret.make(work)
        return "--tls-listen", f"127.0.0.1:{self.port}", "--tls-cert", certificate, "--tls-key", key

    def _parts(self, endpoints):
        return -(-endpoints // self.per_slice)

    def _slice(self, service, part, ready, there, version=1):
        first = part * self.per_slice
        return content.slice_json(service, range(first, min(first + self.per_slice, there)), ready, version, part)

    @property
    def pid(self):
        return self.lookaside.process.pid

    def start(self, timeout=60):
        self.feed.start()
        self.lookaside.start(timeout)
        return self

    def publish(self, service, endpoints, remove=False):
        """By the endpoints' conditions, or with remove by taking the others away. Only slices that change are sent."""
        before, self.published[service] = self.published[service], endpoints
        low, high = min(before, endpoints), max(before, endpoints)
        if remove:
            high = self.most
        texts = [self._slice(service, part, endpoints, endpoints if remove else self.most, self.feed.next_version())
                 for part in range(low // self.per_slice, max(self._parts(high), low // self.per_slice + 1))]
        return [self.feed.change("endpointslices", text) for text in texts][0]

    def stop(self):
        self.lookaside.stop()
        self.feed.stop()


def record(work, steps, only_endpoints=False, per_slice=None):
    """What Lookaside sends for Service 0 with each of so many endpoints, the first of which it has to begin with."""
    recording, product = Recording(), Product(work, 1, steps[0], max(steps), per_slice)
    load = None
    try:
        product.start()
        load = Load(work, "record", product.port, Plan(1, only_endpoints=only_endpoints))
        load.open()
        for endpoints in steps:
            product.publish(0, endpoints)
            load.expect(0, endpoints)
            recording.lists[endpoints] = load.message()
        if not only_endpoints:
            recording.others = {slot: load.message(slot) for slot in range(SLOTS - 1)}
    finally:
        if load:
            load.stop()
        product.stop()
    return recording


def make(name, work, recording, services, endpoints, plan, peer, per_slice):
    """A side by its name, not started."""
    if name == OURS:
        return Product(work, services, endpoints, max(recording.lists), per_slice, plan.tls,
                       LIMITS if plan.tls else FLAGS)             # the floor of a storm over TLS has all cores
    return Given(name, work, recording, services, endpoints, plan, peer if name == PEER else None)


