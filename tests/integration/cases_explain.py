"""lookasidectl explain: for every reason, the output alone must tell somebody who has never seen it."""
import dataclasses
import json
import threading

from tests.support import ads, api_faults, manifests, process
from tests.support.lookaside import Lookaside

from .world import World, endpoint_slice

TARGET = "greeter.shop:8001"
Endpoint = manifests.Endpoint


class Case:
    """A directory, a controller on it, and what the command says about it."""

    def __init__(self, work, **options):
        self.work = work
        self.folder = manifests.Manifests(work / "manifests")
        self.folder.service("greeter")
        self.controller = Lookaside(work, directory=work / "manifests", **options)

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()

    def run(self, *argv, admin=None):
        """(exit code, what it printed)."""
        child = process.Process([process.BUILD / "lookasidectl", "explain", "--admin",
                                 admin or self.controller.admin, *argv], self.work / "explain.log")
        child.log_path.unlink(missing_ok=True)
        with child:
            return child.wait(20), child.log(10000)

    def says(self, *texts, target=TARGET, flags=()):
        """Until the output has these texts; returns it."""
        last = ["", ""]

        def said():
            last[:] = self.run(target, *flags)
            assert last[0] == 0, last
            return all(text in last[1] for text in texts)
        process.wait_until(said, 10, lambda: f"explain says {texts}, it says:\n{last[1]}")
        assert not any(ord(char) < 32 or ord(char) == 127 for char in last[1].replace("\n", "")), \
            repr(last[1])
        assert all(line == line.rstrip() for line in last[1].splitlines()), last[1]
        return last[1]

    def json(self, target=TARGET, flags=()):
        code, text = self.run(target, "-o", "json", *flags)
        assert code == 0, text
        return json.loads(text)


def _row(text, address):
    """The row of an address in the table of endpoints: 'in' or 'out', and the whole line."""
    found = [line for line in text.splitlines() if f" {address} " in line + " "]
    assert len(found) == 1, (address, text)
    return found[0].split()[0], found[0]


def conditions(work):
    with Case(work) as case:
        ready = Endpoint("10.0.0.1", pod="greeter-1", node="node-a", zone="zone-a")
        case.folder.slice("greeter", [
            ready, Endpoint("10.0.0.2", pod="greeter-2", ready=False),
            Endpoint("10.0.0.3", pod="greeter-3").draining(),
            Endpoint("10.0.0.4", pod="greeter-4", ready=False, serving=False, terminating=True)])
        text = case.says("1 of 4 endpoints is listed.\n",
                         "  1 left out, because it is not ready: its Pod's condition Ready is not True",
                         "Service greeter in namespace shop", "Headless with TCP ports 8001 (grpc)",
                         "shop/greeter:8001")
        for last, why in ((2, "(a readiness probe, as a rule)"),
                          (3, "it is terminating, and other endpoints are ready"),
                          (4, "it is terminating and no longer serves")):
            side, line = _row(text, f"10.0.0.{last}:8001")
            assert side == "out" and line.endswith(why) and f"greeter-{last}" in line, line
        side, line = _row(text, "10.0.0.1:8001")
        assert side == "in" and "node-a" in line and "zone-a" in line, line
        assert line.endswith("it is ready"), line
        case.folder.slice("greeter", [ready.draining(), Endpoint("10.0.0.2", ready=False)])
        text = case.says("1 of 2 endpoints is listed; none is ready, but these are terminating")
        assert _row(text, "10.0.0.1:8001")[0] == "in", text
        case.folder.slice("greeter", [dataclasses.replace(ready, ready=False)])
        case.says("The list is empty: none of its endpoints is ready.")
        case.folder.slice("greeter", [])
        case.says("The list is empty: no slice has endpoints at this port.\n",
                  "EndpointSlice greeter-a has no endpoints",
                  "A pod that is not here is in no EndpointSlice of the Service")


