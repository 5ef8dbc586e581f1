"""The kind LookasideService on a real API server: its documentation, what is refused, and what
people read."""

import json
import pathlib
import random
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from api import ApiError
from cluster import CRD
from kubelet import PORT
from lookaside import LISTEN, FromDirectory
from process import wait_until
from random_specs import Specs
from resources import Elsewhere, Follower, Resources, compare_golden, normal, without_ages
from support import ads
from workload import Service
from world import RESOURCES, scenario

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFUSED = ROOT / "tests/data/lookasideservices/refused.yaml"
KUBECTLS = 3
# Where the API server and Lookaside's own decoder differ, and why that is right.
EXCEPTIONS = {
    # Lookaside names it in the log, and takes the rest: a field of a newer version stops nobody.
    "unknown field",
    # A whole number written as 3.0, which kubectl never does, is none to a rule of CEL.
    "expected XIntOrString value", "expected int, got float64",
}


@scenario("the kind is established, and kubectl explain is its documentation",
          configuration=RESOURCES)
def documentation(world):
    found = json.loads(world.cluster.kubectl("get", "-f", CRD, "-o", "json"))
    conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}, conditions

    def explained():
        return world.cluster.try_kubectl("explain", "lks.spec").returncode == 0
    wait_until(explained, 15, "the API server publishes the schema", every=0.2)
    for field in ("spec.retry", "spec.loadBalancing", "status"):
        compare_golden(f"explain-{field.replace('.', '-')}.txt",
                       world.cluster.kubectl("explain", f"lks.{field}"))
    Service(world.cluster, world.kubelet, "shop")  # makes the namespace
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    examples = [text for text in blocks if "kind: LookasideService\n" in text]
    for text in examples:
        world.cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert examples, "the README has no example"
    return f"as text; examples of the README that are taken: {len(examples)}"


# ---- what is refused ----

def read_refused():
    """[(name, what kubectl says, what the decoder says, manifest)]."""
    cases = []
    for text in REFUSED.read_text().split("---\n")[1:]:
        found = re.match(r"# kubectl: (.*)\n# decoder: (.*)\n", text)
        cases.append((re.search(r"name: ([^},]+)", text)[1], found[1], found[2], text))
    return cases


def is_checked(name, kubectl, wanted, checked):
    """lookasidectl check has the decoder's words, and some for a field that nobody knows."""
    if wanted != "accepted":
        return f"/{name}: {wanted}\n" in checked
    if "unknown field" in kubectl:
        return re.search(rf"/{name}: [^:]+: no such field", checked)
    return True  # on and off without quotes, which it reads as Lookaside does


@contextmanager
def decoder(world, manifests):
    """{name: condition Accepted} as Lookaside has it of manifests that no API server looked at."""
    folder = world.cluster.folder / "manifests"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, text in enumerate(manifests):
        (folder / f"{number}.yaml").write_text(text)
    product = FromDirectory(world.lookaside.program, folder,
                            world.lookaside.log_path.with_name("directory.log"))
    product.start()
    try:
        status, body = product.get("/debug/resources")
        assert status == 200, f"/debug/resources answers {status}"
        yield {item["name"]: item for item in json.loads(body)["resources"]}
    finally:
        product.stop()


def fault(item):
    """What is wrong with its spec, by the decoder; "": nothing, whoever has its hosts."""
    condition = next(c for c in item["conditions"] if c["type"] == "Accepted")
    return condition["message"] if condition["reason"] == "Invalid" else ""


@scenario("every manifest that is refused, with what is said", seconds=150,
          configuration=RESOURCES)
def refused(world):
    cases = read_refused()

    def apply(case):
        done = world.cluster.try_kubectl("apply", "--dry-run=server", "-f", "-", stdin=case[3])
        return done.returncode, done.stderr
    with ThreadPoolExecutor(KUBECTLS) as pool:
        answers = list(pool.map(apply, cases))
    wrong = [f"{name}: kubectl says {text.strip() or 'nothing'}, and not {wanted}"
             for (name, wanted, _, _), (code, text) in zip(cases, answers)
             if code == 0 or wanted not in text]
    with decoder(world, [REFUSED.read_text()]) as found:
        for name, kubectl, wanted, _ in cases:
            told = fault(found[name]) or "accepted"
            if told != wanted:
                wrong.append(f"{name}: Lookaside says {told}, and not {wanted}")
            if wanted == "accepted" and not any(e in kubectl for e in EXCEPTIONS):
                wrong.append(f"{name}: is no named exception")
    checked = world.lookaside.ctl("check", "-f", REFUSED, status=1)
    wrong += [f"{name}: lookasidectl check does not say so" for name, kubectl, wanted, _ in cases
              if not is_checked(name, kubectl, wanted, checked)]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
    return f"{len(cases)} manifests, to kubectl, Lookaside and lookasidectl check"


