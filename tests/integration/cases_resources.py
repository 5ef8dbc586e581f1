"""LookasideServices at the command line: check, diff, get lks and explain, without an API server and with one."""
import json
import subprocess
import time

from tests.support import manifests, process
from tests.support.lookaside import Lookaside

from .world import World

SUFFIXES = ["--host-suffixes", "example.com"]


def _ctl(*argv, stdin=None):
    """(exit code, stdout, stderr)."""
    done = subprocess.run([process.BUILD / "lookasidectl", *argv], input=stdin, text=True,
                          capture_output=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def _resource(name, namespace="shop", created=None, **spec):
    metadata = {"name": name, "namespace": namespace}
    if created:
        metadata["creationTimestamp"] = created
    return {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
            "metadata": metadata, "spec": spec}


def _file(work, name, *objects):
    path = work / name
    path.write_text("---\n".join(manifests.to_yaml(entry) for entry in objects))
    return path


def _shares(weight):
    return [{"service": "greeter", "weight": 100 - weight}, {"service": "canary", "weight": weight}]


def _shop(work, flags=()):
    folder = manifests.Manifests(work / "manifests")
    for name, count in (("greeter", 2), ("canary", 1)):
        folder.put(name, manifests.service(name, headless=False),
                   manifests.endpoint_slice(f"{name}-a", name, [
                       manifests.Endpoint(f"10.0.{len(name)}.{i + 1}") for i in range(count)]))
    return folder, Lookaside(work, directory=work / "manifests", flags=[*SUFFIXES, *flags])


# ---- check ----

def check_finds_all_that_is_wrong(work):
    bad = _file(work, "bad.yaml", _resource("greeter", subset={"size": 0}, retry={"attempts": 9},
                                            hosts=["greeter.example.org"], more=1),
                _resource("other", port="web", hosts=["a.example.org"]),
                manifests.service("other", headless=False), {"apiVersion": "apps/v1", "kind": "Deployment"})
    code, out, err = _ctl("check", "-f", bad, *SUFFIXES)
    assert code == 1 and not err, (code, err)
    at = f"{bad}: LookasideService shop"
    assert out.splitlines() == [
        f"{at}/greeter: spec.subset.size: expected a whole number from 1 to 1000, found 0",
        f"{at}/greeter: spec.retry.attempts: expected a whole number from 2 to 5, found 9",
        f"{at}/greeter: spec.more: no such field; there are: port, hosts, backends, loadBalancing, locality, "
        "subset, whenNoneReady, protection, maxCallDuration, retry, circuitBreaker, outlierDetection, access",
        f"{at}/greeter: not checked against Service 'greeter', which is not given",
        f"{at}/other: spec.hosts: 'a.example.org' does not lie under a suffix that the administrator allows "
        "(--host-suffixes: example.com): choose a host under one, or ask for another suffix; everything else is in "
        "force",
        f"{at}/other: spec.port: the Service has no TCP port 'web', but 8001 grpc: name one of those; until "
        "then nothing of the resource is in force",
        "2 LookasideServices, 5 faults (2 objects of other kinds)"], out
    code, out, _ = _ctl("check", "-f", bad, "-o", "json")
    page = json.loads(out)
    assert code == 1 and page["faults"] == 4 and page["resources"] == 2 and page["others"] == 2, page
    assert page["findings"][0] == {
        "file": str(bad), "line": 1, "object": "LookasideService shop/greeter", "fault": True,
        "message": "spec.subset.size: expected a whole number from 1 to 1000, found 0"}, page


def check_reads_what_it_is_given(work):
    """Folders, several files, JSON, standard input; Services beside them."""
    good = _resource("greeter", backends=_shares(10))
    _file(work, "greeter.yaml", good)
    (work / "notes.txt").write_text("a: [")
    services = json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        manifests.service("greeter"), manifests.service("canary", ports=[{"port": 9}])]})
    code, out, _ = _ctl("check", "-f", work, "-f", "-", stdin=services)
    assert (code, out) == (0, "1 LookasideService, 0 faults (2 objects of other kinds)\n"), (code, out)
    code, out, _ = _ctl("check", "-f", work, "--services-from", "-", stdin=services.replace("canary", "other"))
    assert code == 1 and "there is no Service 'canary' in namespace shop" in out, (code, out)
    code, out, _ = _ctl("check", "-f", work)
    assert code == 0 and "not checked against Service 'canary'" in out, (code, out)
    del good["metadata"]["namespace"]
    code, out, _ = _ctl("check", "-n", "shop", "-f", "-", "--services-from", work / "greeter.yaml",
                        stdin=json.dumps(good))
    assert code == 1 and "LookasideService shop/greeter: there is no Service 'greeter' in namespace shop" in out, out


