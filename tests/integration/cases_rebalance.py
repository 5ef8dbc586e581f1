"""Four real replicas behind a Service that gives connections to them at random: each comes to hold its share, and no call fails.

What takes two minutes in a cluster (the age below which a stream is left alone, and with it the pace) takes AGE seconds here.
"""
import contextlib
import sys
import threading
import time

import grpc

from tests.support import ads, greeters, manifests, process
from tests.support.fake_apiserver import FakeApiServer
from tests.support.lookaside import Lookaside, bootstrap
from tests.support.process import Block, wait_until
from tests.support.service_ip import ServiceIp

from .world import CLUSTER, NAMESPACE, SERVICE

sys.path.append(str(process.REPOSITORY / "tests"))
from conformance import agents  # noqa: E402

AGE = 4
TICK = AGE / 12
CLIENTS = 60
STOCK = 2
SHARE = 0.15                       # what is promised
NODE = "gRPC Node Pure JS"
GO = "gRPC Go"
REPLICAS = ("lookaside", "admins")


class Client:
    """An ADS client as libraries have them: when its stream ends it opens the next one, on the same channel. Remembers
    how old each stream was at its end."""

    def __init__(self, server, agent=GO, library=None):
        options = [("grpc.primary_user_agent", library)] if library else []
        self.agent, self.channel = agent, ads.connect(server, options)
        self.ages, self.error, self.closing = [], None, False
        self.fresh = threading.Event()                 # the current stream has its list
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self):
        while not self.closing and self.error is None:
            begin = time.monotonic()
            self.stream = ads.Stream(self.channel, ads.node(user_agent=self.agent))
            self.stream.send(ads.EDS, [CLUSTER])
            try:
                while True:
                    self.stream.ack(self.stream.recv(timeout=3600))
                    self.fresh.set()
            except Exception as error:
                if self.closing:
                    return
                code = self.stream.call.code()
                if code != grpc.StatusCode.OK:
                    self.error = f"{code} {error}"
                self.ages.append(time.monotonic() - begin)
                self.fresh.clear()

    def close(self):
        self.closing = True
        self.stream.cancel()
        self.channel.close()


class Cluster:
    """Replicas, of which some are behind the Service."""

    def __init__(self, work, size=4, flags=()):
        self.work, self.size, self.flags = work, size, flags
        self.replicas, self.clients = [], []
        self.behind = ()
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self.api = undo.enter_context(FakeApiServer())
            self.api.kubeconfig(self.work / "kubeconfig")
            self.api.put(manifests.service(SERVICE, NAMESPACE), manifests.endpoint_slice(
                f"{SERVICE}-a", SERVICE, [manifests.Endpoint("10.0.0.1")], NAMESPACE))
            for number in range(self.size):
                (self.work / f"replica-{number}").mkdir()
                self.replicas.append(undo.enter_context(Lookaside(
                    self.work / f"replica-{number}", flags=[
                        "--kubeconfig", self.work / "kubeconfig", "--threads", "2",
                        "--replicas-service", "/".join(REPLICAS),
                        "--rebalance-age", f"{AGE}s", *self.flags])))
            self.service = undo.enter_context(ServiceIp([]))
            undo.callback(lambda: [client.close() for client in self.clients])
            self.stack = undo.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def put_behind(self, *numbers, besides=()):
        """These replicas are ready, and get the connections; besides: other addresses of admin ports."""
        self.behind = numbers
        self.service.aim([self.port(self.replicas[number].listen) for number in numbers])
        addresses = [self.replicas[number].admin for number in numbers]
        self.api.put(manifests.service(REPLICAS[1], REPLICAS[0]), *[
            manifests.endpoint_slice(
                f"{REPLICAS[1]}-{at}", REPLICAS[1], [manifests.Endpoint("127.0.0.1", pod=f"pod-{address}".replace(":", "-"))],
                REPLICAS[0], port=self.port(address), port_name="admin")
            for at, address in enumerate([*addresses, *besides])])

    def forget(self, at):
        """The at-th address of put_behind is none any more."""
        self.api.delete({"kind": "EndpointSlice",
                         "metadata": {"name": f"{REPLICAS[1]}-{at}", "namespace": REPLICAS[0]}})

    @staticmethod
    def port(address):
        return int(address.rpartition(":")[2])

    def connect(self, count, *args):
        new = [Client(self.service.address, *args) for _ in range(count)]
        self.clients += new
        for client in new:
            assert client.fresh.wait(20), "a client has no list"
        return new

    def grow_old(self):
        time.sleep(AGE)

    def held(self):
        return [replica.json("/streams")["streams"] for replica in self.replicas]

    def metric(self, name):
        return [replica.metrics()[name] for replica in self.replicas]

    def ended(self):
        return sum(len(client.ages) for client in self.clients)

    def is_even(self):
        held = [self.held()[number] for number in self.behind]
        mean = sum(held) / len(held)
        return sum(held) == len(self.clients) and all(abs(each - mean) <= max(SHARE * mean, 1) for each in held)

    def wait_even(self):
        """Within what five minutes are here, and then some for a busy machine; and until nothing is shed any more."""
        begin = time.monotonic()
        wait_until(self.is_even, 300 / 120 * AGE + 30, lambda: f"even shares: {self.held()}", interval=TICK)
        took = time.monotonic() - begin
        wait_until(lambda: not any(self.metric("lookaside_rebalancing")), 60,
                   lambda: f"an end of it: {self.held()}", interval=TICK)
        return took

    def check_clients(self):
        for client in self.clients:
            assert client.error is None, client.error
            assert all(age >= AGE for age in client.ages), client.ages

    def logs(self):
        return [replica.process.log(100000) for replica in self.replicas]