@scenario("random specs: API server and decoder agree, and fill in the same defaults", seconds=150,
          configuration=RESOURCES)
def random_specs(world):
    schema = world.cluster.crd_schema()["properties"]["spec"]
    seed, count = random.randrange(1 << 32), 2000 * world.factor
    make = Specs(schema, random.Random(seed))
    specs = {f"r-{number}": make() for number in range(count)}
    try:
        with ThreadPoolExecutor(KUBECTLS) as pool:
            judged = pool.map(lambda name: judge(world.cluster.api, name, specs[name]), specs)
            answers = dict(zip(specs, judged))
        taken = {f"d-{name}": spec for name, (spec, _) in answers.items() if spec is not None}
        with decoder(world, manifests_of({**specs, **taken})) as found:
            compare(specs, answers, found)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from None
    assert count / 4 < len(taken) < count * 3 / 4, f"{len(taken)} of {count} are valid: no test"
    return f"{count} specs, {len(taken)} of them valid; seed {seed}"


def manifest(name, spec):
    return {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
            "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def manifests_of(specs, of_one_file=500):
    items = list(specs.items())
    for begin in range(0, len(items), of_one_file):
        yield "\n---\n".join(json.dumps(manifest(*item))
                              for item in items[begin:begin + of_one_file])


def judge(api, name, spec):
    """(the spec with its defaults, "") or (None, why not), from the API server."""
    try:
        answer = api.create(f"{Resources(api, 'default').path}?dryRun=All&fieldValidation=Strict",
                            manifest(name, spec))
    except ApiError as error:
        if error.code not in (400, 422):
            raise
        return None, str(error)
    return answer["spec"], ""


def compare(specs, answers, found):
    wrong = []
    for name, (taken, why) in answers.items():
        told = fault(found[name])
        if bool(why) != bool(told) and not any(e in why for e in EXCEPTIONS):
            wrong.append(f"{json.dumps(specs[name])}: the API server: {why or 'accepted'}; "
                         f"Lookaside: {told or 'accepted'}")
        elif not why and found[name]["settings"] != found[f"d-{name}"]["settings"]:
            wrong.append(f"{json.dumps(specs[name])}: with the API server's defaults another "
                         f"policy: {found[name]['settings']}, {found[f'd-{name}']['settings']}")
    assert not wrong, f"{len(wrong)} of {len(answers)} differ:\n" + "\n".join(wrong[:10])


# ---- what people read ----

PORTS = [{"name": "grpc", "port": PORT, "targetPort": PORT}, {"name": "admin", "port": 8080}]
# What only Lookaside can know: {namespace/name: (spec, conditions that are not well, its words)}.
SHOP = {
    "shop/greeter": (
        {"hosts": ["greeter.example.com"], "loadBalancing": {"policy": "LeastRequest"},
         "backends": [{"service": "greeter", "weight": 90}, {"service": "canary", "weight": 10}],
         "retry": {"attempts": 3}}, {}, ""),
    "shop/canary": ({"circuitBreaker": {"maxRequests": 100}, "port": 8080}, {}, ""),
    "shop/orders": ({"hosts": ["greeter.example.com"]}, {"Accepted": "HostConflict"},
                      "spec.hosts: 'greeter.example.com' belongs to shop/greeter"),
    "shop/cart": ({"hosts": ["cart.other.org"]}, {"Accepted": "HostNotAllowed"},
                  "(--host-suffixes: example.com, apps.example.org)"),
    "shop/gone": ({}, {"ResolvedRefs": "ServiceNotFound", "Published": "NotPublished"},
                  "there is no Service 'gone' in namespace shop"),
    "web/frontend": ({"port": "http"}, {"ResolvedRefs": "PortNotFound", "Published": "NotPublished"},
                     "spec.port: the Service has no TCP port 'http', but 8001 grpc, 8080 admin"),
    "web/search": ({"backends": [{"service": "search"}, {"service": "search-canary"}]},
                   {"ResolvedRefs": "BackendNotFound"},
                   "there is no Service 'search-canary' in namespace web"),
    "web/ads": ({"backends": [{"service": "ads", "port": "rpc"}]},
                {"ResolvedRefs": "BackendPortNotFound"}, "Service 'ads' has no TCP port 'rpc'"),
    "web/picky": ({"circuitBreaker": {"maxRequests": 7}}, {"Published": "ClientRejected"},
                  "picky ('circuit breakers are beyond me')"),
}
PICKY_PORT, PICKY_ADDRESS = 18010, "127.0.0.2"


@contextmanager
def shop(world):
    """Those Services, some with pods, and the resources; the first is in force before the others
    come, since it claims a host that another wants, too."""
    with ExitStack() as stack:
        for name in SHOP:
            namespace, name = name.split("/")
            service = stack.enter_context(world.service(namespace, name))
            if name != "gone":
                service.create(PORTS)
            if name in ("greeter", "canary"):
                service.scale(2)
                service.wait_api(set(service.pods))
        resources = {namespace: Resources(world.cluster.api, namespace)
                     for namespace in ("shop", "web")}
        for name, (spec, _, _) in SHOP.items():
            namespace, name = name.split("/")
            resources[namespace].apply(name, spec)
            stack.callback(resources[namespace].delete, name)
            if name == "greeter":
                resources[namespace].wait(name)
        yield resources


def refuse(server):
    """A client of a kind that can do nothing with a limit of requests: it stays, and refuses."""
    channel = ads.connect(server)
    stream = ads.Stream(channel, ads.node("picky", user_agent="picky"))
    target = f"picky.web:{PORT}"
    cluster = stream.subscribe(ads.LDS, [target]).resources[target].cluster
    stream.send(ads.CDS, [cluster])
    refused_one = stream.expect(ads.CDS)
    assert refused_one.resources[cluster].max_requests == 7, refused_one
    stream.nack(refused_one, error="circuit breakers are beyond me")
    plain = stream.expect(ads.CDS)
    assert plain.resources[cluster].max_requests == Follower.NO_LIMIT, plain
    stream.ack(plain)
    stream.subscribe(ads.EDS, [plain.resources[cluster].eds_name])
    return channel, stream


@contextmanager
def two_peers_refuse():
    elsewhere = Elsewhere(PICKY_PORT, PICKY_ADDRESS, int(LISTEN.rsplit(":", 1)[1]))
    elsewhere.open()
    streams = []
    try:
        streams += [refuse(LISTEN), refuse(f"127.0.0.1:{PICKY_PORT}")]
        yield streams
    finally:
        for channel, stream in streams:
            stream.cancel()
            channel.close()
        elsewhere.stop()


@scenario("what only Lookaside can refuse: conditions, Events, and what people read of them",
          seconds=120, configuration=RESOURCES)
def told(world):
    with shop(world) as resources, two_peers_refuse():
        for name, (_, wanted, says) in SHOP.items():
            namespace, name = name.split("/")
            messages = resources[namespace].wait(name, **wanted)
            assert not wanted or any(says in text for text in messages.values()), (name, messages)
            for kind, reason in wanted.items():
                resources[namespace].wait_event(name, reason, messages[kind])
            if "Accepted" not in wanted:
                resources[namespace].wait_event(name, "Accepted", "generation 1 is in force",
                                                "Normal")
        wait_until(lambda: counted(resources), 40, "endpoints and clients are counted")
        read_aloud(world)
    return f"{len(SHOP)} resources, {sum(len(wanted) for _, wanted, _ in SHOP.values())} complaints"


def counted(resources):
    status = {name: item.get("status") or {} for found in resources.values()
              for name, item in found.all().items()}
    return (status["greeter"]["endpoints"]["ready"] == status["canary"]["endpoints"]["ready"] == 2
            and status["picky"]["clients"] == 2)


def read_aloud(world):
    """As kubectl and lookasidectl print them."""
    compare_golden("get-lks.txt", without_ages(world.cluster.kubectl("get", "lks", "-A")))
    for name in SHOP:
        namespace, name = name.split("/")
        text = world.cluster.kubectl("describe", "lks", "-n", namespace, name)
        compare_golden(f"describe-{name}.txt", normal(text))
    for target in (f"greeter.shop:{PORT}", f"search.web:{PORT}", f"picky.web:{PORT}"):
        text = world.lookaside.ctl("explain", target, "--admin", world.lookaside.admin)
        compare_golden(f"explain-{target.split('.', maxsplit=1)[0]}.txt", normal(text))
