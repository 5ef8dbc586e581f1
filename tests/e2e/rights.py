"""What a ServiceAccount is allowed to, beside what it asked for by the audit log (audit.py)."""

from collections import namedtuple

# namespace: "" of a cluster-wide request or right; name: "" of any. resource with its subresource.
Right = namedtuple("Right", "namespace group resource verb name")


def needed(entry):
    """By an entry of the audit log."""
    return Right(entry.namespace, entry.group, entry.resource, entry.verb, entry.name)


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
                  if not any(covers(right, needed(entry)) for entry in asked))


def refused(asked):
    return sorted({needed(entry) for entry in asked if entry.code == 403})
