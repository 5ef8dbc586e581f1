"""Objects that no API server should hold: skipped, or the field ignored, by name, and never a wrong list.

Each has a namespace of its own in one fleet (fleet.py), whose Service has two other slices: whatever
happens to the bad one, theirs must stay, and nobody else's backends may appear.
"""
import copy
import json

from tests.support import manifests
from tests.support.process import wait_until

from .fleet import DEADLINE, Fleet
from .world import SERVICE, World, endpoint_slice


def _set(*path_and_value):
    """Puts a value at a path; `del` takes the last part of the path away."""
    *path, last, value = path_and_value

    def change(obj):
        for part in path:
            obj = obj[part]
        if value is del_:
            del obj[last]
        else:
            obj[last] = value
    return change


del_ = object()

# What is changed → what the log must say of it, behind the object's name.
BAD_SLICES = {
    _set("ports", 0, "port", 70000): "ports[0].port",
    _set("ports", 0, "port", 0): "ports[0].port: 0 is no port",
    _set("ports", 0, "port", -1): "ports[0].port",
    _set("ports", 0, "port", 80.5): "ports[0].port",
    _set("ports", 0, "port", 1e300): "ports[0].port",
    _set("ports", 0, "port", "8001"): "ports[0].port: expected a number, found a string",
    _set("ports", 0, "name", 7): "ports[0].name",
    _set("ports", 0, "protocol", []): "ports[0].protocol",
    _set("ports", "8001"): "ports: expected an array",
    _set("ports", [8001]): "ports[0]: expected an object",
    _set("endpoints", "none"): "endpoints: expected an array, found a string",
    _set("endpoints", {}): "endpoints: expected an array",
    _set("endpoints", [None]): "endpoints[0]: expected an object, found null",
    _set("endpoints", 1, 7): "endpoints[1]: expected an object, found a number",
    _set("endpoints", 1, "addresses", "10.0.0.1"): "endpoints[1].addresses: expected an array",
    _set("endpoints", 1, "addresses", [10]): "endpoints[1].addresses[0]: expected a string",
    _set("endpoints", 1, "conditions", "ready"): "endpoints[1].conditions",
    _set("endpoints", 1, "conditions", {"ready": "yes"}): "endpoints[1].conditions.ready",
    _set("endpoints", 1, "conditions", {"terminating": 1}): "endpoints[1].conditions.terminating",
    _set("endpoints", 1, "targetRef", "pod"): "endpoints[1].targetRef",
    _set("endpoints", 1, "nodeName", {}): "endpoints[1].nodeName",
    _set("endpoints", 1, "zone", 7): "endpoints[1].zone",
    _set("endpoints", 1, "hostname", []): "endpoints[1].hostname",
    _set("endpoints", 1, "hints", {"forZones": "a"}): "endpoints[1].hints.forZones",
    _set("addressType", del_): "addressType: missing",
    _set("addressType", "IPv5"): "addressType: 'IPv5'",
    _set("addressType", 4): "addressType",
    _set("metadata", "labels", "x"): "metadata.labels",
    _set("metadata", "labels", {"kubernetes.io/service-name": 7}): "metadata.labels",
    _set("metadata", "ownerReferences", {}): "metadata.ownerReferences",
    _set("metadata", "ownerReferences", [7]): "metadata.ownerReferences[0]",
}
BAD_SERVICES = {
    _set("spec", del_): "spec: missing",
    _set("spec", "none"): "spec: expected an object",
    _set("spec", "ports", 0, "port", 0): "spec.ports[0].port: 0 is no port",
    _set("spec", "ports", 0, "port", 70000): "spec.ports[0].port",
    _set("spec", "ports", 0, "port", None): "spec.ports[0].port: missing",
    _set("spec", "ports", 0, "port", "http"): "spec.ports[0].port: expected a number",
    _set("spec", "ports", [None]): "spec.ports[0]: expected an object",
    _set("spec", "ports", "8001"): "spec.ports: expected an array",
    _set("spec", "ports", [{"port": 1, "name": "x"}, {"port": 2, "name": "x"}]): "spec.ports[1].name",
    _set("spec", "ports", [{"port": 1, "name": "x"}, {"port": 1, "name": "y"}]): "spec.ports[1].port",
    _set("spec", "ports", [{"port": n + 1, "name": f"p{n}"} for n in range(5000)]): "spec.ports",
    _set("spec", "ipFamilies", ["IPX"]): "spec.ipFamilies[0]",
    _set("spec", "ipFamilies", "IPv4"): "spec.ipFamilies",
    _set("spec", "internalTrafficPolicy", "Somewhere"): "spec.internalTrafficPolicy",
    _set("spec", "internalTrafficPolicy", 1): "spec.internalTrafficPolicy",
    _set("spec", "selector", "app"): "spec.selector",
    _set("spec", "type", 7): "spec.type",
    _set("spec", "clusterIP", []): "spec.clusterIP",
}
# What is changed of the second endpoint, so that nobody can call it → what the log must say of it.
UNCALLABLE = {
    _set("endpoints", 1, "addresses", []): "addresses: empty",
    _set("endpoints", 1, "addresses", del_): "addresses: missing",
    _set("endpoints", 1, "addresses", ["localhost"]): "addresses[0]: 'localhost'",
    _set("endpoints", 1, "addresses", ["10.0.0.300"]): "addresses[0]: '10.0.0.300'",
    _set("endpoints", 1, "addresses", ["010.0.0.1"]): "addresses[0]: '010.0.0.1'",
    _set("endpoints", 1, "addresses", ["239.0.0.1"]): "addresses[0]: '239.0.0.1'",
    _set("endpoints", 1, "addresses", ["10.0.0.1/24"]): "addresses[0]",
    _set("endpoints", 1, "addresses", ["::1"]): "addresses[0]",
    _set("endpoints", 1, "addresses", ["::ffff:10.0.0.1"]): "addresses[0]",
    _set("endpoints", 1, "addresses", [""]): "addresses[0]",
    _set("endpoints", 1, "addresses", ["10.0.0.1\0"]): "addresses[0]",
    _set("endpoints", 1, "addresses", ["10.0.0.1" * 1000]): "addresses[0]",
}
# What is changed → what it means: how many of the slice's two endpoints are left.
ODD_SLICES = {
    _set("endpoints", None): 0,
    _set("endpoints", []): 0,
    _set("endpoints", del_): 0,
    _set("endpoints", 1, "conditions", None): 2,
    _set("endpoints", 1, "conditions", {"ready": None}): 2,
    _set("endpoints", 1, "targetRef", None): 2,
    _set("endpoints", 1, "hints", {"forZones": [{"name": f"z{n}"} for n in range(1000)]}): 2,
    _set("endpoints", 1, "unknown", {"field": [1, {}]}): 2,
    _set("metadata", "annotations", {"large": "x" * (1 << 20)}): 2,
    _set("metadata", "annotations", {"nul": "a\0b"}): 2,
    _set("metadata", "annotations", {"deep": "[" * 1000}): 2,
    _set("metadata", "annotations", None): 2,
    _set("metadata", "annotations", 7): 2,
    _set("metadata", "managedFields", [{"fieldsV1": json.loads('{"f":' * 40 + "{}" + "}" * 40)}]): 2,
    _set("metadata", "labels", None): 0,
    _set("metadata", "labels", {}): 0,
    _set("metadata", "ownerReferences", [{"apiVersion": "v1", "kind": "Service", "uid": "another"}]): 0,
    _set("metadata", "ownerReferences", [{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "uid": "another"}]): 2,
    _set("ports", None): 2,                            # of a headless Service: the port as given
    _set("ports", []): 2,
}


