"""What the fake API server lets be written: Leases, Events and statuses, with the rules of the real one.

A Lease is created once and updated from its newest version only. An Event is created once and only its series
may be patched. A status is applied to an object that is there, in the version that the writer means.
"""
import copy
import json
import re
import time
from dataclasses import dataclass

from .api_faults import status_object

PATHS = {
    "leases": re.compile(r"/apis/coordination.k8s.io/v1/namespaces/([^/]+)/leases(?:/([^/]+))?$"),
    "events": re.compile(r"/apis/events.k8s.io/v1/namespaces/([^/]+)/events(?:/([^/]+))?$"),
    "lookasideservices": re.compile(
        r"/apis/lookaside.dev/v1alpha1/namespaces/([^/]+)/lookasideservices/([^/]+)/status$"),
}
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
CONDITION = {"type", "status", "reason", "message", "lastTransitionTime"}


@dataclass
class Write:
    """A request of one object, as the server judged it."""
    moment: float
    resource: str
    namespace: str | None
    name: str | None
    verb: str                      # "get", "create", "update", "patch"
    query: dict
    headers: dict
    connection: int
    body: dict
    target: str = ""
    user: str = ""
    code: int = 0                  # of the answer; 0: a fault had it


def parse(method, path, query, headers, body, conn):
    """The Write that a request is, or None: it is of something else."""
    verb = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}.get(method)
    for resource, pattern in PATHS.items():
        match = pattern.fullmatch(path)
        if match and verb and (match[2] is None) == (verb == "create"):
            return Write(time.monotonic(), resource, match[1], match[2], verb, query, headers,
                         conn.number, json.loads(body) if body else {}, path, conn.user)
    return None


def refused(code, message):
    return code, status_object(code, message)


class Written:
    """The objects that are not watched, and the rules for writing them."""

    def __init__(self, server):
        self.server = server
        self.objects = {"leases": {}, "events": {}}
        self.log = []              # every Write

    def answer(self, write):
        """(code, object), and what that changes."""
        judge = getattr(self, f"_{write.verb}_{write.resource}", None)
        write.code, obj = judge(write) if judge else refused(405, "no such verb here")
        return write.code, obj

    def _store(self, write, name, obj):
        self.server.version += 1
        obj = copy.deepcopy(obj)
        obj["metadata"].update(namespace=write.namespace, name=name,
                               resourceVersion=str(self.server.version))
        self.objects[write.resource][write.namespace, name] = obj
        return obj

    def _find(self, write):
        return self.objects[write.resource].get((write.namespace, write.name))

    def _create(self, write):
        name = write.body["metadata"]["name"]
        if (write.namespace, name) in self.objects[write.resource]:
            return refused(409, f"{write.resource} {name} already exists")
        return 201, self._store(write, name, write.body)

    # -- Leases --

    def _get_leases(self, write):
        obj = self._find(write)
        return (200, obj) if obj else refused(404, "no such Lease")

    @staticmethod
    def _readable(write):
        return all(MICRO_TIME.fullmatch(write.body["spec"].get(key, ""))
                   for key in ("acquireTime", "renewTime"))

    def _create_leases(self, write):
        return self._create(write) if self._readable(write) else refused(400, "parsing time")

    def _update_leases(self, write):
        if not self._readable(write):
            return refused(400, "parsing time")
        before = self._find(write)
        if not before:
            return refused(404, "no such Lease")
        if write.body["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            return refused(409, "the object has been modified")
        return 200, self._store(write, write.name, write.body)

    # -- Events --

    def _create_events(self, write):
        need = ("eventTime", "reportingController", "reportingInstance", "action", "reason", "type")
        missing = [field for field in need if not write.body.get(field)]
        if not MICRO_TIME.fullmatch(write.body.get("eventTime", "")):
            return refused(400, "parsing time")
        if missing or write.body.get("regarding", {}).get("namespace") != write.namespace:
            return refused(422, f"Event is invalid: {missing}")
        return self._create(write)

    def _patch_events(self, write):
        before = self._find(write)
        if not before:
            return refused(404, "no such Event")
        if set(write.body) != {"series"} or write.body["series"]["count"] < 2:
            return refused(422, "only the series may change")
        return 200, self._store(write, write.name, {**before, **write.body})

    # -- statuses --

    def _patch_lookasideservices(self, write):
        key = (write.namespace, write.name)
        before = self.server.objects.get("lookasideservices", {}).get(key)
        if write.headers.get("content-type") != "application/apply-patch+yaml" \
                or not write.query.get("fieldManager"):
            return refused(415, "only server-side apply, with a field manager")
        if not before:
            return refused(404, f'lookasideservices "{write.name}" not found')
        version = write.body["metadata"].get("resourceVersion")
        if version and version != before["metadata"]["resourceVersion"]:
            return refused(409, "the object has been modified")
        bad = [condition for condition in write.body["status"]["conditions"]
               if not CONDITION <= set(condition)]
        if bad:
            return refused(422, f"conditions are invalid: {bad}")
        obj = copy.deepcopy(before)
        if obj.get("status") != write.body["status"]:
            obj["status"] = write.body["status"]
            self.server.put(obj)
        return 200, self.server.objects["lookasideservices"][key]
