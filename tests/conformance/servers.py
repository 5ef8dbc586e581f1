"""Clients with more than one xDS server in their bootstrap, or many targets: cases as in scenarios.py."""
import contextlib
import json
import time

from support import lookaside
from support.manifests import Manifests
from support.process import wait_until

TARGETS = 50
BACK_SECONDS = 60               # clients try again after 1 s, 1.6 s, and so on
FEDERATION = "GRPC_EXPERIMENTAL_XDS_FEDERATION"      # gRPC C-core 1.51 needs it


def _bootstrap(world, name, change):
    """The world's bootstrap, changed; the file's name."""
    path = world.work / f"{name}.json"
    content = json.loads((world.work / "bootstrap.json").read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path.name


@contextlib.contextmanager
def _second_controller(world, name):
    """Another one, of another cluster, which has not begun: (it, its manifests)."""
    work = world.work / name
    work.mkdir(exist_ok=True)
    manifests = Manifests(work / "manifests")
    server = world.site.address(253)
    second = lookaside.Lookaside(work, manifests.directory, f"{server}:18000", f"{server}:18080")
    try:
        yield second, manifests
    finally:
        second.stop()


def two_authorities(world, language, notes):
    """Each name goes to the server of its authority (gRFC A47)."""
    with _second_controller(world, "second") as (second, manifests):
        second.start()
        world.publish("federated", world.endpoints(1))
        manifests.service("federated")
        manifests.slice("federated", world.endpoints(2))

        def change(content):
            server = {**content["xds_servers"][0], "server_uri": second.listen}
            content["authorities"] = {"a.example": {}, "b.example": {"xds_servers": [server]}}
        bootstrap = _bootstrap(world, "authorities", change)
        with world.fresh_agent(FEDERATION, bootstrap=bootstrap) as agent:
            world.reach("xds://a.example/federated.shop:8001", ("b1",), agent=agent)
            world.reach("xds://b.example/federated.shop:8001", ("b2",), agent=agent)
            world.reach("xds:///federated.shop:8001", ("b1",), agent=agent)
            world.manifests.slice("federated", world.endpoints(3))
            manifests.slice("federated", world.endpoints(4))
            world.reach("xds://a.example/federated.shop:8001", ("b3",), agent=agent)
            world.reach("xds://b.example/federated.shop:8001", ("b4",), agent=agent)
    notes.append("each by its own server, and each follows")


def _asked(controller):
    """The types that clients have subscribed to."""
    return {each["type"] for stream in controller.streams()["streams"] for each in stream.get("types", ())}


def second_server(world, language, notes):
    """The first server of the bootstrap is not there, and then it is (gRFC A71)."""
    target, _ = world.publish("fallback", world.endpoints(5))
    with _second_controller(world, "first") as (first, manifests):
        def change(content):
            server, = content["xds_servers"]
            content["xds_servers"] = [{**server, "server_uri": first.listen}, server]
        bootstrap = _bootstrap(world, "fallback", change)
        with world.fresh_agent(bootstrap=bootstrap) as agent:
            if not language.falls_back:
                got = agent.ask("call", target=target, n=1, timeout_ms=2000)
                assert got["failed"] == 1, f"it can: say so in agents.py: {got}"
                notes.append("not this client: it knows the first server only")
                return
            world.reach(target, ("b5",), agent=agent)
            world.manifests.slice("fallback", world.endpoints(6))
            world.reach(target, ("b6",), agent=agent)
            manifests.service("fallback")
            manifests.slice("fallback", world.endpoints(7))
            first.start()
            begin = time.monotonic()
            if not language.comes_back:
                wait_until(lambda: _asked(first) == {"Listener"}, BACK_SECONDS, "the first is asked for the Listener only")
                world.reach(target, ("b6",), agent=agent)
                notes.append("by the second, which it follows; of the first it asks too little to follow it")
                return
            world.reach(target, ("b7",), timeout=BACK_SECONDS, agent=agent)
    notes.append(f"by the second, which it follows; by the first {time.monotonic() - begin:.1f} s after that is there")


def many_targets(world, language, notes):
    """In one process; clients before gRFC A71 share one stream, the others have one for each."""
    targets = [world.publish(f"many-{i}", world.endpoints(1 + i % 10))[0] for i in range(TARGETS)]
    with world.fresh_agent() as agent:
        for i, target in enumerate(targets):
            world.reach(target, (f"b{1 + i % 10}",), agent=agent)
        streams = len(world.lookaside.streams()["streams"])
        for i in range(TARGETS):
            world.manifests.slice(f"many-{i}", world.endpoints(1 + (i + 1) % 10))
        for i, target in enumerate(targets):
            world.reach(target, (f"b{1 + (i + 1) % 10}",), agent=agent)
    notes.append(f"{TARGETS} targets follow; {streams} streams at the controller")


SCENARIOS = [
    ("two authorities", two_authorities),
    ("two servers, of which the first is away at first", second_server),
    (f"{TARGETS} targets in one process", many_targets),
]