def from_three_to_four(work):
    """Each holds its share, Node and young streams are spared, it ends, and what it cost is told."""
    with Cluster(work) as cluster:
        cluster.put_behind(0, 1, 2)
        node = cluster.connect(4, NODE) + cluster.connect(2, GO, "grpc-node-js/1.14.1")   # the oldest
        cluster.connect(CLIENTS)
        cluster.grow_old()
        wait_until(lambda: not any(cluster.metric("lookaside_rebalancing")), 60,
                   "the three are even", interval=TICK)
        before = cluster.ended()
        assert cluster.held()[3] == 0
        cluster.put_behind(0, 1, 2, 3)
        took = cluster.wait_even()
        assert took <= 300 / 120 * AGE + 30, took
        cluster.check_clients()
        assert all(not client.ages for client in node)
        shed = cluster.ended() - before
        assert CLIENTS / 4 <= shed <= 2 * CLIENTS, shed
        assert sum(cluster.metric("lookaside_streams_shed_total")) == cluster.ended()
        spared = [sum(cluster.metric(f'lookaside_streams_spared_total{{reason="{reason}"}}'))
                  for reason in ("node", "young", "unknown")]
        assert spared[0] > 0 and spared[2] == 0, spared
        logs = cluster.logs()
        assert any("replicas hold uneven shares of the streams" in log for log in logs), logs[0]
        assert any("replicas hold even shares of the streams again" in log for log in logs), logs[0]
        ended = cluster.ended()
        time.sleep(3 * AGE)                            # nothing to wait for: it rests
        assert cluster.ended() == ended, "streams are shed without need"


def not_while_a_replica_is_unknown(work):
    """Unknown is not zero."""
    with Cluster(work, size=2) as cluster:
        cluster.put_behind(0)
        cluster.connect(12)
        cluster.grow_old()
        cluster.put_behind(0, 1, besides=["127.0.0.1:1"])
        wait_until(lambda: min(cluster.metric("lookaside_rebalance_unknown_total")) >= 4, 30,
                   "rounds that say nothing", interval=TICK)
        assert cluster.ended() == 0
        cluster.forget(2)
        cluster.wait_even()
        cluster.check_clients()


