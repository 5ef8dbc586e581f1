"""What the source asks of the API server, and what it makes of answers that differ."""
import asyncio
import json
import time

from tests.support import api_faults as faults
from tests.support.process import wait_until

from .world import World, endpoint_slice

LISTS = "lookaside_source_lists_total"
SLICES = "endpointslices"


# ---- streamed lists ----

def lists_are_streamed(work):
    with World(work) as world:
        world.client()
        world.put("a", "10.0.0.7")
        world.settle()
        assert {request.verb for request in world.api.asked()} == {"stream"}, world.api.asked()
        query = world.api.asked(SLICES, "stream")[0].query
        assert query["resourceVersionMatch"] == "NotOlderThan", query
        assert query["allowWatchBookmarks"] == "true" and "resourceVersion" not in query, query
        for each in ("services", SLICES):
            assert world.metric(LISTS, each, kind="streamed") == 1
            assert world.metric(LISTS, each, kind="paged") == 0


def streams_of_a_thousand(work):
    with World(work, start=False) as world:
        world.api.put(*[endpoint_slice(f"n{number}", [f"10.1.{number // 250}.{number % 250}"])
                        for number in range(1000)])
        world.ready()
        world.client()
        assert len(world.truth()) == 1002


def _served_in_pages(world):
    """The refusal cost no wait, and the source does not ask again for each list."""
    world.client()
    assert world.metric(LISTS, SLICES, kind="paged") == 1
    assert world.metric("lookaside_source_streams_refused_total", SLICES) == 1
    assert world.metric("lookaside_source_errors_total", SLICES) == 0
    stream, page = world.api.lists(SLICES)
    assert page.moment - stream.moment < 0.5, page.moment - stream.moment
    world.api.pause_events()
    world.put("a", "10.0.0.9")
    world.put("a", "10.0.0.8")
    world.api.compact()
    world.api.drop_watches()
    world.settle()
    world.api.resume_events()
    assert len(world.api.asked(SLICES, "stream")) == 1


def _refused_by(code):
    def case(work):
        with World(work, start=False) as world:
            world.api.fault(None, "stream", faults.status(code), times=None)
            world.ready()
            _served_in_pages(world)
    case.__name__ = f"streams_refused_by_{code}_become_pages"
    return case


def streams_refused_by_an_old_server_become_pages(work):
    with World(work, streams=False) as world:
        _served_in_pages(world)


def streams_refused_by_an_error_in_the_stream_become_pages(work):
    """As the API server does on an etcd that cannot tell its progress."""
    with World(work, start=False) as world:
        world.api.fault(None, "stream", faults.error_event(
            500, "required storage feature RequestWatchProgress is disabled"), times=None)
        world.ready()
        _served_in_pages(world)


def streams_that_fall_silent_become_pages(work):
    """No end mark: after ten seconds without a byte, pages are read."""
    with World(work, start=False) as world:
        async def silent(api, conn, request):
            lines, _ = api.state(request)
            await conn.head(200, {"Transfer-Encoding": "chunked"})
            for line in lines[:-1]:
                await conn.chunk(line)
            await conn.gone.wait()
        world.api.fault(SLICES, "stream", silent, times=None)
        begin = time.monotonic()
        world.starting()
        world.wait_ready(timeout=30)
        assert 9 < time.monotonic() - begin < 20, time.monotonic() - begin
        world.client()
        assert world.metric(LISTS, SLICES, kind="paged") == 1
        assert world.metric(LISTS, "services", kind="streamed") == 1


def servers_that_ignore_the_question_are_noticed(work):
    """An old server streams what there is, and its bookmarks mark no end."""
    with World(work, start=False) as world:
        async def ignores(api, conn, request):
            lines, _ = api.state(request)
            await conn.head(200, {"Transfer-Encoding": "chunked"})
            for line in lines[:-1]:
                await conn.chunk(line)
            await asyncio.sleep(0.3)
            await conn.chunk(json.dumps({"type": "BOOKMARK", "object": {"metadata": {
                "resourceVersion": str(api.version)}}}).encode() + b"\n")
            await conn.gone.wait()
        world.api.fault(SLICES, "stream", ignores, times=None)
        world.ready()
        world.client()
        assert world.metric(LISTS, SLICES, kind="paged") == 1


