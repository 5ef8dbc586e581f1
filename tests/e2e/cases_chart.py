"""The chart: installed, tested, upgraded, rolled back and uninstalled on the real API server."""

import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import certificates
from api import ApiError
from client import AGENT, LIGHT_US, Client
from containers import environment
from kubelet import IMAGE
from process import wait_until
from release import (CRD, LEASE, NAME, NAMESPACE, OLDER, ROOT, Release, ask, find_agents,
                     target)
from workload import CORE
from world import scenario

CRD_FILE = ROOT / "crds/lookaside.dev_lookasideservices.yaml"
LKS = "/apis/lookaside.dev/v1alpha1/namespaces/{}/lookasideservices"
CLIENTS, PAUSE_US, FEW_CLIENTS = 100, 1000000, 6
FOLLOW_SECONDS, CLOSERS = 20, 20
INJECT = "lookaside.dev/inject"
VARIABLE = "GRPC_XDS_BOOTSTRAP_CONFIG"
INJECTED = ["LOOKASIDE_POD_NAME", "LOOKASIDE_POD_NAMESPACE", "LOOKASIDE_NODE_NAME",
            "LOOKASIDE_ZONE", VARIABLE]
POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
# A series of Events is written five minutes after the first of them, and each collection is listed
# for its newest version once a minute.
SERIES_RIGHTS = {("events.k8s.io", "events", "patch")}
LIST_RIGHTS = {("", "services", "list"), ("discovery.k8s.io", "endpointslices", "list"),
               ("lookaside.dev", "lookasideservices", "list")}


def greeter(world, namespace, count=3):
    """A context of a Service that has so many pods."""
    stack = ExitStack()
    service = stack.enter_context(world.service(namespace))
    service.create()
    service.scale(count)
    service.wait_api(set(service.pods))
    return stack, service


@scenario("helm install, helm test, and what the replicas say", seconds=120)
def install(world):
    with Release(world) as release:
        # Somebody has applied the kind by hand before.
        world.cluster.kubectl("apply", "-f", CRD_FILE)
        started = time.monotonic()
        said = release.install(release.package(), EVERYTHING_REAL, "--take-ownership")
        seconds = time.monotonic() - started
        for words in (f"helm test {NAME}", f"label namespace NAMESPACE {INJECT}=true"):
            assert words in said, said
        pods = release.wait_ready()
        nodes = [pod.pod["spec"]["nodeName"] for pod in pods.values()]
        assert len(set(nodes)) == 3, f"the replicas run on {nodes}"
        release.helm("test", NAME)
        log = (release.logs / f"{NAME}-test.log").read_text()
        picked = log.split("calling ")[1].split()[0].rsplit(":", 1)[0]
        assert picked in {pod.address for pod in pods.values()}, log
        check_alerts(release, pods, "identifyPods=true")
        return f"in {seconds:.1f} s; helm test picked {picked}"


EVERYTHING_REAL = {"flowSchema": {"enabled": True}, "networkPolicy": {"enabled": True},
                   "nodes": True, "identifyPods": True, "hostSuffixes": ["example.com"],
                   "bootstrap": {"namespaces": ["default"], "inject": {"failurePolicy": "Fail"}}}


def check_alerts(release, pods, *settings):
    """Every metric that an alert asks for is there, at some replica at least."""
    text = release.helm("template", NAME, ROOT / "charts/lookaside", "--set",
                        ",".join(["prometheusRule.enabled=true", *settings]), "--show-only",
                        "templates/prometheusrule.yaml")
    wanted = {word.split("{")[0].split("[")[0].strip("(") for line in text.splitlines()
              if line.strip().startswith("expr:") for word in line.replace("(", " ").split()
              if word.startswith("lookaside_")}
    assert len(wanted) >= 6, wanted
    found = "".join(ask(pod, "/metrics") for pod in pods.values())
    missing = [name for name in wanted if f"# TYPE {name} " not in found]
    assert not missing, f"alerts ask for {missing}, which no replica has"


