"""The chart, installed by Helm on the real API server, and all that its pods need to run."""

import functools
import json
import os
import pathlib
import shutil
import subprocess

import rights
from api import ApiError
from audit import Audit
from client import Client
from cluster_ips import ClusterIps
from containers import Containers
from kubelet import PORT
from process import wait_until
from programs import Missing
from support.lookaside import fetch
from support.report import Skip
from workload import CORE

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/lookaside"
NAME, NAMESPACE, XDS_PORT, ADMIN_PORT = "lookaside", "lookaside", 18000, 18080
TLS_PORT = 18443
OLDER = "0.0.9"
# One value of an older version, and what it was there.
CHANGED = ("timeoutSeconds: 20", "timeoutSeconds: 15")
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/lookasideservices.lookaside.dev"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{NAME}"
HELM_SECONDS = 120
# A command that sees the cluster's names, as every container does.
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'
# Everything that a pod of the cluster may be asked to keep to.
NAMESPACE_LABELS = {"pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/enforce-version": "latest"}


@functools.cache
def find_agents():
    """{language: command} of the clients that can be built here, once, in tests/conformance's
    cache. Go's is needed, since it is light enough to run a hundred times; the others where nothing
    may be skipped."""
    from conformance import agents  # pylint: disable=import-outside-toplevel
    found = {}
    for language in agents.LANGUAGES:
        try:
            found[language.name] = language.build(
                lambda text: print(f"e2e: {text}", flush=True))
        except Skip as reason:
            if language.name == "go" or os.environ.get("LOOKASIDE_NO_SKIP") == "1":
                raise Missing(f"the {language.title} client: {reason}") from reason
            print(f"e2e: without the {language.title} client: {reason}", flush=True)
    return found


