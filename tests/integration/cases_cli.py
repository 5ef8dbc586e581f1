"""lookasidectl against a running controller: what it prints, how it ends, how it bears a restart."""
import json
import queue
import re
import signal
import urllib.error
import urllib.request

from tests.support import ads, grpclb, manifests, process
from tests.support.lookaside import Lookaside

TARGET = "greeter.shop:8001"
NODE = "evil\x1b[31m\x9b31m"


def _controller(work, *addresses, **options):
    folder = manifests.Manifests(work / "manifests")
    if addresses:
        folder.service("greeter")
        folder.slice("greeter", [manifests.Endpoint(address) for address in addresses])
    return folder, Lookaside(work, directory=work / "manifests", **options)


def _command(work, *argv):
    return process.Process([process.BUILD / "lookasidectl", *argv], work / "ctl.log")


def _run(work, *argv):
    """(exit code, what it printed) of a command that ends by itself."""
    child = _command(work, *argv)
    child.log_path.unlink(missing_ok=True)
    with child:
        return child.wait(20), child.log(10000)


def _prints(child, *texts, timeout=15):
    process.wait_until(lambda: all(text in child.log(10000) for text in texts), timeout,
                       lambda: f"{texts} in:\n{child.log(10000)}")


def watch_reaches_every_kind_of_address(work):
    socket = work / "listen.sock"
    folder, controller = _controller(work, "10.0.0.1", flags=["--listen", f"unix:{socket}"])
    with controller:
        port = controller.listen.rpartition(":")[2]
        for server in (controller.listen, f"dns:///{controller.listen}", f"localhost:{port}",
                       f"unix:{socket}", f"unix://{socket}"):
            code, log = _run(work, "watch", TARGET, "--once", "--server", server)
            assert code == 0 and "  + 10.0.0.1:8001\n" in log + "\n", f"{server}: exit {code}: {log}"


def watch_prints_what_comes_and_goes(work):
    folder, controller = _controller(work, "10.0.0.9", "10.0.0.10", "10.0.0.11")
    with controller, _command(work, "watch", TARGET, "--server", controller.listen) as child:
        _prints(child, "3 backends\n  + 10.0.0.9:8001\n  + 10.0.0.10:8001\n  + 10.0.0.11:8001")
        folder.slice("greeter", [manifests.Endpoint(f"10.0.0.{i}") for i in (2, 9, 11, 100)])
        _prints(child, "4 backends\n  - 10.0.0.10:8001\n  + 10.0.0.2:8001\n  + 10.0.0.100:8001")
        heads = [line for line in child.log(100).splitlines() if not line.startswith("  ")]
        assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  greeter\.shop:8001  \d backends", line)
                   for line in heads), heads
        child.signal(signal.SIGTERM)
        assert child.wait(5) == 0, child.log()


def watch_outlives_its_server(work):
    """A drained and a killed server: it says so, comes back, and shows only what has changed."""
    folder, controller = _controller(work, "10.0.0.1", "10.0.0.2")
    with controller, _command(work, "watch", TARGET, "--server", controller.listen) as child:
        _prints(child, "2 backends")
        controller.stop()
        _prints(child, "the server ended the stream; trying again in ")
        folder.slice("greeter", [manifests.Endpoint("10.0.0.1"), manifests.Endpoint("10.0.0.3")])
        controller.start()
        _prints(child, "2 backends\n  - 10.0.0.2:8001\n  + 10.0.0.3:8001")
        controller.kill()
        _prints(child, "UNAVAILABLE")
        folder.slice("greeter", [manifests.Endpoint("10.0.0.1")])
        controller.start()
        _prints(child, "1 backend\n  - 10.0.0.3:8001")
        controller.restart()                           # which confirms what there is
        [stream] = process.wait_until(
            lambda: [each for each in controller.streams()["streams"] if each["responses"]], 10, "it is answered")
        assert stream["confirmations"] == 1, stream
        folder.slice("greeter", [manifests.Endpoint("10.0.0.1"), manifests.Endpoint("10.0.0.2")])
        _prints(child, "2 backends\n  + 10.0.0.2:8001")
        child.signal(signal.SIGINT)
        assert child.wait(5) == 0, child.log()


