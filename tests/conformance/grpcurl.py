"""The stock grpcurl, which has no .proto file: what server reflection is for."""
import itertools
import json
import re
import subprocess

from conformance.agents import build_grpcurl
from conformance.protocol import Bench, equal
from e2e import certificates
from support import ads, process
from support.report import Skip
from support.process import wait_until

SECONDS = 20
_unique = itertools.count(1)
SERVICE_NAMES = {"lookaside.v1.BackendDiscovery", "grpc.health.v1.Health",
                 "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
                 "envoy.service.discovery.v3.AggregatedDiscoveryService",
                 "envoy.service.listener.v3.ListenerDiscoveryService",
                 "envoy.service.route.v3.RouteDiscoveryService",
                 "envoy.service.cluster.v3.ClusterDiscoveryService",
                 "envoy.service.endpoint.v3.EndpointDiscoveryService"}
# What stands in an Any: no message leads there.
PACKED = (*(url.rpartition("/")[2] for url in (ads.LDS, ads.RDS, ads.CDS, ads.EDS)),
          "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
          "envoy.extensions.filters.http.router.v3.Router",
          "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality",
          "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin",
          "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
          "envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst",
          "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3."
          "ClientSideWeightedRoundRobin")
WATCH = "lookaside.v1.BackendDiscovery/Watch"
ADS = ads.METHOD.lstrip("/")
HEALTH = "grpc.health.v1.Health"