class Release:
    """helm install, upgrade, test and uninstall; the pods run by containers.py."""

    def __init__(self, world):
        self.world, self.cluster, self.api = world, world.cluster, world.cluster.api
        number = len(list(self.cluster.folder.glob("release-*")))
        self.folder = self.cluster.folder / f"release-{number}"
        self.folder.mkdir()
        self.logs = world.lookaside.log_path.parent
        self.programs = world.lookaside.program.parent
        self.containers = Containers(self.cluster, {"lookaside": (["lookaside"], self.programs)},
                                     self.folder / "pods", self.logs)
        self.addresses = ClusterIps(self.api, NAMESPACE)
        self.audit = Audit(self.cluster.audit_log())

    def __enter__(self):
        try:
            self.cluster.api.create(CORE, {"metadata": {"name": NAMESPACE,
                                                        "labels": NAMESPACE_LABELS}})
        except ApiError as error:
            if error.code != 409:
                raise
        wait_until(lambda: self.cluster.has_default_account(NAMESPACE), 15, "its ServiceAccount")
        self.api.delete(LEASE)  # of a release before, which leaves it
        self.addresses.start()
        self.containers.start()
        return self

    def __exit__(self, problem, *_rest):
        try:
            if self.installed():
                self.helm("uninstall", NAME, "--wait")
            if not problem:
                self.wait_ended()
        except AssertionError:
            if not problem:  # what went wrong first is told already
                raise
        finally:
            self.containers.stop()
            self.addresses.stop()

    # ---- Helm

    def helm(self, *argv, status=0):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
               "KUBECONFIG": str(self.cluster.path("admin.kubeconfig")),
               "HELM_NAMESPACE": NAMESPACE}
        done = subprocess.run([self.cluster.programs["helm"], *map(str, argv)], env=env,
                              cwd=self.folder, capture_output=True, text=True,
                              timeout=HELM_SECONDS, check=False)
        with open(self.logs / "helm.log", "a") as log:
            log.write(f"$ helm {' '.join(map(str, argv))}\n{done.stdout}{done.stderr}\n")
        self.containers.check()
        assert done.returncode == status, (f"helm {' '.join(map(str, argv))}: status "
                                           f"{done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def package(self, version=None):
        """The chart as it is, or as an older version that differs in one value."""
        source, flags = CHART, ()
        if version:
            source, flags = self.folder / version / NAME, ("--version", version, "--app-version",
                                                           version)
            shutil.copytree(CHART, source)
            values = (source / "values.yaml").read_text()
            assert values.count(CHANGED[0]) == 1, f"{CHANGED[0]} is in values.yaml once"
            (source / "values.yaml").write_text(values.replace(*CHANGED))
        said = self.helm("package", source, "--destination", self.folder, *flags)
        return pathlib.Path(said.strip().rsplit(" ", 1)[1])

    def install(self, package, values=None, *flags):
        return self.helm("install", NAME, package, *self.flags(values), *flags)

    def upgrade(self, package, values=None):
        return self.helm("upgrade", NAME, package, *self.flags(values))

    def flags(self, values):
        path = self.folder / "values.json"
        path.write_text(json.dumps(values or {}))
        return "--values", path, "--wait", "--timeout", "60s"

    def installed(self):
        return NAME in self.helm("list", "--short").split()

    def version(self):
        return json.loads(self.helm("list", "--output", "json"))[0]["chart"].rsplit("-", 1)[1]

    # ---- its pods

    def wait_ended(self, living=()):
        """All others have ended with status 0 and within their grace; containers.py says if not."""
        wait_until(lambda: {p.name for p in self.containers.pods.values() if p.is_alive()}
                   == set(living), 60, "the old replicas have ended")
        self.containers.check()

    def replicas(self):
        """{name: pod}, of those that are there."""
        return {name: pod for name, pod in self.containers.living().items()
                if pod.container["name"] == NAME}

    def wait_ready(self, count=3, within=20):
        def ready():
            self.containers.check()
            pods = self.replicas()
            return len(pods) == count and all(pod.ready for pod in pods.values()) and pods
        return wait_until(ready, within, f"{count} replicas ready; {self.replicas()}")

    def leader(self, within=30, other_than=""):
        """The pod that holds the Lease."""
        def holder():
            try:
                name = self.api.get(LEASE)["spec"].get("holderIdentity")
            except ApiError as error:
                if error.code != 404:
                    raise
                return None
            return name != other_than and self.replicas().get(name)
        return wait_until(holder, within, f"a replica other than {other_than!r} holds the Lease")

    # ---- its clients

    def bootstrap(self, name, ca=None):
        """What lookasidectl prints for a pod of the cluster. ca: over TLS, trusting that file."""
        server = f"{NAME}.{NAMESPACE}.svc:{TLS_PORT if ca else XDS_PORT}"
        done = subprocess.run([self.programs / "lookasidectl", "bootstrap", "--server", server,
                               "--node-id", name, *(("--tls-ca", ca) if ca else ())],
                              capture_output=True, text=True, timeout=20, check=True)
        return {"GRPC_XDS_BOOTSTRAP_CONFIG": done.stdout.strip()}

    def client(self, agent, target, env):
        """A client in a container: it knows the names of the cluster."""
        hosts = self.folder / "hosts"
        hosts.write_text(self.containers.hosts())
        command = ["unshare", "--mount", "sh", "-c", WITH_HOSTS, hosts, *agent]
        return Client(command, env, f"xds:///{target}", self.logs)

    # ---- its rights

    def asked(self):
        return [e for e in self.audit.entries(f"{NAMESPACE}:{NAME}") if e.resource]

    def rights(self):
        return rights.rights_of(self.api, NAMESPACE, NAME)

    def check_rights(self, excused=()):
        """Nothing was refused, and nothing is granted that nobody needed. Returns what is said of
        it. excused: {(group, resource, verb)} that take longer than this run."""
        asked, granted = self.asked(), self.rights()
        refused = rights.refused(asked)
        assert not refused, f"a right is missing: {refused}"
        assert granted, "no right is granted at all"
        unused = [r for r in rights.unused(granted, asked) if r[1:4] not in excused]
        assert not unused, f"rights that nobody needed: {unused}"
        return f"{len(granted)} rights, all needed, and {len(asked)} requests, none refused"


def ask(pod, path):
    """Of a replica's admin port."""
    status, text = fetch(f"http://{pod.address}:{ADMIN_PORT}{path}", timeout=10)
    assert status == 200, f"{pod.name}: {path}: {status} {text}"
    return text


def ask_inside(pod, path):
    """The same as through `kubectl port-forward`: it comes from the pod's own loopback."""
    argv = ["nsenter", "--target", str(pod.process.pid), "--net", "curl", "-sf", "--max-time", "10",
            f"http://127.0.0.1:{ADMIN_PORT}{path}"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout


def target(service):
    return f"{service.name}.{service.namespace}:{PORT}"
