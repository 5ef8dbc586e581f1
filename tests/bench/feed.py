"""An API server that costs as little as can be: lists and events are bytes that were made before, and are sent as they are.

It knows Services, EndpointSlices and LookasideServices (none), streams lists, answers the probes, keeps the watches open. It keeps no history: a watch that
breaks ends the run.
"""
import contextlib
import json
import socket
import threading
import time
import urllib.parse

PATHS = {"/api/v1/services": ("services", "v1", "Service"),
         "/apis/discovery.k8s.io/v1/endpointslices": ("endpointslices", "discovery.k8s.io/v1", "EndpointSlice"),
         "/apis/lookaside.dev/v1alpha1/lookasideservices": ("lookasideservices", "lookaside.dev/v1alpha1", "LookasideService")}
FIRST_VERSION = 1000
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def now_us():
    return time.monotonic_ns() // 1000


def _chunk(data):
    return b"%x\r\n" % len(data) + data + b"\r\n"


def line_of(kind, text):
    """A watch event around an object's JSON."""
    return f'{{"type":"{kind}","object":{text}}}\n'.encode()


class Feed:
    """start(), then change() from one thread. objects: {resource: [JSON text, ...]}."""

    def __init__(self, objects):
        self.lists = {resource: b"".join(_chunk(line_of("ADDED", text)) for text in objects.get(resource, ()))
                      for resource, _, _ in PATHS.values()}
        self.version = FIRST_VERSION
        self.newest = dict.fromkeys(self.lists, FIRST_VERSION)
        self.watches = {}                        # resource: socket of its newest watch
        self.begun_us = {}                       # resource: when its list was begun to be sent
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = False

    def start(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self):
        self.ended = True
        self.listener.close()
        for watch in self.watches.values():
            watch.close()

    def kubeconfig(self, path):
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench", "users": [{"name": "bench", "user": {}}],
            "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}]}))
        return path

    def next_version(self):
        self.version += 1
        return self.version

    def change(self, resource, text, kind="MODIFIED"):
        """Sends an event of the newest version. Returns when that was (monotonic microseconds)."""
        self.newest[resource] = self.version
        data = _chunk(line_of(kind, text))
        moment = now_us()
        self.watches[resource].sendall(data)
        return moment

    # -- HTTP --

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = connection.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                self._answer(connection, head.decode("latin-1").split(" ")[1])

    def _answer(self, connection, target):
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path not in PATHS:
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        resource, api_version, kind = PATHS[url.path]
        meta = {"resourceVersion": str(self.newest[resource])}
        if "watch" not in query:
            body = json.dumps({"kind": kind + "List", "apiVersion": api_version, "metadata": meta, "items": []})
            connection.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            return
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        if "sendInitialEvents" in query:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
            end = json.dumps({"kind": kind, "apiVersion": api_version, "metadata": meta})
            self.begun_us[resource] = now_us()
            connection.sendall(self.lists[resource])
            connection.sendall(_chunk(line_of("BOOKMARK", end)))
        self.watches[resource] = connection
