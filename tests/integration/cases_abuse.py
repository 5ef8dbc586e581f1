"""Abuse of the gRPC port: what has to come back, which metric tells of it, and that nobody else notices.

The abuses themselves are in abuses.py; `make abuse` lets all of them loose at once.
"""
import contextlib
import http.client
import re
import resource
import ssl
import struct
import subprocess
import time

import grpc

from tests.e2e import certificates
from tests.support import ads, h2raw, manifests, native, process
from tests.support.lookaside import Lookaside

from . import abuse_run, abuses
from .world import Client

ERRORS = "lookaside_grpc_protocol_errors_total"
HITS = 'lookaside_grpc_limit_hits_total{limit="%s"}'
HANDSHAKES = 'lookaside_tls_handshakes_failed_total{reason="%s"}'
ENDPOINTS = 60                     # of the Service: a list of some kilobytes


class Site:
    """A controller on a directory, and an honest client on a connection of its own, which sees every change."""

    def __init__(self, work, *flags, tls=False):
        self.folder = manifests.Manifests(work / "manifests")
        self.folder.service("greeter")
        self.version = 0
        self.change()
        if tls:
            certificates.make_authority(work)
            certificates.sign(work, "server", "/CN=server", "serverAuth", "IP:127.0.0.1")
            self.secure = f"127.0.0.1:{process.free_port()}"
            flags = [*flags, "--tls-listen", self.secure, "--tls-cert", work / "server.crt",
                     "--tls-key", work / "server.key"]
            self.ca = work / "ca.crt"
        self.controller = Lookaside(work, directory=work / "manifests", flags=["--threads", "1", *flags])

    def __enter__(self):
        self.controller.start()
        self.client = Client(self.controller.listen)
        self.client.wait(self.addresses())
        return self

    def __exit__(self, kind, *_):
        self.client.close()
        code = self.controller.stop()
        if kind is None and code != 0:
            raise AssertionError(f"the controller ended with {code}:\n" + self.controller.process.log())

    @property
    def listen(self):
        return self.controller.listen

    def addresses(self):
        return [f"10.{self.version >> 8}.{self.version & 255}.{number}" for number in range(ENDPOINTS)]

    def change(self):
        self.version += 1
        self.folder.slice("greeter", [manifests.Endpoint(address) for address in self.addresses()])

    def others_live(self):
        """A change reaches the honest client; the text of an address that is new in it."""
        self.change()
        self.client.wait(self.addresses(), timeout=10)
        return self.addresses()[0].encode()

    def metric(self, name):
        return self.controller.metrics()[name]

    def grows(self, name, before):
        process.wait_until(lambda: self.metric(name) > before, 10, f"{name} grows")

    def peer(self, **options):
        return h2raw.Peer(self.listen, **options)


# ---- what RFC 9113 and RFC 7541 forbid ----

def what_the_rfcs_forbid_ends_what_they_say(work):
    """The connection, or one stream of it; and what they tell to ignore is ignored."""
    with Site(work) as site:
        peers, wrong = [], []
        for fault in abuses.FAULTS:
            peer = abuses.answered(site.listen)
            before = site.metric(ERRORS)
            got = abuses.commit(peer, fault)
            counted = site.metric(ERRORS) - before
            want = None if fault.code is None else (fault.code, fault.stream)
            if got != want or counted != (want is not None):
                wrong.append(f"{fault.name}: {got}, counted {counted:.0f} times; expected {want}")
            if got is None or got[1] == 3:
                peers.append((fault, peer))
            else:
                peer.close()
        assert not wrong, "\n".join(wrong)
        fresh = site.others_live()
        for fault, peer in peers:                      # their first streams, too
            assert fresh in _until(peer, fresh), fault.name
            peer.close()


def _until(peer, text, stream=1):
    data = b""
    while text not in data:
        got = peer.until(h2raw.DATA, h2raw.RST_STREAM, stream=stream)
        assert got and got[0] == h2raw.DATA, got
        data += got[3]
    return data


