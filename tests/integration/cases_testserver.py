"""build/grpc-testserver, and what it shares with build/xds-fixture: flags, TLS, an orderly end."""
import gzip
import queue
import struct
import subprocess
import threading
import time

import grpc

from tests.e2e import certificates
from tests.support import ads, h2raw, process
from tests.support.fixtures import Program

SERVICE = "/grpc.testing.TestService/"
HEALTH = "/grpc.health.v1.Health/"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
GZIP = grpc.Compression.Gzip
PROGRAMS = ("xds-fixture", "grpc-testserver")
TRUE, FALSE = ads.encode((1, 1)), b""
BIG = 100_000
INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"


class World:
    def __init__(self, work, *flags, ca=None):
        self.program, self.ca = Program("grpc-testserver", work, *flags), ca

    def __enter__(self):
        self.program.start()
        self.channel = ads.connect(self.program.address.replace("127.0.0.1", "localhost")
                                   if self.ca else self.program.address, ca=self.ca)
        return self

    def __exit__(self, kind, *_):
        self.channel.close()
        self.program.__exit__(kind)

    def unary(self, method, *fields, **options):
        options.setdefault("timeout", 5)
        return self.channel.unary_unary(SERVICE + method)(ads.encode(*fields), **options)

    def stream(self, method, requests, timeout=5, **options):
        return self.channel.stream_stream(SERVICE + method)(iter(requests), timeout=timeout, **options)


def fails(code, call, *args, **fields):
    try:
        got = call(*args, **fields)
        if hasattr(got, "__next__"):
            list(got)
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error.details()
    raise AssertionError(f"no {code}")


def payload_size(reply):
    """Of a response whose payload is zeros."""
    body = ads.decode(ads.decode(reply)[1][-1]).get(2, [b""])[-1]
    assert body == bytes(len(body))
    return len(body)


def answer(size, wait_us=0, packed=None):
    """ResponseParameters, as a field of StreamingOutputCallRequest."""
    fields = [(1, size), (2, wait_us)]
    if packed is not None:
        fields.append((3, packed))
    return 2, ads.encode(*fields)


def status(number, code, text):
    return number, ads.encode((1, code), (2, text))


def frames_of(address, method, *messages, headers=(), end=True):
    """The messages of an answer as (flag, bytes), of a client that wants gzip."""
    peer = h2raw.Peer(address, window=1 << 24)
    block = h2raw.call_headers(SERVICE + method, ("grpc-accept-encoding", "identity,gzip"), *headers)
    peer.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, block) + b"".join(
        h2raw.frame(h2raw.DATA, h2raw.END_STREAM if end and last else 0, 1, message)
        for last, message in ((at == len(messages) - 1, message) for at, message in enumerate(messages))))
    data = b""
    while True:
        kind, flags, _, part = peer.until(h2raw.HEADERS, h2raw.DATA, h2raw.RST_STREAM, stream=1)
        data += part if kind == h2raw.DATA else b""
        if flags & h2raw.END_STREAM or kind == h2raw.RST_STREAM:
            break
    peer.close()
    found = []
    while data:
        flag, size = struct.unpack("!BI", data[:5])
        found.append((flag, data[5:5 + size]))
        data = data[5 + size:]
    return found


# ---- calls ----

def unary_calls(work):
    with World(work) as world:
        assert world.unary("EmptyCall") == b""
        assert payload_size(world.unary("UnaryCall", (2, 314159), (3, ads.encode((2, bytes(271828)))))) == 314159
        assert payload_size(world.unary("UnaryCall")) == 0
        fails(grpc.StatusCode.INVALID_ARGUMENT, world.unary, "UnaryCall", (2, 5 << 20))
        fails(grpc.StatusCode.INVALID_ARGUMENT, world.unary, "UnaryCall", (2, 2**64 - 1))
        fails(grpc.StatusCode.UNIMPLEMENTED, world.unary, "UnimplementedCall")
        fails(grpc.StatusCode.UNIMPLEMENTED, world.channel.unary_unary("/grpc.testing.None/Call"), b"")
        for method in ("UnaryCall", "StreamingOutputCall", "FullDuplexCall", "StreamingInputCall"):
            fails(grpc.StatusCode.INVALID_ARGUMENT, world.stream, method, [b"\xff\xff"])
        for method in ("EmptyCall", "UnaryCall", "StreamingOutputCall"):
            fails(grpc.StatusCode.INVALID_ARGUMENT, world.stream, method, [])


