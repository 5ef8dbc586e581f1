"""What is published: Services s00000, s00001, ... with endpoints that all have the same addresses, so that one Service's list is every other's but for
the name, and of the same length. JSON as an API server sends it."""
import json

NAMESPACE = "shop"
NAME = "s%05d"
PORT = 8001
ZONES = ("zone-a",)

_endpoints = {}


def name_of(service):
    return NAME % service


def _endpoint(index, ready):
    """Some 340 bytes, as a pod's are."""
    if (index, ready) not in _endpoints:
        pod = f"pod-6d9f7c8b5-{index:05d}"
        _endpoints[index, ready] = json.dumps({
            "addresses": [f"10.{1 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"],
            "conditions": {"ready": ready, "serving": ready, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": pod,
                          "uid": f"5b0c8b1e-3a43-4c39-9b66-{index:012d}"},
            "nodeName": f"node-{index % 50:03d}.example.internal", "zone": ZONES[index % len(ZONES)]},
            separators=(",", ":"))
    return _endpoints[index, ready]


def _meta(kind, name, uid, version, labels):
    return {"name": name, "namespace": NAMESPACE, "uid": uid, "resourceVersion": str(version), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", **({"labels": labels} if labels else {})}


def service_json(service, version=1):
    name = name_of(service)
    return json.dumps({
        "kind": "Service", "apiVersion": "v1", "metadata": _meta("Service", name, f"uid-{name}", version, None),
        "spec": {"ports": [{"name": "grpc", "protocol": "TCP", "port": PORT, "targetPort": PORT}], "clusterIP": "None",
                 "clusterIPs": ["None"], "type": "ClusterIP", "selector": {"app": name}}}, separators=(",", ":"))


def slice_json(service, endpoints, ready, version=1, part=0):
    """A slice with the endpoints of range `endpoints`, of which those below `ready` are."""
    name = name_of(service)
    meta = _meta("EndpointSlice", f"{name}-{part:04d}", f"uid-{name}-{part}", version, {
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"})
    meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "Service", "name": name, "uid": f"uid-{name}",
                                "controller": True, "blockOwnerDeletion": True}]
    head = json.dumps({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta,
                       "addressType": "IPv4", "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}]},
                      separators=(",", ":"))
    return f'{head[:-1]},"endpoints":[{",".join(_endpoint(i, i < ready) for i in endpoints)}]}}'