class _Case:
    """One absurd object, in the namespace of that number."""

    def __init__(self, fleet, number, change, kind):
        self.good = fleet.slice(number, "a", 2) if kind == "EndpointSlice" else \
            manifests.service(SERVICE, fleet.names[number])
        self.bad = copy.deepcopy(self.good)
        change(self.bad)
        self.name = f"{fleet.names[number]}/{self.good['metadata']['name']}"


def _cases(fleet, changes, kind, first=0):
    return [_Case(fleet, first + number, change, kind) for number, change in enumerate(changes)]


def _as_events_and_in_lists(fleet, put):
    """The same objects in both ways."""
    put()
    fleet.settle()
    fleet.api.compact()
    fleet.api.drop_watches()
    lists = len(fleet.api.lists())
    wait_until(lambda: len(fleet.api.lists()) >= lists + 2 * fleet.size, DEADLINE, "all listed again")
    fleet.put("b", 3)
    fleet.settle()


def _bad(fleet):
    return [*zip(_cases(fleet, BAD_SLICES, "EndpointSlice"), BAD_SLICES.values()),
            *zip(_cases(fleet, BAD_SERVICES, "Service", len(BAD_SLICES)), BAD_SERVICES.values())]


def _check_said(fleet, bad):
    log = fleet.controller.process.log(100000)
    for case, text in bad:
        assert f"{case.name}: {text}" in log, f"the log does not say '{case.name}: {text}': {case.bad}"
    assert fleet.controller.metrics()["lookaside_bad_objects_total"] >= len(bad)


