"""The API server's audit log: what Lookaside asked for, when, and what became of it."""

import json
from collections import namedtuple
from datetime import datetime

# Statuses with what was written and what came of it; the rest by name. The first rule that fits
# counts.
POLICY = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "RequestResponse",
         "resources": [{"group": "lookaside.dev", "resources": ["lookasideservices/status"]}]},
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ]}
EXTRA = "authentication.kubernetes.io/"

# credential and pod: which token it came with, so which replica asked. resource: with its
# subresource; "" of what is no object. code: 0 while it is not answered.
Entry = namedtuple("Entry", "at who credential pod verb group resource namespace name code asked "
                            "answered")


def parse(line):
    found = json.loads(line)
    about, user = found.get("objectRef") or {}, found["user"]
    resource = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))

    def extra(name):
        return ((user.get("extra") or {}).get(EXTRA + name) or [""])[0]
    return Entry(datetime.fromisoformat(found["requestReceivedTimestamp"][:-1]).timestamp(),
                 user["username"], extra("credential-id"), extra("pod-name"), found["verb"],
                 about.get("apiGroup", ""), resource, about.get("namespace", ""),
                 about.get("name", ""), (found.get("responseStatus") or {}).get("code", 0),
                 found.get("requestObject"), found.get("responseObject"))


class Audit:
    """Entries from where it was begun."""

    def __init__(self, path):
        self.path = path
        self.begin = path.stat().st_size if path.exists() else 0

    def entries(self, account="lookaside"):
        """Of the ServiceAccounts of that name."""
        who = f":{account}"
        with open(self.path, "rb") as log:
            log.seek(self.begin)
            lines = log.read().splitlines(keepends=True)
        found = [parse(line) for line in lines if line.endswith(b"\n") and who.encode() in line]
        return [entry for entry in found if entry.who.endswith(who)]

    def writes(self, account="lookaside"):
        """Answered ones, of statuses and Events. The Lease has no part in the budget."""
        return [e for e in self.entries(account) if e.code
                and (e.resource == "lookasideservices/status" or e.resource == "events")
                and e.verb in ("create", "patch", "update")]

    def statuses(self, account="lookaside"):
        return [e for e in self.writes(account) if e.resource == "lookasideservices/status"]


def busiest(entries, seconds=1):
    """The most of them within so many seconds, wherever those begin."""
    times, most, begin = sorted(e.at for e in entries), 0, 0
    for end, at in enumerate(times):
        while at - times[begin] >= seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def idle(statuses):
    """Those of them that changed nothing: the object has the version that they were based on."""
    return [e for e in statuses if e.code == 200
            and e.asked["metadata"]["resourceVersion"] == e.answered["metadata"]["resourceVersion"]]


def wrong(statuses):
    """Those that took effect on an object that they were not about: another UID, or a generation
    that it did not have yet."""
    return [e for e in statuses if e.code == 200
            and (e.asked["metadata"]["uid"] != e.answered["metadata"]["uid"]
                 or e.asked["status"]["observedGeneration"] > e.answered["metadata"]["generation"])]
