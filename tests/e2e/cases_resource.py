"""The kind LookasideService on a real API server: its documentation, what is refused, and what people read."""

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
from resources import (Elsewhere, Follower, Resources, compare_golden, is_told, normal, without_ages)
from support import ads
from world import RESOURCES, scenario

REFUSED = pathlib.Path(__file__).resolve().parents[1] / "data/lookasideservices/refused.yaml"
KUBECTLS = 3
# Where the API server and Lookaside's own decoder differ, and why that is right.
EXCEPTIONS = {
    # Lookaside names it in the log, and takes the rest: a field of a newer version stops nobody.
    "unknown field",
    # kubectl reads YAML 1.1, where on and off are booleans; Lookaside 1.2, where they are words.
    "YAML takes on without quotes for true", 'Invalid value: "boolean"',
}


@scenario("the kind is established, and kubectl explain is its documentation", configuration=RESOURCES)
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
    return "as text"


# ---- what is refused ----

def read_refused():
    """[(name, what kubectl says, what the decoder says, manifest)]."""
    cases = []
    for text in REFUSED.read_text().split("---\n")[1:]:
        found = re.match(r"# kubectl: (.*)\n# decoder: (.*)\n", text)
        cases.append((re.search(r"name: ([^},]+)", text)[1], found[1], found[2], text))
    return cases


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
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
    return f"{len(cases)} manifests"


@scenario("random specs: API server and decoder agree, and fill in the same defaults", seconds=150,
          configuration=RESOURCES)
def random_specs(world):
    schema = world.cluster.crd_schema()["properties"]["spec"]
    seed, count = random.randrange(1 << 32), 1000 * world.factor
    make = Specs(schema, random.Random(seed), wrong=0.05)
    specs = {f"r-{number}": make() for number in range(count)}
    try:
        with ThreadPoolExecutor(KUBECTLS) as pool:
            answers = dict(zip(specs, pool.map(lambda n: judge(world.cluster.api, n, specs[n]), specs)))
        taken = {f"d-{name}": spec for name, (spec, _) in answers.items() if spec is not None}
        with decoder(world, manifests_of({**specs, **taken})) as found:
            compare(specs, answers, found)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from None
    assert count / 8 < len(taken) < count / 2, f"{len(taken)} of {count} are valid: no test"
    return f"{count} specs, {len(taken)} of them valid; seed {seed}"


def manifest(name, spec):
    return {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
            "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def manifests_of(specs, of_one_file=500):
    items = list(specs.items())
    for begin in range(0, len(items), of_one_file):
        yield "\n---\n".join(json.dumps(manifest(*item)) for item in items[begin:begin + of_one_file])


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
            wrong.append(f"{json.dumps(specs[name])}: the API server: {why or 'accepted'}; Lookaside: "
                         f"{told or 'accepted'}")
        elif not why and found[name]["settings"] != found[f"d-{name}"]["settings"]:
            wrong.append(f"{json.dumps(specs[name])}: with the API server's defaults another policy: "
                         f"{found[name]['settings']}, {found[f'd-{name}']['settings']}")
    assert not wrong, f"{len(wrong)} of {len(answers)} differ:\n" + "\n".join(wrong[:10])
