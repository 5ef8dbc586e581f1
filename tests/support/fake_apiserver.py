"""A fake Kubernetes API server that can misbehave.

It holds Services, EndpointSlices, Endpoints, Nodes and Pods (and what may be written, see api_writes) and serves paged lists, watches with bookmarks and lists
that are streamed in a watch over HTTP/1.1, plain or TLS, chunked and gzipped, as the real one does. Faults are scripted: a Fault takes the next
requests that it fits; a Cut damages the next event of a watch. It remembers every list of backends
that it ever held, so that a test can say whether what a client saw was true.

    with FakeApiServer() as api:
        api.put(manifests.service("greeter"))
        api.fault("endpointslices", "watch", api_faults.status(500), times=3)

Everything public may be called from any thread. The server runs an asyncio loop in a thread of its own.
"""
import asyncio
import base64
import bisect
import copy
import json
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass

from . import api_writes
from .api_connection import HEAD_MAX, Connection, Reader
from .api_faults import Cut, Fault, status_object
from .loop_thread import LoopThread
from .process import wait_until

RESOURCES = {
    "services": ("/api/v1", "v1", "Service"),
    "endpointslices": ("/apis/discovery.k8s.io/v1", "discovery.k8s.io/v1", "EndpointSlice"),
    "endpoints": ("/api/v1", "v1", "Endpoints"),
    "nodes": ("/api/v1", "v1", "Node"),
    "pods": ("/api/v1", "v1", "Pod"),
    "lookasideservices": ("/apis/lookaside.dev/v1alpha1", "lookaside.dev/v1alpha1", "LookasideService"),
}
REQUIRED = ("services", "endpointslices")              # what the controller reads by default
_PLURALS = {kind: plural for plural, (_, _, kind) in RESOURCES.items()}


@dataclass
class Request:
    moment: float
    resource: str
    namespace: str | None
    verb: str                      # "stream" (a list in a watch), "list" (a first page), "page" (a later
    #                                one), "watch", "probe" (a list of one object)
    target: str                    # as it was sent
    query: dict
    headers: dict                  # lower-case names
    connection: int
    user: str = ""                 # the common name of the client's certificate


# ---- the server ----

