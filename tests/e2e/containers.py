"""Runs pods as their specs say: image, command, environment, volumes, user, probes.

Each gets namespaces of its own for network, mounts and host name (container.sh), so that a program
listens on its pod's address and reads its pod's files. What a kubelet and a scheduler would do for
such a pod is done here: a node is chosen, the ServiceAccount's token is asked for and bound to the
pod, probes decide about readiness, SIGTERM ends it within its grace.

The greeters of most scenarios need none of that: kubelet.py runs those.
"""

import base64
import http.client
import itertools
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from api import UNREACHABLE, ApiError, Watch
from kubelet import NODES, pod_path, ready_condition
from process import Process, wait_until

SCRIPT = pathlib.Path(__file__).resolve().parent / "container.sh"
ADDRESSES, GATEWAY = "10.245.{}.{}", "169.254.1.1"
API_HOST, API_PORT = "10.96.0.1", 443
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
LOOK_SECONDS = 0.05
START_SECONDS = 10
REFERENCE = re.compile(r"\$\((\w+)\)|\$\$")


def field(pod, path):
    """Of the downward API."""
    subscript = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    if subscript:
        return (pod["metadata"].get(subscript[1]) or {}).get(subscript[2], "")
    value = pod
    for key in path.split("."):
        value = value.get(key, "")
    return value


def environment(pod, container, config_maps=None):
    """A container's variables, in their order, with $(REFERENCES) to earlier ones."""
    result = {}
    for source in container.get("envFrom") or []:
        result.update(config_maps[source["configMapRef"]["name"]])

    def referred(match):
        return "$" if match[0] == "$$" else result.get(match[1], match[0])
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = field(pod, variable["valueFrom"]["fieldRef"]["fieldPath"])
        else:
            value = REFERENCE.sub(referred, variable.get("value", ""))
        result[variable["name"]] = value
    return result


def owner(pod):
    return [reference["uid"] for reference in pod["metadata"].get("ownerReferences") or []]


def ip(*commands, inside=None):
    prefix = ["nsenter", "--target", str(inside), "--net"] if inside else []
    for command in commands:
        subprocess.run([*prefix, "ip", *command.split()], check=True, timeout=START_SECONDS)


