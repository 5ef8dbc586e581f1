"""LookasideServices as a test writes and reads them, what clients are told because of one, and
texts for people that are compared with files."""

import os
import pathlib
import re
import socket
import time

from api import ApiError
from middle import HOST, Balancer
from process import wait_until
from support import ads

API = "/apis/lookaside.dev/v1alpha1"
EVENTS = "/apis/events.k8s.io/v1"
APPLY = "application/apply-patch+yaml"
WELL = {"Accepted": "Accepted", "ResolvedRefs": "ResolvedRefs", "Published": "Published"}
CONDITION_SECONDS = 5
GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"


class Resources:
    """Those of one namespace."""

    def __init__(self, api, namespace):
        self.api, self.namespace = api, namespace
        self.path = f"{API}/namespaces/{namespace}/lookasideservices"

    def apply(self, name, spec, manager="e2e"):
        """The answer, that is the object as it was taken."""
        return self.api.request("PATCH", f"{self.path}/{name}?fieldManager={manager}&force=true", {
            "apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec}, APPLY)

    def apply_status(self, name, status, manager):
        """What somebody else would write."""
        return self.api.request(
            "PATCH", f"{self.path}/{name}/status?fieldManager={manager}&force=true", {
                "apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
                "metadata": {"name": name, "namespace": self.namespace}, "status": status}, APPLY)

    def delete(self, name):
        self.api.delete(f"{self.path}/{name}")

    def get(self, name):
        try:
            return self.api.get(f"{self.path}/{name}")
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def all(self):
        return {item["metadata"]["name"]: item for item in self.api.get(self.path)["items"]}

    def conditions(self, name):
        return conditions_of(self.get(name))

    def wait(self, name, within=CONDITION_SECONDS, **reasons):
        """Until the status is about the newest generation, and its conditions have these reasons;
        the rest is well. Returns {type: message}."""
        wanted, found = {**WELL, **reasons}, {}

        def met():
            found.update(item=self.get(name))
            return is_told(found["item"], wanted)
        wait_until(met, within, lambda: f"{self.namespace}/{name} has {wanted}; it has "
                   f"{(found['item'] or {}).get('status')}")
        return {kind: c["message"] for kind, c in conditions_of(found["item"]).items()}

    def events(self, name):
        """{(type, reason): note}."""
        items = self.api.get(f"{EVENTS}/namespaces/{self.namespace}/events")["items"]
        return {(e["type"], e["reason"]): e["note"] for e in items
                if e["regarding"]["name"] == name and e["regarding"]["kind"] == "LookasideService"}

    def wait_event(self, name, reason, note, kind="Warning", within=CONDITION_SECONDS):
        wait_until(lambda: note in self.events(name).get((kind, reason), ""), within,
                   lambda: f"an Event {kind} {reason} '{note}' about {self.namespace}/{name}; "
                   f"there are {self.events(name)}")


def conditions_of(item):
    return {c["type"]: c for c in ((item or {}).get("status") or {}).get("conditions") or []}


def is_told(item, wanted):
    status = (item or {}).get("status") or {}
    if not item or status.get("observedGeneration") != item["metadata"]["generation"]:
        return False
    found = conditions_of(item)
    return all(kind in found and found[kind]["reason"] == reason
               and found[kind]["status"] == str(reason == WELL[kind])
               for kind, reason in wanted.items())


class Follower:
    """A raw xDS client of one name. What it was told of the Cluster is known by the limit of
    requests (circuitBreaker.maxRequests), which a test gives each version another of."""

    NO_LIMIT = 0x7FFFFFFF

    def __init__(self, server, target, user_agent="e2e-follower"):
        self.channel = ads.connect(server)
        self.stream = ads.Stream(self.channel, ads.node("e2e", user_agent=user_agent))
        listener = self.stream.subscribe(ads.LDS, [target]).resources[target]
        self.cluster = listener.cluster
        self.limits = []
        self.take(self.stream.subscribe(ads.CDS, [self.cluster]))

    def __enter__(self):
        return self

    def __exit__(self, *_rest):
        self.stream.cancel()
        self.channel.close()

    def take(self, response):
        if self.cluster in response.resources:
            limit = response.resources[self.cluster].max_requests
            self.limits.append(None if limit == self.NO_LIMIT else limit)

    def wait(self, limit, within=5):
        """Until that is the newest."""
        deadline = time.monotonic() + within
        while self.limits[-1] != limit:
            left = deadline - time.monotonic()
            assert left > 0, f"not within {within:g} s: a limit of {limit}; found {self.limits}"
            self.pump(left)

    def stays(self, limit, seconds):
        """Nothing else is told for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pump(left)
            assert self.limits[-1] == limit, f"the limit was to stay {limit}: {self.limits}"

    def pump(self, seconds):
        try:
            response = self.stream.recv(seconds)
        except ads.WaitTimeout:
            return
        self.stream.ack(response)
        if response.type_url == ads.CDS:
            self.take(response)


class Elsewhere(Balancer):
    """Leads to Lookaside as another peer: from an address of its own."""

    def __init__(self, port, source, target):
        super().__init__(port)
        self.source, self.target = source, target

    def reach(self):
        return socket.create_connection((HOST, self.target), 5, source_address=(self.source, 0))


# ---- what people read ----

VARYING = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"(Resource Version: +)\d+", r"\1N"),
    (r"\b(10\.244(\.\d+){2}:\d+|127\.0\.0\.\d+:\d+)", "ADDRESS"),
    (r"-[a-z0-9]{5}\b(?=  | has)", "-XXXXX"),  # of a slice
    (r"as of \d+ s ago", "as of N s ago"),
)


def normal(text):
    """Without what differs from run to run; of tables the columns' width, too."""
    for pattern, put in VARYING:
        text = re.sub(pattern, put, text)
    before, mark, events = text.partition("\nEvents:\n")
    if mark:
        return before + mark + "".join(sorted(map(event_line, events.splitlines()[2:])))
    return re.sub(r"(?<=\S) {2,}", "  ", text)


def event_line(line):
    """Type, reason, who and what: not when, nor how often."""
    kind, reason, _, who, note = re.split(r" {2,}", line.strip(), maxsplit=4)
    return f"  {kind}  {reason}  {who}  {note}\n"


def without_ages(text):
    """The table of `kubectl get`: its last column is the age."""
    return re.sub(r"\s+(?:AGE|(?:\d+[smhd])+)$", "", text, flags=re.M)


def compare_golden(name, text):
    """With the file of that name; LOOKASIDE_GOLDEN=write makes that anew."""
    path = GOLDEN / name
    if os.environ.get("LOOKASIDE_GOLDEN") == "write":
        path.write_text(text)
    wanted = path.read_text() if path.exists() else ""
    assert text == wanted, (f"{path} says otherwise; if this is as it should be, run with "
                            "LOOKASIDE_GOLDEN=write\n" + first_difference(wanted, text))


def first_difference(wanted, found):
    lines, others = wanted.splitlines() + [""], found.splitlines() + [""]
    last = min(len(lines), len(others)) - 1
    number = next((i for i, (a, b) in enumerate(zip(lines, others)) if a != b), last)
    return (f"line {number + 1}\n  wanted: {lines[number]}\n  found:  {others[number]}\n"
            f"--- all of it\n{found}")