def check_of_malformed_files(work):
    (work / "bad.yaml").write_text("kind: LookasideService\nspec: [\n")
    (work / "twice.json").write_text('{"kind": "Service", "kind": "Service"}')
    code, out, _ = _ctl("check", "-f", work)
    assert code == 1 and f"{work}/bad.yaml: line 3, column 1: " in out, out
    assert f"{work}/twice.json: line 1: duplicate key 'kind'" in out, out
    old = _file(work, "old.yaml", {**_resource("greeter"), "apiVersion": "lookaside.dev/v1"})
    code, out, _ = _ctl("check", "-f", old)
    assert code == 1 and "'lookaside.dev/v1 LookasideService' is unknown" in out, out


def usage_that_is_wrong(work):
    fine = _file(work, "fine.yaml", _resource("greeter"))
    for argv, text in (
            (["check"], "-f FILE is missing"),
            (["check", "-f"], "--file needs a value"),
            (["check", "-f", work / "nothing"], "cannot open"),
            (["check", "-f", fine, "--host-suffixes", "com"], "--host-suffixes: expected domains"),
            (["check", "-f", fine, "-n", "Bad_Ns"], "not the name of a namespace"),
            (["check", "-f", fine, "-o", "yaml"], "unknown output 'yaml'"),
            (["check", fine], "too many arguments"),
            (["diff"], "-f FILE is missing"),
            (["diff", "-f", fine, "--nonsense"], "unknown flag --nonsense"),
            (["diff", "-f", work / "nothing"], "cannot open"),
            (["diff", "-f", fine, "--admin", f"unix:{work}/nobody"], "cannot reach")):
        code, out, err = _ctl(*argv)
        assert code == 2 and text in err and not out, f"{argv}: exit {code}: {err} {out}"
    code, out, _ = _ctl("--help")
    assert code == 0 and "\n  check " in out and "\n  diff " in out, out


# ---- diff ----

def diff_tells_what_comes_true(work):
    folder, controller = _shop(work)
    canary = _resource("greeter", backends=_shares(10), hosts=["greeter.example.com"],
                       loadBalancing={"policy": "RingHash"})
    path = _file(work, "canary.yaml", canary)
    with controller:
        admin = ["--admin", controller.admin]
        before = controller.services()
        code, out, err = _ctl("diff", "-f", path, *admin)
        assert (code, err) == (1, ""), (code, err)
        assert out.splitlines() == [
            "shop/greeter:8001 (grpc)",
            "  WHAT                  NOW           THEN",
            "  backends              greeter:8001  90% greeter:8001, 10% canary:8001",
            "  loadBalancing.policy  RoundRobin    RingHash",
            "",
            "HOST                 NOW   THEN",
            "greeter.example.com  none  shop/greeter",
            "",
            "shop/greeter: these clients use RoundRobin instead: C++ 1.50 to 1.51, Python 1.50 to 1.51 (it would crash "
            "them)"], out
        time.sleep(0.2)
        assert controller.services() == before and controller.json("/debug/resources")["resources"] == []
        folder.put("policy", canary)
        process.wait_until(lambda: controller.json("/debug/resources")["resources"], 10, "it is there")
        shares = lambda: [(each["service"], each["weight"]) for each in
                          controller.json("/debug/explain?target=greeter.example.com").get("backends", ())]
        process.wait_until(lambda: shares() == [("greeter", 90), ("canary", 10)], 10, "the canary has been announced")
        code, out, err = _ctl("diff", "-f", path, *admin)
        assert (code, err) == (0, "") and out.startswith("nothing would change\n"), (code, out, err)
        canary["spec"]["backends"] = _shares(50)
        del canary["spec"]["hosts"]
        code, out, _ = _ctl("diff", "-f", "-", "-o", "json", *admin, stdin=json.dumps(canary))
        page = json.loads(out)
        assert code == 1 and page["changes"] == 2, page
        assert page["services"] == [{"namespace": "shop", "name": "greeter", "ports": [
            {"number": 8001, "name": "grpc", "changes": [
                {"what": "backends", "now": "90% greeter:8001, 10% canary:8001",
                 "then": "50% greeter:8001, 50% canary:8001"}]}]}], page
        assert page["hosts"] == [{"host": "greeter.example.com", "now": "shop/greeter", "then": ""}], page