def streams_cut_in_the_middle_change_nothing(work):
    with World(work) as world:
        client = world.client()
        for number in range(40):
            world.put(f"n{number}", f"10.3.0.{number}")
        world.settle()
        seen = len(client.seen)

        async def cut(api, conn, request):
            lines, _ = api.state(request)
            await conn.head(200, {"Transfer-Encoding": "chunked"})
            for line in lines[:10]:
                await conn.chunk(line)
            await conn.write(b"ffff\r\n" + lines[10][:50])
            conn.drop(reset=False)
        fault = world.api.fault(SLICES, "stream", cut, times=2)
        world.api.pause_events()
        world.put("n0", "10.3.1.0")
        world.api.compact()
        world.api.drop_watches()
        fault.wait(2)
        world.settle()
        world.api.resume_events()
        assert client.seen[seen:] == [world.truth()], client.seen[seen:]
        assert world.metric(LISTS, SLICES, kind="paged") == 1       # after the second cut


def changes_while_a_list_is_streamed_count(work):
    """Objects are changed and deleted before the end mark, as a real server's cache may tell."""
    with World(work, start=False) as world:
        world.put("b", "10.0.1.1")
        world.put("c", "10.0.2.1")

        async def moving(api, conn, request):
            lines, version = api.state(request)
            await conn.head(200, {"Transfer-Encoding": "chunked"})
            for line in lines[:-1]:
                await conn.chunk(line)
            api.delete(endpoint_slice("b", []))
            api.put(endpoint_slice("c", ["10.0.2.2"]), endpoint_slice("d", ["10.0.3.1"]))
            for line in api.since(request, version):
                await conn.chunk(line)
            await conn.chunk(api.state(request)[0][-1])
            await conn.gone.wait()
        world.api.fault(SLICES, "stream", moving)
        world.starting()
        world.wait_ready()
        client = world.client()
        assert client.seen == [world.truth()], client.seen
        assert world.truth() == {"10.0.0.1", "10.0.0.2", "10.0.2.2", "10.0.3.1"}


def one_of_two_servers_refuses(work):
    """Behind one address, requests go to either: each is decided for itself, and the list is right."""
    with World(work, start=False) as world:
        turn = []

        async def alternate(api, conn, request):
            turn.append(request)
            if len(turn) % 2:
                await faults.status(422)(api, conn, request)
            else:
                await api.watch(conn, request)
        world.api.fault(None, "stream", alternate, times=None)
        world.ready()
        world.client()
        kinds = {kind: sum(world.metric(LISTS, each, kind=kind) for each in ("services", SLICES))
                 for kind in ("paged", "streamed")}
        assert kinds == {"paged": 1, "streamed": 1}, kinds
        for number in range(3):
            world.api.stop(reset=number == 1)
            world.put("a", f"10.0.0.{number + 3}")
            world.api.start()
            world.settle()


# ---- what is required, and what is not ----

def a_right_revoked_keeps_what_was_known(work):
    """403 and 404 for what is required: the clients keep their lists, and /readyz stays."""
    with World(work) as world:
        client = world.client()
        for code in (403, 404):
            fault = world.api.fault(None, None, faults.status(code, "not for you"), times=None)
            world.api.drop_watches()
            fault.wait(3)
            assert world.readyz()[0] == 200
            world.client()
            world.api.clear_faults()
            world.put("a", f"10.0.0.{code % 256}")
            world.settle(timeout=40)
        assert len(client.seen) == 3, client.seen


