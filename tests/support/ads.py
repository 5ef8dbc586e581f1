"""A raw ADS client for tests of the protocol: every field of every request is the test's own.

Messages are written and read by hand (protobuf's wire format is three functions), so that a test
can send what no client library would.
"""
import queue
import threading
from dataclasses import dataclass, field

import grpc

from .process import WaitTimeout

_PREFIX = "type.googleapis.com/"
LDS = _PREFIX + "envoy.config.listener.v3.Listener"
RDS = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
CDS = _PREFIX + "envoy.config.cluster.v3.Cluster"
EDS = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LOGICAL_DNS = 2                                      # a Cluster's type
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
DELTA_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
# Of the services of one type: state of the world, delta.
SINGLE = {type_url: tuple(f"/envoy.service.{word.lower()}.v3.{word}DiscoveryService/{kind}{word}s"
                          for kind in ("Stream", "Delta"))
          for type_url, word in ((LDS, "Listener"), (RDS, "Route"), (CDS, "Cluster"), (EDS, "Endpoint"))}


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(*fields):
    """(number, value) pairs → bytes. int is a varint; str and bytes are length-delimited."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return bytes(out)


def decode(data):
    """bytes → {number: [values]}: ints of varints and fixed numbers, bytes of the rest."""
    fields, at = {}, 0
    while at < len(data):
        key, at = _varint_at(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint_at(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, at = _varint_at(data, at)
            if kind not in (1, 2, 5) or at + size > len(data):
                raise ValueError(f"not protobuf: wire type {kind}, {size} bytes at {at}")
            value = data[at:at + size]
            at += size
            if kind != 2:
                value = int.from_bytes(value, "little")
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _varint_at(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _get(fields, number, otherwise=b""):
    return fields.get(number, [otherwise])[-1]


def _text(fields, number):
    return _get(fields, number).decode()


def _path(data, *numbers):
    """The bytes of the sub-message that the field numbers lead to."""
    for number in numbers:
        data = _get(decode(data), number)
    return data


def node(node_id="test", zone=None, user_agent="lookaside test", metadata=None):
    """Node; metadata is the bytes of a Struct."""
    fields = [(1, node_id), (6, user_agent)]
    if zone is not None:
        fields.append((4, encode((2, zone))))
    if metadata is not None:
        fields.append((3, metadata))
    return encode(*fields)


def request(type_url, names=(), version="", nonce="", node=None, error=None):
    """DiscoveryRequest. error is the message of error_detail."""
    fields = [(1, version)] if version else []
    if node is not None:
        fields.append((2, node))
    fields += [(3, name) for name in names] + [(4, type_url)]
    if nonce:
        fields.append((5, nonce))
    if error is not None:
        fields.append((6, encode((1, 3), (2, error))))
    return encode(*fields)


def delta_request(type_url, subscribe=(), unsubscribe=(), known=None, nonce="", node=None, error=None):
    """DeltaDiscoveryRequest. known: {name: version} of an earlier stream."""
    fields = [] if node is None else [(1, node)]
    fields += [(2, type_url)] if type_url else []
    fields += [(3, name) for name in subscribe] + [(4, name) for name in unsubscribe]
    fields += [(5, encode((1, name), (2, version))) for name, version in (known or {}).items()]
    if nonce:
        fields.append((6, nonce))
    if error is not None:
        fields.append((7, encode((1, 3), (2, error))))
    return encode(*fields)


def _host_of(config):
    """(cluster, domains) of a RouteConfiguration."""
    host = _path(config, 2)                          # virtual_hosts
    domains = tuple(domain.decode() for domain in decode(host).get(2, []))
    return _path(host, 3, 2, 1).decode(), domains    # routes.route.cluster


@dataclass
class Listener:
    """What a Listener says: its name, and the cluster that its inline route leads to."""
    name: str
    cluster: str
    domains: tuple
    raw: bytes = field(repr=False)
    route: bytes = field(repr=False)

    @classmethod
    def parse(cls, data):
        route = _path(data, 19, 1, 2, 4)             # api_listener.api_listener.value.route_config
        return cls(_text(decode(data), 1), *_host_of(route), data, route)


@dataclass
class Route:
    name: str
    cluster: str
    domains: tuple
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, data):
        return cls(_text(decode(data), 1), *_host_of(data), data)


@dataclass
class Cluster:
    name: str
    eds_name: str
    type: int
    max_requests: int | None
    raw: bytes = field(repr=False)
    host: tuple | None = None                        # (name, port) that a LOGICAL_DNS one resolves

    @classmethod
    def parse(cls, data):
        fields = decode(data)
        limit = _path(_path(data, 10, 1), 4)         # circuit_breakers.thresholds.max_requests
        eds_name = _path(data, 3, 2).decode() or _text(fields, 1)
        kind, host = _get(fields, 2, 0), None
        if kind == LOGICAL_DNS:                      # load_assignment's one endpoint
            address = decode(_path(data, 33, 2, 2, 1, 1, 1))
            host = (_text(address, 2), _get(address, 3, 0))
        return cls(_text(fields, 1), eds_name, kind, _get(decode(limit), 1, 0) if limit else None,
                   data, host)


@dataclass
class Assignment:
    """A ClusterLoadAssignment: endpoints as (zone, address, port), weights per zone, and of those
    endpoints that have one the additional address."""
    name: str
    endpoints: list
    weights: dict
    raw: bytes = field(repr=False)
    others: dict = field(default_factory=dict)       # (address, port) → (address, port)

    @classmethod
    def parse(cls, data):
        endpoints, weights, others = [], {}, {}
        for group in decode(data).get(2, []):
            zone = _path(group, 1, 2).decode()
            weights[zone] = _get(decode(_path(group, 3)), 1, 0)
            for endpoint in decode(group).get(2, []):
                address = decode(_path(endpoint, 1, 1, 1))   # endpoint.address.socket_address
                endpoints.append((zone, _text(address, 2), _get(address, 3, 0)))
                for other in decode(_path(endpoint, 1)).get(4, []):
                    other = decode(_path(other, 1, 1))
                    others[endpoints[-1][1:]] = (_text(other, 2), _get(other, 3, 0))
        return cls(_text(decode(data), 1), endpoints, weights, data, others)

    @property
    def addresses(self):
        return [address for _, address, _ in self.endpoints]


_PARSERS = {LDS: Listener.parse, RDS: Route.parse, CDS: Cluster.parse, EDS: Assignment.parse}


@dataclass
class Response:
    type_url: str
    version: str
    nonce: str
    resources: dict = field(default_factory=dict)      # name → Listener, Cluster, Assignment

    @classmethod
    def parse(cls, data):
        fields = decode(data)
        response = cls(_text(fields, 4), _text(fields, 1), _text(fields, 5))
        for wrapped in fields.get(2, []):
            entry = decode(wrapped)                    # Any
            if _text(entry, 1) != response.type_url:
                raise AssertionError(f"{_text(entry, 1)} in a response of {response.type_url}")
            resource = _PARSERS[response.type_url](_get(entry, 2))
            if resource.name in response.resources:
                raise AssertionError(f"{resource.name} twice in one response")
            response.resources[resource.name] = resource
        return response

    @property
    def names(self):
        return sorted(self.resources)


@dataclass
class DeltaResponse:
    type_url: str
    nonce: str
    resources: dict = field(default_factory=dict)      # as of Response
    versions: dict = field(default_factory=dict)       # name → version
    removed: list = field(default_factory=list)

    @classmethod
    def parse(cls, data):
        fields = decode(data)
        response = cls(_text(fields, 4), _text(fields, 5),
                       removed=[name.decode() for name in fields.get(6, [])])
        for wrapped in fields.get(2, []):
            entry = decode(wrapped)                    # Resource
            any_ = decode(_get(entry, 2))
            resource = _PARSERS[_text(any_, 1)](_get(any_, 2))
            name = _text(entry, 3)
            if resource.name != name or name in response.resources or _text(any_, 1) != response.type_url:
                raise AssertionError(f"{resource.name} as {name} in a response of {response.type_url}")
            response.resources[name], response.versions[name] = resource, _text(entry, 1)
        return response

    @property
    def names(self):
        return sorted(self.resources)


class Stream:
    """One ADS stream. send() writes, recv() reads with a bound.

    Unless the test says otherwise, a request carries what a real client's would: the node in the
    first one only, the version and the nonce of the last response of its type that was read.
    """

    parse, method = Response.parse, METHOD

    def __init__(self, channel, node=None, method=None, metadata=None):
        self.node = node if node is not None else globals()["node"]()
        self.opened, self.names, self.last = False, {}, {}
        self.outgoing, self.incoming = queue.Queue(), queue.Queue()
        self.call = channel.stream_stream(method or self.method)(iter(self.outgoing.get, None),
                                                                metadata=metadata)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for data in self.call:
                self.incoming.put(self.parse(data))
        except grpc.RpcError:
            pass                                       # status() tells
        except Exception as error:
            self.incoming.put(error)
        self.incoming.put(None)

    def send(self, type_url, names=(), **fields):
        """Sends a request. names are the whole subscription of this type from now on."""
        if not self.opened:
            fields.setdefault("node", self.node)
        if type_url in self.last:
            fields.setdefault("version", self.last[type_url].version)
            fields.setdefault("nonce", self.last[type_url].nonce)
        self.opened, self.names[type_url] = True, list(names)
        self.outgoing.put(request(type_url, names, **fields))

    def send_raw(self, message):
        self.opened = True
        self.outgoing.put(message)

    def ack(self, response):
        """ACKs; the subscription stays as it is."""
        self.send(response.type_url, self.names[response.type_url], version=response.version,
                  nonce=response.nonce)

    def nack(self, response, version="", error="refused by the test"):
        self.send(response.type_url, self.names[response.type_url], version=version,
                  nonce=response.nonce, error=error)

    def recv(self, timeout=5):
        """The next response, whatever its type."""
        try:
            got = self.incoming.get(timeout=timeout)
        except queue.Empty:
            raise WaitTimeout(f"no response within {timeout:g} s") from None
        if got is None:
            self.incoming.put(None)
            raise AssertionError(f"the stream ended: {self.call.code()} {self.call.details()}")
        if isinstance(got, Exception):
            raise got
        self.last[got.type_url] = got
        return got

    def expect(self, type_url, timeout=5):
        """The next response, which has to be of this type."""
        got = self.recv(timeout)
        if got.type_url != type_url:
            raise AssertionError(f"expected {type_url}, got {got}")
        return got

    def subscribe(self, type_url, names, timeout=5, **fields):
        """Request, answer, ACK: the opening of every real client. Returns the answer."""
        self.send(type_url, names, **fields)
        got = self.expect(type_url, timeout)
        self.ack(got)
        return got

    def until(self, type_url, condition, timeout=5):
        """ACKs responses until one of this type meets the condition, and returns that one."""
        while True:
            got = self.recv(timeout)
            self.ack(got)
            if got.type_url == type_url and condition(got):
                return got

    def half_close(self):
        self.outgoing.put(None)

    def status(self, timeout=5):
        """The status code with which the server ended the stream."""
        while True:
            try:
                if self.incoming.get(timeout=timeout) is None:
                    self.incoming.put(None)
                    return self.call.code()
            except queue.Empty:
                raise WaitTimeout(f"the stream did not end within {timeout:g} s") from None

    def cancel(self):
        self.outgoing.put(None)
        self.call.cancel()


class DeltaStream(Stream):
    """The same for delta; names are those that are subscribed to, versions what the server has sent."""
    parse, method = DeltaResponse.parse, DELTA_METHOD

    def __init__(self, channel, node=None, method=None, metadata=None):
        super().__init__(channel, node, method, metadata)
        self.versions = {}                             # type → {name: version}

    def send(self, type_url, subscribe=(), unsubscribe=(), **fields):
        if not self.opened:
            fields.setdefault("node", self.node)
        self.opened = True
        names = set(self.names.get(type_url, ())) | set(subscribe)
        self.names[type_url] = sorted(names - set(unsubscribe))
        self.outgoing.put(delta_request(type_url, subscribe, unsubscribe, **fields))

    def ack(self, response):
        self.send(response.type_url, nonce=response.nonce)

    def nack(self, response, error="refused by the test"):
        self.send(response.type_url, nonce=response.nonce, error=error)

    def recv(self, timeout=5):
        got = super().recv(timeout)
        known = self.versions.setdefault(got.type_url, {})
        known.update(got.versions)
        for name in got.removed:
            known.pop(name, None)
        return got


def connect(server, options=(), ca=None, shows=None):
    """A channel of its own connection to ADDRESS:PORT; over TLS with the path of a CA's certificate, and of (a certificate,
    its key) that the client shows."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0),
               ("grpc.max_send_message_length", -1), *options]
    if ca is None:
        return grpc.insecure_channel(server, options=options)
    cert, key = (path.read_bytes() for path in shows) if shows else (None, None)
    return grpc.secure_channel(server, grpc.ssl_channel_credentials(ca.read_bytes(), key, cert),
                               options=options)
