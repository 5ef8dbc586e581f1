"""kube-proxy, as far as the tests need it: each ClusterIP is a TCP proxy to its ready endpoints."""

import random
import threading

from api import Watch
from cluster import PORTS
from containers import API_HOST, API_PORT
from middle import Balancer

SERVICE_LABEL = "kubernetes.io/service-name"


def ready(endpoint):
    return endpoint.get("conditions", {}).get("ready") is not False


class ClusterIp(Balancer):
    """Whoever connects gets any of them, by chance."""

    def choose(self):
        return random.sample(self.targets, len(self.targets))


class ClusterIps:
    """Those of one namespace, and the API server's unless others have that."""

    def __init__(self, api, namespace, api_server=True):
        self.api_server = api_server
        self.lock, self.proxies, self.services, self.slices = threading.Lock(), {}, {}, {}
        path = f"namespaces/{namespace}"
        self.watches = (Watch(api, f"/api/v1/{path}/services", self.on_service),
                        Watch(api, f"/apis/discovery.k8s.io/v1/{path}/endpointslices",
                              self.on_slice))

    def start(self):
        if self.api_server:
            self.open(API_HOST, API_PORT).aim(PORTS[0])
        for watch in self.watches:
            watch.start()

    def open(self, host, port):
        proxy = ClusterIp(port, host)
        proxy.open()
        self.proxies[host, port] = proxy
        return proxy

    def stop(self):
        for watch in self.watches:
            watch.stop()
        for proxy in self.proxies.values():
            proxy.stop()

    def on_service(self, kind, service):
        uid = service["metadata"]["uid"]
        with self.lock:
            if kind == "GONE":
                self.services.pop(uid, None)
            else:
                self.services[uid] = service
            self.follow()

    def on_slice(self, kind, slice_):
        uid = slice_["metadata"]["uid"]
        with self.lock:
            if kind == "GONE":
                self.slices.pop(uid, None)
            else:
                self.slices[uid] = slice_
            self.follow()

    def follow(self):
        wanted = {(s["spec"]["clusterIP"], p["port"]): (s["metadata"]["name"], p.get("name"))
                  for s in self.services.values() if s["spec"].get("clusterIP", "None") != "None"
                  for p in s["spec"]["ports"]}
        for key in self.proxies.keys() - wanted.keys() - {(API_HOST, API_PORT)}:
            self.proxies.pop(key).stop()
        for key, (service, port) in wanted.items():
            proxy = self.proxies.get(key) or self.open(*key)
            proxy.aim(*self.targets(service, port))

    def targets(self, service, port_name):
        return [(endpoint["addresses"][0], port["port"]) for slice_ in self.slices.values()
                if slice_["metadata"]["labels"].get(SERVICE_LABEL) == service
                for port in slice_.get("ports") or [] if port.get("name") == port_name
                for endpoint in slice_.get("endpoints") or [] if ready(endpoint)]
