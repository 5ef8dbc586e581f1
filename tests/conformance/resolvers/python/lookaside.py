"""Calls that go in turn to the live backends of a Kubernetes Service, for a program that does not use xDS.

    channel = lookaside.Channel("lookaside.lookaside.svc:18000", "greeter.shop:8001")
    stub = GreeterStub(channel)                       # as with any other channel

gRPC for Python takes no resolvers from outside, so this is a channel over one channel per backend, which follows
the list that Lookaside keeps. discovery_pb2 is what protoc --python_out makes of discovery.proto.
"""
import functools
import itertools
import random
import threading
import time

import discovery_pb2 as api
import grpc
from grpc import ChannelConnectivity as State

RETRY_MIN, RETRY_MAX = 0.1, 10
LEAVE_SECONDS = 30              # calls to a backend that is no longer listed have so long to end


class Unavailable(grpc.RpcError):
    def __init__(self, details):
        super().__init__(details)
        self.code, self.details = (lambda: grpc.StatusCode.UNAVAILABLE), (lambda: details)


class Backend:
    def __init__(self, listed, changed):
        host = f"[{listed.address}]" if ":" in listed.address else listed.address
        self.channel = grpc.insecure_channel(f"{host}:{listed.port}")
        self.listed, self.state, self.methods, self.changed = listed, State.IDLE, {}, changed
        self.channel.subscribe(self._on_state, try_to_connect=True)

    def _on_state(self, state):
        before, self.state = self.state, state
        if state is State.IDLE and before is not State.IDLE:      # its connection has ended
            self.channel.unsubscribe(self._on_state)
            self.channel.subscribe(self._on_state, try_to_connect=True)
        self.changed()

    def leave(self, seconds=LEAVE_SECONDS):
        self.channel.unsubscribe(self._on_state)
        timer = threading.Timer(seconds, self.channel.close)
        timer.daemon = True
        timer.start()


class Method:
    def __init__(self, pick, make):
        self._pick, self._make = pick, make
        self.with_call, self.future = (functools.partial(self._call, how) for how in ("with_call", "future"))

    def __call__(self, *words, **options):
        return self._call("__call__", *words, **options)

    def _call(self, how, request, timeout=None, *words, wait_for_ready=None, **options):
        begin = time.monotonic()
        backend = self._pick(timeout, wait_for_ready)
        if self not in backend.methods:
            backend.methods[self] = self._make(backend.channel)
        if timeout is not None:
            timeout = max(timeout - (time.monotonic() - begin), 0)
        return getattr(backend.methods[self], how)(request, timeout, *words, wait_for_ready=wait_for_ready, **options)


def _kind(name):
    return lambda self, *words, **options: Method(self._pick, lambda channel: getattr(channel, name)(*words, **options))


class Channel(grpc.Channel):
    unary_unary, unary_stream = _kind("unary_unary"), _kind("unary_stream")
    stream_unary, stream_stream = _kind("stream_unary"), _kind("stream_stream")

    def __init__(self, server, target):
        self._target, self._backends, self._version, self._problem = target, {}, "", ""
        self._changed, self._turn, self._closed = threading.Condition(), itertools.count(), False
        self._server = grpc.insecure_channel(server, [("grpc.keepalive_time_ms", 30000)])
        threading.Thread(target=self._follow, daemon=True).start()

    def close(self):
        self._closed = True
        self._server.close()
        for backend in list(self._backends.values()):
            backend.leave(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def subscribe(self, callback, try_to_connect=False):
        pass                    # backends have states, not the channel

    unsubscribe = subscribe

    def _follow(self):
        """Opens the stream, again and again; the list stays meanwhile."""
        wait, watch = RETRY_MIN, self._server.stream_stream(
            "/lookaside.v1.BackendDiscovery/Watch", api.WatchRequest.SerializeToString, api.WatchResponse.FromString)
        while not self._closed:
            request, ended = api.WatchRequest(targets=[self._target], versions={self._target: self._version}), threading.Event()
            try:
                for response in watch(itertools.chain([request], iter(ended.wait, True))):
                    self._take(response)
                    wait = RETRY_MIN
            except (grpc.RpcError, ValueError) as error:          # ValueError: it was closed
                self._wake(str(error))
            ended.set()
            time.sleep(random.uniform(wait / 2, wait * 3 / 2))
            wait = min(2 * wait, RETRY_MAX)

    def _take(self, response):
        listed = {(backend.address, backend.port): backend for backend in response.backends}
        gone = [(backend.address, backend.port) for backend in response.removed]
        if response.version:
            for key in gone if response.changes else set(self._backends) - set(listed):
                self._backends.pop(key).leave()
            for key, backend in listed.items():
                if key not in self._backends:
                    self._backends[key] = Backend(backend, self._wake)
                self._backends[key].listed = backend
            self._version = response.version
        self._wake(response.problem)

    def _wake(self, problem=None):
        with self._changed:
            self._problem = self._problem if problem is None else problem
            self._changed.notify_all()

    def _ready(self):
        """The nearest of those that can be called."""
        ready = [backend for backend in list(self._backends.values()) if backend.state is State.READY]
        nearest = min((backend.listed.priority for backend in ready), default=0)
        return [backend for backend in ready if backend.listed.priority == nearest]

    def _is_hopeless(self):
        return bool(self._version or self._problem) and all(
            backend.state is State.TRANSIENT_FAILURE for backend in list(self._backends.values()))

    def _pick(self, timeout, wait_for_ready):
        with self._changed:
            self._changed.wait_for(lambda: self._ready() or self._is_hopeless() and not wait_for_ready, timeout)
            ready = self._ready()
        if not ready:
            raise Unavailable(f"{self._target}: {self._problem or 'no backend can be reached'}")
        return ready[next(self._turn) % len(ready)]