def bad_objects_keep_their_last_version(work):
    with Fleet(work, len(BAD_SLICES) + len(BAD_SERVICES)) as fleet:
        bad = _bad(fleet)
        fleet.start()
        fleet.api.put(*[case.good for case, _ in bad])
        fleet.settle()
        _as_events_and_in_lists(fleet, lambda: [fleet.api.put_absurd(case.bad, case.good)
                                                for case, _ in bad])
        _check_said(fleet, bad)
        for case, _ in bad:                            # and are mended like anything else
            fleet.api.believed.clear()
            fleet.api.put(case.good)
        fleet.put("a", 4)
        fleet.settle()


def bad_objects_of_the_first_list_are_left_out(work):
    with Fleet(work, len(BAD_SLICES) + len(BAD_SERVICES)) as fleet:
        bad = _bad(fleet)
        for case, _ in bad:
            fleet.api.put_absurd(case.bad, None)
        fleet.start()
        fleet.settle()
        fleet.put("b", 3)
        fleet.settle()
        _check_said(fleet, bad)


def endpoints_that_nobody_can_call_are_left_out(work):
    with Fleet(work, len(UNCALLABLE)) as fleet:
        cases = _cases(fleet, UNCALLABLE, "EndpointSlice")
        fleet.start()
        fleet.api.put(*[case.good for case in cases])
        fleet.settle()

        def put():
            for case in cases:
                rest = copy.deepcopy(case.good)
                del rest["endpoints"][1]
                fleet.api.put_absurd(case.bad, rest)
        _as_events_and_in_lists(fleet, put)
        _check_said(fleet, [(case, f"endpoints[1].{text}")
                            for case, text in zip(cases, UNCALLABLE.values())])


def odd_objects_mean_what_they_can(work):
    with Fleet(work, len(ODD_SLICES)) as fleet:
        odd = _cases(fleet, ODD_SLICES, "EndpointSlice")
        fleet.start()
        fleet.settle()

        def put():
            for case, left in zip(odd, ODD_SLICES.values()):
                fleet.api.put_absurd(case.bad, case.good if left == 2 else None)
        _as_events_and_in_lists(fleet, put)
        fields = [line for line in fleet.controller.process.log(100000).splitlines()
                  if "bad object" in line or "bad field" in line]
        assert len(fields) == 1, fields
        assert "/greeter-a: endpoints[1].hints.forZones: more than" in fields[0], fields
        assert fleet.controller.metrics()["lookaside_bad_objects_total"] > 0


