"""Lists that depend on where the client is."""

from contextlib import ExitStack
from functools import partial

from kubelet import ZONES
from oracle import NOWHERE, Place
from world import scenario

# Every node's client with and without its zone, a zone without pods, a node that nobody knows.
PLACES = (NOWHERE, Place("a"), Place("a", "node-a"), Place("a", "node-a2"), Place("b", "node-b"),
          Place("c", "node-c"), Place("c"), Place("", "node-x"), Place("z", "node-z"))
PODS_ON = ("node-a", "node-a", "node-a2", "node-b", "node-b", "node-c")
CLIENTS_AT = (NOWHERE, Place("a", "node-a"), Place("b", "node-b"))
FAMILIES = {"PreferClose": ["IPv4", "IPv6"], "PreferSameZone": ["IPv6", "IPv4"],
            "PreferSameNode": ["IPv4", "IPv6"]}


def addresses(backends):
    return {backend.address for backend in backends}


def at(lists, zone, node=""):
    return lists[Place(zone, node)]


class Scene:
    """A Service watched from every place, and clients at some."""

    def __init__(self, world, service):
        self.service, self.stack = service, ExitStack()
        self.watch = self.stack.enter_context(world.watch(service, places=PLACES))
        self.clients = {place: self.stack.enter_context(world.load(service, place=place))
                        for place in CLIENTS_AT}

    def settle(self, what, when):
        """Every place's list is the oracle's, and the clients call just what theirs has."""
        self.watch.settle(within=10, when=when)
        service, slices = self.service.state()
        lists = self.watch.expected()
        for place, client in self.clients.items():
            names = self.service.names_of(lists[place], slices)
            try:
                client.expect_backends(names)
            except AssertionError as error:
                raise AssertionError(f"{what}: a client at {place}: {error}") from error


def near_is_listed(value):
    """What the API's hints have to be, so that the comparison with the oracle means something."""
    def met(lists):
        everywhere, zone_a = lists[NOWHERE], at(lists, "a")
        if value == "PreferSameNode" and not len(at(lists, "a", "node-a")) == 2:
            return False
        return len(everywhere) == 6 and len(zone_a) == 3 and {b.zone for b in zone_a} == {"a"}
    return met


def all_everywhere(count):
    return lambda lists: all(len(backends) == count for backends in lists.values())


def distribute(world, value):
    with world.service(value.lower()) as service:
        service.create(trafficDistribution=value, ipFamilyPolicy="RequireDualStack",
                       ipFamilies=FAMILIES[value])
        for node in PODS_ON:
            service.add_pod(node)
        service.wait_api(set(service.pods))
        scene = Scene(world, service)
        with scene.stack:
            watch = scene.watch
            scene.settle("at first", near_is_listed(value))
            b_pod = service.pods[3]
            world.why(watch, {b_pod: "other-zone"}, Place("a"))
            if value == "PreferSameNode":
                world.why(watch, {b_pod: "other-node"}, Place("a", "node-a"))
            joined = {bool(b.other) for b in watch.expected()[NOWHERE]}
            assert joined == {True}, f"pods without a second address: {watch.expected()[NOWHERE]}"
            watch.never_empty()
            for client in scene.clients.values():
                client.mark()
            walk(service, scene, value)
            for place, client in scene.clients.items():
                client.expect_no_failure(f"all of that, at {place}")
                world.lookaside.verify(place)
            return f"{len(PLACES)} places; {watch.told()}"


def walk(service, scene, value):
    zone_c = service.pods[-1]
    service.remove_pod(zone_c)
    scene.settle("zone c without pods", lambda lists: len(at(lists, "c")) == 5)
    stranger = service.add_pod("node-x")
    scene.settle("a pod without zone", lambda lists: len(lists[NOWHERE]) == 6
                 and len(at(lists, "a")) == 6)
    service.remove_pod(stranger)
    scene.settle("no pod without zone", lambda lists: len(at(lists, "a")) == 3)
    for name in service.pods[:3]:
        service.set_ready(name, False)
    scene.settle("zone a unready", lambda lists: {b.zone for b in at(lists, "a")} == {"b"})
    for name in service.pods[:3]:
        service.set_ready(name, True)
    scene.settle("zone a ready", lambda lists: len(at(lists, "a")) == 3)
    service.patch(trafficDistribution=None)
    scene.settle("no distribution", all_everywhere(5))
    service.patch(trafficDistribution=value)
    scene.settle("distribution again", lambda lists: len(at(lists, "a")) == 3)


for _value in FAMILIES:
    scenario(f"trafficDistribution: {_value}, both address families, {len(ZONES)} zones and a node "
             "without one", seconds=90)(partial(distribute, value=_value))


@scenario("internalTrafficPolicy: Local")
def local(world):
    with world.service("local") as service:
        service.create(internalTrafficPolicy="Local")
        for node in PODS_ON:
            service.add_pod(node)
        service.wait_api(set(service.pods))
        with world.watch(service, places=PLACES) as watch, \
                world.load(service, place=Place("b", "node-b")) as client:
            watch.settle(when=lambda lists: len(at(lists, "b", "node-b")) == 2
                         and not at(lists, "", "node-x") and len(lists[NOWHERE]) == 6)
            client.expect_backends(set(service.pods[3:5]))
            world.why(watch, {service.pods[0]: "not-local"}, Place("b", "node-b"))
            service.remove_pods(service.pods[3:5])  # they still serve while they terminate
            watch.settle(when=lambda lists: len(at(lists, "b", "node-b")) == 2)
            watch.settle(within=15, when=lambda lists: not at(lists, "b", "node-b"))
            client.expect_unavailable()
            service.patch(internalTrafficPolicy="Cluster")
            watch.settle(when=all_everywhere(4))
            client.expect_backends(set(service.pods))
            return f"{len(PLACES)} places; {watch.told()}"
