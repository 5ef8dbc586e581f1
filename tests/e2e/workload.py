"""Services, their pods, and what the API says of their backends."""

import itertools
import json
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import oracle
from api import ApiError
from kubelet import IMAGE, PORT, ZONES, node_of, ready_condition
from process import Process, wait_until

CORE = "/api/v1/namespaces"
SLICES = "/apis/discovery.k8s.io/v1"
GRACE_SECONDS = 30  # as the API has it
WRITERS = 4
GRPC_PORT = {"name": "grpc", "port": PORT, "targetPort": PORT}


class Service:
    """A Service, by default of one port, and the pods behind it."""

    def __init__(self, cluster, kubelet, namespace, name="greeter"):
        self.cluster, self.api, self.kubelet = cluster, cluster.api, kubelet
        self.namespace, self.name, self.port = namespace, name, PORT
        self.path = f"{CORE}/{namespace}/services"
        self.pods_path = f"{CORE}/{namespace}/pods"
        self.slices_path = f"{SLICES}/namespaces/{namespace}/endpointslices"
        self.pods, self.numbers = [], itertools.count()
        self.made = None
        self.annotations = {}  # of the pods to come
        if not cluster.has_default_account(namespace):
            cluster.create_namespace(namespace)

    def target(self, port=PORT, hostname=""):
        host = f"{hostname}." if hostname else ""
        return f"{host}{self.name}.{self.namespace}" + (f":{port}" if port else "")

    # ---- the Service

    def manifest(self, ports=(GRPC_PORT,), selector=True, **spec):
        if selector:
            spec["selector"] = {"app": self.name}
        if ports:
            spec["ports"] = list(ports)
        return {"apiVersion": "v1", "kind": "Service", "spec": spec,
                "metadata": {"name": self.name, "namespace": self.namespace}}

    def create(self, *args, **spec):
        self.made = self.manifest(*args, **spec)
        self.api.create(self.path, self.made)

    def patch(self, **spec):
        """A field that is None goes."""
        self.api.patch(f"{self.path}/{self.name}", {"spec": spec})

    def replace(self):
        """kubectl replace --force: deleted, and created again byte by byte."""
        self.cluster.kubectl("replace", "--force", "-f", "-", stdin=json.dumps(self.made))

    def delete(self):
        self.api.delete(f"{self.path}/{self.name}")

    # ---- its pods

    def add_pod(self, node, ports=(), **spec):
        name = self.next_name()
        self.create_pod(name, node, ports, **spec)
        self.pods.append(name)
        return name

    def next_name(self):
        return f"{self.name}-{self.namespace}-{next(self.numbers)}"

    def create_pod(self, name, node, ports=(), **spec):
        container = {"name": "greeter", "image": IMAGE, "ports": list(ports)}
        self.api.create(self.pods_path, {
            "metadata": {"name": name, "labels": {"app": self.name},
                         "annotations": self.annotations},
            "spec": {"nodeName": node, "containers": [container], **spec}})

    def remove_pod(self, name, grace_seconds=GRACE_SECONDS):
        self.remove_pods([name], grace_seconds)

    def scale(self, count, zones=ZONES):
        """New pods over the zones in turn; the youngest go first."""
        names = [self.next_name() for _ in range(count - len(self.pods))]
        nodes = itertools.cycle(node_of(zone) for zone in zones)
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self.create_pod, names, nodes))
        self.pods += names
        self.remove_pods(self.pods[count:])

    def remove_pods(self, names, grace_seconds=GRACE_SECONDS):
        names = list(names)
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda n: self.api.delete(f"{self.pods_path}/{n}", grace_seconds), names))
        self.pods = [name for name in self.pods if name not in names]

    def set_ready(self, name, ready):
        """What its probe would say: the process serves on."""
        self.api.patch(f"{self.pods_path}/{name}/status", {"status": ready_condition(ready)})

    # ---- what is written by hand

    def put(self, path, body):
        try:
            return self.api.put(f"{path}/{body['metadata']['name']}", body)
        except ApiError as error:
            if error.code != 404:
                raise
            return self.api.create(path, body)

    def put_slice(self, suffix, backends, zone=ZONES[0]):
        """A slice, for a Service without selector: {address: name}, all of one zone."""
        self.put(self.slices_path, {
            "metadata": {"name": f"{self.name}-{suffix}",
                         "labels": {oracle.SERVICE_LABEL: self.name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "hostname": name, "zone": zone,
                           "conditions": {"ready": True}} for address, name in backends.items()],
            "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}]})

    def put_endpoints(self, addresses):
        """The old object, which the mirroring controller makes slices of."""
        self.put(f"{CORE}/{self.namespace}/endpoints", {
            "metadata": {"name": self.name},
            "subsets": [{"addresses": [{"ip": address} for address in addresses],
                         "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}]}]})

    # ---- what the API says

    def state(self):
        """The Service, or None, and its namespace's slices."""
        try:
            service = self.api.get(f"{self.path}/{self.name}")
        except ApiError as error:
            if error.code != 404:
                raise
            service = None
        return service, self.api.get(self.slices_path)["items"] or []

    def slices(self):
        service, slices = self.state()
        return oracle.own(service, slices) if service else []

    def expected(self, port=PORT):
        return oracle.expected(*self.state(), port)

    @staticmethod
    def names_of(backends, slices):
        """Of the pods behind a list, or of what was written by hand."""
        listed = {b.address for b in backends}
        return {(e.get("targetRef") or {}).get("name") or e.get("hostname")
                for s in slices for e in s.get("endpoints") or [] if e["addresses"][0] in listed}

    def wait_api(self, names, within=30):
        """Until the API lists just these pods, or the kubelet says why it cannot."""
        found, within = {}, within + len(names) / 2  # pods of a busy machine

        def same():
            self.kubelet.check()
            service, slices = self.state()
            listed = oracle.expected(service, slices, self.port)
            found["names"] = self.names_of(listed, slices)
            return found["names"] == names
        wait_until(same, within, lambda: f"the API lists {len(names)} backends of "
                   f"{self.namespace}/{self.name}; it lists {len(found['names'])}")

    def clean_up(self):
        """At once and without grace: whoever had something to say about it has said it."""
        self.delete()
        self.remove_pods(self.pods, grace_seconds=0)


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