def messages(text):
    """The JSON objects of an output, which may end inside one."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            message, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(message)
    return found


class Grpcurl:
    def __init__(self, command, server, work, ca=None):
        secure = ["-cacert", ca] if ca else ["-plaintext"]
        self.command, self.server, self.work = [*command, *secure], server, work

    def fails(self, *words, flags=()):
        """What it says when it does not succeed."""
        done = self._run(words, flags)
        assert done.returncode != 0, f"grpcurl {words}: {done.stdout}"
        return done.stderr + done.stdout

    def text(self, *words, flags=()):
        done = self._run(words, flags)
        assert done.returncode == 0, f"grpcurl {flags} {words}: exit {done.returncode}: {done.stderr}"
        return done.stdout

    def _run(self, words, flags):
        return subprocess.run([*self.command, *flags, self.server, *words], capture_output=True,
                              text=True, timeout=SECONDS)

    def call(self, method, request=None, flags=()):
        data = ("-d", json.dumps(request)) if request is not None else ()
        return messages(self.text(method, flags=(*data, *flags)))


class Following:
    """A call that goes on, and what it was told so far. A stream of requests stays open, too."""

    def __init__(self, grpcurl, method, request, unary=False):
        self.log = grpcurl.work / f"following-{next(_unique)}.log"
        self.request, self.unary = json.dumps(request), unary
        self.child = process.Process(
            ["sh", "-c", 'log=$1; shift; exec "$@" >>"$log"', "sh", self.log, *grpcurl.command,
             "-d", "@", grpcurl.server, method], self.log, "grpcurl", pipes=True)

    def __enter__(self):
        self.child.start()
        self.child.child.stdin.write(self.request)
        self.child.child.stdin.flush()
        if self.unary:                                 # it waits for the input's end
            self.child.child.stdin.close()
        return self

    def __exit__(self, *_):
        self.child.kill()

    def wait(self, want, what):
        wait_until(lambda: any(map(want, self.messages())), SECONDS,
                   lambda: f"{what}; it was told {self.log.read_text()}")

    def messages(self):
        return messages(self.log.read_text())


# ---- list and describe ----

def case_lists_what_there_is(bench, grpcurl):
    listed = grpcurl.text("list").split()
    assert SERVICE_NAMES <= set(listed), listed
    healthy = grpcurl.call(f"{HEALTH}/List")[0]["statuses"]
    equal(sorted(listed), sorted(name for name in healthy if name), "services, by reflection and by health")


def _types_in(description):
    """The full names that a description refers to."""
    return set(re.findall(r"[( ]\.([A-Za-z_][\w.]*)", description))


def _describe_all(grpcurl, names):
    """{name: description} of these and of all that they refer to."""
    waiting, described = set(names), {}
    while waiting:
        name = waiting.pop()
        described[name] = grpcurl.text("describe", name)
        waiting |= _types_in(described[name]) - set(described)
    return described


def case_describes_every_service_and_all_that_it_speaks(bench, grpcurl):
    services = grpcurl.text("list").split()
    described = _describe_all(grpcurl, services)
    for service in services:
        methods = grpcurl.text("list", service).split()
        assert methods and all(f"rpc {method.rpartition('.')[2]} (" in described[service]
                               for method in methods), (service, methods, described[service])
    for name in ("envoy.service.discovery.v3.DiscoveryRequest", "google.protobuf.Struct",
                 "envoy.service.discovery.v3.DiscoveryResponse", "google.protobuf.Any",
                 "lookaside.v1.Backend", "grpc.health.v1.HealthCheckResponse.ServingStatus"):
        assert name in described, (name, sorted(described))


def case_describes_what_stands_in_responses(bench, grpcurl):
    described = _describe_all(grpcurl, PACKED)
    assert "lb_endpoints" in described["envoy.config.endpoint.v3.LocalityLbEndpoints"]


def case_describes_with_the_comments(bench, grpcurl):
    described = grpcurl.text("describe", "lookaside.v1.WatchRequest")
    assert "// The full set of targets wanted" in described, described


def case_makes_a_template_of_a_request(bench, grpcurl):
    template = grpcurl.text("describe", "envoy.service.discovery.v3.DiscoveryRequest",
                            flags=["-msg-template"])
    for word in ('"resourceNames"', '"userAgentName"', '"typeUrl"'):
        assert word in template, template


def case_writes_files_that_stand_alone(bench, grpcurl):
    """All that others need to make a client of."""
    path = grpcurl.work / "lookaside.protoset"
    grpcurl.text("describe", flags=["-protoset-out", path])
    with_file = subprocess.run([grpcurl.command[0], "-protoset", path, "describe"],
                               capture_output=True, text=True, timeout=SECONDS)
    equal(*(sorted(text.splitlines()) for text in (with_file.stdout, grpcurl.text("describe"))),
          "what the file describes")         # its order of services is not always the same


def case_tells_the_same_by_the_older_name(bench, grpcurl):
    """grpcurl asks for v1 first; older ones know only v1alpha."""
    request = {"fileContainingSymbol": WATCH.partition("/")[0]}
    new, old = (grpcurl.call(f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                             request)[0] for version in ("v1", "v1alpha"))
    assert new["fileDescriptorResponse"]["fileDescriptorProto"], new
    equal(old, new, "answers")


def case_says_what_it_does_not_find(bench, grpcurl):
    said = grpcurl.fails("describe", "no.Such")
    assert "Symbol not found: no.Such" in said, said
    said = grpcurl.fails("no.Such/Method")
    assert 'does not expose service "no.Such"' in said, said


# ---- call ----

def case_checks_health(bench, grpcurl):
    equal(grpcurl.call(f"{HEALTH}/Check"), [{"status": "SERVING"}], "health of the server")
    for service in SERVICE_NAMES:
        equal(grpcurl.call(f"{HEALTH}/Check", {"service": service}), [{"status": "SERVING"}], service)
    said = grpcurl.fails(f"{HEALTH}/Check", flags=["-d", '{"service": "no.Such"}'])
    assert "NotFound" in said and "no service 'no.Such'" in said, said


def case_gets_a_list(bench, grpcurl):
    name, _ = bench.known(["10.0.0.1", "10.0.0.2"])
    target = f"{name}.shop:8001"
    [got] = grpcurl.call(WATCH, {"targets": [target]})
    equal(got["target"], target, "target")
    equal([(backend["address"], backend["port"]) for backend in got["backends"]],
          [("10.0.0.1", 8001), ("10.0.0.2", 8001)], "backends")


def case_gets_several_lists_at_once(bench, grpcurl):
    targets = [f"{bench.known([address])[0]}.shop:8001" for address in ("10.0.0.1", "10.0.0.2")]
    [got] = grpcurl.call("lookaside.v1.BackendDiscovery/List", {"targets": targets})
    equal({one["target"]: one["backends"][0]["address"] for one in got["lists"]},
          dict(zip(targets, ("10.0.0.1", "10.0.0.2"))), "lists")


def case_follows_a_list(bench, grpcurl):
    name, _ = bench.known(["10.0.0.1"])
    with Following(grpcurl, WATCH, {"targets": [f"{name}.shop:8001"]}) as watch:
        watch.wait(lambda got: len(got.get("backends", [])) == 1, "the list of one")
        bench.slice(name, ["10.0.0.1", "10.0.0.2"])
        watch.wait(lambda got: got.get("changes") and got["backends"][0]["address"] == "10.0.0.2", "the second")
        equal(len(watch.messages()), 2, "messages")


def case_reads_resources(bench, grpcurl):
    """Each type's Any is opened with what reflection tells."""
    name, cluster = bench.known(["10.0.0.7"])
    target = f"{name}.shop:8001"
    listener = _resource(grpcurl, ads.LDS, target)
    manager = listener["apiListener"]["apiListener"]
    route = manager["routeConfig"]["virtualHosts"][0]["routes"][0]
    equal(route["route"]["cluster"], cluster, "cluster of the route")
    assert manager["httpFilters"][0]["typedConfig"]["@type"].endswith(".Router"), manager
    equal(_resource(grpcurl, ads.CDS, cluster)["type"], "EDS", "type of the cluster")
    endpoints = _resource(grpcurl, ads.EDS, cluster)["endpoints"]
    address = endpoints[0]["lbEndpoints"][0]["endpoint"]["address"]["socketAddress"]
    equal(address, {"address": "10.0.0.7", "portValue": 8001}, "address")