def statuses_are_echoed(work):
    text = "\t\ntest with whitespace\r\nand Unicode ☺ and 😈\t\n"
    with World(work) as world:
        for code in (1, 5, 16):
            want = next(known for known in grpc.StatusCode if known.value[0] == code)
            assert fails(want, world.unary, "UnaryCall", status(7, code, text)) == text
        got = []
        call = world.stream("FullDuplexCall", [ads.encode(answer(7), status(7, 2, "enough"))])
        assert fails(grpc.StatusCode.UNKNOWN, lambda: got.extend(call)) == "enough"
        assert list(map(payload_size, got)) == [7]     # what was owed goes before it
        assert payload_size(world.unary("UnaryCall", (2, 1), status(7, 0, "fine"))) == 1


def metadata_is_echoed(work):
    metadata = ((INITIAL, "first"), (TRAILING, b"\xab\xab\0"), ("x-other", "no"))
    with World(work) as world:
        calls = [world.channel.unary_unary(SERVICE + "UnaryCall").with_call(b"", metadata=metadata)[1],
                 world.stream("FullDuplexCall", [ads.encode(answer(1))], metadata=metadata)]
        list(calls[1])
        for call in calls:
            initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
            assert initial.get(INITIAL) == "first" and TRAILING not in initial, initial
            assert trailing.get(TRAILING) == b"\xab\xab\0" and INITIAL not in trailing, trailing
            assert "x-other" not in {**initial, **trailing}


def requests_are_added_up(work):
    sizes = [27182, 8, 1828, 45904, 0]
    with World(work) as world:
        [reply] = world.stream("StreamingInputCall",
                               [ads.encode((1, ads.encode((2, bytes(size))))) for size in sizes])
        assert ads.decode(reply)[1] == [sum(sizes)]


def answers_come_in_order(work):
    sizes = [31415, 9, 2653, 58979, 0]
    with World(work) as world:
        for method in ("StreamingOutputCall", "FullDuplexCall", "HalfDuplexCall"):
            got = world.stream(method, [ads.encode(*map(answer, sizes))])
            assert list(map(payload_size, got)) == sizes, method
        fails(grpc.StatusCode.INVALID_ARGUMENT, world.stream, "StreamingOutputCall", [b"", b""])
        fails(grpc.StatusCode.INVALID_ARGUMENT, world.stream, "FullDuplexCall", [ads.encode(answer(5 << 20))])


def full_duplex_answers_at_once_and_half_duplex_at_the_end(work):
    with World(work) as world:
        for method, at_once in (("FullDuplexCall", True), ("HalfDuplexCall", False)):
            outgoing, got = queue.Queue(), queue.Queue()
            call = world.stream(method, iter(outgoing.get, None), timeout=30)
            reader = threading.Thread(target=lambda: [got.put(payload_size(reply)) for reply in call],
                                      daemon=True)
            reader.start()
            for size in (1, 2, 3):
                outgoing.put(ads.encode(answer(size)))
                if at_once:
                    assert got.get(timeout=5) == size
            if not at_once:
                time.sleep(0.3)
                assert got.empty()
            outgoing.put(None)
            reader.join(5)
            assert [got.get_nowait() for _ in range(got.qsize())] == ([] if at_once else [1, 2, 3])


def answers_wait_for_their_time(work):
    with World(work) as world:
        begin = time.monotonic()
        got = world.stream("StreamingOutputCall", [ads.encode(answer(1, 200_000), answer(2, 200_000))])
        times = [time.monotonic() - begin for _ in got]
        assert len(times) == 2 and times[0] >= 0.2 and times[1] >= 0.4, times


