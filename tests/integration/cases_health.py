"""grpc.health.v1: what it says of each service before the controller is ready, while it serves, and when it goes."""
import queue
import signal
import threading

import grpc

from tests.support import ads
from tests.support.process import wait_until

from .world import World

UNKNOWN_TO_US = "no.such.Service"
NATIVE = "lookaside.v1.BackendDiscovery"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
QUIET_SECONDS = 0.5
DELAY = ["--shutdown-delay", "3s"]                     # unready, and still serving


def _channel(world, *options):
    return ads.connect(world.controller.listen, [("grpc.initial_reconnect_backoff_ms", 100),
                                                 ("grpc.min_reconnect_backoff_ms", 100),
                                                 ("grpc.max_reconnect_backoff_ms", 300), *options])


def _request(service):
    return ads.encode((1, service)) if service else b""


def _status(message):
    return ads.decode(message)[1][-1]


class Watch:
    """Every status that a watcher of that service is told, in order; at the end the call's code."""

    def __init__(self, channel, service):
        self.said = queue.Queue()
        self.call = channel.unary_stream("/grpc.health.v1.Health/Watch")(
            _request(service), wait_for_ready=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for message in self.call:
                self.said.put(_status(message))
        except grpc.RpcError:
            pass
        self.said.put(self.call.code())

    def next(self, timeout=15):
        return self.said.get(timeout=timeout)

    def quiet(self):
        try:
            raise AssertionError(f"said out of turn: {self.said.get(timeout=QUIET_SECONDS)}")
        except queue.Empty:
            pass


def _check(channel, service):
    return _status(channel.unary_unary("/grpc.health.v1.Health/Check")(_request(service), timeout=5))


def _list(channel):
    """{service: status}"""
    got = channel.unary_unary("/grpc.health.v1.Health/List")(b"", timeout=5)
    entries = [ads.decode(entry) for entry in ads.decode(got)[1]]
    return {entry[1][-1].decode(): _status(entry[2][-1]) for entry in entries}


def _refusal(channel, method, message):
    try:
        channel.unary_unary(f"/grpc.health.v1.Health/{method}")(message, timeout=5)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"{method} was answered: {message!r}")


def follows_readiness_from_the_start_to_the_end(work):
    """The same watchers, from before there is anything to connect to."""
    with World(work, flags=DELAY, start=False) as world, _channel(world) as channel:
        world.api.stop()
        watchers = {service: Watch(channel, service) for service in ("", NATIVE, UNKNOWN_TO_US)}
        world.starting()
        world.wait_reason("not synced")
        assert not world.listens(), "an unready replica takes clients"
        for watch in watchers.values():
            watch.quiet()
        world.api.start()
        world.wait_ready()
        assert watchers[""].next() == SERVING and watchers[NATIVE].next() == SERVING
        assert watchers[UNKNOWN_TO_US].next() == SERVICE_UNKNOWN
        watchers[""].quiet()
        assert _check(channel, "") == _check(channel, NATIVE) == SERVING
        everything = _list(channel)
        assert {"", NATIVE, "grpc.health.v1.Health"} <= set(everything), everything
        assert set(everything.values()) == {SERVING}, everything
        _drain(world, channel, watchers)


def _drain(world, channel, watchers):
    world.controller.process.signal(signal.SIGTERM)
    assert watchers[""].next() == NOT_SERVING and watchers[NATIVE].next() == NOT_SERVING
    watchers[UNKNOWN_TO_US].quiet()                    # it was told all there is to tell
    assert _check(channel, "") == _check(channel, NATIVE) == NOT_SERVING
    assert set(_list(channel).values()) == {NOT_SERVING}
    watchers[NATIVE].call.cancel()
    assert watchers[NATIVE].next() == grpc.StatusCode.CANCELLED
    assert watchers[""].next() == grpc.StatusCode.OK
    assert world.controller.process.wait(15) == 0


def a_stock_client_that_checks_health_goes_away_in_time(work):
    """gRPC's own client-side health checking: the channel is ready while the service is SERVING."""
    config = ('{"loadBalancingConfig":[{"round_robin":{}}],'
              '"healthCheckConfig":{"serviceName":"%s"}}' % NATIVE)
    with World(work, flags=DELAY) as world, \
            _channel(world, ("grpc.service_config", config)) as channel:
        states = []
        channel.subscribe(states.append, try_to_connect=True)
        wait_until(lambda: states and states[-1] == grpc.ChannelConnectivity.READY, 10,
                   lambda: f"READY; {states}")
        world.controller.process.signal(signal.SIGTERM)
        wait_until(lambda: states[-1] == grpc.ChannelConnectivity.TRANSIENT_FAILURE, 10,
                   lambda: f"TRANSIENT_FAILURE; {states}")
        assert world.controller.process.wait(15) == 0


def what_cannot_be_answered_is_refused_in_words(work):
    with World(work) as world, _channel(world) as channel:
        got = _refusal(channel, "Check", _request(UNKNOWN_TO_US))
        assert got == (grpc.StatusCode.NOT_FOUND,
                       f"no service '{UNKNOWN_TO_US}'; grpc.health.v1.Health/List tells those that "
                       "there are"), got
        for method in ("Check", "Watch"):
            got = _refusal(channel, method, b"\x0a\x7f")
            assert got == (grpc.StatusCode.INVALID_ARGUMENT, "malformed HealthCheckRequest"), got
            got = _refusal(channel, method, b"\x0a\x01\xff")
            assert got == (grpc.StatusCode.INVALID_ARGUMENT, "service is not UTF-8"), got
        for method in ("Check", "List", "Watch"):
            call = channel.stream_stream(f"/grpc.health.v1.Health/{method}")(iter(()), timeout=5)
            assert (call.code(), call.details()) == (
                grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a message"), method
        assert _check(channel, "") == SERVING


CASES = [
    follows_readiness_from_the_start_to_the_end,
    a_stock_client_that_checks_health_goes_away_in_time,
    what_cannot_be_answered_is_refused_in_words,
]
