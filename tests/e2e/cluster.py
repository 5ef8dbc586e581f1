"""A real control plane without containers: etcd, kube-apiserver and kube-controller-manager.

It has no nodes; kubelet.py plays those. Addresses are constants, since the run has a network
namespace of its own (namespace.py).
"""

import json
import signal
from contextlib import contextmanager

from api import Api, ApiError, UNREACHABLE
from certificates import make_all
from namespace import ADVERTISED
from process import Process, wait_until

SERVICE_NETWORK, FIRST_SERVICE_ADDRESS = "10.96.0.0/16", "10.96.0.1"
ETCD, ETCD_PEER = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
SERVER = "https://127.0.0.1:6443"
START_SECONDS = 60

CONTROLLERS = ("endpointslice-controller", "endpointslice-mirroring-controller",
               "endpoints-controller", "serviceaccount-controller", "namespace-controller",
               "replicaset-controller", "deployment-controller", "garbage-collector-controller")

# Exactly what Lookaside may do, so that a request beyond it fails here first.
LOOKASIDE_RULES = [
    {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
     "verbs": ["list", "watch"]},
]
LOOKASIDE_NAMESPACE = "lookaside-system"


def kubeconfig(user):
    """A kubeconfig is YAML, and JSON is YAML."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": {
            "server": SERVER, "certificate-authority": "ca.crt"}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "users": [{"name": "e2e", "user": user}],
    }, indent=1)


class Cluster:
    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        self.processes = {}
        self.api = None

    def path(self, name):
        return self.folder / name

    def run(self, name, *args):
        self.processes[name] = Process(name, [self.programs / name, *args],
                                       self.path(f"{name}.log"), cwd=self.folder)

    def start(self):
        make_all(self.folder, FIRST_SERVICE_ADDRESS)
        self.path("admin.kubeconfig").write_text(
            kubeconfig({"client-certificate": "admin.crt", "client-key": "admin.key"}))
        self.api = Api(self.folder)
        self.start_etcd()
        self.start_apiserver()
        self.start_controller_manager()
        self.prepare_lookaside()

    def start_etcd(self):
        self.run("etcd", "--data-dir=etcd", "--unsafe-no-fsync", "--log-level=warn",
                 f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}",
                 f"--listen-peer-urls={ETCD_PEER}", f"--initial-advertise-peer-urls={ETCD_PEER}",
                 f"--initial-cluster=default={ETCD_PEER}")

    def start_apiserver(self):
        self.run("kube-apiserver", f"--etcd-servers={ETCD}", "--secure-port=6443",
                 "--bind-address=127.0.0.1", f"--advertise-address={ADVERTISED}", "--cert-dir=.",
                 "--tls-cert-file=server.crt", "--tls-private-key-file=server.key",
                 "--client-ca-file=ca.crt", "--service-account-key-file=service-account.key",
                 "--service-account-signing-key-file=service-account.key",
                 "--service-account-issuer=https://kubernetes.default.svc",
                 f"--service-cluster-ip-range={SERVICE_NETWORK}", "--authorization-mode=RBAC")
        wait_until(self.ready, START_SECONDS, lambda: f"the API server ready{self.dead()}")

    def stop_apiserver(self):
        """At once, as a crash would: etcd keeps the state, every connection breaks."""
        self.processes.pop("kube-apiserver").stop(first=signal.SIGKILL)

    def start_controller_manager(self):
        self.run("kube-controller-manager", "--kubeconfig=admin.kubeconfig",
                 "--authentication-kubeconfig=admin.kubeconfig",
                 "--authorization-kubeconfig=admin.kubeconfig", "--bind-address=127.0.0.1",
                 "--service-account-private-key-file=service-account.key", "--root-ca-file=ca.crt",
                 "--use-service-account-credentials", "--leader-elect=false", "--cert-dir=.",
                 "--kube-api-qps=500", "--kube-api-burst=500",
                 "--concurrent-gc-syncs=2", "--min-resync-period=12h",
                 f"--controllers={','.join(CONTROLLERS)}")

    @contextmanager
    def without_apiserver(self):
        """An outage. The controller manager begins anew after it: its retries are slow by then,
        and not what is tested here."""
        self.stop_apiserver()
        try:
            yield
        finally:
            self.start_apiserver()
            self.processes.pop("kube-controller-manager").stop(first=signal.SIGKILL)
            self.start_controller_manager()

    def dead(self):
        ended = [name for name, p in self.processes.items() if p.status() is not None]
        return f" ({', '.join(ended)} ended)" if ended else ""

    def ready(self):
        if self.dead():
            raise RuntimeError(f"the cluster did not start{self.dead()}")
        try:
            return self.api.get("/readyz") == "ok"
        except UNREACHABLE + (ApiError,):
            return False

    def prepare_lookaside(self):
        """A ServiceAccount with just the rights that Lookaside needs, and a kubeconfig of it."""
        name, rbac = "lookaside", "/apis/rbac.authorization.k8s.io/v1"
        self.create_namespace(LOOKASIDE_NAMESPACE)
        accounts = f"/api/v1/namespaces/{LOOKASIDE_NAMESPACE}/serviceaccounts"
        self.api.create(accounts, {"metadata": {"name": name}})
        self.api.create(f"{rbac}/clusterroles",
                        {"metadata": {"name": name}, "rules": LOOKASIDE_RULES})
        self.api.create(f"{rbac}/clusterrolebindings", {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                        "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name,
                          "namespace": LOOKASIDE_NAMESPACE}]})
        answer = self.api.create(f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 3600}})
        self.path("lookaside.kubeconfig").write_text(
            kubeconfig({"token": answer["status"]["token"]}))

    def create_namespace(self, name):
        """With the default ServiceAccount, without which no pod is admitted."""
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        wait_until(lambda: self.has_default_account(name), 15,
                   f"the default ServiceAccount of namespace {name}")

    def has_default_account(self, namespace):
        try:
            return self.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def stop(self):
        """The API server before etcd: it waits for a storage that is gone."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            process = self.processes.pop(name, None)
            if process:
                process.stop(first=signal.SIGKILL)

    def log_tails(self):
        return "".join(f"--- {p.log_path}\n{p.log_tail()}" for p in self.processes.values())