def case_reads_resources_by_delta(bench, grpcurl):
    _, cluster = bench.known(["10.0.0.7"])
    [got] = grpcurl.call("envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
                         {"resourceNamesSubscribe": [cluster]})
    [resource] = got["resources"]
    equal(resource["name"], cluster, "name")
    equal(resource["resource"]["@type"], ads.EDS, "type")
    assert "10.0.0.7" in json.dumps(resource), resource


def _resource(grpcurl, type_url, name):
    [got] = grpcurl.call(ADS, {"typeUrl": type_url, "resourceNames": [name]})
    [resource] = got["resources"]
    equal(resource["@type"], type_url, "type")
    return resource


def case_sees_the_end_coming(bench, grpcurl):
    """Last: the controller ends here."""
    request = {"service": WATCH.partition("/")[0]}
    with Following(grpcurl, f"{HEALTH}/Watch", request, unary=True) as watch:
        watch.wait(lambda got: got == {"status": "SERVING"}, "SERVING")
        bench.lookaside.stop()
        watch.wait(lambda got: got == {"status": "NOT_SERVING"}, "NOT_SERVING")


CASES = [(name.removeprefix("case_").replace("_", " "), case)
         for name, case in list(globals().items()) if name.startswith("case_")]
OVER_TLS = (case_lists_what_there_is, case_describes_with_the_comments, case_checks_health,
            case_gets_a_list, case_follows_a_list, case_reads_resources)


def run(work, report):
    tls_listen = f"127.0.0.1:{process.free_port()}"
    work.mkdir(parents=True, exist_ok=True)
    certificates.make_authority(work)
    certificates.sign(work, "server", "/CN=server", "serverAuth", "IP:127.0.0.1")
    bench = Bench(work, ["--tls-listen", tls_listen, "--tls-cert", work / "server.crt",
                         "--tls-key", work / "server.key"])
    try:
        command = build_grpcurl(report.note)
        plain = Grpcurl(command, bench.lookaside.listen, work)
        secure = Grpcurl(command, tls_listen, work, work / "ca.crt")
        bench.lookaside.start()
        for grpcurl, words in ((secure, "grpcurl over TLS"), (plain, "grpcurl")):
            for title, case in CASES:
                if grpcurl is secure and case not in OVER_TLS:
                    continue
                bench.revive()
                with report.case(f"{words}: {title}"):
                    bench.run(lambda bench, case=case, grpcurl=grpcurl: case(bench, grpcurl))
    except Skip as reason:
        report.skip("grpcurl", str(reason))
    except Exception as error:
        report.fail("grpcurl: set-up", str(error))
    finally:
        bench.lookaside.stop()
        bench.block.close()
