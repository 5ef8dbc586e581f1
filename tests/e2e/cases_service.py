"""The Service itself changes, or is of a rarer kind."""

import time
from functools import partial

from kubelet import PORT, ZONES, listens, node_of
from oracle import NOWHERE
from process import wait_until
from workload import GRPC_PORT
from world import scenario

OTHER_PORT = 8002
BOTH_PORTS = [{"name": "one", "containerPort": PORT}, {"name": "two", "containerPort": OTHER_PORT}]


def ports_of(lists):
    return {backend.port for backend in lists[NOWHERE]}


@scenario("a Service's port is renamed, and its targetPort changed, under load")
def change_ports(world):
    with world.service("ports") as service, world.load(service) as client, \
            world.watch(service) as watch:
        service.create()
        for zone in ZONES:
            service.add_pod(node_of(zone), BOTH_PORTS)
        world.settle(client, service)
        watch.settle()
        watch.never_empty()
        client.mark()
        steps = [{"name": "rpc"}, {"name": "grpc"}, {"targetPort": OTHER_PORT},
                 {"targetPort": "one"}, {"name": "rpc", "targetPort": "two"}]
        for step in steps:
            port = {**GRPC_PORT, **step}
            service.patch(ports=[port])
            wanted = OTHER_PORT if port["targetPort"] in (OTHER_PORT, "two") else PORT
            watch.settle(within=10, when=lambda lists: ports_of(lists) == {wanted}
                         and port_names(service) == {port["name"]})
            client.expect_backends(set(service.pods))
        client.expect_no_failure("the changes of the Service's port")
        found = world.lookaside.explain(service.target("grpc"))
        assert found.get("problem"), f"a port that was renamed is not explained: {found}"
        return f"{len(steps)} changes under {client.ok} calls, 0 failed; {watch.told()}"


def port_names(service):
    return {port["name"] for item in service.slices() for port in item.get("ports") or []}


@scenario("pods with different numbers for one named target port")
def named_target_port(world):
    with world.service("named") as service, world.load(service) as client, \
            world.watch(service) as watch:
        service.create(ports=[{**GRPC_PORT, "targetPort": "rpc"}])
        old = [service.add_pod(node_of(zone), [{"name": "rpc", "containerPort": PORT}])
               for zone in ZONES]
        world.settle(client, service)
        watch.settle()
        watch.never_empty()
        client.mark()
        for zone in ZONES:
            service.add_pod(node_of(zone), [{"name": "rpc", "containerPort": OTHER_PORT}])
        world.settle(client, service)
        watch.settle(when=lambda lists: ports_of(lists) == {PORT, OTHER_PORT})
        service.remove_pods(old)
        world.settle(client, service)
        watch.settle(when=lambda lists: ports_of(lists) == {OTHER_PORT})
        world.why(watch, {old[0]: "terminating", service.pods[0]: "ready"})
        world.gone(service, old)
        client.expect_no_failure("the move to another port")
        return f"{client.ok} calls, 0 failed; {watch.told()}"


@scenario("a headless Service whose pods have different numbers, dialled by one of them")
def pods_own_port(world):
    with world.service("own-port") as service, world.load(service) as client, \
            world.watch(service) as watch:
        service.create(ports=[{"name": "grpc", "port": 80, "targetPort": "rpc"}], clusterIP="None")
        old = [service.add_pod(node_of(zone), [{"name": "rpc", "containerPort": PORT}])
               for zone in ZONES]
        watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == len(old))
        client.expect_backends(set(old))
        watch.never_empty()
        client.mark()
        for zone in ZONES:
            service.add_pod(node_of(zone), [{"name": "rpc", "containerPort": OTHER_PORT}])
        wait_until(lambda: len(service.expected(80)) == 2 * len(old), 30, "all pods are ready")
        watch.settle(when=lambda lists: ports_of(lists) == {PORT} and
                     len(lists[NOWHERE]) == len(old))
        client.expect_backends(set(old))
        client.expect_no_failure("pods with another number")
        watch.never_empty(False)
        service.remove_pods(old)
        watch.settle(within=15, when=lambda lists: not lists[NOWHERE])
        client.expect_unavailable()
        world.lookaside.verify()
        return f"{client.ok} calls; {watch.told()}"


@scenario("kubectl replace --force, and a Service that is deleted for good")
def replace(world):
    with world.service("replace") as service, world.load(service) as client, \
            world.watch(service) as watch:
        service.create()
        service.scale(3)
        world.settle(client, service)
        watch.settle()
        watch.never_empty()
        client.mark()
        for _ in range(3):  # the old list is held meanwhile
            uid = service.state()[0]["metadata"]["uid"]
            service.replace()
            assert service.state()[0]["metadata"]["uid"] != uid, "kubectl has not replaced it"
            world.settle(client, service)
            watch.settle()
        client.expect_no_failure("kubectl replace --force")
        calls = client.ok
        watch.never_empty(False)
        service.delete()
        deleted = time.monotonic()
        hold = wait_until(lambda: world.lookaside.explain(watch.target).get("hold"), 3,
                          "the deletion is explained as held")
        assert hold["name"] == "deletion", f"the hold is {hold}"
        watch.settle(within=10)
        emptied = time.monotonic() - deleted
        client.expect_unavailable()
        service.create()
        _, called = world.settle(client, service)
    return (f"replaced 3 times under {calls} calls, 0 failed; empty {emptied:.1f} s after a delete "
            f"that stays; called again {called:.0f} ms after the API listed it; {watch.told()}")