# ---- compression ----

def answers_are_compressed_one_by_one(work):
    with World(work) as world:
        address = world.program.address
        for value, flag in ((TRUE, 1), (FALSE, 0), (None, 0)):
            fields = [(2, BIG)] + ([] if value is None else [(6, value)])
            [(got, data)] = frames_of(address, "UnaryCall", h2raw.message(ads.encode(*fields)))
            assert got == flag and (len(data) < BIG / 10) == bool(flag), (value, got, len(data))
            assert payload_size(gzip.decompress(data) if flag else data) == BIG
        got = frames_of(address, "StreamingOutputCall", h2raw.message(ads.encode(
            answer(BIG, packed=TRUE), answer(BIG, packed=FALSE), answer(0, packed=TRUE))))
        assert [flag for flag, _ in got] == [1, 0, 1]
        assert payload_size(world.unary("UnaryCall", (2, BIG), (6, TRUE))) == BIG


def requests_must_be_compressed_as_they_say(work):
    with World(work) as world:
        request = (3, ads.encode((2, bytes(BIG))))
        for expected, compression, good in ((TRUE, GZIP, True), (FALSE, None, True),
                                            (TRUE, None, False), (FALSE, GZIP, False)):
            def call(expected=expected, compression=compression):
                return world.unary("UnaryCall", request, (8, expected), compression=compression)
            if good:
                call()
            else:
                fails(grpc.StatusCode.INVALID_ARGUMENT, call)
        part = (1, ads.encode((2, bytes(BIG))))
        [reply] = world.stream("StreamingInputCall", [ads.encode(part, (2, TRUE))], compression=GZIP)
        assert ads.decode(reply)[1] == [BIG]
        fails(grpc.StatusCode.INVALID_ARGUMENT, world.stream, "StreamingInputCall",
              [ads.encode(part, (2, TRUE))])


# ---- deadlines, cancelling ----

def deadlines_are_enforced(work):
    with World(work) as world:
        request = ads.encode(answer(1, 60_000_000))
        fails(grpc.StatusCode.DEADLINE_EXCEEDED, world.stream, "FullDuplexCall", [request], timeout=0.1)
        begin = time.monotonic()                       # also of a client that does not watch its own
        assert frames_of(world.program.address, "FullDuplexCall", h2raw.message(request), end=False,
                         headers=[("grpc-timeout", "100m")]) == []
        assert 0.1 <= time.monotonic() - begin < 5


def cancelled_calls_leave_the_others(work):
    with World(work) as world:
        for method in ("StreamingInputCall", "FullDuplexCall"):
            call = world.stream(method, iter(queue.Queue().get, None))
            call.cancel()
            fails(grpc.StatusCode.CANCELLED, next, call)
        call = world.stream("FullDuplexCall", [ads.encode(answer(1), answer(1, 60_000_000))])
        next(call)
        call.cancel()
        fails(grpc.StatusCode.CANCELLED, next, call)
        assert world.unary("EmptyCall") == b""


# ---- health ----

def health_is_told(work):
    with World(work) as world:
        check = world.channel.unary_unary(HEALTH + "Check")
        for service in ("", "grpc.testing.TestService"):
            assert ads.decode(check(ads.encode((1, service)), timeout=5))[1] == [SERVING]
        fails(grpc.StatusCode.NOT_FOUND, check, ads.encode((1, "none")), timeout=5)
        fails(grpc.StatusCode.INVALID_ARGUMENT, check, b"\xff\xff", timeout=5)
        watch = world.channel.unary_stream(HEALTH + "Watch")
        unknown = watch(ads.encode((1, "none")), timeout=5)
        assert ads.decode(next(unknown))[1] == [SERVICE_UNKNOWN]
        unknown.cancel()
        told = watch(b"", timeout=15)
        assert ads.decode(next(told))[1] == [SERVING]
        world.program.process.child.terminate()
        assert [ads.decode(reply)[1] for reply in told] == [[NOT_SERVING]]
        assert world.program.process.wait(10) == 0