def a_connection_has_to_begin_as_one(work):
    with Site(work) as site:
        for name, said in {"no settings": h2raw.PREFACE + abuses.PING_FRAME,
                           "an acknowledgement": h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, h2raw.ACK)}.items():
            peer = site.peer(preface=False)
            peer.send(said)
            assert peer.wait_closed() == h2raw.PROTOCOL_ERROR, name
        for name, said in {"another preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "noise": b"\x16\x03\x01\x02",
                           "words": b"INVALID CONNECTION PREFACE\r\n\r\n", "no end": b"A" * 5000}.items():
            before = site.metric(ERRORS)
            peer = site.peer(preface=False)
            peer.send(said)
            assert peer.read_frame() is None, name
            site.grows(ERRORS, before)
        site.others_live()


def a_smaller_table_has_to_be_acknowledged(work):
    """RFC 7541, 4.2. The server's own is never made smaller, so that clients that forget that are served."""
    with Site(work) as site:
        peer = site.peer()
        said = dict(struct.iter_unpack("!HI", peer.until(h2raw.SETTINGS)[3]))
        assert 1 not in said, said
        peer.send(h2raw.frame(h2raw.SETTINGS, h2raw.ACK))
        peer.open_call(abuses.REQUEST)
        assert peer.until(h2raw.DATA)
        peer.close()


# ---- floods ----

def floods_end_their_connections(work):
    with Site(work) as site:
        for name, (limit, _) in abuses.FLOODS.items():
            before = site.metric(HITS % limit)
            code = abuses.flood(site.listen, name)
            assert code in (None, h2raw.ENHANCE_YOUR_CALM), f"{name}: {code}"
            site.grows(HITS % limit, before)
            site.others_live()


def a_table_that_stands_for_gigabytes_costs_nothing(work):
    """A hundred HPACK bombs, each for 64 MB of headers."""
    with Site(work) as site:
        begin = time.process_time()
        before = _cpu(site)
        for _ in range(100):
            abuses.flood(site.listen, "HPACK")
        spent = _cpu(site) - before
        assert spent < 2, f"{spent} s of CPU ({time.process_time() - begin} s here)"
        site.others_live()


