"""A real control plane without containers: etcd, kube-apiservers and kube-controller-manager.

It has no nodes; kubelet.py plays those. Addresses are constants, since the run has a network
namespace of its own (namespace.py).
"""

import json
import pathlib
import signal
import subprocess
from contextlib import contextmanager

import audit
import etcd
from api import Api, ApiError, UNREACHABLE
from certificates import make_all
from middle import BALANCER_PORT
from namespace import ADVERTISED, SERVICE_NETWORK
from process import Process, wait_until

SERVICE_NETWORKS, FIRST_SERVICE_ADDRESS = f"{SERVICE_NETWORK},fd00:96::/112", "10.96.0.1"
AUDIT_POLICY = "audit-policy.json"
PORTS = (6443, 6444)  # of the API servers; the second one is started where a scenario wants it
START_SECONDS = 120

CONTROLLERS = ("endpointslice-controller", "endpointslice-mirroring-controller",
               "endpoints-controller", "serviceaccount-controller", "namespace-controller",
               "replicaset-controller", "deployment-controller", "garbage-collector-controller")

RBAC = "/apis/rbac.authorization.k8s.io/v1"
# Exactly what Lookaside may do, so that a request beyond it fails here first.
LOOKASIDE_RULES = [
    {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
     "verbs": ["list", "watch"]},
    {"apiGroups": ["lookaside.dev"], "resources": ["lookasideservices"],
     "verbs": ["list", "watch"]},
]
# And where it writes the status of LookasideServices.
LOOKASIDE_RESOURCE_RULES = [
    {"apiGroups": ["lookaside.dev"], "resources": ["lookasideservices/status"],
     "verbs": ["patch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
     "verbs": ["get", "create", "update"]},
]
CRD = pathlib.Path(__file__).resolve().parents[2] / "crds/lookaside.dev_lookasideservices.yaml"
LOOKASIDE, LOOKASIDE_NAMESPACE = "lookaside", "lookaside-system"
LOOKASIDE_BINDING = {
    "metadata": {"name": LOOKASIDE},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": LOOKASIDE},
    "subjects": [{"kind": "ServiceAccount", "name": LOOKASIDE, "namespace": LOOKASIDE_NAMESPACE}]}


def kubeconfig(user, port=PORTS[0]):
    """A kubeconfig is YAML, and JSON is YAML."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": {
            "server": f"https://127.0.0.1:{port}", "certificate-authority": "ca.crt"}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "users": [{"name": "e2e", "user": user}],
    }, indent=1)


class Cluster:
    def __init__(self, programs, folder, etcd_program="etcd"):
        self.programs, self.folder = programs, folder
        self.etcd = etcd.Etcd(programs[etcd_program], programs["etcdutl"], folder)
        self.processes = {}
        self.api = None

    def path(self, name):
        return self.folder / name

    def run(self, name, program, *args):
        self.processes[name] = Process(name, [self.programs[program], *args],
                                       self.path(f"{name}.log"), cwd=self.folder)

    def start(self):
        make_all(self.folder, FIRST_SERVICE_ADDRESS)
        self.path(AUDIT_POLICY).write_text(json.dumps(audit.POLICY))
        self.path("admin.kubeconfig").write_text(
            kubeconfig({"client-certificate": "admin.crt", "client-key": "admin.key"}))
        self.api = Api(self.folder, PORTS[0])
        self.etcd.start()
        self.start_apiserver()
        self.start_controller_manager()
        self.prepare_lookaside()

    def start_apiserver(self, number=0):
        self.run(f"kube-apiserver-{number}", "kube-apiserver", f"--etcd-servers={etcd.CLIENT}",
                 f"--secure-port={PORTS[number]}", "--bind-address=127.0.0.1",
                 f"--advertise-address={ADVERTISED[number]}", "--cert-dir=.",
                 "--tls-cert-file=server.crt", "--tls-private-key-file=server.key",
                 "--client-ca-file=ca.crt", "--service-account-key-file=service-account.key",
                 "--service-account-signing-key-file=service-account.key",
                 "--service-account-issuer=https://kubernetes.default.svc",
                 f"--service-cluster-ip-range={SERVICE_NETWORKS}", "--authorization-mode=RBAC",
                 f"--audit-policy-file={AUDIT_POLICY}",
                 f"--audit-log-path={self.audit_log(number)}")
        self.wait_apiserver(number)

    def audit_log(self, number=0):
        return self.path(f"audit-{number}.log")

    def wait_apiserver(self, number=0):
        wait_until(lambda: self.ready(number), START_SECONDS,
                   lambda: f"API server {number} ready{self.dead()}")

    def stop_apiserver(self, number=0):
        """At once, as a crash would: etcd keeps the state, every connection breaks."""
        self.processes.pop(f"kube-apiserver-{number}").stop(first=signal.SIGKILL)

    def terminate_apiserver(self, number):
        """It begins to end; with watches open, that takes it a minute."""
        self.processes[f"kube-apiserver-{number}"].send_signal(signal.SIGTERM)

    def start_controller_manager(self):
        self.run("kube-controller-manager", "kube-controller-manager",
                 "--kubeconfig=admin.kubeconfig",
                 "--authentication-kubeconfig=admin.kubeconfig",
                 "--authorization-kubeconfig=admin.kubeconfig", "--bind-address=127.0.0.1",
                 "--service-account-private-key-file=service-account.key", "--root-ca-file=ca.crt",
                 "--use-service-account-credentials", "--leader-elect=false", "--cert-dir=.",
                 "--kube-api-qps=500", "--kube-api-burst=500",
                 "--concurrent-gc-syncs=2", "--min-resync-period=12h",
                 f"--controllers={','.join(CONTROLLERS)}")

    def stop_controller_manager(self):
        self.processes.pop("kube-controller-manager").stop(first=signal.SIGKILL)

    @contextmanager
    def without_apiserver(self):
        """An outage. The controller manager begins anew after it: its retries are slow by then,
        and not what is tested here."""
        self.stop_apiserver()
        try:
            yield
        finally:
            self.start_apiserver()
            self.stop_controller_manager()
            self.start_controller_manager()

    @contextmanager
    def second_apiserver(self):
        self.start_apiserver(1)
        try:
            yield PORTS[1]
        finally:
            self.stop_apiserver(1)

    def kubectl(self, *args, stdin=""):
        done = self.try_kubectl(*args, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done.stdout

    def try_kubectl(self, *args, stdin=""):
        return subprocess.run([self.programs["kubectl"], "--kubeconfig", "admin.kubeconfig", *args],
                              cwd=self.folder, input=stdin, capture_output=True, text=True,
                              timeout=60, check=False)

    def dead(self):
        ended = [name for name, p in self.processes.items() if p.status() is not None]
        return f" ({', '.join(ended)} ended)" if ended else ""

    def ready(self, number):
        if self.dead():
            raise RuntimeError(f"the cluster did not start{self.dead()}")
        try:
            return Api(self.folder, PORTS[number]).get("/readyz") == "ok"
        except UNREACHABLE + (ApiError,):
            return False

    def prepare_lookaside(self):
        """A ServiceAccount with just the rights that Lookaside needs, and kubeconfigs of it: one
        that leads to the API server, one that leads there through a balancer."""
        self.create_namespace(LOOKASIDE_NAMESPACE)
        accounts = f"/api/v1/namespaces/{LOOKASIDE_NAMESPACE}/serviceaccounts"
        self.api.create(accounts, {"metadata": {"name": LOOKASIDE}})
        self.api.create(f"{RBAC}/clusterroles",
                        {"metadata": {"name": LOOKASIDE}, "rules": LOOKASIDE_RULES})
        self.give_rights()
        token = self.token()
        self.path("lookaside.kubeconfig").write_text(kubeconfig(token))
        self.path("balanced.kubeconfig").write_text(kubeconfig(token, BALANCER_PORT))

    def token(self):
        """Another one of Lookaside's account: the audit log tells one from another."""
        answer = self.api.create(f"/api/v1/namespaces/{LOOKASIDE_NAMESPACE}/serviceaccounts/"
                                 f"{LOOKASIDE}/token", {"spec": {"expirationSeconds": 7200}})
        return {"token": answer["status"]["token"]}

    def write_kubeconfig(self, name):
        path = self.path(f"{name}.kubeconfig")
        path.write_text(kubeconfig(self.token()))
        return path

    def prepare_resources(self):
        """The kind LookasideService, and the rights that go with it."""
        self.kubectl("apply", "-f", CRD)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", CRD)
        self.api.patch(f"{RBAC}/clusterroles/{LOOKASIDE}",
                       {"rules": LOOKASIDE_RULES + LOOKASIDE_RESOURCE_RULES})

    def crd_schema(self):
        """As the API server has it."""
        found = json.loads(self.kubectl("get", "-f", CRD, "-o", "json"))
        return found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def give_rights(self):
        self.api.create(f"{RBAC}/clusterrolebindings", LOOKASIDE_BINDING)

    def take_rights(self):
        self.api.delete(f"{RBAC}/clusterrolebindings/{LOOKASIDE}")

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
        """etcd last: an API server waits for a storage that is gone."""
        for process in reversed(list(self.processes.values())):
            process.stop(first=signal.SIGKILL)
        self.processes = {}
        self.etcd.stop()
        self.etcd.remove()

    def log_tails(self):
        return "".join(f"--- {p.log_path}\n{p.log_tail()}" for p in self.processes.values())