# ---- bytes that are no object ----

def bytes_that_are_no_object(work):
    """Twice the same key, text that is not UTF-8, nesting without end: nothing of it is believed that
    is not whole, and the next list mends it."""
    good = json.dumps({**endpoint_slice("a", ["10.0.0.9"])})
    for number, text in enumerate([
            good.replace('"10.0.0.9"', '"10.0.0.9\xff"').encode("latin-1"),
            good[:-1].encode() + b',"x":' + b"[" * 100 + b"]" * 100 + b"}",
            good[:-1].encode() + b',"x":' + b"9" * 100 + b"}",
            good[:-1].encode() + b',"x":"\\ud800"}',
            good[:-1].encode() + b',"x":"\\x"}',
            good[:-1].encode() + b',}', good[:-1].encode()]):
        folder = work / f"{number}"
        folder.mkdir()
        with World(folder) as world:
            world.client()
            lists = len(world.api.lists("endpointslices"))
            world.api.inject("endpointslices", b'{"type":"MODIFIED","object":' + text + b"}\n")
            world.api.wait_lists(lists + 1, "endpointslices")
            world.put("a", "10.0.0.4")
            world.settle()
            assert "malformed watch event" in world.log(), text


def a_key_twice_counts_once(work):
    """The first, as all along; no server sends it."""
    with World(work) as world:
        world.client()
        entry = endpoint_slice("a", ["10.0.0.1"])
        entry["metadata"]["resourceVersion"] = str(world.api.version)
        text = json.dumps(entry)
        world.api.inject("endpointslices", '{"type":"MODIFIED","object":' + text.replace(
            '"addressType"', '"endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.2"]}],'
            '"addressType"', 1) + "}\n")
        world.put("b", "10.0.0.7")
        world.settle()


def a_hundred_slices_of_a_thousand(work):
    """More than one message can hold: refused by name, the last good list stays, nobody else notices."""
    def entry(number):
        return endpoint_slice(f"{number}", [f"fd00:1234:5678:9abc:def1:1234:1{number:03}:1{k:03}"
                                            for k in range(1000)], of="big", family="IPv6")
    with World(work) as world:
        client = world.client()
        world.api.put(manifests.service("big"), entry(0))
        big = world.client(service="big", wait=False)
        first = world.api.backends("shop", "big")
        big.wait(first)
        _in_one_list(world, [(entry(number), None) for number in range(1, 100)])
        wait_until(lambda: world.controller.metrics()["lookaside_endpoints"] >= 100000, DEADLINE,
                   "all endpoints are read")
        world.put("a", "10.0.0.4")
        client.wait(["10.0.0.4"])
        world.log_has("resource is too large for a client's message; its last good version stays")
        assert "shop/big:8001" in world.log()
        assert world.controller.memory() < 300 << 10, f"{world.controller.memory()} KiB"
        assert big.seen[-1] == first, [len(seen) for seen in big.seen]
        few = endpoint_slice("1", ["fd00::1"], of="big", family="IPv6")
        _in_one_list(world, [(endpoint_slice(f"{number}", [], of="big", family="IPv6"), None)
                             for number in range(2, 100)] + [(few, few)])
        world.settle()


def _in_one_list(world, changes):
    """Many absurd objects as one change: what is between them is nothing that a client may see."""
    world.api.pause_events()
    for obj, believed in changes:
        world.api.put_absurd(obj, believed)
    world.api.compact()
    world.api.drop_watches()
    lists = len(world.api.lists("endpointslices"))
    world.api.wait_lists(lists + 1, "endpointslices")
    world.api.resume_events()


CASES = [bad_objects_keep_their_last_version, bad_objects_of_the_first_list_are_left_out,
         endpoints_that_nobody_can_call_are_left_out, odd_objects_mean_what_they_can,
         bytes_that_are_no_object, a_key_twice_counts_once, a_hundred_slices_of_a_thousand]
