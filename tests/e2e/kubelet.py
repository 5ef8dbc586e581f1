"""The kubelet of the test's nodes: a pod is a real greeter process on the pod's address.

It follows all pods by a watch, whoever made them. A new pod gets an address of each family and a
process that listens there on its containers' ports, and once that does, the status Running and
Ready. A deleted pod keeps serving for a moment, as a
preStop hook makes it, while the news that it is terminating travels; then its process gets
SIGTERM, and when that has drained and gone, the pod is removed. A pod with the annotation CUT_OFF
does not drain: its process is killed instead, and only a client that left in time loses nothing.
"""

import heapq
import itertools
import pathlib
import queue
import signal
import socket
import threading
import time

from api import UNREACHABLE, ApiError, Watch
from process import Process

ZONES = ("a", "b", "c")
# Two in the first zone, and one that nobody has labelled.
NODES = {"node-a": "a", "node-b": "b", "node-c": "c", "node-a2": "a", "node-x": None}
ADDRESSES_PER_NODE = 50 * 250
REGION = "r"
PORT = 8001
IMAGE = "-"  # of a greeter; pods of other images are not this kubelet's
# Longer than a client may take to follow (CALLS_SECONDS of client.py): the list moves it, not this.
PRESTOP_SECONDS = 3.0
CUT_OFF = "e2e.lookaside.dev/cut-off"
POLL_SECONDS = 0.005
LOOK_SECONDS = 0.5  # between looks at processes that just run
LISTEN_SECONDS = 20


def node_of(zone):
    return f"node-{zone}"


def listens(address, port=PORT):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((address, port)) == 0


def addresses_of(node, number):
    """The pod's addresses, the one of IPv4 first."""
    index = list(NODES).index(node)
    if number >= ADDRESSES_PER_NODE:
        raise PodFailed("the run has used up its pods' addresses")
    return (f"10.244.{index * 50 + number // 250}.{number % 250 + 1}",
            f"fd00:244::{index + 1:x}:{number + 1:x}")


def ports_of(pod):
    """Its containers' TCP ports."""
    ports = [p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or []
             if p.get("protocol", "TCP") == "TCP"]
    return ports or [PORT]


def ready_condition(ready=True):
    return {"conditions": [{"type": "Ready", "status": str(bool(ready))}]}


def pod_path(metadata):
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"


class PodFailed(Exception):
    """A greeter did what no pod of these tests should."""


class Pod:
    """One pod as this kubelet runs it: starting, then ready, then terminating."""

    def __init__(self, metadata, addresses, ports, process):
        self.path, self.name = pod_path(metadata), metadata["name"]
        self.addresses, self.ports, self.process = addresses, ports, process
        cut_off = CUT_OFF in (metadata.get("annotations") or {})
        self.end_signal = signal.SIGKILL if cut_off else signal.SIGTERM
        self.state = "starting"
        self.deadline = time.monotonic() + LISTEN_SECONDS

    def ready_status(self):
        return {"status": {"phase": "Running", "podIP": self.addresses[0],
                           "podIPs": [{"ip": address} for address in self.addresses],
                           **ready_condition()}}

    def listens(self):
        return all(listens(address, port) for address in self.addresses for port in self.ports)