def _cpu(site):
    fields = open(f"/proc/{site.controller.process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# ---- windows ----

def windows_of_a_byte_carry_a_list(work):
    """A byte at a time: its stream goes on, and so do the others."""
    with Site(work) as site:
        peer = site.peer()
        peer.send(h2raw.frame(h2raw.SETTINGS, payload=h2raw.settings({h2raw.INITIAL_WINDOW_SIZE: 1})))
        peer.open_call(abuses.REQUEST)
        data = b""
        while site.addresses()[-1].encode() not in data:
            got = peer.until(h2raw.DATA)
            assert len(got[3]) == 1, got
            data += got[3]
            peer.send(abuses.window(1, 1) + abuses.window(0, 1))
        site.others_live()
        peer.close()


def windows_that_shrink_below_nothing(work):
    """SETTINGS may take back what a stream had: it waits until that is given again (RFC 9113, 6.9.2)."""
    with Site(work) as site:
        peer = site.peer()
        peer.open_call(abuses.REQUEST)
        peer.until(h2raw.DATA)
        peer.send(h2raw.frame(h2raw.SETTINGS, payload=h2raw.settings({h2raw.INITIAL_WINDOW_SIZE: 0})) + abuses.PING_FRAME)
        peer.until(h2raw.PING)
        fresh = site.others_live()
        peer.send(abuses.window(1, 65535))
        _until(peer, fresh)
        peer.close()


# ---- every limit ----

REACH = {}                         # name: (flags beside its own, value, function(site), metric)


def reach(name, value, *flags, metric=None, tls=False):
    def register(function):
        REACH[name] = (value, flags, function, metric or HITS % name, tls)
        return function
    return register


@reach("connections", 3)
def _(site):
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.callback(abuses.answered(site.listen).close)
        assert site.peer().read_frame() is None


@reach("connections-per-address", 3)
def _(site):
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.callback(abuses.answered(site.listen).close)
        assert site.peer().read_frame() is None
        assert site.metric("lookaside_connections_of_one_address") == 3
    process.wait_until(lambda: site.metric("lookaside_connections_of_one_address") == 1, 5, "the others are gone")
    abuses.answered(site.listen).close()               # there is room again


@reach("streams", 3)
def _(site):
    peer = abuses.answered(site.listen)
    for _ in range(2):
        peer.open_call()
    stream = peer.open_call()
    assert peer.until(h2raw.RST_STREAM)[2:] == (stream, h2raw.number(h2raw.REFUSED_STREAM))
    _until(peer, site.others_live())                   # the others of the connection
    peer = abuses.answered(site.listen)                # and of one that knows the number
    peer.send(h2raw.frame(h2raw.SETTINGS, h2raw.ACK))
    for _ in range(3):
        peer.open_call()
    assert peer.wait_closed() == h2raw.PROTOCOL_ERROR


@reach("header-list", "4KiB")
def _(site):
    peer = abuses.answered(site.listen)
    peer.send(abuses.headers(abuses.fields(("x", "y" * 5000))))
    assert peer.status(3) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    _until(peer, site.others_live())


@reach("message", "1MiB")
def _(site):
    peer = abuses.answered(site.listen)
    peer.send(abuses.headers(abuses.fields()) + h2raw.frame(h2raw.DATA, 0, 3, struct.pack("!BI", 0, 2**20 + 1)))
    assert peer.status(3) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    abuses.gzip_bomb(peer, 5)
    assert peer.status(5) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    _until(peer, site.others_live())


def _parts(peer, streams):
    """Half a message of 16 KiB on each."""
    for stream in streams:
        peer.send(abuses.headers(abuses.fields(), stream) + h2raw.frame(
            h2raw.DATA, 0, stream, struct.pack("!BI", 0, 2**14) + bytes(2**13)))


@reach("unfinished", "20KiB", "message=16KiB")
def _(site):
    peer = abuses.answered(site.listen)
    _parts(peer, (3, 5, 7))
    assert peer.status(7) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    _until(peer, site.others_live())
    _parts(abuses.answered(site.listen), (3, 5))       # another connection may have as many


@reach("unfinished-total", "20KiB", "message=16KiB", "unfinished=16KiB")
def _(site):
    first, second = abuses.answered(site.listen), abuses.answered(site.listen)
    _parts(first, (3,))
    first.send(abuses.PING_FRAME)
    first.until(h2raw.PING)
    _parts(second, (3, 5))
    assert second.status(5) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    fresh = site.others_live()
    _until(first, fresh)
    _until(second, fresh)


@reach("resets", 1)
def _(site):
    peer = abuses.answered(site.listen)
    peer.send(b"".join(abuses.headers(abuses.fields(), stream) + abuses.reset(stream) for stream in range(3, 30, 2)))
    assert peer.wait_closed() == h2raw.ENHANCE_YOUR_CALM


@reach("pings", 1)
def _(site):
    peer = abuses.answered(site.listen)
    peer.send(abuses.PING_FRAME * 12)                  # the first is free
    assert peer.wait_closed() == h2raw.ENHANCE_YOUR_CALM


@reach("control-frames", 1)
def _(site):
    peer = abuses.answered(site.listen)
    peer.send(h2raw.frame(h2raw.SETTINGS) * 11)
    assert peer.wait_closed() == h2raw.ENHANCE_YOUR_CALM


@reach("keepalive", "1s", "keepalive-timeout=1s", metric="lookaside_grpc_keepalive_closed_total")
@reach("keepalive-timeout", "1s", "keepalive=1s", metric="lookaside_grpc_keepalive_closed_total")
def _(site):
    peer, begin = abuses.answered(site.listen), time.monotonic()
    assert peer.until(h2raw.PING) and 0.5 < time.monotonic() - begin < 2
    assert peer.wait_closed() is None and 1.5 < time.monotonic() - begin < 4


@reach("stalled", "1s")
def _(site):
    """It takes ten bytes of its list. One that takes none is not sent any, and may wait."""
    peer = site.peer()
    peer.send(h2raw.frame(h2raw.SETTINGS, payload=h2raw.settings({h2raw.INITIAL_WINDOW_SIZE: 10})))
    peer.open_call(abuses.REQUEST)
    assert peer.until(h2raw.RST_STREAM)[2:] == (1, h2raw.number(h2raw.ENHANCE_YOUR_CALM))


def _sip(*peers):
    """A byte now and then, until one is closed."""
    for peer in peers:
        peer.send(h2raw.frame(h2raw.SETTINGS, payload=h2raw.settings({h2raw.INITIAL_WINDOW_SIZE: 0})))
        peer.open_call(abuses.REQUEST)
        peer.sock.settimeout(0.02)

    def closed(peer):
        try:
            peer.send(abuses.window(1, 1))
            return peer.read_frame() is None
        except process.WaitTimeout:
            return False
        except OSError:
            return True
    process.wait_until(lambda: any(map(closed, peers)), 10, "one is closed", interval=0.05)


@reach("pinned", "1KiB", "stalled=2s")
def _(site):
    _sip(site.peer())


@reach("pinned-total", "2KiB", "stalled=2s")
def _(site):
    _sip(site.peer(), site.peer())


@reach("handshake", "200ms", tls=True)
def _(site):
    begin = time.monotonic()
    peer = site.peer(preface=False)
    peer.send(h2raw.PREFACE[:10])
    slow = h2raw.Peer(site.secure, preface=False)
    slow.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert peer.read_frame() is None and slow.read_frame() is None
    assert time.monotonic() - begin < 3
    site.grows(HANDSHAKES % "given-up", 0)


@reach("tls-handshakes", 1, metric=HANDSHAKES % "stalled", tls=True)
def _(site):
    slow = [h2raw.Peer(site.secure, preface=False) for _ in range(2)]
    for peer in slow:
        peer.send(b"\x16")
    with ads.connect(site.secure, ca=site.ca) as channel:
        stream = ads.Stream(channel)
        assert stream.subscribe(ads.EDS, [abuses.CLUSTER], timeout=10).names
        stream.cancel()


@reach("names", 2)
def _(site):
    with ads.connect(site.listen) as channel:
        call = channel.unary_unary(native.LIST).with_call
        try:
            call(native.request([f"n{number}.shop" for number in range(3)]), timeout=5)
            raise AssertionError("three are listed")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 'native stream refused' in site.controller.process.log()
        names = [f"shop/n{number}:1" for number in range(3)]
        for stream, request in ((ads.Stream(channel), ads.request(ads.EDS, names)),
                                (ads.DeltaStream(channel), ads.delta_request(ads.EDS, names))):
            stream.send_raw(request)
            assert stream.status() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert stream.call.details() == "more than 2 names on one stream: ask for the others on another"
        stream = ads.Stream(channel)
        stream.send_raw(ads.request(ads.EDS, names[:1], node=ads.node("x" * 5000)))
        assert stream.status() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert site.metric(HITS % "names") == 3, "a long node id is none of them"


def _ask(channel, first, count):
    stream = ads.Stream(channel)
    stream.send(ads.EDS, [f"shop/n{number}:1" for number in range(first, first + count)])
    return stream


@reach("subscriptions", 5)
def _(site):
    with ads.connect(site.listen) as one, ads.connect(site.listen) as other:
        kept = _ask(one, 0, 3)
        assert len(kept.expect(ads.EDS).names) == 3
        assert _ask(one, 3, 3).status() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(_ask(other, 3, 3).expect(ads.EDS).names) == 3
        kept.cancel()


@reach("subscriptions-total", 50000)
def _(site):
    """Names by the million, as far as they go."""
    with contextlib.ExitStack() as stack:
        ends = set()
        for connection in range(4):
            channel = stack.enter_context(ads.connect(site.listen, [("grpc.max_receive_message_length", -1)]))
            for part in range(2):
                stream = _ask(channel, (2 * connection + part) * 9000, 9000)
                try:
                    stream.expect(ads.EDS, timeout=20)
                except AssertionError:
                    ends.add(stream.status())
        assert ends == {grpc.StatusCode.RESOURCE_EXHAUSTED}, ends
        process.wait_until(lambda: site.metric("lookaside_subscriptions") == 5 * 9000 + 1, 5, "five are left")


def _in_base_units(value):
    """Of "4KiB", "2s" or 3."""
    number, unit = re.fullmatch(r"(\d+)(.*)", str(value)).groups()
    return int(number) * {"": 1, "KiB": 1024, "MiB": 1024 * 1024, "s": 1, "ms": 0.001}[unit]


def every_limit_is_reached(work):
    """By its flag; it is counted, and the honest client stays."""
    told = subprocess.run([process.BUILD / "lookaside", "--help"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^ {8}([a-z-]+) +[0-9]\S* ", told, re.MULTILINE)
    assert sorted(REACH) == sorted(names), set(REACH) ^ set(names)
    for name, (value, flags, function, metric, tls) in REACH.items():
        folder = work / name
        folder.mkdir()
        flags = [word for limit in (f"{name}={value}", *flags) for word in ("--limit", limit)]
        try:
            with Site(folder, *flags, tls=tls) as site:
                assert site.metric(f'lookaside_grpc_limit{{limit="{name}"}}') == _in_base_units(value)
                before = site.metric(metric)
                function(site)
                site.grows(metric, before)
                site.others_live()
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error


def ten_thousand_connections_of_one_address(work):
    """All but those that are allowed are closed at once, and memory with them."""
    with Site(work, "--limit", "connections-per-address=200") as site:
        resource.setrlimit(resource.RLIMIT_NOFILE, 2 * resource.getrlimit(resource.RLIMIT_NOFILE)[1:])
        memory = site.controller.memory()
        held = [site.peer(preface=False) for _ in range(10_000)]
        site.others_live()
        process.wait_until(lambda: site.metric(HITS % "connections-per-address") == 9801, 10, "9,801 are closed")
        assert site.metric("lookaside_connections") == 200
        grown = site.controller.memory() - memory
        assert grown < 20_000, f"{grown} KiB"
        for peer in held:
            peer.close()


def everything_at_once(work):
    abuse_run.run(work, 15)


# ---- /healthz ----

def healthz_answers_on_both_listeners(work):
    with Site(work, tls=True) as site:
        trust = ssl.create_default_context(cafile=site.ca)
        trust.set_alpn_protocols(["http/1.1"])
        for method in ("GET", "POST", "HEAD", "PUT"):
            want = (405, b"") if method == "PUT" else (200, b"" if method == "HEAD" else b"ok\n")
            for connection in (http.client.HTTPConnection(site.listen, timeout=10),
                               http.client.HTTPSConnection(site.secure, timeout=10, context=trust)):
                connection.request(method, "/healthz", body=b"x" * 100 if method == "POST" else None)
                answer = connection.getresponse()
                got = answer.status, b"" if method == "PUT" else answer.read()
                assert got == want, (method, got)
                connection.close()
            for secure in (False, True):
                got = _ask_http2(site, method, secure)
                assert got == want, (method, secure, got)


def _ask_http2(site, method, secure):
    """(status, body)"""
    peer = h2raw.Peer(site.secure if secure else site.listen, preface=False)
    if secure:
        trust = ssl.create_default_context(cafile=site.ca)
        trust.set_alpn_protocols(["h2"])
        peer.sock = trust.wrap_socket(peer.sock, server_hostname="127.0.0.1")
    with_body = method == "POST"
    block = h2raw.header_block((":method", method), (":scheme", "http"), (":path", "/healthz"), (":authority", "x"))
    flags = h2raw.END_HEADERS if with_body else h2raw.END_HEADERS | h2raw.END_STREAM
    peer.send(h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS) + h2raw.frame(h2raw.HEADERS, flags, 1, block))
    if with_body:
        peer.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, 1, b"x" * 100))
    _, flags, _, head = peer.until(h2raw.HEADERS)
    body = b""
    while not flags & h2raw.END_STREAM:
        _, flags, _, data = peer.until(h2raw.DATA)
        body += data
    peer.close()
    head = head.removeprefix(abuses.TABLE_SIZE_0)      # the server keeps no table
    return (200, body) if head[0] == 0x88 else (405 if b"405" in head[:6] else None, b"")


def http2_where_http1_was_agreed_on_is_refused(work):
    with Site(work, tls=True) as site:
        trust = ssl.create_default_context(cafile=site.ca)
        trust.set_alpn_protocols(["http/1.1"])
        peer = h2raw.Peer(site.secure, preface=False)
        peer.sock = trust.wrap_socket(peer.sock, server_hostname="127.0.0.1")
        before = site.metric(ERRORS)
        peer.send(h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS))
        assert peer.read_frame() is None
        site.grows(ERRORS, before)


CASES = [everything_at_once, every_limit_is_reached, what_the_rfcs_forbid_ends_what_they_say, a_connection_has_to_begin_as_one,
         a_smaller_table_has_to_be_acknowledged, floods_end_their_connections,
         a_table_that_stands_for_gigabytes_costs_nothing, windows_of_a_byte_carry_a_list,
         windows_that_shrink_below_nothing, ten_thousand_connections_of_one_address, healthz_answers_on_both_listeners,
         http2_where_http1_was_agreed_on_is_refused]
