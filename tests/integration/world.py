"""One case's world: a fake API server, the controller on its kubeconfig, and ADS clients that remember.

The oracle: whatever list a client sees must be one that the API server held, and in the order in which
it held them; a client may skip lists, it may never see one back, nor one that never was.
"""
import threading
import time
from pathlib import Path

from tests.support import ads, manifests, process
from tests.support.fake_apiserver import REQUIRED, FakeApiServer
from tests.support.lookaside import Lookaside

NAMESPACE, SERVICE, PORT = "shop", "greeter", 8001
CLUSTER = f"{NAMESPACE}/{SERVICE}:{PORT}"
DEADLINE = 20


def endpoint_slice(suffix, addresses, of=SERVICE, namespace=NAMESPACE, **options):
    return manifests.endpoint_slice(f"{of}-{suffix}", of,
                                    [manifests.Endpoint(address) for address in addresses],
                                    namespace, **options)


def check_seen(seen, history):
    """Fails if somebody saw a list that the API never held, or one that was over."""
    at = 0
    for number, got in enumerate(seen):
        while at < len(history) and history[at] != got:
            at += 1
        if at == len(history):
            raise AssertionError(
                f"list {number} of {len(seen)} was never true, or no longer: {shown(got)}; "
                f"the API held: {[shown(entry) for entry in history[-20:]]}")


def shown(addresses):
    """A list as a failure's text has room for it."""
    return sorted(addresses) if len(addresses) <= 20 else f"{len(addresses)} from {min(addresses)}"


class Client:
    """One ADS stream on a connection of its own that follows one cluster's endpoints."""

    def __init__(self, server, cluster=CLUSTER):
        self.channel = ads.connect(server)
        self.stream = ads.Stream(self.channel)
        self.cluster, self.seen, self.error = cluster, [], None
        self._news = threading.Condition()
        self.stream.send(ads.EDS, [cluster])
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        try:
            while True:
                response = self.stream.recv(timeout=3600)
                self.stream.ack(response)
                with self._news:
                    self.seen.append(frozenset(response.resources[self.cluster].addresses))
                    self._news.notify_all()
        except Exception as error:                     # the end of the stream, too
            with self._news:
                self.error = error
                self._news.notify_all()

    def wait(self, addresses, timeout=DEADLINE):
        """Until the newest list is this one; the time it came, monotonic."""
        want = frozenset(addresses)
        with self._news:
            if not self._news.wait_for(
                    lambda: self.error or (self.seen and self.seen[-1] == want), timeout):
                last = shown(self.seen[-1]) if self.seen else None
                raise AssertionError(f"not within {timeout} s: {shown(want)}; last seen: {last}")
            if self.error and not (self.seen and self.seen[-1] == want):
                raise AssertionError(f"the client's stream ended: {self.error}")
        return time.monotonic()

    def check(self, history):
        check_seen(self.seen, history)

    def close(self):
        self.stream.cancel()
        self.channel.close()


class World:
    """Everything is stopped at the end, and every client's lists are checked."""

    def __init__(self, work, flags=(), kubeconfig=None, start=True, **server):
        self.work = Path(work)
        self.flags, self.start = flags, start
        self.cluster_fields, self.user_fields = kubeconfig or ({}, {})
        self.api = FakeApiServer(**server)
        self.clients = []

    def __enter__(self):
        self.api.__enter__()
        config = self.api.kubeconfig(self.work / "kubeconfig", self.cluster_fields,
                                     self.user_fields)
        self.controller = Lookaside(self.work, flags=["--kubeconfig", config, "--threads", "1",
                                                      *self.flags])
        self.api.put(manifests.service(SERVICE, NAMESPACE))
        self.put("a", "10.0.0.1", "10.0.0.2")
        if self.start:
            self.ready()
        return self

    def __exit__(self, kind, *_):
        for client in self.clients:
            client.close()
        code = self.controller.stop()
        self.api.__exit__()
        if kind is None:
            self._check(code)

    def _check(self, code):
        for client in self.clients:
            client.check(self.api.history[NAMESPACE, client.service])
        if code != 0:
            raise AssertionError(f"the controller ended with {code}:\n" + self.controller.process.log())

    def ready(self):
        """Starts the controller and waits until it serves and watches."""
        self.controller.start()
        self.api.wait_watched()
        return self

    def starting(self):
        """Starts the controller without waiting for anything."""
        self.controller.process.start()

    def wait_ready(self, timeout=DEADLINE):
        process.wait_until(lambda: self.readyz()[0] == 200, timeout,
                           lambda: "ready\n" + self.controller.process.log())

    def readyz(self):
        if not self.controller.process.running:
            raise AssertionError("the controller ended:\n" + self.controller.process.log())
        try:
            return self.controller.get("/readyz")
        except OSError:
            return 0, ""

    def wait_reason(self, text, timeout=DEADLINE):
        """Until /readyz is 503 and says this."""
        def said():
            code, reason = self.readyz()
            assert code in (0, 503), (code, reason)
            return code == 503 and text in reason
        process.wait_until(said, timeout, lambda: f"/readyz says '{text}', it says {self.readyz()}")

    def listens(self):
        host, _, port = self.controller.listen.rpartition(":")
        return process.accepts(host, int(port))

    def put(self, suffix, *addresses):
        self.api.put(endpoint_slice(suffix, addresses))

    def doubts(self, *addresses):
        """A list that is not believed yet: what it lacks stays beside what it has."""
        history = self.api.history[NAMESPACE, SERVICE]
        history.insert(len(history) - 1, history[-1] | set(addresses))

    def client(self, wait=True, service=SERVICE):
        client = Client(self.controller.listen, f"{NAMESPACE}/{service}:{PORT}")
        client.service = service
        self.clients.append(client)
        if wait:
            client.wait(self.truth())
        return client

    def truth(self):
        return self.api.backends(NAMESPACE, SERVICE)

    def settle(self, client=None, timeout=DEADLINE):
        """Until every client has what the API holds."""
        for each in [client] if client else self.clients:
            each.wait(self.api.backends(NAMESPACE, each.service), timeout)

    def metric(self, name, resource, **labels):
        """The sum of the samples of all namespaces, and of the labels that are not given."""
        want = [f'resource="{resource}"', *[f'{key}="{value}"' for key, value in labels.items()]]
        return sum(value for sample, value in self.controller.metrics().items()
                   if sample.startswith(name + "{") and all(label in sample for label in want))

    def stop_api(self, reset=False):
        """Stops the server, and waits until the controller was refused: then it must list."""
        errors = {each: self.metric("lookaside_source_errors_total", each) for each in REQUIRED}
        self.api.stop(reset)
        for each, before in errors.items():            # the first error is the lost watch
            process.wait_until(
                lambda: self.metric("lookaside_source_errors_total", each) >= before + 2,
                DEADLINE, f"{each} was refused")

    def log(self):
        return self.controller.process.log(lines=100000)

    def log_has(self, text, timeout=DEADLINE):
        process.wait_until(lambda: text in self.log(), timeout,
                           lambda: f"the log says '{text}'\n" + self.controller.process.log())

    def warnings(self):
        return [line for line in self.log().splitlines() if " warn " in line or " error " in line]