def diff_says_what_would_not_be_in_order(work):
    folder, controller = _shop(work)
    with controller:
        admin = ["--admin", controller.admin]
        path = _file(work, "a.yaml", _resource("nothing", hosts=["a.example.org"]))
        code, out, _ = _ctl("diff", "-f", path, *admin)
        assert code == 1, out
        assert "nothing would change\nshop/nothing: Accepted would be False (HostNotAllowed): " in out, out
        assert "shop/nothing: ResolvedRefs would be False (ServiceNotFound): there is no Service 'nothing'" in out
        path = _file(work, "a.yaml", _resource("greeter", subset={"size": 0}))
        code, out, err = _ctl("diff", "-f", path, *admin)
        assert code == 2 and not out, (code, out)
        assert "LookasideService shop/greeter: spec.subset.size: expected a whole number" in err, err
        (work / "a.yaml").write_text("a: [")
        code, out, err = _ctl("diff", "-f", path, *admin)
        assert code == 2 and f"{path}: line 2, column 1: " in err, err
        many = {"apiVersion": "v1", "kind": "List", "items": [
            _resource(f"n{i}", hosts=[f"{'a' * 60}{i}.{k}.example.com" for k in range(16)]) for i in range(3000)]}
        code, out, err = _ctl("diff", "-f", "-", *admin, stdin=json.dumps(many))
        assert code == 2 and "answered 413: the request is too large" in err, err
        assert controller.get("/readyz")[0] == 200


def diff_against_an_api_server(work):
    """It is the server's --publish and --host-suffixes that count, and the age that its objects have."""
    canary = manifests.service("canary")
    with World(work, flags=["--publish", "resources", *SUFFIXES], start=False) as world:
        world.api.put(canary, _resource("canary", created="2026-01-01T00:00:00Z", hosts=["a.example.com"]))
        world.ready()
        admin = ["--admin", world.controller.admin]
        path = _file(work, "a.yaml", _resource("greeter", created="2020-01-01T00:00:00Z",
                                               hosts=["a.example.com", "b.example.com"],
                                               locality={"mode": "None"}))
        code, out, _ = _ctl("diff", "-f", path, *admin)
        assert code == 1 and out.splitlines()[:3] == [
            "shop/greeter", "  WHAT       NOW  THEN", "  published  no   yes"], out
        assert "  endpoints      none     2\n  locality.mode  Service  None\n" in out, out
        assert "b.example.com  none  shop/greeter\n" in out and "a.example.com  none" not in out, out
        assert "Accepted would be False (HostConflict): spec.hosts: 'a.example.com' belongs to shop/canary" in out
        assert [each["name"] for each in world.controller.services()["services"]] == ["canary"]
        assert world.api.wrote() == []


# ---- get lks, explain ----

def get_and_explain_say_what_is_not_in_order(work):
    folder, controller = _shop(work)
    folder.put("policy", _resource("greeter", hosts=["greeter.example.com"], backends=_shares(10),
                                   loadBalancing={"policy": "LeastRequest"}))
    with controller:
        admin = ["--admin", controller.admin]
        code, out, _ = _ctl("get", "lks", *admin)
        rows = [line.split() for line in out.splitlines()]
        assert code == 0 and rows[1:] == [["shop", "greeter", "greeter.example.com", "LeastRequest", "2/2", "0",
                                           "True", "True", "-", "-"]], out
        code, out, _ = _ctl("explain", "greeter.example.com", *admin)
        assert "is read as a host that a LookasideService claims: Service greeter in namespace shop\n" in out, out
        assert "\n  canary   shop/canary:8001   10      10\n" in out, out
        assert "\n  these clients use RoundRobin instead: C++, Python, Node.js, Go before" in out, out
        code, out, _ = _ctl("explain", "nobody.example.com", *admin)
        assert code == 0 and out.startswith("No LookasideService has the host nobody.example.com in spec.hosts: "), out
        folder.put("policy", _resource("greeter", localty={"mode": "None"}))
        process.wait_until(lambda: "(ignored)" in _ctl("get", "lks", *admin)[1], 10, "the field is named")
        assert "shop/greeter: spec.localty: no such field; there are: " in _ctl("get", "lks", *admin)[1]
        folder.put("policy", _resource("greeter", subset={"size": 0}))
        process.wait_until(lambda: "Accepted is False (Invalid)" in _ctl("get", "lks", *admin)[1], 10, "refused")
        _, out, _ = _ctl("explain", "greeter.shop", *admin)
        assert ("  Accepted is False (Invalid): spec.subset.size: expected a whole number from 1 to 1000, found 0; "
                "the version before it is in force instead\n") in out, out


CASES = [check_finds_all_that_is_wrong, check_reads_what_it_is_given, check_of_malformed_files,
         usage_that_is_wrong, diff_tells_what_comes_true, diff_says_what_would_not_be_in_order,
         diff_against_an_api_server, get_and_explain_say_what_is_not_in_order]