class Pod(threading.Thread):
    """One pod of one container, from its binding to its end."""

    def __init__(self, runtime, pod, node, number):
        super().__init__(name=pod["metadata"]["name"], daemon=True)
        self.runtime, self.api, self.number = runtime, runtime.api, number
        self.pod, self.node, self.path = pod, node, pod_path(pod["metadata"])
        self.address = ADDRESSES.format(number // 250, number % 250 + 1)
        self.container = pod["spec"]["containers"][0]
        self.folder = runtime.folder / self.name
        self.log_path = runtime.logs / f"{self.name}.log"
        self.process, self.ready, self.exit_status = None, None, None
        self.deleted, self.removed = threading.Event(), threading.Event()
        self.grace_seconds = 0
        self.start()

    # ---- before it runs

    def prepare(self):
        if not self.pod["spec"].get("nodeName"):
            self.api.create(f"{self.path}/binding", {
                "metadata": {"name": self.name},
                "target": {"kind": "Node", "name": self.node}})
            self.pod = self.api.get(self.path)  # with what the API server adds at the binding
        self.folder.mkdir(parents=True)
        (self.folder / "hosts").write_text(self.runtime.hosts())
        mounts = list(self.volumes())
        (self.folder / "mounts").write_text("".join(f"{s} {t}\n" for s, t in mounts))

    def volumes(self):
        """(folder, where it is mounted)."""
        namespace = self.pod["metadata"]["namespace"]
        sources = {}
        for volume in self.pod["spec"].get("volumes") or []:
            folder = self.folder / volume["name"]
            folder.mkdir()
            sources[volume["name"]] = folder
            if "configMap" in volume:
                name = volume["configMap"]["name"]
                data = self.api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]
            elif "secret" in volume:
                name = volume["secret"]["secretName"]
                coded = self.api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")["data"]
                data = {key: base64.b64decode(text).decode() for key, text in coded.items()}
            else:
                data = self.projected(volume["projected"])
            for name, text in data.items():
                (folder / name).write_text(text)
        for mount in self.container.get("volumeMounts") or []:
            yield sources[mount["name"]], mount["mountPath"]

    def projected(self, volume):
        """What the admission plugin ServiceAccount asks for."""
        metadata = self.pod["metadata"]
        account = self.pod["spec"]["serviceAccountName"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        answer = self.api.create(path, {"spec": {
            "expirationSeconds": TOKEN_SECONDS,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": self.name,
                               "uid": metadata["uid"]}}})
        kinds = {kind for source in volume["sources"] for kind in source}
        assert kinds == {"serviceAccountToken", "configMap", "downwardAPI"}, kinds
        return {"token": answer["status"]["token"], "namespace": metadata["namespace"],
                "ca.crt": (self.runtime.cluster.path("ca.crt")).read_text()}

    # ---- it runs

    def argv(self):
        entrypoint, programs = self.runtime.image(self.container["image"])
        command = self.container.get("command") or entrypoint
        user = self.pod["spec"]["securityContext"]["runAsUser"] if os.getuid() == 0 else 0
        return ["unshare", "--mount", "--uts", "--ipc", "--net", "sh", SCRIPT, self.folder,
                self.name, programs, user, *command, *(self.container.get("args") or [])]

    def launch(self):
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "HOSTNAME": self.name, "KUBERNETES_SERVICE_HOST": API_HOST,
               "KUBERNETES_SERVICE_PORT": str(API_PORT), **environment(self.pod, self.container)}
        self.process = Process(self.name, self.argv(), self.log_path, env=env,
                               stdin=subprocess.PIPE)
        self.attach(self.process.pid)
        self.process.child.stdin.write(b"\n")
        self.process.child.stdin.close()

    def attach(self, pid):
        """Its network: one wire to this machine, which is the way to everything."""
        own = os.stat("/proc/self/ns/net").st_ino
        wait_until(lambda: os.stat(f"/proc/{pid}/ns/net").st_ino != own, START_SECONDS,
                   f"a network namespace of pod {self.name}", every=0.005)
        wire = f"pod{self.number}"
        ip(f"link add {wire} type veth peer name eth0 netns {pid}",
           f"address add {GATEWAY}/32 dev {wire}", f"link set {wire} up",
           f"route add {self.address}/32 dev {wire}")
        ip("link set lo up", f"address add {self.address}/32 dev eth0", "link set eth0 up",
           f"route add {GATEWAY} dev eth0", f"route add default via {GATEWAY}", inside=pid)

    def probe(self, probe):
        get = probe["httpGet"]
        port = next(p["containerPort"] for p in self.container["ports"] if p["name"] == get["port"])
        connection = http.client.HTTPConnection(self.address, port,
                                                timeout=probe.get("timeoutSeconds", 1))
        try:
            connection.request("GET", get["path"])
            return connection.getresponse().status == 200
        except UNREACHABLE:
            return False
        finally:
            connection.close()

    def tell(self, phase, **status):
        addresses = {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        self.api.patch(f"{self.path}/status", {"status": {"phase": phase, **addresses, **status}})

    def set_ready(self, ready):
        if ready != self.ready:
            self.tell("Running", **ready_condition(ready))
            self.ready = ready

    def wait_started(self):
        probe = self.container["startupProbe"]
        attempts = probe["failureThreshold"]
        while not self.process_ended() and not self.deleted.is_set():
            if self.probe(probe):
                return
            attempts -= 1
            assert attempts > 0, "its startupProbe has failed too often"
            self.deleted.wait(0.1 * probe["periodSeconds"])

    def process_ended(self):
        self.exit_status = self.process.status()
        return self.exit_status is not None

    def follow(self):
        """Until it is deleted, or ends."""
        probe = self.container.get("readinessProbe")
        if not probe:
            self.set_ready(True)
        while not self.deleted.is_set() and not self.process_ended():
            if probe:
                self.set_ready(self.probe(probe))
            # Ten times as often as it says, while it is waited for.
            self.deleted.wait((0.1 if probe and not self.ready else 1)
                              * (probe or {"periodSeconds": 1})["periodSeconds"])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        probe = self.container.get("readinessProbe")
        deadline = time.monotonic() + self.grace_seconds
        while not self.process_ended():
            if time.monotonic() > deadline or self.removed.is_set():
                self.process.stop(first=signal.SIGKILL)
                assert self.removed.is_set(), f"it did not end within {self.grace_seconds} s"
            if probe:
                self.set_ready(self.probe(probe))
            time.sleep(LOOK_SECONDS)
        assert self.exit_status == 0, f"its exit status is {self.exit_status}"

    def live(self):
        self.prepare()
        self.launch()
        if "startupProbe" in self.container:
            self.wait_started()
        self.follow()
        if self.deleted.is_set():
            self.end()
            self.api.delete(self.path, grace_seconds=0)
            return
        assert self.pod["spec"]["restartPolicy"] == "Never", f"it ended with {self.exit_status}"
        self.tell("Failed" if self.exit_status else "Succeeded")
        self.deleted.wait()
        self.api.delete(self.path, grace_seconds=0)

    def run(self):
        try:
            self.live()
        except Exception as error:  # whoever waits for the pod is told why it does not come
            if not self.removed.is_set():
                tail = self.process.log_tail() if self.process else ""
                self.runtime.problems.append(f"pod {self.name}: {error!r}\n{tail}")
                self.give_up()
        finally:
            if self.process:
                self.process.stop(first=signal.SIGKILL)

    def give_up(self):
        try:
            self.api.delete(self.path, grace_seconds=0)
        except UNREACHABLE + (ApiError,):
            pass


class Containers:
    """All pods whose image is known here: {repository: (entrypoint, folder of programs)}."""

    def __init__(self, cluster, images, folder, logs):
        self.cluster, self.api, self.images = cluster, cluster.api, images
        self.folder, self.logs = folder, logs
        self.pods, self.problems, self.names = {}, [], {}
        self.numbers = itertools.count(1)
        self.watch = Watch(self.api, "/api/v1/pods", self.on_event)

    def start(self):
        self.watch.start()

    def stop(self):
        """At once. Nothing of it stays, in the API neither."""
        self.watch.stop()
        for pod in self.pods.values():
            pod.removed.set()
            pod.deleted.set()
        for pod in self.pods.values():
            pod.join(START_SECONDS)
            pod.give_up()

    def image(self, name):
        return self.images[re.split("[:@]", name)[0]]

    def knows(self, pod):
        return re.split("[:@]", pod["spec"]["containers"][0]["image"])[0] in self.images

    def on_event(self, kind, pod):
        uid, metadata = pod["metadata"]["uid"], pod["metadata"]
        mine = self.pods.get(uid)
        if kind == "GONE":
            if mine:
                mine.removed.set()
                mine.deleted.set()
        elif metadata.get("deletionTimestamp") and mine:
            mine.grace_seconds = metadata.get("deletionGracePeriodSeconds") or 0
            mine.deleted.set()
        elif not mine and self.knows(pod):
            node = pod["spec"].get("nodeName") or self.next_node(pod)
            self.pods[uid] = Pod(self, pod, node, next(self.numbers))

    def living(self):
        """{name: pod} of those that are there and not deleted."""
        return {pod.name: pod for pod in self.pods.values()
                if not pod.deleted.is_set() and pod.is_alive()}

    def next_node(self, pod):
        """One with few of its ReplicaSet: what its topology spread asks for."""
        taken = [p.node for p in self.living().values() if owner(p.pod) == owner(pod)]
        return min((name for name, zone in NODES.items() if zone), key=taken.count)

    def hosts(self):
        """What the cluster's DNS would say."""
        lines = ["127.0.0.1 localhost"]
        for service in self.api.get("/api/v1/services")["items"]:
            metadata, address = service["metadata"], service["spec"].get("clusterIP")
            if address and address != "None":
                name = f"{metadata['name']}.{metadata['namespace']}.svc"
                lines.append(f"{address} {name} {name}.cluster.local")
        return "\n".join(lines) + "\n"

    def check(self):
        problems, self.problems = self.problems, []
        assert not problems, "\n".join(problems)
