"""Services, their pods, and what the API says of their backends."""

import itertools
import pathlib
import sys

from api import ApiError
from kubelet import PORT, ZONES, node_of
from process import Process, wait_until

CORE = "/api/v1/namespaces"
SLICES = "/apis/discovery.k8s.io/v1"
SERVICE_LABEL = "kubernetes.io/service-name"
GRACE_SECONDS = 10


def listed(endpoints):
    """The rule of kube-proxy: the ready ones, else those that still serve while terminating."""
    def condition(endpoint, name, default):
        value = (endpoint.get("conditions") or {}).get(name)
        return default if value is None else value

    ready = [e for e in endpoints if condition(e, "ready", True)]
    return ready or [e for e in endpoints if condition(e, "serving", True)
                     and condition(e, "terminating", False)]


class Service:
    """A Service of one port, and the pods behind it."""

    def __init__(self, cluster, kubelet, namespace, name="greeter"):
        self.api, self.kubelet = cluster.api, kubelet
        self.namespace, self.name = namespace, name
        self.port = PORT
        self.target = f"xds:///{name}.{namespace}:{PORT}"
        self.path = f"{CORE}/{namespace}/services"
        self.pods_path = f"{CORE}/{namespace}/pods"
        self.slices_path = f"{SLICES}/namespaces/{namespace}/endpointslices"
        self.pods, self.numbers = [], itertools.count()
        self.annotations = {}  # of the pods to come
        cluster.create_namespace(namespace)

    def create(self, selector=True):
        spec = {"ports": [{"name": "grpc", "port": PORT, "targetPort": PORT}]}
        if selector:
            spec["selector"] = {"app": self.name}
        self.api.create(self.path, {"metadata": {"name": self.name}, "spec": spec})

    def delete(self):
        self.api.delete(f"{self.path}/{self.name}")

    def add_pod(self, zone):
        name = f"{self.name}-{self.namespace}-{next(self.numbers)}"
        self.api.create(self.pods_path, {
            "metadata": {"name": name, "labels": {"app": self.name},
                         "annotations": self.annotations},
            "spec": {"nodeName": node_of(zone), "containers": [{"name": "greeter", "image": "-"}]}})
        self.pods.append(name)
        return name

    def remove_pod(self, name, grace_seconds=GRACE_SECONDS):
        self.api.delete(f"{self.pods_path}/{name}", grace_seconds)
        self.pods.remove(name)

    def scale(self, count, zones=ZONES):
        """New pods over the zones in turn; the youngest go first."""
        zone = itertools.cycle(zones)
        while len(self.pods) < count:
            self.add_pod(next(zone))
        while len(self.pods) > count:
            self.remove_pod(self.pods[-1])

    def put_slice(self, suffix, backends):
        """A slice by hand, for a Service without selector: {address: name}, all of one zone."""
        name = f"{self.name}-{suffix}"
        body = {"metadata": {"name": name, "labels": {SERVICE_LABEL: self.name}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [address], "hostname": backend, "zone": ZONES[0],
                               "conditions": {"ready": True}}
                              for address, backend in backends.items()],
                "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}]}
        try:
            return self.api.put(f"{self.slices_path}/{name}", body)
        except ApiError as error:
            if error.code != 404:
                raise
            return self.api.create(self.slices_path, body)

    def slices(self):
        """The Service's own slices; one that a former Service of this name left is not."""
        try:
            uid = self.api.get(f"{self.path}/{self.name}")["metadata"]["uid"]
        except ApiError as error:
            if error.code == 404:
                return []
            raise
        items = self.api.get(f"{self.slices_path}?labelSelector={SERVICE_LABEL}={self.name}")
        return [s for s in items["items"] or []
                if not any(o["kind"] == "Service" and o["uid"] != uid
                           for o in s["metadata"].get("ownerReferences") or [])]

    def truth(self):
        """What a client's list must be: {(address, port, zone): name of the backend}."""
        merged = {}
        for item in sorted(self.slices(), key=lambda s: int(s["metadata"]["resourceVersion"])):
            ports = [p["port"] for p in item.get("ports") or [] if p.get("name") == "grpc"]
            for endpoint in item.get("endpoints") or []:
                for port in ports:
                    merged[endpoint["addresses"][0], port] = endpoint
        rows = {id(e): key for key, e in merged.items()}
        return {rows[id(e)] + (e.get("zone") or "",):
                (e.get("targetRef") or {}).get("name") or e.get("hostname")
                for e in listed(list(merged.values()))}

    def wait_api(self, names, within=30):
        """Until the API lists just these backends, or the kubelet says why it cannot."""
        found = {}

        def same():
            self.kubelet.check()
            found["names"] = set(self.truth().values())
            return found["names"] == names
        wait_until(same, within, lambda: f"the API lists {len(names)} backends of "
                   f"{self.namespace}/{self.name}; it lists {len(found['names'])}")

    def clean_up(self):
        """At once and without grace: whoever had something to say about it has said it."""
        self.delete()
        for name in list(self.pods):
            self.remove_pod(name, grace_seconds=0)


class SliceTimes:
    """The lines of slice_times.py, which says when each pod was first ready in a slice."""

    PROGRAM = pathlib.Path(__file__).resolve().parent / "slice_times.py"

    def __init__(self, folder, output):
        self.output = output
        self.process = Process("slice times", [sys.executable, "-B", self.PROGRAM, folder], output)

    def of(self, name):
        """In Unix milliseconds."""
        return wait_until(lambda: self.read().get(name), 5, f"{name} ready in a slice")

    def read(self):
        lines = self.output.read_text().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line.count(" ") == 1}

    def stop(self):
        self.process.stop()