class Kubelet:
    """One thread owns the pods and starts their processes; the watch only fills its queue."""

    def __init__(self, api, greeter, log_folder):
        self.api, self.greeter, self.log_folder = api, pathlib.Path(greeter), log_folder
        self.pods = {}  # by uid
        self.events = queue.SimpleQueue()
        self.timers, self.order = [], itertools.count()
        self.numbers = itertools.count(1)
        self.watch = Watch(api, "/api/v1/pods", lambda kind, pod: self.events.put((kind, pod)))
        self.thread = threading.Thread(target=self.run, name="kubelet", daemon=True)
        self.problem, self.next_look = None, 0
        log_folder.mkdir(parents=True, exist_ok=True)

    def start(self):
        for node, zone in NODES.items():
            labels = {"kubernetes.io/hostname": node}
            if zone:
                labels.update({"topology.kubernetes.io/zone": zone,
                               "topology.kubernetes.io/region": REGION})
            self.api.create("/api/v1/nodes", {"metadata": {"name": node, "labels": labels}})
        self.thread.start()
        self.watch.start()

    def stop(self):
        self.watch.stop()
        self.events.put(None)
        if self.thread.is_alive():
            self.thread.join(30)

    def run(self):
        try:
            while self.turn():
                pass
        except Exception as error:  # whoever waits for a pod is told why it does not come
            self.problem = error
        for pod in self.pods.values():
            pod.process.stop(first=signal.SIGKILL)

    def check(self):
        """Raises what went wrong with a pod since the last check."""
        problem, self.problem = self.problem, None
        if problem:
            raise AssertionError(f"the kubelet: {problem}")

    def turn(self):
        try:
            event = self.events.get(timeout=self.patience())
        except queue.Empty:
            event = ("TICK", None)
        if event is None:
            return False
        self.handle(*event)
        while self.timers and self.timers[0][0] <= time.monotonic():
            heapq.heappop(self.timers)[2]()
        now = time.monotonic()
        every_pod = now >= self.next_look
        if every_pod:
            self.next_look = now + LOOK_SECONDS
        for uid, pod in list(self.pods.items()):
            if pod.state == "ready" and not every_pod:
                continue
            try:
                self.advance(uid, pod)
            except PodFailed as failure:
                self.problem = self.problem or failure
                self.pods.pop(uid).process.stop(first=signal.SIGKILL)
        return True

    def patience(self):
        """Until the next timer, or for a short while if a process is waited for."""
        if any(pod.state != "ready" for pod in self.pods.values()):
            return POLL_SECONDS
        return max(0, self.timers[0][0] - time.monotonic()) if self.timers else None

    def handle(self, kind, pod):
        if kind == "TICK" or pod["spec"]["containers"][0]["image"] != IMAGE:
            return
        uid, metadata = pod["metadata"]["uid"], pod["metadata"]
        mine = self.pods.get(uid)
        if kind == "GONE":
            if mine:  # removed by force: whoever did that wanted it gone at once
                self.pods.pop(uid).process.stop(first=signal.SIGKILL)
        elif metadata.get("deletionTimestamp"):
            grace_seconds = metadata.get("deletionGracePeriodSeconds")
            if mine and mine.state in ("starting", "ready") and grace_seconds:
                self.begin_stop(mine, grace_seconds)  # without grace, GONE is next
            elif not mine:  # deleted before it was ever started
                self.told(lambda: self.api.delete(pod_path(metadata), grace_seconds=0))
        elif not mine and pod["spec"].get("nodeName"):
            self.pods[uid] = self.launch(pod)

    def launch(self, pod):
        metadata, ports = pod["metadata"], ports_of(pod)
        addresses = addresses_of(pod["spec"]["nodeName"], next(self.numbers))
        return Pod(metadata, addresses, ports, self.greet(metadata["name"], addresses, ports))

    def greet(self, name, addresses, ports=(PORT,)):
        """A greeter process, also for an endpoint that no pod stands behind."""
        argv = [self.greeter, "--name", name]
        for address in addresses:
            for port in ports:
                host = f"[{address}]" if ":" in address else address
                argv += ["--listen", f"{host}:{port}"]
        return Process(name, argv, self.log_folder / f"{name}.log")

    def begin_stop(self, pod, grace_seconds):
        pod.state = "terminating"
        now = time.monotonic()
        pod.deadline = now + grace_seconds
        self.at(now + min(PRESTOP_SECONDS, grace_seconds / 2),
                lambda: pod.process.send_signal(pod.end_signal))

    def at(self, when, action):
        heapq.heappush(self.timers, (when, next(self.order), action))

    def advance(self, uid, pod):
        """One look at a pod that waits for its process."""
        if pod.state == "starting":
            self.advance_starting(pod)
        elif pod.state == "terminating":
            self.advance_terminating(uid, pod)
        elif pod.process.status() is not None:
            raise PodFailed(f"the greeter of pod {pod.name} ended by itself with status "
                               f"{pod.process.status()}\n{pod.process.log_tail()}")

    def advance_starting(self, pod):
        if pod.process.status() is not None or time.monotonic() > pod.deadline:
            raise PodFailed(f"the greeter of pod {pod.name} does not listen on "
                            f"{pod.addresses} {pod.ports}\n{pod.process.log_tail()}")
        if pod.listens() and self.told(
                lambda: self.api.patch(f"{pod.path}/status", pod.ready_status())):
            pod.state = "ready"

    def advance_terminating(self, uid, pod):
        if pod.process.status() is None:
            if time.monotonic() < pod.deadline:
                return
            pod.process.stop(first=signal.SIGKILL)
        if pod.process.status() != 0 and pod.end_signal == signal.SIGTERM:
            raise PodFailed(f"the greeter of pod {pod.name} did not drain: status "
                               f"{pod.process.status()}\n{pod.process.log_tail()}")
        if self.told(lambda: self.api.delete(pod.path, grace_seconds=0)):
            del self.pods[uid]

    @staticmethod
    def told(request):
        """False if the API server is away: the next look tries again."""
        try:
            request()
        except UNREACHABLE:
            return False
        except ApiError as error:
            return error.code == 404  # deleted by force in the meantime: the watch says so too
        return True