class FakeApiServer(LoopThread):
    def __init__(self, tls=None, client_ca=None, token=None, gzip=True, bookmark_seconds=None,
                 namespaces_only=False, streams=True, page_max=None):
        """tls: (certificate file, key file). client_ca: clients need a certificate of this CA. token:
        clients must bear it. namespaces_only: lists over all namespaces are forbidden. streams:
        lists may be streamed. page_max: objects on a page, whatever limit is asked for."""
        super().__init__()
        self.tls, self.client_ca, self.token, self.gzip = tls, client_ca, token, gzip
        self.bookmark_seconds, self.namespaces_only = bookmark_seconds, namespaces_only
        self.streams, self.page_max = streams, page_max
        self.trickle = None                            # (bytes, seconds): how the bodies are written
        self.frozen = False                            # watches get no events
        self.twice = False                             # and each event twice
        self.delays = {}                               # resource: seconds that its events come late
        self.documents, self.documents_asked = {}, []  # path: what GET gives besides; the paths that were asked for
        self.requests, self.history = [], {}
        self.written = api_writes.Written(self)
        self.unauthorized = 0                          # requests answered with 401
        self.version, self.floor = 1000, 0
        self.objects = {plural: {} for plural in RESOURCES}
        self.events = []                               # (version, resource, type, object)
        self.believed = {}                             # what absurd objects mean: put_absurd()
        self.port = None
        self._snapshots, self._faults, self._cuts = {}, [], []
        self._connections, self._watchers, self._numbers = set(), set(), 0
        self._lock = threading.RLock()

    # -- life --

    def start(self):
        """Accepts connections; on the same port as before, if there was one."""
        self._run(self._listen())
        return self

    async def _listen(self):
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            context.set_alpn_protocols(["h2", "http/1.1"])
            if self.client_ca:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        self._server = await self._loop.create_server(
            lambda: asyncio.StreamReaderProtocol(Reader(limit=HEAD_MAX, loop=self._loop),
                                                 self._serve, loop=self._loop),
            "127.0.0.1", self.port or 0, ssl=context, reuse_address=True, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self, reset=False):
        """Refuses connections from now on and drops those that are open."""
        self._run(self._close(reset))

    async def _close(self, reset=False):
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        for conn in list(self._connections):
            conn.drop(reset)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, path, cluster=None, user=None, port=None):
        """Writes a kubeconfig that leads here, or to a proxy's port; further fields of the cluster and
        user entries."""
        url = self.url if port is None else self.url.replace(f":{self.port}", f":{port}")
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "fake", "cluster": {"server": url, **(cluster or {})}}],
            "users": [{"name": "tester", "user": user or {}}],
            "contexts": [{"name": "test", "context": {"cluster": "fake", "user": "tester"}}]},
            indent=1))
        return path

    # -- objects --

    def put(self, *objects):
        """Creates or replaces objects, each as one change."""
        with self._lock:
            for obj in objects:
                obj = copy.deepcopy(obj)
                plural, key = self._key(obj)
                self.version += 1
                obj["metadata"]["resourceVersion"] = str(self.version)
                kind = "MODIFIED" if key in self.objects[plural] else "ADDED"
                self.objects[plural][key] = obj
                self._changed(plural, kind, obj)

    def put_absurd(self, obj, believed):
        """Holds an object that no API server would, and that means `believed` to a client, or nothing
        at all (None)."""
        with self._lock:
            self.believed[self._key(obj)] = believed
            self.put(obj)

    def delete(self, obj):
        with self._lock:
            plural, key = self._key(obj)
            gone = copy.deepcopy(self.objects[plural].pop(key))
            self.version += 1
            gone["metadata"]["resourceVersion"] = str(self.version)
            self._changed(plural, "DELETED", gone)

    @staticmethod
    def _key(obj):
        meta = obj["metadata"]
        plural = _PLURALS[obj["kind"]]
        return plural, ("" if plural == "nodes" else meta.get("namespace", "default"), meta["name"])

    def _changed(self, plural, kind, obj):
        self.events.append((self.version, plural, kind, obj))
        namespace = self._key(obj)[1][0]
        self._remember(namespace)
        self._wake(plural, namespace)

    def _wake(self, plural=None, namespace=None):
        """Tells the watches that have news: all, or those that see this namespace's."""
        def wake():
            for watch in self._watchers:
                if plural in (None, watch.resource) and (
                        namespace is None or watch.namespace in (None, namespace)):
                    watch.set()
        self._loop.call_soon_threadsafe(wake)

    def pause_events(self):
        """Watches stay open and silent, as if the server hung."""
        self.frozen = True

    def resume_events(self):
        self.frozen = False
        self._wake()

    # -- truth --

    def backends(self, namespace, name):
        """The addresses that a client of this Service must get by the API as it is now."""
        key = (namespace, name)
        if self.believed.get(("services", key), self.objects["services"].get(key)) is None:
            return frozenset()
        ready, draining = set(), set()
        for (of, slice_name), entry in self.objects["endpointslices"].items():
            entry = self.believed.get(("endpointslices", (of, slice_name)), entry)
            if entry is None:
                continue
            labels = entry["metadata"].get("labels", {})
            if of != namespace or labels.get("kubernetes.io/service-name") != name:
                continue
            for endpoint in entry.get("endpoints") or []:
                conditions = endpoint.get("conditions", {})
                if conditions.get("ready") is not False:
                    ready.update(endpoint["addresses"])
                elif conditions.get("terminating") and conditions.get("serving") is not False:
                    draining.update(endpoint["addresses"])
        return frozenset(ready or draining)

    def _remember(self, in_namespace=None):
        """Notes the truth of all Services, or of those in one namespace."""
        for namespace, name in set(self.objects["services"]) | set(self.history):
            if in_namespace not in (None, namespace):
                continue
            past = self.history.setdefault((namespace, name), [])
            now = self.backends(namespace, name)
            if not past or past[-1] != now:
                past.append(now)

    # -- time travel --

    def compact(self):
        """Forgets the past: a watch from any version so far answers 410, inside its 200."""
        with self._lock:
            self.version += 1
            self.floor = self.version
            self._snapshots.clear()

    def expire_pages(self):
        """Continue tokens given so far answer 410."""
        with self._lock:
            self._snapshots.clear()

    def snapshot(self):
        with self._lock:
            return self.version, copy.deepcopy(self.objects), list(self.events)

    def restore(self, snapshot):
        """etcd restored from a backup: objects and versions go back."""
        with self._lock:
            self.version, self.objects, self.events = (
                snapshot[0], copy.deepcopy(snapshot[1]), list(snapshot[2]))
            self._snapshots.clear()
            self._remember()

    # -- misbehaviour --

    def fault(self, resource, verb, act, times=1, namespace=None):
        """Misbehaves for the next requests that fit; times None: until clear_faults()."""
        fault = Fault(resource, verb, act, times, namespace)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear_faults(self):
        with self._lock:
            self._faults.clear()

    def cut_next_event(self, resource, where, reset=False):
        cut = Cut(resource, where, reset)
        with self._lock:
            self._cuts.append(cut)
        return cut

    def inject(self, resource, data, then="open"):
        """Writes raw bytes into every open watch of the resource."""
        with self._lock:
            for watch in list(self._watchers):
                if watch.resource == resource:
                    watch.injected.append((data.encode() if isinstance(data, str) else data, then))
        self._wake()

    def bookmark(self, resource):
        """Every open watch of the resource is told the newest version, behind the events up to it."""
        with self._lock:
            for watch in list(self._watchers):
                watch.due = watch.due or watch.resource == resource
        self._wake()

    def drop_watches(self, reset=False):
        """Ends the connections of all watches, but not the server; no event comes on them any more."""
        async def drop():
            for watch in list(self._watchers):
                watch.conn.drop(reset)
        self._run(drop())

    def end_watches_after(self, age):
        """Every open watch ends cleanly, as when its time is up, once it is so many seconds old."""
        def old():
            watches = list(self._watchers)
            return watches and all(time.monotonic() - watch.begin >= age for watch in watches)
        wait_until(old, age + 20, f"all watches are {age:g} s old")
        for resource in RESOURCES:
            self.inject(resource, b"", then="end")

    # -- what was asked --

    def asked(self, resource=None, verb=None):
        with self._lock:
            return [request for request in self.requests
                    if resource in (None, request.resource) and verb in (None, request.verb)]

    def lists(self, resource=None):
        """Requests for a whole view, of whatever kind."""
        return [request for request in self.asked(resource) if request.verb in ("stream", "list")]

    def wait_lists(self, count, resource=None, timeout=20):
        wait_until(lambda: len(self.lists(resource)) >= count, timeout,
                   f"{count} lists of {resource}")
        return self.lists(resource)

    def wait_asked(self, count, resource=None, verb=None, timeout=20):
        wait_until(lambda: len(self.asked(resource, verb)) >= count, timeout,
                   f"{count} requests of {resource} {verb}")
        return self.asked(resource, verb)

    def wait_watched(self, timeout=20):
        """Both required resources have an open watch."""
        wait_until(lambda: {watch.resource for watch in list(self._watchers)} >= set(REQUIRED),
                   timeout, "both resources are watched")

    def wrote(self, resource=None, verb=None):
        """What was asked of single objects."""
        with self._lock:
            return [write for write in self.written.log
                    if resource in (None, write.resource) and verb in (None, write.verb)]

    # -- HTTP --

    async def _serve(self, reader, writer):
        self._numbers += 1
        conn = Connection(self, reader, writer, self._numbers)
        self._connections.add(conn)
        try:
            while not conn.gone.is_set():
                head = await conn.read_head()
                if head is None:
                    break
                body = await reader.readexactly(int(head[1].get("content-length", 0)))
                await self._dispatch(conn, *head, body)
        except (ConnectionError, OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            conn.gone.set()
            self._connections.discard(conn)
            writer.close()

    async def _dispatch(self, conn, line, headers, body):
        path = line.split(" ")[1] if line.startswith("GET ") else ""
        if path in self.documents:
            self.documents_asked.append(path)
            wanted = "application/jwk-set+json" if path.endswith("/jwks") else "application/json"
            if headers.get("accept") != wanted:        # as the real one does
                await conn.answer(406, status_object(406, f"Available representations: {wanted}"),
                                  Request(0, "", None, "", "", {}, headers, 0))
                return
            await conn.answer(200, self.documents[path], Request(0, "", None, "", "", {}, headers, 0))
            return
        request = self._parse(conn, line, headers, body)
        if request is None:
            await conn.answer(404, status_object(404, "no such path"),
                              Request(0, "", None, "", "", {}, headers, 0))
            return
        one = isinstance(request, api_writes.Write)
        with self._lock:
            (self.written.log if one else self.requests).append(request)
            fault = next((fault for fault in self._faults if fault.fits(request)), None)
            if fault:
                fault.hits += 1
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            self.unauthorized += 1
            await conn.answer(401, status_object(401, "Unauthorized"), request)
        elif self.namespaces_only and request.namespace is None:
            await conn.answer(403, status_object(403, f"{request.resource} is forbidden"), request)
        elif fault:
            await self._until_gone(conn, fault.act(self, conn, request))
        elif one:
            await self.write(conn, request)
        elif request.verb == "stream" and not self.streams:
            await conn.answer(422, status_object(
                422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless "
                "the WatchList feature gate is enabled"), request)
        elif request.verb in ("watch", "stream"):
            await self._until_gone(conn, self.watch(conn, request))
        else:
            page = self.page(request)
            await conn.answer(page.get("code", 200), page, request)

    async def _until_gone(self, conn, work):
        """Runs it, but not longer than the peer is there."""
        task = asyncio.ensure_future(work)
        peer = asyncio.ensure_future(self._peer_gone(conn))
        await asyncio.wait({task, peer}, return_when=asyncio.FIRST_COMPLETED)
        for other in (task, peer):
            if not other.done():
                other.cancel()
        await asyncio.gather(task, peer, return_exceptions=True)
        if task.done() and not task.cancelled() and task.exception():
            raise task.exception()

    @staticmethod
    async def _peer_gone(conn):
        await conn.reader.ended.wait()
        conn.gone.set()

    async def write(self, conn, request):
        with self._lock:
            code, obj = self.written.answer(request)
        await conn.answer(code, obj, request)

    @staticmethod
    def _parse(conn, line, headers, body):
        method, target, _ = (line.split(" ") + ["", ""])[:3]
        path, _, query = target.partition("?")
        if path.startswith("http://"):                 # as a proxy is asked
            path = "/" + path.removeprefix("http://").partition("/")[2]
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        write = api_writes.parse(method, path, query, headers, body, conn)
        if write:
            return write
        for plural, (prefix, _, _) in RESOURCES.items():
            if method != "GET" or not path.startswith(prefix + "/"):
                continue
            parts = path[len(prefix) + 1:].split("/")
            namespace = parts[1] if len(parts) == 3 and parts[0] == "namespaces" else None
            if parts[-1] != plural or len(parts) not in (1, 3) or (len(parts) == 3 and not namespace):
                continue
            return Request(time.monotonic(), plural, namespace, _verb(query), target, query, headers,
                           conn.number, conn.user)
        return None

    # -- lists --

    def page(self, request):
        """The list object, or a Status, that answers it."""
        with self._lock:
            start, version = 0, self.version
            if "continue" in request.query:
                version, start = json.loads(base64.urlsafe_b64decode(request.query["continue"]))
            else:
                self._snapshots[request.resource, request.namespace, version] = [
                    {k: v for k, v in obj.items() if k not in ("kind", "apiVersion")}
                    for (namespace, _), obj in sorted(self.objects[request.resource].items())
                    if request.namespace in (None, namespace) and _selected(obj, request.query)]
            items = self._snapshots.get((request.resource, request.namespace, version))
        if items is None:
            return status_object(410, "The provided continue parameter is too old")
        limit = min(int(request.query.get("limit", 0)) or len(items), self.page_max or len(items) or 1)
        _, api_version, kind = RESOURCES[request.resource]
        metadata = {"resourceVersion": str(version)}
        if start + limit < len(items):
            token = json.dumps([version, start + limit]).encode()
            metadata["continue"] = base64.urlsafe_b64encode(token).decode()
            metadata["remainingItemCount"] = len(items) - start - limit
        return {"kind": kind + "List", "apiVersion": api_version, "metadata": metadata,
                "items": items[start:start + limit]}

    def state(self, request):
        """What a streamed list says now: its lines, the last one marks the end; and its version."""
        with self._lock:
            lines = [line_of("ADDED", obj)
                     for (namespace, _), obj in sorted(self.objects[request.resource].items())
                     if request.namespace in (None, namespace)]
            return lines + [self._bookmark(request.resource, self.version, end=True)], self.version

    def since(self, request, version):
        """The events behind a version, as lines."""
        return [line for _, line in self._news(request, version)[0]]

    async def stream_list(self, conn, request):
        lines, version = self.state(request)
        for line in lines:
            await conn.chunk(line)
        return version

    # -- watches --

    async def watch(self, conn, request):
        watch = asyncio.Event()
        watch.resource, watch.namespace = request.resource, request.namespace
        watch.conn, watch.injected, watch.due = conn, [], False
        watch.begin = time.monotonic()
        seen = int(request.query.get("resourceVersion", 0))
        await conn.head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        if request.verb == "stream":
            seen = await self.stream_list(conn, request)
        elif seen < self.floor:
            await conn.chunk(line_of("ERROR", status_object(410, f"too old resource version: {seen}")))
            await conn.end()
            return
        end = time.monotonic() + int(request.query.get("timeoutSeconds", 3600))
        self._watchers.add(watch)
        watch.set()
        try:
            while not conn.gone.is_set() and time.monotonic() < end:
                seen = await self._turn(watch, request, seen, end)
                if seen is None:
                    return
            if not conn.gone.is_set():
                await conn.end()
        finally:
            self._watchers.discard(watch)

    async def _turn(self, watch, request, seen, end):
        """Waits for news and writes them; the version that was reached, or None: it is over."""
        bookmarks = self.bookmark_seconds if request.query.get("allowWatchBookmarks") else None
        pause = min(end - time.monotonic(), bookmarks or 3600)
        try:
            await asyncio.wait_for(watch.wait(), max(pause, 0.001))
        except asyncio.TimeoutError:
            watch.due = watch.due or (bookmarks and not self.frozen)
        watch.clear()
        while watch.injected:
            data, then = watch.injected.pop(0)
            if data:
                await watch.conn.chunk(data)
            if then == "end":
                await watch.conn.end()
                return None
            if then != "open":
                watch.conn.drop(reset=then == "reset")
                return None
        await asyncio.sleep(self.delays.get(request.resource, 0))
        news, newest = self._news(request, seen)
        for version, line in news:
            cut = self._take_cut(request)
            if cut:
                await self._write_cut(watch.conn, line, cut)
                return None
            await watch.conn.chunk(line * 2 if self.twice else line)
            seen = version
        if watch.due:
            watch.due = False
            await watch.conn.chunk(self._bookmark(request.resource, newest))
        return seen

    def _news(self, request, seen):
        """Events behind a version, and the version that is reached with them."""
        with self._lock:
            if self.frozen:
                return [], seen
            start = bisect.bisect_right(self.events, seen, key=lambda event: event[0])
            return [(version, line_of(kind, obj)) for version, plural, kind, obj in self.events[start:]
                    if plural == request.resource
                    and request.namespace in (None, obj["metadata"].get("namespace", "default"))
                    ], self.version

    @staticmethod
    def _bookmark(resource, version, end=False):
        _, api_version, kind = RESOURCES[resource]
        obj = {"kind": kind, "apiVersion": api_version,
               "metadata": {"resourceVersion": str(version), "creationTimestamp": None}}
        if kind == "EndpointSlice":
            obj.update(endpoints=None, ports=None)
        if end:
            obj["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
        return line_of("BOOKMARK", obj)

    def _take_cut(self, request):
        with self._lock:
            for cut in self._cuts:
                if cut.resource == request.resource:
                    self._cuts.remove(cut)
                    return cut
        return None

    @staticmethod
    async def _write_cut(conn, line, cut):
        """The chunk is announced whole, and cut."""
        await conn.write(f"{len(line):x}\r\n".encode() + line[:cut.where(line)])
        conn.drop(cut.reset)
        cut.done.set()


def _verb(query):
    if "watch" in query:
        return "stream" if query.get("sendInitialEvents") == "true" else "watch"
    if "continue" in query:
        return "page"
    return "probe" if query.get("limit") == "1" else "list"


def _selected(obj, query):
    """Only KEY=VALUE, as the controller selects."""
    key, _, value = query.get("labelSelector", "").partition("=")
    return not key or obj["metadata"].get("labels", {}).get(key) == value


def line_of(kind, obj):
    return (json.dumps({"type": kind, "object": obj}, ensure_ascii=False) + "\n").encode()