@scenario("helm install with a certificate: a client dials the Service by name, over TLS", seconds=120)
def secure(world):
    agent, secrets = find_agents()["go"], f"/api/v1/namespaces/{NAMESPACE}/secrets"
    stack, service = greeter(world, "secure")
    with stack, Release(world) as release:
        certificates.make_authority(release.folder)
        certificates.sign(release.folder, "tls", f"/CN={NAME}", "serverAuth",
                          f"DNS:{NAME}.{NAMESPACE}.svc")
        world.cluster.kubectl("create", "secret", "tls", f"{NAME}-tls", "--namespace", NAMESPACE,
                              "--cert", release.folder / "tls.crt", "--key", release.folder / "tls.key")
        release.install(release.package(), {"tls": {"secretName": f"{NAME}-tls"}})
        pods = release.wait_ready()
        client = release.client(agent, target(service),
                                release.bootstrap("secure", release.folder / "ca.crt"))
        try:
            client.start_load(LIGHT_US)
            follow(service, [client], 4)
            client.close()
        finally:
            client.process.stop()
        said = "".join(ask(pod, "/metrics") for pod in pods.values())
        assert said.count("\nlookaside_tls_handshakes_total 1\n") == 1, said
        assert said.count("\nlookaside_tls_certificate_expiry_timestamp_seconds ") == 3, said
        check_alerts(release, pods, "tls.secretName=any")
        world.cluster.api.delete(f"{secrets}/{NAME}-tls")
        return f"{client.ok} calls"


# ---- injection

def client_pod(name, labels=None, own_env=None, **spec):
    container = {"image": IMAGE, "ports": []}
    if own_env:
        container["env"] = own_env
    return {"metadata": {"name": name, "labels": labels or {}},
            "spec": {"nodeName": "node-b", "containers": [{"name": "one", **container},
                                                          {"name": "two", "image": IMAGE}],
                     "initContainers": [{"name": "first", "image": IMAGE}], **spec}}


def names(container):
    return [variable["name"] for variable in container.get("env") or []]


def wait_injection(api, namespace):
    """A policy is in force a second or two after it was made. Asked without making a pod."""
    def injected():
        made = api.create(f"{CORE}/{namespace}/pods?dryRun=All",
                          client_pod("probe", {INJECT: "true"}))
        return VARIABLE in names(made["spec"]["containers"][0])
    wait_until(injected, 15, "pods are given a bootstrap", every=0.1)


# Runs after the chart's, and so makes the API server run that one again.
SIDECAR = {"metadata": {"name": "zz-sidecar"}, "spec": {
    "failurePolicy": "Fail", "reinvocationPolicy": "Never",
    "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                                            "operations": ["CREATE"], "resources": ["pods"]}],
                         "objectSelector": {"matchLabels": {"sidecar": "yes"}}},
    "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression":
        "[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{"
        f"name: 'sidecar', image: '{IMAGE}'}}}}]"}}]}}


@scenario("pods that ask for it are given their bootstrap, and clients of every language call",
          seconds=180)
def inject(world):
    stack, service = greeter(world, "inject")
    with stack, Release(world) as release:
        release.install(release.package(), {"bootstrap": {"inject": {"failurePolicy": "Fail"}}})
        api, pods = release.api, service.pods_path
        wait_injection(api, "inject")
        made = api.create(pods, client_pod("asks", {INJECT: "true"}))
        for container in made["spec"]["containers"] + made["spec"]["initContainers"]:
            assert names(container) == INJECTED, (container["name"], container.get("env"))
        stack.callback(service.remove_pods, ["asks"], grace_seconds=0)
        check_respect(api, f"{pods}?dryRun=All")
        check_namespace(world, api)
        check_twice(api, pods)
        pod = api.get(f"{pods}/asks")
        env = environment(pod, pod["spec"]["containers"][0])
        node = json.loads(env[VARIABLE])["node"]
        assert node == {"id": "asks", "cluster": "lookaside", "locality": {"zone": "b"},
                        "metadata": {"namespace": "inject", "node": "node-b"}}, node
        agents = find_agents()
        for language, agent in agents.items():
            with release.client(agent, target(service), env) as client:
                got = client.call(30, wait_for_ready=True, timeout_ms=15000)
            assert got["ok"] == 30 and set(got["by_backend"]) <= set(service.pods), (language, got)
        return f"by label of pod and namespace; first calls of {', '.join(sorted(agents))}"