def names_that_mean_nothing(work):
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1")])
        case.folder.service("two", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}])
        case.folder.put("out", manifests.service("out", type="ExternalName", ports=[],
                                                 externalName="api.example.com", headless=False))
        case.says("1 of 1 endpoint is listed")
        case.says("There is no Service absent in namespace shop: the list is empty",
                  "Service  there is no Service object", target="absent.shop:8001")
        text = case.says("The list is empty: neither the Service nor one of its pods has such a "
                         "TCP port.\n", "with TCP ports 8001 (grpc)\n",
                         "Port     8002: neither the Service nor",
                         target="greeter.shop:8002")
        assert _row(text, "10.0.0.1")[0] == "out", text
        case.says("the Service has no such TCP port", "Port     http:", target="greeter.shop:http")
        case.says("The list is empty: several ports", "with TCP ports 80 (a), 81 (b)", target="two.shop")
        case.says("Clients resolve api.example.com themselves and connect to port 443.\n",
                  "ExternalName", target="out.shop:443")
        case.says("Service greeter in namespace default", target="greeter")
        case.says("1 of 1 endpoint is listed", target="xds:///greeter", flags=["--namespace", "shop"])


def slices_that_do_not_count(work):
    with Case(work) as case:
        case.folder.put("old", manifests.endpoint_slice("greeter-old", "greeter",
                                                        [Endpoint("10.0.0.9")], owner_uid="other"))
        case.folder.slice("greeter", [Endpoint("10.0.0.1"), Endpoint("10.0.0.2")])
        case.folder.slice("greeter", [Endpoint("10.0.0.2")], suffix="b")
        case.folder.slice("greeter", [Endpoint("10.0.0.3")], suffix="c", port_name="admin")
        text = case.says("2 of 2 endpoints are listed.\n", "EndpointSlice greeter-old does not count: "
                         "the slice is a leftover of an earlier Service of this name",
                         "greeter-b", "greeter-c")
        side, line = _row(text, "10.0.0.9:8001")
        assert side == "out" and "a leftover of an earlier Service" in line, line
        rows = sorted(line.split()[0] for line in text.splitlines() if " 10.0.0.2:8001 " in line)
        assert rows == ["in", "twice"], text
        assert "the same address and port is in a newer slice too" in text, text
        side, line = _row(text, "10.0.0.3")
        assert side == "out" and "its slice has no such TCP port" in line, line


def places(work):
    with Case(work) as case:
        case.folder.slice("greeter", [
            Endpoint(f"10.0.0.{i}", zone=f"zone-{i}", node=f"node-{i}", for_zones=(f"zone-{i}",))
            for i in (1, 2)])
        case.says("For a client whose zone and node are not known, 2 of 2 endpoints are listed.\n",
                  "it gets all; clients of some zones or nodes get fewer, see Lists\n", "  a client in zone zone-1  1\n",
                  "  all others               2\n")
        text = case.says("For a client in zone zone-1, 1 of 2 endpoints is listed, those whose hints "
                         "name zone zone-1.\n", flags=["--zone", "zone-1"])
        assert _row(text, "10.0.0.1:8001")[0] == "in", text
        side, line = _row(text, "10.0.0.2:8001")
        assert side == "out" and "by its zone hints it is not for clients of this zone" in line, text
        case.says("For a client in zone zone-9, 2 of 2 endpoints are listed.\n",
                  flags=["--zone", "zone-9"])
        case.folder.slice("greeter", [
            Endpoint(f"10.0.0.{i}", node=f"node-{i}", for_zones=("z",), for_nodes=(f"node-{i}",))
            for i in (1, 2)])
        text = case.says("For a client on node node-1, 1 of 2 endpoints is listed, those whose hints "
                         "name node node-1.\n", flags=["--node", "node-1"])
        side, line = _row(text, "10.0.0.2:8001")
        assert side == "out" and "by its node hints it is not for clients on this node" in line, text
        case.folder.service("greeter", internalTrafficPolicy="Local", headless=False)
        text = case.says("For a client on node node-2, 1 of 2 endpoints is listed, those on node "
                         "node-2.\n", flags=["--node", "node-2"])
        side, line = _row(text, "10.0.0.1:8001")
        assert side == "out" and "it is not on the client's node" in line, text
        case.says("For a client on node node-9, the list is empty: internalTrafficPolicy is Local, "
                  "and no ready endpoint is on the client's node", flags=["--node", "node-9"])
        case.says("2 of 2 endpoints are listed", "internalTrafficPolicy is Local, but the client's "
                  "node is not known", "  a client on a node without endpoints  0\n",
                  "  a client of unknown node              2\n")