# ---- the programs ----

def calls_are_finished_before_the_end(work):
    with World(work) as world:
        outgoing = queue.Queue()
        call = world.stream("StreamingInputCall", iter(outgoing.get, None), timeout=30)
        outgoing.put(ads.encode((1, ads.encode((2, b"12345")))))
        late = world.stream("FullDuplexCall", [ads.encode(answer(5, 60_000_000))], timeout=30)
        world.unary("EmptyCall")
        world.program.process.child.terminate()
        assert list(map(payload_size, late)) == [5]    # what is owed does not wait any longer
        assert world.program.process.running
        outgoing.put(None)
        [reply] = call
        assert ads.decode(reply)[1] == [5]
        assert world.program.process.wait(10) == 0


def both_serve_tls(work):
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=test", "serverAuth", "DNS:localhost,IP:127.0.0.1")
    flags = ["--tls-cert", work / "server.crt", "--tls-key", work / "server.key"]
    with World(work, *flags, ca=work / "ca.crt") as world:
        assert payload_size(world.unary("UnaryCall", (2, BIG), (6, TRUE))) == BIG
        assert world.stream("FullDuplexCall", [ads.encode(answer(3))]).next()
        with ads.connect(world.program.address) as plain:
            fails(grpc.StatusCode.UNAVAILABLE, plain.unary_unary(SERVICE + "EmptyCall"), b"", timeout=5)
    with Program("xds-fixture", work, *flags) as program:
        with ads.connect(program.address.replace("127.0.0.1", "localhost"), ca=work / "ca.crt") as channel:
            assert channel.unary_unary("/lookaside.fixture.v1.Fixture/Streams")(b"", timeout=5) == b""


def _run(name, *flags):
    return subprocess.run([process.BUILD / name, *map(str, flags)], capture_output=True, text=True, timeout=20)


def flags_are_checked(work):
    for name in PROGRAMS:
        done = _run(name, "--help")
        assert done.returncode == 0 and "--listen" in done.stdout and "--tls-key" in done.stdout
        for flags, word in (([], "--listen"), (["--listen", "127.0.0.1:0", "more"], "more"),
                            (["--none"], "--none"),
                            (["--listen", "127.0.0.1:0", "--tls-cert", "x"], "--tls-key")):
            done = _run(name, *flags)
            assert done.returncode == 2 and word in done.stderr and not done.stdout, (flags, done)
        for flags, word in ((["--listen", "nowhere"], "nowhere"),
                            (["--listen", "127.0.0.1:0", "--tls-cert", work / "no", "--tls-key",
                              work / "no"], str(work / "no"))):
            done = _run(name, *flags)
            assert done.returncode == 1 and word in done.stderr and not done.stdout, (flags, done)
        with Program(name, work) as program:
            done = _run(name, "--listen", program.address)
            assert done.returncode == 1 and "in use" in done.stderr, done


def both_serve_ipv6(work):
    for name in PROGRAMS:
        with Program(name, work / name, listen="[::1]:0") as program:
            assert program.address.startswith("[::1]:") and not program.address.endswith(":0")
            with ads.connect(program.address) as channel:
                fails(grpc.StatusCode.UNIMPLEMENTED, channel.unary_unary("/no.Such/Call"), b"", timeout=5)


CASES = [unary_calls, statuses_are_echoed, metadata_is_echoed, requests_are_added_up,
         answers_come_in_order, full_duplex_answers_at_once_and_half_duplex_at_the_end,
         answers_wait_for_their_time, answers_are_compressed_one_by_one,
         requests_must_be_compressed_as_they_say, deadlines_are_enforced,
         cancelled_calls_leave_the_others, health_is_told, calls_are_finished_before_the_end,
         both_serve_tls, flags_are_checked, both_serve_ipv6]
