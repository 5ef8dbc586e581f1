"""grpclb in a cluster: the Services that clients dial are real ones, and DNS says of them what a cluster's would.

The name server stands for the cluster's: its records are made of the API's objects by the rules of Kubernetes' DNS specification.
"""

import re

from api import ApiError
from client import Client
from cluster_ips import ClusterIps
from process import wait_until
from release import NAME, NAMESPACE, ROOT, Release, find_agents
from support.dns import NameServer
from workload import CORE, SLICES
from world import scenario

RESOLVER, DOMAIN = "127.0.0.9", "svc.cluster.local"
OWN_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
FALLBACK_SECONDS = 20  # a client waits for its balancer for 10 s
# What README.md has for who wants something to fall back to, with its addresses and names.
MANIFESTS = re.search(r"```yaml\n(apiVersion: v1\nkind: Service\nmetadata: \{name: greeter-lb.*?)```",
                      (ROOT / "README.md").read_text(), re.DOTALL).group(1)
SHOWN = {"lookaside": "10.96.0.20", "greeter": "10.96.0.30", "namespace": "namespace: shop"}


def slices_of(api, namespace, service):
    return api.get(f"{SLICES}/namespaces/{namespace}/endpointslices"
                   f"?labelSelector=kubernetes.io/service-name%3D{service}")["items"]


def cluster_ip(api, namespace, service):
    return api.get(f"{CORE}/{namespace}/services/{service}")["spec"]["clusterIP"]


def publish(names, api, namespace, service):
    """The Service's records; returns its name."""
    host = f"{service}.{namespace}.{DOMAIN}"
    spec = api.get(f"{CORE}/{namespace}/services/{service}")["spec"]
    if spec["clusterIP"] != "None":
        names.hosts[host] = [spec["clusterIP"]]
        names.balancers.update({host: (host, port["port"]) for port in spec["ports"]
                                if port["name"] == "grpclb"})
        return host
    names.hosts[host] = []
    for item in slices_of(api, namespace, service):
        addresses = [a for endpoint in item["endpoints"] for a in endpoint["addresses"]]
        names.hosts[host] += addresses
        for port in item["ports"]:
            if port["name"] == "grpclb":
                one = f"{addresses[0].replace('.', '-')}.{host}"
                names.hosts[one] = addresses[:1]
                names.balancers[host] = (one, port["port"])
    return host


class Caller:
    """A client that dials a name of DNS, and asks its balancer for another."""

    def __init__(self, release, agent, target, asked):
        resolver = release.folder / "resolv.conf"
        resolver.write_text(f"nameserver {RESOLVER}\n")
        command = ["unshare", "--mount", "sh", "-c", OWN_RESOLVER, resolver, *agent]
        self.asked = asked
        self.client = Client(command, {}, f"dns:///{target}", release.logs)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_rest):
        self.client.__exit__(kind, *_rest)

    def reach(self, names, within=10):
        def reached():
            got = self.client.ask({"cmd": "call", "n": 4 * len(names), "timeout_ms": 2000,
                                   "grpclb": self.asked})
            return got["failed"] == 0 and set(got["by_backend"]) == set(names)
        wait_until(reached, within, f"calls reach {sorted(names)} and nobody else", every=0.05)


def apply_manifests(world, namespace, addresses):
    text = MANIFESTS.replace(SHOWN["namespace"], f"namespace: {namespace}")
    for service, address in addresses.items():
        assert text.count(SHOWN[service]) == 1, f"{SHOWN[service]} is in README.md once"
        text = text.replace(SHOWN[service], address)
    world.cluster.kubectl("apply", "-f", "-", stdin=text)


def is_gone(api, path):
    try:
        api.get(path)
    except ApiError as error:
        return error.code == 404
    return False


@scenario("grpclb: Lookaside's own Service is dialled, or one without a selector that has where to fall back to",
          seconds=120)
def grpclb(world):
    agent, names = find_agents()["go"], NameServer(RESOLVER)
    with world.service("grpclb") as service, Release(world) as release:
        api, addresses = release.api, ClusterIps(release.api, "grpclb", api_server=False)
        addresses.start()
        service.create()
        service.scale(3)
        service.wait_api(set(service.pods))
        release.install(release.package())
        release.wait_ready()
        asked = f"{service.name}.grpclb:{service.port}"
        ports = {(port["name"], port["port"]) for item in slices_of(api, NAMESPACE, NAME)
                 for port in item["ports"]}
        assert ports == {("grpc-xds", 18000), ("grpclb", 18000)}, ports

        host = publish(names, api, NAMESPACE, NAME)
        with Caller(release, agent, f"{host}:18001", asked) as caller:
            caller.reach(service.pods)
            service.scale(4)
            caller.reach(service.pods)

        apply_manifests(world, "grpclb", {"lookaside": cluster_ip(api, NAMESPACE, NAME),
                                          "greeter": cluster_ip(api, "grpclb", service.name)})
        host = publish(names, api, "grpclb", "greeter-lb")
        assert len(names.hosts[host]) == 2, names.hosts
        with Caller(release, agent, f"{host}:{service.port}", asked) as caller:
            caller.reach(service.pods)
        release.helm("uninstall", NAME, "--wait")
        wait_until(lambda: is_gone(api, f"{CORE}/{NAMESPACE}/services/{NAME}"), 10, "it is gone")
        with Caller(release, agent, f"{host}:{service.port}", asked) as caller:
            pods = set(service.pods)

            def falls_back():
                got = caller.client.ask({"cmd": "call", "n": 4, "timeout_ms": 2000,
                                         "grpclb": caller.asked})
                return got["ok"] == 4 and set(got["by_backend"]) <= pods
            wait_until(falls_back, FALLBACK_SECONDS, "calls go to the Service's ClusterIP")
        addresses.stop()
    names.close()
    return "by SRV at the chart's port, by the README's manifests, and back to the ClusterIP without Lookaside"