def one_pod_of_a_stateful_set(work):
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint(f"10.0.0.{i}", hostname=f"greeter-{i}")
                                      for i in (1, 2)])
        text = case.says("1 of 2 endpoints is listed", "pod greeter-2 of Service greeter",
                         target="greeter-2.greeter.shop:8001")
        assert _row(text, "10.0.0.2:8001")[0] == "in", text
        side, line = _row(text, "10.0.0.1:8001")
        assert side == "out" and "the name means one pod by its hostname" in line, text


def both_families(work):
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1", pod="greeter-1")])
        case.folder.slice("greeter", [Endpoint("fd00::1", pod="greeter-1")], suffix="six",
                          family="IPv6")
        text = case.says("2 of 2 endpoints are listed (1 backend")
        side, line = _row(text, "[fd00::1]:8001")
        assert side == "in" and "second address of a pod" in line, text


def list_that_is_held(work):
    with Case(work, flags=["--deletion-grace", "600s"]) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1")])
        case.says("1 of 1 endpoint is listed")
        case.folder.remove_service("greeter")
        text = case.says("1 of 1 endpoint is listed; the Service is deleted, and a hold keeps",
                         "Hold     deletion: the last list is kept for at most another 59",
                         "because the Service was deleted, and may come back",
                         "to end it now: lookasidectl release shop/greeter")
        assert _row(text, "10.0.0.1:8001")[0] == "in", text
        case.folder.remove_slice("greeter")
        text = case.says("Hold     deletion:", "it was in the last list, which a hold keeps")
        assert _row(text, "10.0.0.1:8001")[0] == "in", text
        child = process.Process([process.BUILD / "lookasidectl", "release", "shop/greeter", "--admin",
                                 case.controller.admin], work / "release.log")
        with child:
            assert child.wait(10) == 0, child.log()
        case.says("There is no Service greeter in namespace shop")


def list_that_waits_for_its_slices(work):
    """The name of a port changes, and for two seconds the slices still have the old one."""
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1")])
        case.says("1 of 1 endpoint is listed")
        case.folder.service("greeter", ports=[{"name": "new", "port": 8001}])
        text = case.says("Hold     service-change: the last list is kept for at most another 1.",
                         "because the Service was changed, and its slices have not followed yet")
        assert "1 of 1 endpoint is listed; a hold keeps this list for now" in text, text
        text = case.says("The list is empty: no slice has endpoints at this port")
        side, line = _row(text, "10.0.0.1")
        assert side == "out" and "its slice has no such TCP port" in line, text


def list_that_is_doubted(work):
    """The API server's list lacks most of what there was: it is not believed at once."""
    with World(work) as world:
        case = Case.__new__(Case)
        case.work, case.controller = work, world.controller
        case.says("2 of 2 endpoints are listed")
        world.stop_api()
        for key in list(world.api.objects["endpointslices"]):
            world.api.objects["endpointslices"].pop(key)
        world.api.start()
        case.says("Hold     relist: the last list is kept, because a list from the API server lacked "
                  "more than half", "EndpointSlice greeter-a was not in the API server's last list",
                  "2 of 2 endpoints are listed")
        case.says("The list is empty: no slice has endpoints at this port")


def what_is_malformed(work):
    """The last good version counts, and it is said."""
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1")])
        case.says("1 of 1 endpoint is listed")
        bad = manifests.endpoint_slice("greeter-a", "greeter", [Endpoint("10.0.0.2")])
        bad["endpoints"] = 5
        case.folder.put("shop-greeter-a-slice", bad)
        text = case.says("The newest version of a slice is malformed, and an earlier one counts:\n  "
                         "shop/greeter-a: endpoints: expected an array")
        assert _row(text, "10.0.0.1:8001")[0] == "in", text
        bad = manifests.service("greeter")
        bad["spec"]["ports"] = 5
        case.folder.put("shop-greeter-service", bad)
        case.says("The newest version of the Service is malformed", "1 of 1 endpoint is listed")


def namespace_that_is_not_watched(work):
    with World(work, flags=["--namespaces", "shop"]) as world:
        case = Case.__new__(Case)
        case.work, case.controller = work, world.controller
        assert "does not watch" not in case.says("2 of 2 endpoints are listed")
        case.says("This replica does not watch namespace bank (--namespaces)", target="other.bank:80")


