"""The rounds of the scenario with a real API server, in a network namespace of their own: the e2e suite's cluster (tests/e2e/cluster.py).

Each side's clients ask for a Service whose slice the others do not look at, so that only one side works at a time. Result: a JSON file; exit status 77 where
the cluster cannot be had, the reason in the last line.
"""
import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.path.append(str(HERE.parent / "e2e"))

import namespace  # noqa: E402
import programs  # noqa: E402
from cluster import Cluster  # noqa: E402

import content  # noqa: E402
import machine  # noqa: E402
import sides  # noqa: E402
from child import Refused  # noqa: E402
from client import Load, Plan  # noqa: E402
from feed import now_us  # noqa: E402
from judge import FLOOR, OURS, PEER, complete  # noqa: E402
from scenarios.fan_out import change_times, median_of  # noqa: E402
from support.lookaside import Lookaside  # noqa: E402
from support.report import SKIP_EXIT  # noqa: E402
from world import Bench, Station  # noqa: E402

CLIENTS, ENDPOINTS = 1000, 100
SLICES = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
READY = b'"ready":true'
SERVICE_OF = {OURS: 0, FLOOR: 1, PEER: 2}        # whose slice tells a side


class Objects:
    """The Services and slices in the API server."""

    def __init__(self, api, most):
        self.api, self.most = api, most

    def create(self):
        self.api.create("/api/v1/namespaces", {"metadata": {"name": content.NAMESPACE}})
        for service in SERVICE_OF.values():
            made = json.loads(content.service_json(service))
            del made["spec"]["selector"], made["metadata"]["uid"], made["metadata"]["resourceVersion"]
            self.api.create("/api/v1/namespaces/shop/services", made)
            self.api.create(SLICES, self._slice(service, ENDPOINTS))

    def _slice(self, service, ready):
        made = json.loads(content.slice_json(service, range(self.most), ready))
        for key in ("uid", "resourceVersion", "generation", "ownerReferences"):
            del made["metadata"][key]
        return made

    def write(self, service, ready):
        """Returns when the answer was there."""
        body = self._slice(service, ready)
        self.api.put(f"{SLICES}/{body['metadata']['name']}", body)
        return now_us()


class Watched:
    """A server that is told by a bare watch: the bare loop, or the peer."""
    services, endpoints = 1, ENDPOINTS

    def __init__(self, given, objects, connection):
        self.given, self.objects, self.name, self.pid = given, objects, given.name, given.pid
        self.service = SERVICE_OF[given.name]
        name = f"{content.name_of(self.service)}-0000"
        connection.request("GET", f"{SLICES}?watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion=0")
        self.events = connection.getresponse()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        while True:
            line = self.events.readline()
            if not line:
                return
            self.given.publish(0, line.count(READY))

    def publish(self, _, endpoints):
        return self.objects.write(self.service, endpoints)


class Ours:
    name, services, endpoints = OURS, 1, ENDPOINTS

    def __init__(self, lookaside, objects):
        self.pid, self.objects = lookaside.process.pid, objects

    def publish(self, _, endpoints):
        return self.objects.write(SERVICE_OF[OURS], endpoints)


def measure(station, changes):
    moments = {}
    for number in range(changes):
        endpoints = ENDPOINTS + 1 + number
        moments[endpoints] = station.change(0, endpoints)
    arrivals, heard = station.load.heard()
    complete(heard, station.name, {(0, endpoints): CLIENTS for endpoints in moments})
    times = change_times(arrivals, moments)
    station.change(0, ENDPOINTS)
    station.load.arrivals()
    return {"heard": heard, "first": median_of(times, 0), "median": median_of(times, 50), "last": median_of(times, 100)}


def record(port, work, objects, changes):
    recording, load = sides.Recording(), Load(work, "record", port, Plan(1))
    try:
        load.open()
        for endpoints in range(ENDPOINTS, ENDPOINTS + changes + 1):
            objects.write(SERVICE_OF[OURS], endpoints)
            load.expect(0, endpoints)
            recording.lists[endpoints] = load.message()
        recording.others = {slot: load.message(slot) for slot in range(sides.SLOTS - 1)}
        objects.write(SERVICE_OF[OURS], ENDPOINTS)
        load.expect(0, ENDPOINTS)
    finally:
        load.stop()
    return recording


def stations_of(cluster, work, options, stack):
    objects = Objects(cluster.api, ENDPOINTS + options.changes)
    objects.create()
    lookaside = Lookaside(work, flags=["--kubeconfig", cluster.path("lookaside.kubeconfig"), "--log-level", "warn"])
    stack.append(lookaside.stop)
    lookaside.start(30)
    port = int(lookaside.listen.split(":")[1])
    recording = record(port, work, objects, options.changes)
    found = [(Ours(lookaside, objects), port)]
    for name in (FLOOR, PEER) if options.peer else (FLOOR,):
        given = sides.Given(name, work, recording, 1, ENDPOINTS, Plan(CLIENTS), options.peer if name == PEER else None)
        stack.append(given.stop)
        given.start()
        found.append((Watched(given, objects, cluster.api.connect()), given.port))
    stations = []
    for side, port in found:
        load = Load(work, side.name, port, Plan(CLIENTS))
        stack.append(load.stop)
        load.open()
        machine.rest(side.pid)
        load.arrivals()
        stations.append(Station(side, load))
    return stations


def rounds(options, work):
    cluster, stack = Cluster(programs.ensure(), work), []
    try:
        cluster.start()
        stations = stations_of(cluster, work, options, stack)
        time.sleep(1)                            # the API server is busy with itself at first
        bench = Bench(options.quick, print, options.peer, True)
        # The API server's own work is part of the way: it is nobody else's.
        found = bench.rounds("real API server", stations, lambda station: measure(station, options.changes), options.rounds, warm=True)
        for result in found:
            for one in result.values():
                del one["heard"]
        return {"rounds": found, "refused": bench.refused, "disturbed": bench.disturbed[0]}
    finally:
        for stop in reversed(stack):
            stop()
        cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--peer")
    parser.add_argument("--result", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tolerate", action="store_true")
    options = parser.parse_args()
    try:
        if not namespace.entered():
            namespace.unshare_argv()
            if options.quick and any(not (programs.module_folder(p.module) / p.name).exists() for p in programs.PROGRAMS):
                raise programs.Missing("the API server is not built yet, which takes longer than a quick run may")
            programs.ensure()
            namespace.enter()
    except programs.Missing as missing:
        print(missing)
        return SKIP_EXIT
    namespace.prepare()
    with tempfile.TemporaryDirectory(prefix="lookaside-bench-api-") as work:
        try:
            options.result.write_text(json.dumps(rounds(options, Path(work))))
        except Refused as reason:
            print(reason)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
