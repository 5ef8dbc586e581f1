"""Services and EndpointSlices as YAML files in a directory, each replaced in one step."""
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a slice. None leaves a condition out of the manifest."""
    address: str
    zone: str | None = None
    ready: bool | None = True
    serving: bool | None = None
    terminating: bool | None = None
    pod: str | None = None
    hostname: str | None = None
    node: str | None = None
    for_zones: tuple = ()
    for_nodes: tuple = ()

    def draining(self):
        """The same pod while it terminates and still serves."""
        return replace(self, ready=False, serving=True, terminating=True)

    def manifest(self):
        conditions = {"ready": self.ready, "serving": self.serving,
                      "terminating": self.terminating}
        entry = {"addresses": [self.address],
                 "conditions": {k: v for k, v in conditions.items() if v is not None}}
        if self.zone is not None:
            entry["zone"] = self.zone
        if self.hostname is not None:
            entry["hostname"] = self.hostname
        if self.node is not None:
            entry["nodeName"] = self.node
        hints = {"forZones": self.for_zones, "forNodes": self.for_nodes}
        if any(hints.values()):
            entry["hints"] = {key: [{"name": name} for name in names]
                              for key, names in hints.items() if names}
        if self.pod is not None:
            entry["targetRef"] = {"kind": "Pod", "name": self.pod, "uid": f"uid-{self.pod}"}
        return entry


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_yaml(value, indent=0):
    """Block YAML of dicts, lists and scalars, as kubectl would print it."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{key}:{_nested(item, indent)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}- {to_yaml(item, indent + 1).lstrip(' ')}" for item in value)
    return pad + ({dict: "{}", list: "[]"}.get(type(value)) or _scalar(value)) + "\n"


def _nested(item, indent):
    if isinstance(item, (dict, list)) and item:
        return "\n" + to_yaml(item, indent + isinstance(item, dict))
    return " " + to_yaml(item)


def service(name, namespace="shop", ports=None, headless=True, **spec):
    """A Service object. ports is a list of dicts; by default 8001, named grpc."""
    body = {"ports": ports if ports is not None else [
        {"name": "grpc", "port": 8001, "protocol": "TCP", "targetPort": 8001}], **spec}
    if "externalName" not in spec:
        body["clusterIP"] = "None" if headless else "10.96.0.10"
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"},
            "spec": body}


def endpoint_slice(name, of, endpoints, namespace="shop", port=8001, port_name="grpc",
                   family="IPv4", ports=None, owner_uid=None):
    """An EndpointSlice object of the Service named by of."""
    owner = {} if owner_uid is None else {"ownerReferences": [
        {"apiVersion": "v1", "kind": "Service", "name": of, "uid": owner_uid}]}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name, "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": of}, **owner},
            "ports": ports if ports is not None else [
                {"name": port_name, "port": port, "protocol": "TCP"}],
            "endpoints": [endpoint.manifest() for endpoint in endpoints]}


def pod(name, account, *addresses, namespace="shop", phase="Running", **spec):
    """A Pod object; account None: it has none."""
    named = {} if account is None else {"serviceAccountName": account}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"},
            "spec": {**named, "containers": [{"name": "main", "image": "main"}], **spec},
            "status": {"phase": phase, "podIPs": [{"ip": address} for address in addresses]}}


class Objects:
    """Services and their slices in one namespace, wherever put() and remove() keep objects. The time
    (unix, s) of each change is returned."""

    def __init__(self, namespace="shop"):
        self.namespace = namespace

    def service(self, name, **options):
        return self.put(f"{self.namespace}-{name}-service",
                        service(name, self.namespace, **options))

    def slice(self, of, endpoints, suffix="a", **options):
        """Writes the slice <of>-<suffix> of a Service."""
        name = f"{of}-{suffix}"
        return self.put(f"{self.namespace}-{name}-slice",
                        endpoint_slice(name, of, endpoints, self.namespace, **options))

    def remove_service(self, name):
        return self.remove(f"{self.namespace}-{name}-service")

    def remove_slice(self, of, suffix="a"):
        return self.remove(f"{self.namespace}-{of}-{suffix}-slice")


class Manifests(Objects):
    """A directory of manifests. Every change is one rename."""

    def __init__(self, directory):
        super().__init__()
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def put(self, name, *objects):
        """Writes objects as the documents of name.yaml."""
        path = self.directory / f"{name}.yaml"
        fresh = self.directory / f".{name}.yaml.new"
        fresh.write_text("---\n".join(to_yaml(entry) for entry in objects))
        moment = time.time()
        os.rename(fresh, path)
        return moment

    def remove(self, name):
        moment = time.time()
        os.unlink(self.directory / f"{name}.yaml")
        return moment