def check_respect(api, pods):
    """Nobody's own is touched."""
    plain = api.create(pods, client_pod("plain"))
    own = [{"name": "MINE", "value": "x"}, {"name": "LOOKASIDE_ZONE", "value": "mine"}]
    mine = api.create(pods, client_pod("mine", {INJECT: "true"}, own))
    ready_made = [{"name": VARIABLE, "value": "{}"}]
    other = api.create(pods, client_pod("other", {INJECT: "true"}, ready_made))
    file_made = [{"name": "GRPC_XDS_BOOTSTRAP", "value": "/etc/xds.json"}]
    by_file = api.create(pods, client_pod("by-file", {INJECT: "true"}, file_made))
    assert not any(names(c) for c in plain["spec"]["containers"]), plain
    one = mine["spec"]["containers"][0]
    assert one["env"][:2] == own, one
    assert names(one) == ["MINE", "LOOKASIDE_ZONE", *(n for n in INJECTED if n != "LOOKASIDE_ZONE")]
    for pod, env in ((other, ready_made), (by_file, file_made)):
        assert pod["spec"]["containers"][0]["env"] == env, pod
        assert names(pod["spec"]["containers"][1]) == INJECTED, pod


def check_namespace(world, api):
    """Its label counts for pods that say nothing themselves."""
    name = "inject-all"
    world.cluster.create_namespace(name)
    api.patch(f"{CORE}/{name}", {"metadata": {"labels": {INJECT: "true"}}})
    def given(pod_name, labels):
        made = api.create(f"{CORE}/{name}/pods?dryRun=All", client_pod(pod_name, labels))
        return names(made["spec"]["containers"][0])
    wait_until(lambda: given("says-nothing", None) == INJECTED, 10, "the namespace's label counts")
    assert given("refuses", {INJECT: "false"}) == []
    api.delete(f"{CORE}/{name}")


def check_twice(api, pods):
    binding = {"metadata": SIDECAR["metadata"], "spec": {"policyName": "zz-sidecar"}}
    api.create(POLICIES, SIDECAR)
    api.create(f"{POLICIES.removesuffix('policies')}policybindings", binding)
    labels = {INJECT: "true", "sidecar": "yes"}
    try:
        def with_sidecar():
            made = api.create(f"{pods}?dryRun=All", client_pod("twice", labels))
            return len(made["spec"]["containers"]) == 3 and made
        made = wait_until(with_sidecar, 15, "another policy adds a container", every=0.1)
    finally:
        api.delete(f"{POLICIES.removesuffix('policies')}policybindings/zz-sidecar")
        api.delete(f"{POLICIES}/zz-sidecar")
    for container in made["spec"]["containers"]:
        assert names(container) == INJECTED, container


# ---- upgrade and rollback

@scenario(f"helm upgrade and helm rollback under {CLIENTS} clients", seconds=240)
def upgrade(world):
    agent = find_agents()["go"]
    stack, service = greeter(world, "upgrade")
    with stack, Release(world) as release:
        older, newer = release.package(OLDER), release.package()
        release.install(older)
        before = set(release.wait_ready())
        with fleet(release, agent, service, CLIENTS, PAUSE_US) as clients:
            steps = []
            for step in (lambda: release.upgrade(newer),
                         lambda: release.helm("rollback", NAME, "--wait", "--timeout", "60s")):
                started = time.monotonic()
                step()
                now = set(release.wait_ready(within=60))
                assert not now & before, "every replica is a new one"
                before = now
                steps.append(f"{time.monotonic() - started:.0f} s ({release.version()})")
                follow(service, clients, len(service.pods) + 1)
            release.wait_ended(before)
            follow(service, clients, 3)
            for client in clients:
                client.expect_no_failure("the upgrade and the rollback")
            calls = sum(client.ok for client in clients)
        assert steps[1].endswith(f"({OLDER})"), steps
        return f"{' and '.join(steps)}; {calls} calls, 0 failed"