@scenario("a Service without selector: slices by hand")
def without_selector(world):
    with world.by_hand(6) as names, world.service("manual") as service, \
            world.load(service) as client, world.watch(service) as watch:
        first, second = dict(list(names.items())[:3]), dict(list(names.items())[3:])
        service.create(selector=False)
        service.put_slice("left", first)
        service.put_slice("right", {**second, **first})  # some of them twice
        watch.settle(when=lambda lists: len(lists[NOWHERE]) == 6)
        client.expect_backends(set(names.values()))
        world.why(watch, {next(iter(first)): "duplicate"})
        return watch.told()


@scenario("endpoints that nobody can call, as the API server takes them")
def uncallable(world):
    with world.by_hand(4) as names, world.service("uncallable") as service, \
            world.load(service) as client, world.watch(service) as watch:
        service.create(selector=False)
        service.put_slice("all", {"239.0.0.1": "nobody", **dict(list(names.items())[:2])})
        watch.settle(when=lambda lists: len(lists[NOWHERE]) == 2)
        watch.never_empty()
        service.put_slice("all", {**dict(list(names.items())[2:]), "239.0.0.2": "nobody"})
        watch.settle(when=lambda lists: {b.address for b in lists[NOWHERE]} == set(list(names)[2:]))
        client.expect_backends(set(list(names.values())[2:]))
        assert [s["flawed"] for s in world.lookaside.explain(watch.target)["slices"]] == [True]
        world.lookaside.verify()
        return watch.told()


@scenario("a Service without selector: Endpoints, which the API mirrors")
def mirrored(world):
    with world.by_hand(6) as names, world.service("mirrored") as service, \
            world.load(service) as client, world.watch(service) as watch:
        service.create(selector=False)
        for half in (list(names)[:3], list(names)[3:]):
            service.put_endpoints(half)
            watch.settle(within=10, when=lambda lists: {b.address for b in lists[NOWHERE]}
                         == set(half))
            client.expect_backends({names[address] for address in half})
        return watch.told()


KINDS = {
    "an unnamed port": ({"ports": [{"port": PORT}]}, PORT),
    "a headless Service without ports": ({"ports": (), "clusterIP": "None"}, PORT),
    "a headless Service, dialled by the pods' own port": (
        {"ports": [{"name": "grpc", "port": 80, "targetPort": PORT}], "clusterIP": "None"}, PORT),
    "a headless Service whose pods lack the named target port, dialled by the pods' own port": (
        {"ports": [{"name": "grpc", "port": 80, "targetPort": "rpc"}], "clusterIP": "None"}, PORT),
    "UDP and TCP of the same number": (
        {"ports": [{"name": "quic", "port": 443, "protocol": "UDP", "targetPort": OTHER_PORT},
                   {"name": "grpc", "port": 443, "targetPort": PORT}]}, 443),
    "UDP beside the only TCP port, dialled without a port": (
        {"ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": OTHER_PORT},
                   {"name": "rpc", "port": 443, "targetPort": PORT}]}, ""),
}


def kind_of(world, namespace, spec, port):
    with world.service(namespace) as service, world.load(service, port) as client, \
            world.watch(service, port) as watch:
        service.create(**spec)
        service.scale(2)
        watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == 2)
        client.expect_backends(set(service.pods))
        watch.never_empty()
        service.scale(4)
        watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == 4)
        client.expect_backends(set(service.pods))
        world.lookaside.verify()
        return watch.told()


for _number, (_kind, (_spec, _port)) in enumerate(KINDS.items()):
    scenario(_kind)(partial(kind_of, namespace=f"kind-{_number}", spec=_spec, port=_port))


@scenario("one pod by its host name")
def host_name(world):
    with world.service("hosts") as service, world.load(service, hostname="one") as client, \
            world.watch(service, hostname="one") as watch:
        service.create(clusterIP="None")
        for number, name in enumerate(("one", "two")):
            service.add_pod(node_of(ZONES[number]), hostname=name, subdomain=service.name)
        watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == 1)
        client.expect_backends({service.pods[0]})
        world.why(watch, {service.pods[1]: "other-pod"})
        old = service.pods[0]
        service.remove_pod(old)
        world.gone(service, [old])
        watch.settle(when=lambda lists: not lists[NOWHERE])
        client.expect_unavailable()
        new = service.add_pod(node_of(ZONES[2]), hostname="one", subdomain=service.name)
        watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == 1)
        client.expect_backends({new})
        return watch.told()


@scenario("ExternalName, then pods, then ExternalName again")
def external_name(world):
    """While it gets its selector, the mirroring controller may be the first with a slice, and
    knows no zones."""
    outside = world.kubelet.greet("outside", ["127.0.0.1", "::1"])
    try:
        wait_until(lambda: listens("127.0.0.1"), 10, "what is outside listens")
        with world.service("external") as service, world.load(service) as client, \
                world.watch(service, zones=False) as watch:
            service.create((), selector=False, type="ExternalName", externalName="localhost")
            for _ in range(2):
                watch.settle(when=lambda lists: {b.address for b in lists[NOWHERE]}
                             == {"localhost"})
                client.expect_backends({"outside"})
                watch.never_empty()
                client.mark()
                service.scale(3)
                service.patch(type="ClusterIP", externalName=None, ports=[GRPC_PORT],
                              selector={"app": service.name})
                watch.settle(within=10, when=lambda lists: len(lists[NOWHERE]) == 3)
                client.expect_backends(set(service.pods))
                service.patch(type="ExternalName", externalName="localhost", ports=None,
                              selector=None, clusterIP=None, clusterIPs=None)
            watch.settle(when=lambda lists: {b.address for b in lists[NOWHERE]} == {"localhost"})
            client.expect_backends({"outside"})
            client.expect_no_failure("the changes of type")
            return f"{client.ok} calls, 0 failed; {watch.told()}"
    finally:
        outside.stop()