def watch_ends_with_1(work):
    """--once without a server, and a target that is none."""
    code, log = _run(work, "watch", TARGET, "--once", "--server", f"127.0.0.1:{process.free_port()}")
    assert code == 1 and "onnection refused" in log and "again" not in log, (code, log)
    folder, controller = _controller(work, "10.0.0.1")
    with controller:
        code, log = _run(work, "watch", "a_b!c", "--once", "--server", controller.listen)
        assert code == 1 and "a_b!c" in log, (code, log)


def watch_shows_every_kind_of_backend(work):
    """A host name, and a pod in both families."""
    folder, controller = _controller(work)
    folder.put("out", manifests.service("out", type="ExternalName", ports=[], headless=False,
                                        externalName="api.example.com"))
    folder.service("greeter")
    for suffix, address, family in (("a", "10.0.0.1", "IPv4"), ("b", "fd00::1", "IPv6")):
        folder.slice("greeter", [manifests.Endpoint(address, pod="greeter-1")], suffix=suffix,
                     family=family)
    with controller:
        for target, line in (("out.shop:443", "  + api.example.com:443"),
                             (TARGET, "  + 10.0.0.1:8001  also [fd00::1]:8001  pod greeter-1")):
            code, log = _run(work, "watch", target, "--once", "--server", controller.listen)
            assert code == 0 and log.splitlines()[1:] == [line], (code, log)
        code, log = _run(work, "watch", TARGET, "--once", "-o", "json", "--server",
                         controller.listen)
        backend = json.loads(log)["backends"][0]
        assert (backend["other_address"], backend["other_port"]) == ("fd00::1", 8001), log


def watch_writes_json(work):
    folder, controller = _controller(work, "10.0.0.1")
    with controller:
        code, log = _run(work, "watch", "--once", "-o", "json", "--server", controller.listen, "--",
                         TARGET)
        got = json.loads(log)
        assert code == 0 and got["target"] == TARGET, (code, log)
        assert [each["address"] for each in got["backends"]] == ["10.0.0.1"], log


def release_ends_a_hold(work):
    """Only by POST, and not from a web page."""
    folder, controller = _controller(work, "10.0.0.1", flags=["--deletion-grace", "600s"])
    with controller:
        admin = f"http://{controller.admin}/debug/release"
        code, log = _run(work, "release", "shop/greeter", "--admin", controller.admin)
        assert code == 1 and "no hold is in force for shop/greeter" in log, (code, log)
        folder.remove_service("greeter")
        process.wait_until(lambda: [each.get("hold") for each in controller.services()["services"]]
                           == ["deletion"], 10, "the list is held")
        for method, query, headers, want in (
                ("GET", "?namespace=shop&name=greeter", {}, 405),
                ("POST", "?namespace=shop&name=greeter", {"Origin": "http://page.example"}, 403),
                ("POST", "?namespace=shop", {}, 400),
                ("POST", "?namespace=shop&name=Gre_eter", {}, 400),
                ("POST", "?namespace=shop&name=other", {}, 404)):
            got = _request(admin + query, method, headers)
            assert got == want, (method, query, headers, got)
        assert len(controller.services()["services"]) == 1
        code, log = _run(work, "services", "--admin", controller.admin)
        assert code == 0 and log.endswith("  held (deletion)"), (code, log)
        code, log = _run(work, "release", "shop/greeter", "--admin", controller.admin)
        assert (code, log) == (0, "released shop/greeter from the hold 'deletion'"), (code, log)
        process.wait_until(lambda: not controller.services()["services"], 5, "nothing is left")
        code, log = _run(work, "release", "shop/greeter", "--admin", controller.admin)
        assert code == 1, (code, log)


def _request(url, method, headers):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method, headers=headers),
                         timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def admin_port_on_a_unix_socket(work):
    manifests.Manifests(work / "manifests").service("greeter")
    admin = f"unix:{work / 'admin.sock'}"
    with process.Process([process.BUILD / "lookaside", "--directory", work / "manifests", "--listen",
                          f"unix:{work / 'listen.sock'}", "--admin", admin], work / "lookaside.log"):
        process.wait_until(lambda: _run(work, "services", "--admin", admin)[0] == 0, 10, "services")
        code, log = _run(work, "explain", TARGET, "--admin", admin)
        assert code == 0 and "Headless with TCP ports 8001 (grpc)" in log, (code, log)
        code, log = _run(work, "release", "shop/greeter", "--admin", admin)
        assert code == 1 and "no hold is in force" in log, (code, log)