@contextmanager
def fleet(release, agent, service, count, pause_us, name="client"):
    """Clients that call, and from here on may not fail. Their node ids: NAME-0, NAME-1, ..."""
    clients = []
    try:
        for i in range(count):
            clients.append(release.client(agent, target(service), release.bootstrap(f"{name}-{i}")))
            clients[-1].start_load(pause_us)
        follow(service, clients, len(service.pods))
        for client in clients:
            client.mark()
        yield clients
        with ThreadPoolExecutor(CLOSERS) as pool:  # a load ends after its pause
            list(pool.map(Client.close, clients))
    finally:
        for client in clients:
            client.process.stop()


def follow(service, clients, count):
    """The Service has so many pods, and every client calls just these: all streams live."""
    service.scale(count)
    wanted = set(service.pods)
    service.wait_api(wanted)
    pending, deadline = {client: set() for client in clients}, time.monotonic() + FOLLOW_SECONDS
    while pending:
        assert time.monotonic() < deadline, (f"{len(pending)} of {len(clients)} clients do not "
                                             f"follow within {FOLLOW_SECONDS} s")
        for client in list(pending):
            called = set(client.window()["by_backend"])
            # The old list: begin again.
            pending[client] = pending[client] | called if called <= wanted else set()
            if pending[client] == wanted:
                del pending[client]


# ---- what goes wrong while it runs

def status_of(api, namespace, name="greeter"):
    return api.get(f"{LKS.format(namespace)}/{name}").get("status") or {}


def make_resource(api, service, **spec):
    api.create(LKS.format(service.namespace), {
        "apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
        "metadata": {"name": service.name}, "spec": spec})


def wait_observed(api, service, within=10):
    def observed():
        item = api.get(f"{LKS.format(service.namespace)}/{service.name}")
        status = item.get("status") or {}
        return status.get("observedGeneration") == item["metadata"]["generation"] and status
    return wait_until(observed, within, "the status is of the newest generation")


@scenario("the leader is stopped, the CRD goes and comes, and rights are those that are needed",
          seconds=300)
def trouble(world):
    agent = find_agents()["go"]
    stack, service = greeter(world, "trouble")
    with stack, Release(world) as release:
        release.install(release.package())
        release.wait_ready()
        with fleet(release, agent, service, FEW_CLIENTS, LIGHT_US) as clients:
            release.leader()
            make_resource(release.api, service, maxCallDuration="30s")
            wait_observed(release.api, service)
            taken = stop_leader(world, release, service)
            absent = take_crd(world, release, service, clients)
            warn_twice(release.api, service)
            follow(service, clients, 4)
            for client in clients:
                client.expect_no_failure("all of that")
        said = wait_rights(world, release, SERIES_RIGHTS if world.factor == 1 else ())
        return f"another leads after {taken:.0f} s; CRD back after {absent:.0f} s; {said}"


def stop_leader(world, release, service):
    """SIGSTOP: another one writes, and the old one writes nothing when it wakes up."""
    old = release.leader()
    others = {name for name in release.replicas() if name != old.name}
    started = time.monotonic()
    old.process.send_signal(signal.SIGSTOP)
    new = release.leader(within=40, other_than=old.name)
    taken = time.monotonic() - started
    assert new.name in others
    resource = f"{LKS.format(service.namespace)}/{service.name}"
    release.api.patch(resource, {"spec": {"maxCallDuration": "31s"}})
    wait_observed(release.api, service)
    world.say(f"{new.name} leads after {taken:.0f} s")
    time.sleep(max(0, 6 * world.factor - taken))  # in e2e-long a minute in all
    before = len(release.asked())
    old.process.send_signal(signal.SIGCONT)
    wait_until(lambda: old.ready, 20, "the old leader is ready again")
    release.api.patch(resource, {"spec": {"maxCallDuration": "32s"}})
    wait_observed(release.api, service)
    written = [e for e in release.asked()[before:] if e.pod == old.name
               and e.verb in ("patch", "create", "update")
               and not (e.resource == "leases" and e.code == 409)]
    assert not written, f"the old leader wrote {written}"
    assert release.api.get(LEASE)["spec"]["holderIdentity"] == new.name
    return taken


