"""Where tests/conformance's worlds are on the cluster: their objects are the API server's, their
Lookaside is the suite's, and no pod stands behind their backends."""

import json
import time

from lookaside import ADMIN, LISTEN
from namespace import HAND_ADDRESS
from resources import API, APPLY, Resources, conditions_of
from support.lookaside import Lookaside
from support.manifests import Objects
from workload import CORE, SLICES

LOOKASIDE_SERVICE = "LookasideService"
PATHS = {"Service": f"{CORE}/{{}}/services/{{}}",
         "EndpointSlice": f"{SLICES}/namespaces/{{}}/endpointslices/{{}}",
         LOOKASIDE_SERVICE: f"{API}/namespaces/{{}}/lookasideservices/{{}}"}


def path_of(entry):
    return PATHS[entry["kind"]].format(entry["metadata"]["namespace"], entry["metadata"]["name"])


class Applied(Objects):
    """In a namespace of the API server; LookasideServices get there as they do in the README."""

    def __init__(self, cluster, namespace):
        super().__init__(namespace)
        self.cluster, self.kept = cluster, {}

    def put(self, name, *objects):
        moment = time.time()
        for entry in objects:
            entry["metadata"].pop("uid", None)  # that is for the API server to give
            if entry["kind"] == LOOKASIDE_SERVICE:
                self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(entry))
            else:
                self.cluster.api.request("PATCH", f"{path_of(entry)}?fieldManager=e2e&force=true",
                                         entry, APPLY)
        self.kept[name] = objects
        return moment

    def remove(self, name):
        moment = time.time()
        for entry in self.kept.pop(name):
            self.cluster.api.delete(path_of(entry))
        return moment


class ClusterSite:
    """What conformance.world.Site is; each has a namespace and a number of its own."""

    def __init__(self, cluster, work, namespace, number):
        self.cluster, self.number = cluster, number
        self.manifests = Applied(cluster, namespace)
        self.lookaside = Lookaside(work, listen=LISTEN, admin=ADMIN)  # which runs already
        self.resources = Resources(cluster.api, namespace)

    def address(self, last):
        return HAND_ADDRESS.format(self.number, last)

    def start(self):
        self.cluster.create_namespace(self.manifests.namespace)

    def stop(self):
        for name in list(self.manifests.kept):
            self.manifests.remove(name)

    def resource(self, name):
        """What `kubectl get` says of the LookasideService, or None while that is not of its newest
        generation."""
        item = self.resources.get(name)
        status = (item or {}).get("status") or {}
        if not item or status.get("observedGeneration") != item["metadata"]["generation"]:
            return None
        return {"conditions": [{**condition, "status": condition["status"] == "True"}
                               for condition in conditions_of(item).values()]}
