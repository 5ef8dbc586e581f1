"""build/xds-fixture: what it is told goes out as it is, and what its streams did can be asked."""
import grpc

from tests.support import ads, process
from tests.support.fixtures import Fixture, Program, any_of, named

UNKNOWN = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


class World:
    """The program, a channel to it, and its control service."""

    def __init__(self, work):
        self.program = Program("xds-fixture", work)

    def __enter__(self):
        self.program.start()
        self.channel = ads.connect(self.program.address)
        self.fixture = Fixture(self.channel)
        return self

    def stream(self, kind=ads.Stream, node="test", **options):
        return kind(self.channel, ads.node(node), **options)

    def __exit__(self, kind, *_):
        self.channel.close()
        self.program.__exit__(kind)


def entry(type_url, name, version, padding=b""):
    return type_url, name, version, any_of(type_url, ads.encode((1, name), (99, padding)))


def fails(code, call, *args, **fields):
    try:
        call(*args, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error.details()
    raise AssertionError(f"no {code}")


def quiet(stream):
    """Nothing more is sent: an answer to something else comes first."""
    stream.send(ads.LDS, ["quiet"])
    got = stream.recv()
    assert got.type_url == ads.LDS and got.names == ["quiet"], got


def versions_and_bytes_go_out_as_they_came(work):
    with World(work) as world:
        odd = any_of(ads.CDS, ads.encode((1, "a"), (99, bytes(range(256)))))
        world.fixture.set_state({ads.CDS: "sotw é/1"}, [(ads.CDS, "a", "of a: 7 é", odd)])
        for kind in (ads.Stream, ads.DeltaStream):
            stream = world.stream(kind)
            got = stream.subscribe(ads.CDS, ["a"])
            assert got.resources["a"].raw == ads.decode(odd)[2][-1]
            if kind is ads.Stream:
                assert got.version == "sotw é/1"
            else:
                assert got.versions == {"a": "of a: 7 é"}
            stream.cancel()


def bytes_need_not_be_what_they_should(work):
    with World(work) as world:
        garbage = b"\xff\xff not protobuf"
        world.fixture.set_state({ads.CDS: "1"}, [(ads.CDS, "a", "1", garbage)])
        call = world.channel.stream_stream(ads.METHOD)(
            iter([ads.request(ads.CDS, ["a"], node=ads.node())]))
        assert ads.decode(next(call))[2] == [garbage]
        call.cancel()


def each_service_serves_both_variants(work):
    with World(work) as world:
        for type_url, methods in ads.SINGLE.items():
            world.fixture.set_state({type_url: "v"}, [entry(type_url, "a", "1")])
            for kind, method in zip((ads.Stream, ads.DeltaStream), methods):
                stream = world.stream(kind, method=method)
                assert stream.subscribe(type_url, ["a"]).names == ["a"], method
                stream.cancel()
                wrong = world.stream(kind, method=method)
                wrong.send(UNKNOWN, ["a"])
                assert wrong.status() == grpc.StatusCode.INVALID_ARGUMENT, method


def changes_of_single_resources_reach_a_delta_stream(work):
    with World(work) as world:
        world.fixture.add(ads.EDS, "a", "1", named(ads.EDS, "a"))
        stream = world.stream(ads.DeltaStream)
        assert stream.subscribe(ads.EDS, ["a", "b"]).removed == ["b"]
        world.fixture.update(ads.EDS, "a", "2", named(ads.EDS, "a"))
        assert stream.recv().versions == {"a": "2"}
        world.fixture.add(ads.EDS, "b", "3", named(ads.EDS, "b"))
        assert stream.recv().versions == {"b": "3"}
        world.fixture.remove(ads.EDS, "a")
        assert stream.recv().removed == ["a"]


def changes_of_single_resources_reach_a_stream_of_full_state(work):
    with World(work) as world:
        world.fixture.set_state({ads.LDS: "one"}, [entry(ads.LDS, "a", "1"), entry(ads.LDS, "b", "1")])
        stream = world.stream()
        assert stream.subscribe(ads.LDS, ["a", "b"]).version == "one"
        world.fixture.update(ads.LDS, "a", "two", named(ads.LDS, "a"))
        got = stream.recv()
        assert (got.version, got.names) == ("two", ["a", "b"])
        world.fixture.remove(ads.LDS, "a", "three")
        got = stream.recv()
        assert (got.version, got.names) == ("three", ["b"])


def another_version_of_a_type_goes_out_alone(work):
    with World(work) as world:
        world.fixture.set_state({ads.EDS: "one"}, [entry(ads.EDS, "a", "1"), entry(ads.EDS, "b", "1")])
        full, delta = world.stream(), world.stream(ads.DeltaStream)
        full.subscribe(ads.EDS, ["a", "b"])
        delta.subscribe(ads.EDS, ["a", "b"])
        world.fixture.set_state({ads.EDS: "two", ads.LDS: "x"}, [entry(ads.LDS, "quiet", "1")])
        got = full.recv()
        assert (got.version, got.names) == ("two", ["a", "b"])
        quiet(delta)                                   # there, resources have versions of their own


def a_state_is_set_as_a_whole(work):
    with World(work) as world:
        world.fixture.set_state({ads.CDS: "1"}, [entry(ads.CDS, "a", "1"), entry(ads.CDS, "b", "1")])
        stream = world.stream(ads.DeltaStream)
        assert stream.subscribe(ads.CDS, ["a", "b", "c"]).names == ["a", "b"]
        world.fixture.set_state({ads.CDS: "2"}, [entry(ads.CDS, "c", "2")], [(ads.CDS, "a")])
        got = stream.recv()
        assert (got.versions, got.removed) == ({"c": "2"}, ["a"]), got
        fails(grpc.StatusCode.INVALID_ARGUMENT, world.fixture.set_state, {ads.CDS: "3"},
              [entry(ads.CDS, "b", "3"), entry(UNKNOWN, "x", "3")])
        world.fixture.set_state(entries=[entry(ads.LDS, "quiet", "1")])
        quiet(stream)


def a_node_has_its_own_before_everyones(work):
    with World(work) as world:
        world.fixture.set_state({ads.CDS: "all"}, [entry(ads.CDS, "a", "1"), entry(ads.CDS, "b", "1")])
        world.fixture.set_state({ads.CDS: "x's"}, [entry(ads.CDS, "a", "x", b"x")], node="x")
        theirs, own = world.stream(node="y"), world.stream(node="x")
        assert theirs.subscribe(ads.CDS, ["a", "b"]).version == "all"
        got = own.subscribe(ads.CDS, ["a", "b"])
        assert got.version == "x's" and b"x" in got.resources["a"].raw and got.names == ["a", "b"]
        world.fixture.clear("x")
        got = own.recv()
        assert got.version == "all" and got.resources["a"].raw == theirs.last[ads.CDS].resources["a"].raw
        world.fixture.clear()
        assert (own.recv().names, theirs.recv().names) == ([], [])


def wildcards_are_served(work):
    with World(work) as world:
        world.fixture.set_state({ads.CDS: "1"}, [entry(ads.CDS, "a", "1"), entry(ads.CDS, "b", "1")])
        world.fixture.set_state({}, [entry(ads.CDS, "c", "1"), entry(ads.CDS, "b", "own")], node="x")
        full, delta = world.stream(), world.stream(ads.DeltaStream, node="x")
        assert full.subscribe(ads.CDS, []).names == ["a", "b"]
        assert delta.subscribe(ads.CDS, ["*"]).versions == {"a": "1", "b": "own", "c": "1"}
        world.fixture.remove(ads.CDS, "b", node="x")
        assert delta.recv().versions == {"b": "1"}
        world.fixture.remove(ads.CDS, "a")
        assert full.recv().names == ["b"] and delta.recv().removed == ["a"]


def a_client_that_comes_back_gets_what_differs(work):
    with World(work) as world:
        world.fixture.set_state({}, [entry(ads.EDS, name, f"{name} 1") for name in "ab"])
        stream = world.stream(ads.DeltaStream)
        stream.send(ads.EDS, ["a", "b"], known={"a": "a 1", "b": "a 1", "c": "?"})
        assert stream.recv().versions == {"b": "b 1"}


def streams_are_told(work):
    with World(work) as world:
        world.fixture.set_state({ads.EDS: "v1"}, [entry(ads.EDS, "a", "1")])
        stream = world.stream(node="n")
        first = stream.subscribe(ads.EDS, ["a"])
        world.fixture.update(ads.EDS, "a", "v2", named(ads.EDS, "a"))
        second = stream.recv()
        stream.nack(second, version="v1", error="no good")
        stream.send(UNKNOWN, ["s"])
        log = process.wait_until(
            lambda: next((log for log in world.fixture.streams("n") if len(log.asked) == 4), None),
            5, "four requests")
        assert (log.method, log.open, log.forgotten) == (ads.METHOD, True, 0)
        assert [(asked.verdict, asked.version, asked.nonce, asked.names) for asked in log.asked] == [
            ("", "", "", ["a"]), ("ACK", "v1", first.nonce, ["a"]),
            ("NACK", "v1", second.nonce, ["a"]), ("", "", "", ["s"])]
        assert log.asked[2].error == "no good" and log.asked[3].type_url == UNKNOWN
        assert [(sent.type_url, sent.version, sent.nonce, sent.items) for sent in log.sent] == [
            (ads.EDS, "v1", first.nonce, {"a": "1"}), (ads.EDS, "v2", second.nonce, {"a": "v2"})]
        assert world.fixture.streams("m") == []
        stream.cancel()
        process.wait_until(lambda: not world.fixture.streams("n", open_only=True), 5, "the end")
        [log] = world.fixture.streams("n")
        assert (log.open, log.code) == (False, grpc.StatusCode.CANCELLED.value[0])
        world.fixture.clear()
        assert world.fixture.streams("n") == []


def delta_streams_are_told(work):
    with World(work) as world:
        world.fixture.set_state({ads.CDS: "v"}, [entry(ads.CDS, name, "1") for name in "ab"])
        stream = world.stream(ads.DeltaStream, node="n")
        stream.send(ads.CDS, ["*", "a", "c"], known={"b": "1"})
        got = stream.recv()
        stream.send(ads.CDS, unsubscribe=["c"], nonce=got.nonce)
        log = process.wait_until(
            lambda: next((log for log in world.fixture.streams() if len(log.asked) == 2), None),
            5, "two requests")
        assert (log.asked[0].names, log.asked[0].known) == (["*", "a", "c"], {"b": "1"})
        assert (log.asked[1].verdict, log.asked[1].unsubscribed) == ("ACK", ["c"])
        assert (log.sent[0].items, log.sent[0].removed, log.sent[0].version) == ({"a": "1"}, ["c"], "v")


def broken_streams_are_told_with_the_reason(work):
    with World(work) as world:
        stream = world.stream()
        stream.send_raw(b"\xff\xff")
        assert stream.status() == grpc.StatusCode.INVALID_ARGUMENT
        log = process.wait_until(lambda: [log for log in world.fixture.streams() if not log.open], 5,
                                 "the end")[0]
        assert log.code == 3 and "DiscoveryRequest" in log.message, log


def bad_requests_are_refused(work):
    with World(work) as world:
        fixture, bad = world.fixture, grpc.StatusCode.INVALID_ARGUMENT
        fixture.add(ads.CDS, "a", "1", b"")
        fails(grpc.StatusCode.ALREADY_EXISTS, fixture.add, ads.CDS, "a", "2", b"")
        fails(grpc.StatusCode.NOT_FOUND, fixture.update, ads.CDS, "b", "2", b"")
        fails(grpc.StatusCode.NOT_FOUND, fixture.remove, ads.CDS, "a", node="x")
        assert "Secret" in fails(bad, fixture.add, UNKNOWN, "a", "1", b"")
        fails(bad, fixture.set_state, {UNKNOWN: "1"})
        fails(bad, fixture.set_state, {}, [], [(UNKNOWN, "a")])
        fails(bad, fixture.add, ads.CDS, "", "1", b"")
        fails(bad, fixture.add, ads.CDS, "n" * 1025, "1", b"")
        fails(bad, fixture.add, ads.CDS, b"\xff", "1", b"")
        fails(bad, fixture.add, ads.CDS, "b", "v" * 257, b"")
        fails(bad, fixture.set_state, {ads.CDS: "v" * 257})
        fails(grpc.StatusCode.RESOURCE_EXHAUSTED, fixture.add, ads.CDS, "b", "1", bytes(4 << 20))
        for method in ("SetState", "AddResource", "ClearState", "Streams"):
            fails(bad, fixture.call, method, b"\xff\xff")
        fails(grpc.StatusCode.UNIMPLEMENTED, fixture.call, "Nothing", b"")


def it_ends_in_order_under_open_streams(work):
    with World(work) as world:
        world.fixture.set_state({ads.CDS: "1"}, [entry(ads.CDS, "a", "1")])
        stream = world.stream()
        stream.subscribe(ads.CDS, ["a"])
        world.program.process.child.terminate()
        assert stream.status() == grpc.StatusCode.OK
        assert world.program.process.wait(10) == 0


CASES = [versions_and_bytes_go_out_as_they_came, bytes_need_not_be_what_they_should,
         each_service_serves_both_variants, changes_of_single_resources_reach_a_delta_stream,
         changes_of_single_resources_reach_a_stream_of_full_state,
         another_version_of_a_type_goes_out_alone, a_state_is_set_as_a_whole,
         a_node_has_its_own_before_everyones, wildcards_are_served,
         a_client_that_comes_back_gets_what_differs, streams_are_told, delta_streams_are_told,
         broken_streams_are_told_with_the_reason, bad_requests_are_refused,
         it_ends_in_order_under_open_streams]