def replicas_that_end_have_no_share(work):
    """A new one counts when it is ready, one that shuts down does not any more, also where the Service publishes both."""
    with Cluster(work, size=2) as cluster:
        cluster.put_behind(0)
        cluster.connect(10)
        cluster.grow_old()
        for conditions in ({"serving": False}, {"serving": True, "terminating": True}):
            entry = manifests.endpoint_slice(
                f"{REPLICAS[1]}-1", REPLICAS[1], [manifests.Endpoint("127.0.0.1", pod="other", **conditions)],
                REPLICAS[0], port=cluster.port(cluster.replicas[1].admin), port_name="admin")
            cluster.api.put(entry)
            time.sleep(AGE)                            # four rounds that begin nothing
            assert cluster.metric("lookaside_rebalancing") == [0, 0]
            assert cluster.ended() == 0
        cluster.put_behind(0, 1)
        cluster.wait_even()


def switched_off(work):
    with Cluster(work, size=2, flags=["--rebalance=false", "--status"]) as cluster:
        cluster.put_behind(0)
        cluster.connect(10)
        cluster.grow_old()
        cluster.put_behind(0, 1)
        time.sleep(AGE)
        assert cluster.held() == [10, 0] and cluster.ended() == 0
        assert "lookaside_rebalancing" not in cluster.replicas[0].metrics()


# ---- stock clients, which call all the while ----

def _built(name):
    language = next(language for language in agents.LANGUAGES if language.name == name)
    return language.build(lambda text: None)


def _is_fine(totals):
    return totals["failed"] == 0 and totals["ok"] > 0


def _calls_go_on(name):
    """Some of them on one replica, with others, when three more come."""
    def case(work):
        command = _built(name)
        block = Block()
        with contextlib.ExitStack() as undo:
            undo.callback(block.close)
            backends = greeters.start_all([block.address(11), block.address(12)], work)
            undo.callback(lambda: [backend.stop() for backend in backends])
            cluster = undo.enter_context(Cluster(work))
            cluster.api.put(manifests.endpoint_slice(
                f"{SERVICE}-a", SERVICE, [manifests.Endpoint(backend.address) for backend in backends], NAMESPACE))
            cluster.put_behind(0)
            (work / "bootstrap.json").write_text(bootstrap(cluster.service.address, "stock", "zone-a"))
            stock = [undo.enter_context(contextlib.closing(
                agents.Agent(command, work / "bootstrap.json", work / f"agent-{number}.log").start()))
                for number in range(STOCK)]
            for agent in stock:
                agent.ask("start", target=f"xds:///{SERVICE}.{NAMESPACE}:8001", threads=2, pause_us=2000,
                          timeout_ms=10000)
            for agent in stock:                        # a JVM takes its time
                wait_until(lambda: _is_fine(agent.ask("stats")), 120, "calls go through", interval=0.2)
            assert cluster.held() == [STOCK, 0, 0, 0], cluster.held()
            others = len(cluster.connect(5 * STOCK))
            accepted = cluster.service.accepted
            cluster.grow_old()
            cluster.put_behind(0, 1, 2, 3)
            wait_until(lambda: sum(cluster.metric("lookaside_streams_shed_total")) >= 4, 60, "streams are shed",
                       interval=TICK)
            wait_until(lambda: not any(cluster.metric("lookaside_rebalancing")), 60,
                       lambda: f"even shares {cluster.held()}", interval=TICK)
            wait_until(lambda: sum(cluster.held()) == others + STOCK, 30, lambda: f"all are back: {cluster.held()}")
            moved = cluster.service.accepted - accepted - cluster.ended()
            totals = [agent.ask("stop") for agent in stock]
            assert all(_is_fine(each) for each in totals), totals
            assert (moved == 0) == (name == "node"), f"{moved} connections of stock clients came anew"
            change = manifests.endpoint_slice(f"{SERVICE}-a", SERVICE, [manifests.Endpoint(backends[0].address)],
                                              NAMESPACE)
            cluster.api.put(change)                    # and each still follows
            for agent in stock:
                wait_until(lambda: set(agent.ask("call", target=f"xds:///{SERVICE}.{NAMESPACE}:8001", n=8)
                                       ["by_backend"]) == {"b1"}, 20, "the new list")
    case.__name__ = f"calls_of_{name.replace('-', '_')}_go_on"
    return case


CASES = [from_three_to_four, not_while_a_replica_is_unknown, replicas_that_end_have_no_share, switched_off,
         *[_calls_go_on(language.name) for language in agents.LANGUAGES]]