def take_crd(world, release, service, clients):
    """Its resources go with it; Services are served all along; then it is back."""
    crd = release.api.get(CRD)
    release.api.delete(CRD)
    wait_until(lambda: is_absent(release.api, CRD), 20, "the CRD has gone")
    follow(service, clients, 4)
    time.sleep(world.factor - 1)
    for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        crd["metadata"].pop(key)
    started = time.monotonic()
    release.api.create(CRD.rsplit("/", 1)[0], {k: v for k, v in crd.items() if k != "status"})

    def made():
        try:
            make_resource(release.api, service, maxCallDuration="33s")
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        return True
    wait_until(made, 20, "the kind is served again")
    wait_observed(release.api, service, within=45)  # it is looked for every 30 s
    return time.monotonic() - started


def warn_twice(api, service):
    """The same warning again, after it was gone: one Event, which is to become a series."""
    for other in ("nobody", "", "nobody"):
        others = [{"service": other, "weight": 0}] if other else []
        api.patch(f"{LKS.format(service.namespace)}/{service.name}",
                  {"spec": {"backends": [{"service": service.name}, *others]}})
        status = wait_observed(api, service)
        bad = [c for c in status["conditions"] if c["status"] != "True"]
        assert bool(bad) == bool(other), status


def is_absent(api, path):
    try:
        api.get(path)
    except ApiError as error:
        if error.code != 404:
            raise
        return True
    return False


def wait_rights(world, release, excused):
    """What is needed but once in a while is waited for."""
    problem = {}

    def all_needed():
        try:
            return release.check_rights(excused)
        except AssertionError as error:
            problem["last"] = error
            world.say(str(error), every=15)
            return "missing" in str(error) and str(error)
    said = wait_until(all_needed, 100 + (400 if world.factor > 1 else 0),
                      lambda: str(problem["last"]), every=1)
    assert "missing" not in said, said
    return said


# ---- the end

@scenario("helm uninstall leaves the CRD and the resources; Roles in chosen namespaces suffice",
          seconds=240)
def uninstall(world):
    stack, service = greeter(world, "chosen")
    with stack, Release(world) as release:
        release.install(release.package(), {"namespaces": ["chosen"], "bootstrap": {
            "namespaces": ["chosen"], "inject": {"enabled": False}}})
        release.wait_ready()
        release.leader()
        make_resource(release.api, service, maxCallDuration="30s")
        wait_observed(release.api, service)
        config = release.api.get(f"{CORE}/chosen/configmaps/{NAME}-bootstrap")["data"]
        with release.client([sys.executable, AGENT], target(service), config) as client:
            got = client.call(30, wait_for_ready=True, timeout_ms=15000)
        assert got["ok"] == 30 and set(got["by_backend"]) <= set(service.pods), got
        release.helm("test", NAME)
        said = wait_rights(world, release, SERIES_RIGHTS | LIST_RIGHTS)
        rights = {right.namespace for right in release.rights()}
        assert rights == {"chosen", NAMESPACE}, f"there are rights in {rights}"
        before = release.api.get(f"{LKS.format('chosen')}/greeter")["metadata"]["uid"]
        release.helm("uninstall", NAME, "--wait")
        release.wait_ended()
        assert release.api.get(CRD)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert release.api.get(f"{LKS.format('chosen')}/greeter")["metadata"]["uid"] == before
        release.install(release.package())
        release.wait_ready()
        resource = f"{LKS.format(service.namespace)}/{service.name}"
        release.api.patch(resource, {"spec": {"maxCallDuration": "31s"}})
        wait_observed(release.api, service, within=30)
        return f"{said}; installed again over them"
