"""What a ServiceAccount asked for by the audit log, and what it was allowed to."""

import json
from collections import namedtuple

ACCOUNT = "system:serviceaccount:{}:{}"
POD_NAME = "authentication.kubernetes.io/pod-name"

# namespace: "" of a cluster-wide request or right; name: "" of any. resource with its subresource.
Right = namedtuple("Right", "namespace group resource verb name")
Request = namedtuple("Request", "right code pod at")


def requests(path, namespace, account, start=0):
    """In their order, from a byte of the log on."""
    wanted, result = ACCOUNT.format(namespace, account), []
    with open(path) as log:
        log.seek(start)
        for line in log:
            if wanted not in line or not line.endswith("\n"):
                continue
            entry = json.loads(line)
            if entry["user"]["username"] != wanted or "objectRef" not in entry:
                continue
            ref = entry["objectRef"]
            resource = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
            right = Right(ref.get("namespace", ""), ref.get("apiGroup", ""), resource,
                          entry["verb"], ref.get("name", ""))
            pod = (entry["user"].get("extra") or {}).get(POD_NAME, [""])[0]
            result.append(Request(right, entry["responseStatus"]["code"], pod,
                                  entry["stageTimestamp"]))
    return result


def rights_of(api, namespace, account):
    """All that RBAC grants it by bindings that name it."""
    rbac, rights = "/apis/rbac.authorization.k8s.io/v1", set()
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    for kind in ("rolebindings", "clusterrolebindings"):
        for binding in api.get(f"{rbac}/{kind}")["items"]:
            if not any(subject.items() <= s.items() for s in binding.get("subjects") or []):
                continue
            scope, role = binding["metadata"].get("namespace", ""), binding["roleRef"]
            where = f"namespaces/{scope}/roles" if role["kind"] == "Role" else "clusterroles"
            for rule in api.get(f"{rbac}/{where}/{role['name']}")["rules"]:
                rights |= {Right(scope, group, resource, verb, name)
                           for group in rule["apiGroups"] for resource in rule["resources"]
                           for verb in rule["verbs"] for name in rule.get("resourceNames", [""])}
    return rights


def covers(right, used):
    return (right.namespace in ("", used.namespace) and right.name in ("", used.name)
            and right[1:4] == used[1:4])


def unused(rights, asked):
    """Rights that no request needed: none, or only ones that another right covers as well."""
    return sorted(right for right in rights
                  if not any(covers(right, request.right) for request in asked))


def refused(asked):
    return sorted({request.right for request in asked if request.code == 403})
