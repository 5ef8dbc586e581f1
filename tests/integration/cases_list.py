"""First lists and later ones, in pages, broken in every way."""
import time

from tests.support import api_faults as faults
from tests.support import manifests

from .world import CLUSTER, SERVICE, Client, World, endpoint_slice


def paged(work, **options):
    """Of a server that does not stream lists."""
    return World(work, streams=False, **options)


def waits_for_the_first_list(work):
    """Nothing is served, not even an empty list, before the sources are synced."""
    with paged(work, start=False) as world:
        fault = world.api.fault("endpointslices", "list", faults.status(503), times=2)
        world.starting()
        fault.wait(1)
        world.wait_reason("cannot list endpointslices: HTTP 503: scripted by the test")
        assert not world.listens()
        world.wait_ready()
        world.client()


def reads_many_pages(work):
    with paged(work, start=False) as world:
        addresses = _fill(world, 1234)
        world.ready()
        assert world.truth() == addresses
        world.client()
        pages = world.api.asked("endpointslices", "page")
        assert len(pages) == 2, pages
        assert all("resourceVersion" not in page.query for page in world.api.asked(None, "list"))
        assert all("resourceVersion" not in page.query for page in pages)


def _fill(world, count):
    slices = []
    for number in range(count):
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        slices.append(endpoint_slice(f"n{number}", [address]))
    world.api.put(*slices)
    return world.truth()


def continue_410_starts_again(work):
    with paged(work, start=False) as world:
        _fill(world, 700)
        fault = world.api.fault("endpointslices", "page", faults.status(410))
        world.starting()
        fault.wait()
        world.wait_ready()
        world.client()
        assert len(world.api.asked("endpointslices", "list")) == 2


def continue_expires_while_objects_go(work):
    """What the first page named and the second list does not must not come back."""
    with paged(work) as world:
        world.client()
        _fill(world, 700)
        world.settle()

        async def expire(api, conn, request):
            api.delete(endpoint_slice("n0", []))
            api.expire_pages()
            page = api.page(request)
            await conn.answer(page["code"], page, request)
        fault = world.api.fault("endpointslices", "page", expire)
        world.api.compact()
        world.api.drop_watches()
        world.put("a", "10.0.0.1")                     # so that the old version is too old
        world.api.compact()
        fault.wait()
        world.settle()


BROKEN_PAGES = {
    "cut": faults.half_a_list(0.5),
    "cut_without_length": faults.half_a_list(0.5, framed=False),
    "cut_near_the_end": faults.half_a_list(0.95, framed=False),
    "cut_in_gzip": faults.half_a_gzip(),
    "empty": faults.body(""),
    "empty_object": faults.body("{}"),
    "null": faults.body("null"),
    "html": faults.body("<html>502 Bad Gateway</html>", "text/html"),
    "without_items": faults.body('{"kind":"EndpointSliceList","metadata":{"resourceVersion":"5"}}'),
    "without_version": faults.body('{"kind":"EndpointSliceList","metadata":{},"items":[]}'),
    "of_another_kind": faults.body('{"kind":"Status","metadata":{"resourceVersion":"5"},"items":[]}'),
}


def _broken_page(name, act):
    def case(work):
        with paged(work) as world:
            world.client()
            fault = world.api.fault("endpointslices", "list", act)
            _lose_watches(world)
            fault.wait()
            world.put("a", "10.0.0.8")
            world.settle()
    case.__name__ = f"broken_page_{name}_counts_for_nothing"
    return case


def _lose_watches(world):
    """The watches break behind a change that they have not told: a list must follow."""
    world.api.pause_events()
    world.put("a", "10.0.0.3")
    world.api.drop_watches()
    world.api.resume_events()


def a_later_page_that_fails_removes_nothing(work):
    with paged(work) as world:
        world.client()
        _fill(world, 700)
        world.settle()
        fault = world.api.fault("endpointslices", "page", faults.status(500), times=2)
        _lose_watches(world)
        fault.wait(2)
        world.put("b", "10.9.0.8")
        world.settle()


def a_page_that_hangs_is_given_up(work):
    """After 30 s without a byte. The clients keep what they have."""
    with paged(work) as world:
        client = world.client()
        fault = world.api.fault("endpointslices", "list", faults.hang())
        _lose_watches(world)
        fault.wait()
        begin = time.monotonic()
        world.settle(timeout=50)
        assert 25 < time.monotonic() - begin < 45, time.monotonic() - begin
        assert frozenset() not in client.seen


def slow_pages_are_read(work):
    with paged(work, start=False, gzip=False) as world:
        _fill(world, 40)
        world.api.trickle = (100, 0.001)
        world.ready()
        world.client()


def no_gzip_is_fine(work):
    with paged(work, start=False, gzip=False) as world:
        _fill(world, 600)
        world.ready()
        world.client()


def asks_for_gzip_in_lists_only(work):
    with paged(work) as world:
        assert "gzip" in world.api.asked(None, "list")[0].headers["accept-encoding"]
        assert "accept-encoding" not in world.api.asked(None, "watch")[0].headers
        agent = world.api.asked()[0].headers["user-agent"]
        assert agent.startswith("lookaside/"), agent


def forbidden_is_said_and_retried(work):
    with paged(work, start=False) as world:
        world.api.fault("services", "list", faults.status(403, "services is forbidden: no RBAC"),
                        times=2)
        world.starting()
        world.wait_reason("cannot list services: HTTP 403: services is forbidden: no RBAC")
        world.wait_ready()
        world.client()


def namespaces_need_no_right_over_all(work):
    with paged(work, start=False, namespaces_only=True,
               flags=["--namespaces", "shop,web"]) as world:
        world.api.put(manifests.service(SERVICE, "web"), endpoint_slice("a", ["10.7.0.1"], namespace="web"),
                      manifests.service(SERVICE, "elsewhere"),
                      endpoint_slice("a", ["10.8.0.1"], namespace="elsewhere"))
        world.starting()
        world.wait_ready()
        client = world.client()
        web = Client(world.controller.listen, CLUSTER.replace("shop/", "web/"))
        elsewhere = Client(world.controller.listen, CLUSTER.replace("shop/", "elsewhere/"))
        web.wait(["10.7.0.1"])
        elsewhere.wait([])
        world.put("a", "10.0.0.4")
        world.api.put(endpoint_slice("a", ["10.7.0.2"], namespace="web"))
        web.wait(["10.7.0.2"])
        client.wait(["10.0.0.4"])
        web.close()
        elsewhere.close()
        assert {request.namespace for request in world.api.asked()} == {"shop", "web"}


CASES = [waits_for_the_first_list, reads_many_pages, continue_410_starts_again,
         continue_expires_while_objects_go, a_later_page_that_fails_removes_nothing, a_page_that_hangs_is_given_up, slow_pages_are_read,
         no_gzip_is_fine, asks_for_gzip_in_lists_only, forbidden_is_said_and_retried,
         namespaces_need_no_right_over_all,
         *[_broken_page(name, act) for name, act in BROKEN_PAGES.items()]]