def usage_that_is_wrong(work):
    for argv, text in (
            (["watch", TARGET, "--once=yes"], "--once takes no value"),
            (["watch"], "an argument is missing"),
            (["watch", "a", "b"], "too many arguments"),
            (["watch", "--server"], "--server needs a value"),
            (["watch", TARGET, "-o", "xml"], "unknown output 'xml'"),
            (["services", "--nonsense"], "unknown flag --nonsense"),
            (["bootstrap", "--server", ""], "--server needs a port"),
            (["bootstrap", "--server", "nonsense"], "--server needs a port"),
            (["bootstrap", "--namespace", "Bad Ns"], "not the name of a namespace"),
            (["release", "greeter"], "expected NAMESPACE/SERVICE"),
            (["release", "shop/greeter/x"], "expected NAMESPACE/SERVICE"),
            (["nonsense"], "unknown command 'nonsense'")):
        code, log = _run(work, *argv)
        assert code == 2 and text in log, f"{argv}: exit {code}: {log}"


def tables_of_nothing(work):
    folder, controller = _controller(work)
    with controller:
        for name in ("services", "streams"):
            code, log = _run(work, name, "--admin", controller.admin)
            assert code == 0 and log == f"no {name}", (code, log)
        folder.put("all", manifests.service("empty"),
                   manifests.service("outside", type="ExternalName", externalName="example.com",
                                     ports=[], headless=False))
        process.wait_until(lambda: len(controller.services()["services"]) == 2, 10, "two Services")
        code, log = _run(work, "services", "--admin", controller.admin)
        rows = [line.split() for line in log.splitlines()[1:]]
        assert rows == [["shop", "empty", "8001", "grpc", "0", "0", "0", "0", "-", "-"],
                        ["shop", "outside", "-", "-", "0", "0", "0", "0", "-", "-"]], log


def clients_names_do_not_steer_the_terminal(work):
    """A client says who it is; an operator's terminal must not obey it."""
    folder, controller = _controller(work, "10.0.0.1")
    with controller, ads.connect(controller.listen) as channel:
        stream = ads.Stream(channel, ads.node(NODE))
        stream.subscribe(ads.EDS, ["shop/greeter:8001"])
        code, log = _run(work, "streams", "--admin", controller.admin)
        assert code == 0 and "\\u001b[31m\\u009b31m" in log, (code, log)
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in log.replace("\n", "")), repr(log)
        stream.cancel()


class LoadReports:
    """A client's stream of them, by hand: no generated code."""

    def __init__(self, channel):
        self.outgoing = queue.Queue()
        self.call = channel.stream_stream(
            "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats")(
                iter(self.outgoing.get, None), timeout=20)

    def greet(self, namespace):
        """Gives the response."""
        value = ads.encode((3, namespace))
        metadata = ads.encode((1, ads.encode((1, "namespace"), (2, value))))
        self.outgoing.put(ads.encode((1, ads.encode((3, metadata)))))
        return next(self.call)

    def report(self, cluster, zone, succeeded, failed, in_progress, dropped=0):
        calls = ads.encode((1, ads.encode((2, zone))), (2, succeeded), (3, in_progress), (4, failed),
                           (8, succeeded + failed))
        self.outgoing.put(ads.encode((2, ads.encode((1, cluster), (2, calls), (3, dropped)))))

    def close(self):
        self.outgoing.put(None)
        self.call.cancel()


