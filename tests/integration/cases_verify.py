"""lookasidectl verify: servers that are right, that lag, that are wrong, and that are not there."""
import json
import signal

from tests.support import manifests, process
from tests.support.lookaside import Lookaside

from .world import World, endpoint_slice


def _verify(work, *argv, timeout=60):
    """(exit code, what it printed)."""
    with process.Process([process.BUILD / "lookasidectl", "verify", *argv],
                         work / "verify.log") as child:
        code = child.wait(timeout)
        log = child.log(10000)
    child.log_path.unlink()
    return code, log


def _folder(work, name, *addresses):
    folder = manifests.Manifests(work / name)
    folder.service("greeter")
    folder.slice("greeter", [manifests.Endpoint(address, pod=f"pod-{address[-1]}")
                             for address in addresses])
    return folder


def replicas_that_are_right(work):
    folder = _folder(work, "m", "10.0.0.1", "10.0.0.2")
    folder.service("empty")
    folder.put("out", manifests.service("out", type="ExternalName", ports=[], headless=False,
                                        externalName="api.example.com"))
    folder.slice("two", [manifests.Endpoint("10.0.1.1", pod="p")], ports=[{"name": "a", "port": 8}])
    folder.slice("two", [manifests.Endpoint("fd00::1", pod="p")], suffix="six", family="IPv6",
                 ports=[{"name": "a", "port": 8}])
    folder.put("bare", manifests.service("bare", ports=[]), manifests.endpoint_slice(
        "bare-a", "bare", [manifests.Endpoint("10.0.2.1")], ports=[]))
    folder.service("two", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}])
    with Lookaside(work / "1", directory=work / "m") as one, \
            Lookaside(work / "2", directory=work / "m") as two:
        code, log = _verify(work, "--directory", work / "m", "--server", one.listen,
                            f"--server={two.listen}")
        assert (code, log) == (0, "7 lists of 5 Services equal on 2 servers"), (code, log)


def replica_with_another_view(work):
    """It is named with the Service, the port and what it has too much and too little."""
    _folder(work, "m", "10.0.0.1", "10.0.0.2")
    _folder(work, "other", "10.0.0.1", "10.0.0.3").service("more")
    with Lookaside(work / "1", directory=work / "m") as right, \
            Lookaside(work / "2", directory=work / "other") as wrong:
        code, log = _verify(work, "--directory", work / "m", "--server", right.listen,
                            "--server", wrong.listen)
        assert code == 1 and log.splitlines() == [
            f"shop/greeter:8001: missing 10.0.0.2:8001 (pod pod-2) at {wrong.listen}",
            f"shop/greeter:8001: unexpected 10.0.0.3:8001 (pod pod-3) at {wrong.listen}",
            "1 of 1 list of 1 Service differ; asked: 2 servers"], (code, log)


def replica_that_lags(work):
    """Its first answer is old: what it says within the settling time counts."""
    folder = _folder(work, "m", "10.0.0.1")
    with Lookaside(work, directory=work / "m") as controller:
        controller.process.signal(signal.SIGSTOP)
        folder.slice("greeter", [manifests.Endpoint("10.0.0.2")])
        with process.Process([process.BUILD / "lookasidectl", "verify", "--directory", work / "m",
                              "--server", controller.listen], work / "verify.log") as child:
            process.wait_until(lambda: _connections(child.pid) or child.exit_code is not None, 10,
                               "verify is connected")
            controller.process.signal(signal.SIGCONT)
            assert child.wait(30) == 0, child.log()


def _connections(pid):
    """Whether that process has a TCP connection."""
    tables = [line.split() for table in ("tcp", "tcp6")
              for line in open(f"/proc/{pid}/net/{table}").read().splitlines()[1:]]
    established = {row[9] for row in tables if row[3] == "01"}
    sockets = set()
    for fd in (process.Path(f"/proc/{pid}/fd").iterdir()):
        try:
            sockets.add(str(fd.readlink()))
        except OSError:
            pass
    return any(f"socket:[{inode}]" in sockets for inode in established)