def before_all_is_read(work):
    """No answer is better than that there is no Service."""
    with World(work, start=False, streams=False) as world:
        world.api.fault("services", "list", api_faults.status(403), times=None)
        world.starting()
        world.wait_reason("403")
        case = Case.__new__(Case)
        case.work, case.controller = work, world.controller
        code, log = case.run(TARGET)
        assert code == 1 and "not synced yet" in log, (code, log)


def clients(work):
    """Who was sent what, who took it and who did not; and their text is only text."""
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1", zone="zone-a")])
        case.says("none listens to this Service here")
        with ads.connect(case.controller.listen) as channel:
            good = ads.Stream(channel, ads.node("client-good", zone="zone-a"))
            good.subscribe(ads.LDS, [TARGET])
            text = case.says("client-good", "acknowledged the newest list")
            line = next(line for line in text.splitlines() if "client-good" in line)
            assert TARGET in line and "lookaside test" in line and "zone-a" in line, line
            bad = ads.Stream(channel, ads.node("client-bad"))
            bad.send(ads.EDS, ["shop/greeter:8001"])
            bad.nack(bad.expect(ads.EDS), error="no such \x1b[31mlocality")
            case.says("refused the newest ClusterLoadAssignment", "client-bad at 127.0.0.1:",
                      ' says: "no such \\u001b[31mlocality"')
            other = ads.Stream(channel, ads.node("client-other"))
            other.subscribe(ads.EDS, ["shop/other:8001"])
            assert "client-other" not in case.says("client-good")
            late = ads.Stream(channel, ads.node("client-late"))
            late.send(ads.EDS, ["shop/greeter:8001"])
            late.expect(ads.EDS)
            case.says("client-late", "has not acknowledged it yet")
            everything = ads.Stream(channel, ads.node("client-wildcard"))
            everything.send(ads.CDS, [])
            case.says("client-wildcard", "* (every Cluster)")
            for stream in (good, bad, other, late, everything):
                stream.cancel()


def for_programs(work):
    with Case(work) as case:
        case.folder.slice("greeter", [Endpoint("10.0.0.1"), Endpoint("10.0.0.2", ready=False)])
        case.says("1 of 2 endpoints is listed")
        got = case.json()
        rows = {row["address"]: row["in"] for part in got["explain"]["slices"]
                for row in part["endpoints"]}
        assert rows == {"10.0.0.1": True, "10.0.0.2": False}, got
        assert got["streams"] == [], got


def what_cannot_be_explained(work):
    with Case(work) as case:
        for argv, code, text in (
                (["a_b!c"], 2, "a_b!c"),
                (["a.b.c.d.e:1"], 2, "a.b.c.d.e"),
                (["x" * 600], 2, "too long"),
                (["greeter.shop:0"], 2, "port"),
                ([], 2, "an argument is missing"),
                ([TARGET, "--zone"], 2, "--zone needs a value"),
                ([TARGET, "-o", "yaml"], 2, "unknown output"),
                ([TARGET, "--namespace", "Not One", ], 0, "")):
            got, log = case.run(*argv)
            assert got == code and text in log, (argv, got, log)
        admin = f"http://{case.controller.admin}"
        for path, text in (("/debug/explain", "target"), ("/debug/explain?target=", "target")):
            status, body = case.controller.get(path)
            assert status == 400 and text in body, (admin, path, status, body)
        code, log = case.run(TARGET, admin=f"127.0.0.1:{process.free_port()}")
        assert code == 1 and "cannot reach" in log, (code, log)


def with_an_api_server(work):
    """While its objects change without end, every answer is one of a moment."""
    with World(work) as world:
        case = Case.__new__(Case)
        case.work, case.controller = work, world.controller
        case.says("2 of 2 endpoints are listed")
        stop = threading.Event()

        def churn():
            while not stop.wait(0.002):
                for addresses in (["10.0.0.1"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"]):
                    world.api.put(endpoint_slice("a", addresses))
        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(20):
                text = case.says(" listed.\n")
                assert _row(text, "10.0.0.1:8001")[0] == "in", text
        finally:
            stop.set()
            thread.join()


CASES = [conditions, names_that_mean_nothing, slices_that_do_not_count, places,
         one_pod_of_a_stateful_set, both_families, list_that_is_held,
         list_that_waits_for_its_slices, list_that_is_doubted, what_is_malformed,
         namespace_that_is_not_watched, before_all_is_read, clients, for_programs,
         what_cannot_be_explained, with_an_api_server]