def load_tells_what_clients_report(work):
    _, server = _controller(work, "10.0.0.1", flags=["--load-reports", "--load-report-interval", "5s"])
    with server, ads.connect(server.listen) as channel:
        code, log = _run(work, "load", "--admin", server.admin)
        assert code == 0 and "no client has reported yet" in log, (code, log)
        streams = LoadReports(channel), LoadReports(channel)
        for stream, namespace in zip(streams, ("web", "shop")):
            assert stream.greet(namespace) == b"\x12\x02\x08\x05\x20\x01"
            stream.report("shop/greeter:8001", "zone-a", 90, 10, 2)
            stream.report("shop/greeter:8001", "zone-b", 5, 0, 1, dropped=3)
            stream.report("shop/nobody:8001", "zone-a", 5, 0, 1)
        process.wait_until(lambda: server.metrics()["lookaside_load_reports_total"] == 8, 10, "eight messages")
        code, log = _run(work, "load", "--admin", server.admin)
        lines = [line.split() for line in log.splitlines()]
        assert code == 0 and len(lines) == 4, log
        assert lines[1][:2] == ["shop/greeter", "-"] and lines[1][5] == "6", log
        assert lines[2][:2] == ["shop/greeter", "zone-a"] and lines[2][3:] == ["10.0", "0", "0", "-"], log
        assert 20 < float(lines[2][2]) <= 40, log
        assert lines[3][:2] == ["shop/greeter", "zone-b"] and lines[3][3:] == ["0.0", "0", "0", "-"], log
        metrics = server.metrics()
        row = 'service="shop/greeter",zone="zone-a",client_namespace="web"'
        assert metrics[f'lookaside_load_calls_total{{{row},result="failed"}}'] == 10, metrics
        assert metrics[f"lookaside_load_calls_issued_total{{{row}}}"] == 100, metrics
        assert metrics['lookaside_load_left_out_total{what="unknown"}'] == 2, metrics
        load = {(entry["zone"], entry["clientNamespace"]): entry for entry in server.json("/debug/load")["load"]}
        assert load["", "web"]["drops"] == [{"category": "uncategorized", "calls": 3}], load
        counts = json.loads(server.get("/counts")[1])
        assert counts["failed"]["shop/greeter"] > 0 and counts["calls"]["shop/greeter"] > 0, counts
        for stream in streams:
            stream.close()
        process.wait_until(lambda: server.metrics()["lookaside_load_streams"] == 0, 10, "no stream is left")


def load_is_off_unless_asked_for(work):
    _, server = _controller(work, "10.0.0.1")
    with server:
        code, log = _run(work, "load", "--admin", server.admin)
        assert code == 1 and "--load-reports" in log, log
        assert "calls" not in json.loads(server.get("/counts")[1])


def grpclb_clients_are_listed(work):
    """One with a list, and one that falls back until there is such a Service."""
    folder, controller = _controller(work, "10.0.0.1")
    with controller, ads.connect(controller.listen) as channel:
        streams = [grpclb.Stream(channel, name) for name in (TARGET, "later.shop:8001")]
        kinds = [[next(stream)[0] for _ in range(2)] for stream in streams]
        assert kinds == [["initial", "list"], ["initial", "fallback"]], kinds
        code, log = _run(work, "streams", "--admin", controller.admin)
        rows = {line.split()[-1]: line.split() for line in log.splitlines()[1:]}
        assert code == 0 and {row[1] for row in rows.values()} == {"grpclb"}, log
        assert {name: row[-2] for name, row in rows.items()} == {
            TARGET: "ok", "later.shop:8001": "fallback"}, log
        code, log = _run(work, "explain", "later.shop:8001", "--admin", controller.admin)
        assert "was told to fall back to what its DNS says" in log, (code, log)
        folder.service("later")
        folder.slice("later", [manifests.Endpoint("10.0.0.2", pod="later-0")])
        assert grpclb.until(streams[1], "list", 1) == [("10.0.0.2", 8001, "later-0")]
        for stream in streams:
            stream.cancel()


CASES = [watch_reaches_every_kind_of_address, watch_prints_what_comes_and_goes,
         watch_outlives_its_server, watch_ends_with_1, watch_writes_json,
         watch_shows_every_kind_of_backend, release_ends_a_hold,
         admin_port_on_a_unix_socket, usage_that_is_wrong,
         tables_of_nothing, clients_names_do_not_steer_the_terminal, grpclb_clients_are_listed,
         load_tells_what_clients_report, load_is_off_unless_asked_for]