def nodes_are_served_without(work):
    """Asked for, but forbidden: said once, in the log and a metric, and no reason to wait."""
    with World(work, start=False, flags=["--nodes"]) as world:
        fault = world.api.fault("nodes", None, faults.status(403, "nodes is forbidden"), times=None)
        world.ready()
        world.client()
        fault.wait()
        assert world.metric("lookaside_source_absent", "nodes") == 1
        assert world.metric("lookaside_source_errors_total", "nodes") == 0
        assert world.log().count("optional resource is not there, serving without it") == 1
        assert not world.warnings(), world.warnings()


RESOURCES = "lookasideservices"


def _ring(world):
    world.api.put({"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
                   "metadata": {"name": "greeter", "namespace": "shop"},
                   "spec": {"loadBalancing": {"policy": "RingHash"}}})


def policies_of_an_ailing_server_are_waited_for(work):
    """Served without them, --publish=resources would publish nothing at all."""
    with World(work, start=False, flags=["--publish", "resources"]) as world:
        _ring(world)
        faults_of = [world.api.fault(RESOURCES, None, faults.status(code, "ill"), times=times)
                     for code, times in ((503, 5), (429, 1), (403, 2))]  # a stream and a page
        world.starting()
        for fault in faults_of:
            fault.wait(fault.times, timeout=40)
            assert world.readyz()[0] != 200, world.log()
        world.wait_ready(timeout=40)
        world.client()
        assert world.metric("lookaside_source_absent", RESOURCES) == 0


def policies_of_a_server_without_the_kind_are_not(work):
    with World(work, start=False) as world:
        world.api.fault(RESOURCES, None, faults.status(404, "no such path"), times=None)
        world.ready()
        world.client()
        assert not world.warnings(), world.warnings()


FORBIDDEN = "lookasideservices is forbidden: grant list and watch, or install without the CRD"


def forbidden_policies_are_missed_for_half_a_minute(work):
    with World(work, start=False) as world:
        world.api.fault(RESOURCES, None, faults.status(403, "no right"), times=None)
        begin = time.monotonic()
        world.starting()
        world.wait_reason(FORBIDDEN)
        world.wait_ready(timeout=45)
        assert 29 < time.monotonic() - begin < 40, time.monotonic() - begin
        world.client()
        lines = [line for line in world.warnings() if "serving without a resource" in line]
        assert len(lines) == 1 and FORBIDDEN in lines[0], world.warnings()


def forbidden_policies_that_decide_what_is_published_are_waited_for(work):
    with World(work, start=False, flags=["--host-suffixes", "example.com"]) as world:
        _ring(world)
        fault = world.api.fault(RESOURCES, None, faults.status(403, "no right"), times=None)
        world.starting()
        world.wait_reason(FORBIDDEN)
        time.sleep(35)  # longer than others wait
        assert world.readyz()[0] == 503 and FORBIDDEN in world.readyz()[1], world.readyz()
        fault.times = 0
        world.wait_ready(timeout=45)
        world.client()


def nodes_are_watched_where_allowed(work):
    with World(work, start=False, namespaces_only=False,
               flags=["--nodes", "--namespaces", "shop"]) as world:
        world.ready()
        world.client()
        wait_until(lambda: world.metric(LISTS, "nodes", kind="streamed") == 1, 10, "nodes listed")
        nodes = world.api.asked("nodes")
        assert nodes and all(request.namespace is None for request in nodes), nodes


CASES = [lists_are_streamed, streams_of_a_thousand,
         *[_refused_by(code) for code in (400, 403, 422)],
         streams_refused_by_an_old_server_become_pages,
         streams_refused_by_an_error_in_the_stream_become_pages,
         streams_that_fall_silent_become_pages, servers_that_ignore_the_question_are_noticed,
         streams_cut_in_the_middle_change_nothing, changes_while_a_list_is_streamed_count,
         one_of_two_servers_refuses, a_right_revoked_keeps_what_was_known, nodes_are_served_without,
         policies_of_an_ailing_server_are_waited_for, policies_of_a_server_without_the_kind_are_not,
         forbidden_policies_are_missed_for_half_a_minute,
         forbidden_policies_that_decide_what_is_published_are_waited_for,
         nodes_are_watched_where_allowed]