def lists_by_place(work):
    """Each place has its own list, and a place by its node's zone, too."""
    folder = manifests.Manifests(work / "m")
    folder.service("greeter")
    folder.slice("greeter", [
        manifests.Endpoint(f"10.0.0.{i}", zone=f"zone-{i}", node=f"node-{i}",
                           for_zones=(f"zone-{i}",)) for i in (1, 2)])
    folder.put("nodes", *({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": f"node-{i}", "labels": {"topology.kubernetes.io/zone": f"zone-{i}"}}}
        for i in (1, 2)))
    with Lookaside(work / "1", directory=work / "m") as one:
        for flags in ([], ["--zone", "zone-1"], ["--node", "node-2"], ["--zone", "zone-9"]):
            code, log = _verify(work, "--directory", work / "m", "--server", one.listen, *flags)
            assert (code, log) == (0, "1 list of 1 Service equal on 1 server"), (flags, code, log)
        code, log = _watch(work, one, "--zone", "zone-1")
        assert code == 0 and "10.0.0.1:8001" in log and "10.0.0.2" not in log, (code, log)
        code, log = _watch(work, one, "--node", "node-2")
        assert code == 0 and "10.0.0.2:8001" in log and "10.0.0.1" not in log, (code, log)


def _watch(work, controller, *flags):
    child = process.Process([process.BUILD / "lookasidectl", "watch", "greeter.shop", "--once",
                             "--server", controller.listen, *flags], work / "watch.log")
    child.log_path.unlink(missing_ok=True)
    with child:
        return child.wait(20), child.log()


def api_server_as_the_other_opinion(work):
    with World(work) as world:
        world.api.put(manifests.service("other", "bank"))
        world.api.put(endpoint_slice("a", ["10.0.1.1"], of="other", namespace="bank"))
        process.wait_until(lambda: len(world.controller.services()["services"]) == 2, 10, "two")
        flags = ["--kubeconfig", work / "kubeconfig", "--server", world.controller.listen]
        code, log = _verify(work, *flags)
        assert (code, log) == (0, "2 lists of 2 Services equal on 1 server"), (code, log)
        code, log = _verify(work, *flags, "--namespaces", "bank,void")
        assert (code, log) == (0, "1 list of 1 Service equal on 1 server"), (code, log)
        code, log = _verify(work, "--kubeconfig", work / "kubeconfig", "--context", "gone")
        assert code == 1 and "gone" in log, (code, log)


def cluster_without_slices(work):
    """--source endpoints, and the zone of a client that only tells its node."""
    with World(work, start=False, flags=["--source=endpoints", "--nodes"]) as world:
        world.api.put({"apiVersion": "v1", "kind": "Endpoints",
                       "metadata": {"name": "greeter", "namespace": "shop"},
                       "subsets": [{"addresses": [{"ip": "10.0.9.1", "nodeName": "node-1"}],
                                    "notReadyAddresses": [{"ip": "10.0.9.2"}],
                                    "ports": [{"name": "grpc", "port": 8001}]}]},
                      {"apiVersion": "v1", "kind": "Node", "metadata": {
                          "name": "node-1", "labels": {"topology.kubernetes.io/zone": "zone-1"}}})
        world.starting()
        world.wait_ready()
        flags = ["--kubeconfig", work / "kubeconfig", "--server", world.controller.listen]
        code, log = _verify(work, *flags, "--source", "endpoints", "--nodes", "--node", "node-1")
        assert (code, log) == (0, "1 list of 1 Service equal on 1 server"), (code, log)
        code, log = _verify(work, *flags)
        assert code == 1 and "unexpected 10.0.9.1:8001" in log and "missing 10.0.0.1:8001" in log, log
        assert "may not see" not in log, log
        with process.Process([process.BUILD / "lookasidectl", "explain", "greeter.shop:8001",
                              "--node", "node-1", "--admin", world.controller.admin],
                             work / "explain.log") as child:
            assert child.wait(20) == 0, child.log()
            text = child.log(100)
        assert text.startswith("For a client on node node-1 in zone zone-1, 1 of 2 endpoints"), text
        assert "out   10.0.9.2:8001" in text, text


def nobody_is_there(work):
    _folder(work, "m", "10.0.0.1")
    nobody = f"127.0.0.1:{process.free_port()}"
    with Lookaside(work, directory=work / "m") as controller:
        code, log = _verify(work, "--directory", work / "m", "--server", nobody,
                            "--server", controller.listen)
        assert code == 1 and log.endswith(
            "1 list of 1 Service equal on 1 server; 1 cannot be asked"), (code, log)
        assert f"{nobody}: UNAVAILABLE: cannot connect" in log and "refused" in log, log
        config = work / "kubeconfig"
        config.write_text(json.dumps({
            "clusters": [{"name": "c", "cluster": {"server": f"http://{nobody}"}}],
            "users": [{"name": "u", "user": {}}], "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}))
        code, log = _verify(work, "--kubeconfig", config, "--server", controller.listen,
                            "--timeout", "500ms")
        assert code == 1 and "cannot read what there is: " in log and "services" in log, (code, log)


def thousands_of_services(work):
    """More names than one stream may have."""
    count = 5500
    ports = [{"name": "a", "port": 80, "protocol": "TCP"}, {"name": "b", "port": 81}]
    items = []
    for i in range(count):
        items.append(manifests.service(f"s-{i}", "shop", ports=ports))
        items.append(manifests.endpoint_slice(
            f"s-{i}-a", f"s-{i}", [manifests.Endpoint(f"10.{i // 250}.{i % 250}.1")], "shop",
            ports=[{"name": "a", "port": 8080}, {"name": "b", "port": 8081}]))
    (work / "m").mkdir()
    (work / "m" / "all.json").write_text(json.dumps({"kind": "List", "apiVersion": "v1",
                                                     "items": items}))
    with Lookaside(work, directory=work / "m") as controller:
        code, log = _verify(work, "--directory", work / "m", "--server", controller.listen)
        # Both by the pods' own numbers, too: the Services are headless.
        assert (code, log) == (0, f"{4 * count} lists of {count} Services equal on 1 server"), (
            code, log)


def usage_that_is_wrong(work):
    for argv, text in (
            (["stray"], "too many arguments"),
            (["--server"], "--server needs a value"),
            (["--server", "a"] * 65, "--server is given too often"),
            (["--directory", "a", "--kubeconfig", "b"], "--directory goes with neither"),
            (["--directory", "a", "--nodes"], "--directory goes with neither"),
            (["--context", "x"], "--context needs --kubeconfig"),
            (["--namespaces", "a,,b"], "--namespaces"),
            (["--namespaces", "A_B"], "--namespaces"),
            (["--source", "pods"], "--source"),
            (["--timeout", "soon"], "--timeout"),
            (["--timeout", "0s"], "--timeout"),
            (["--nodes=yes"], "--nodes takes no value")):
        code, log = _verify(work, *argv)
        assert code == 2 and text in log, f"{argv}: exit {code}: {log}"
    code, log = _verify(work, "--directory", "/nowhere")
    assert code == 1 and "/nowhere" in log, (code, log)
    code, log = _verify(work, "--help")
    assert code == 0 and "--timeout DURATION" in log and "default 30s" in log, (code, log)


CASES = [replicas_that_are_right, replica_with_another_view, replica_that_lags, lists_by_place,
         api_server_as_the_other_opinion, cluster_without_slices, nobody_is_there, thousands_of_services,
         usage_that_is_wrong]
