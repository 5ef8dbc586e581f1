"""A small client of the Kubernetes API: requests, and watches that follow a collection."""

import http.client
import json
import socket
import ssl
import threading
from urllib.parse import urlencode

TIMEOUT_SECONDS = 30
MERGE_PATCH = "application/merge-patch+json"
# What a server that is away, or goes away in mid-answer, makes a request raise.
UNREACHABLE = (OSError, http.client.HTTPException)


class ApiError(Exception):
    def __init__(self, method, path, code, body):
        try:
            self.reason, text = body.get("reason"), body.get("message")
        except AttributeError:
            self.reason, text = None, body
        super().__init__(f"{method} {path}: {code} {text}")
        self.code = code


class Api:
    """Any thread may use it: each has a connection of its own."""

    def __init__(self, folder, port):
        self.address = ("127.0.0.1", port)
        self.tls = ssl.create_default_context(cafile=folder / "ca.crt")
        self.tls.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        self.local = threading.local()

    def connect(self, timeout=TIMEOUT_SECONDS):
        connection = http.client.HTTPSConnection(*self.address, context=self.tls, timeout=timeout)
        connection.connect()
        # A request's head and body are two writes.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def exchange(self, method, path, body, headers):
        """A connection that the server closed while it lay idle, or at the end of which it is
        shutting down, is opened anew, once."""
        reused = getattr(self.local, "connection", None) is not None
        try:
            if not reused:
                self.local.connection = self.connect()
            self.local.connection.request(method, path, body, headers)
            response = self.local.connection.getresponse()
            status, raw = response.status, response.read()
            if not reused or status != 503:
                return status, raw
        except UNREACHABLE:
            if not reused:
                self.local.connection = None
                raise
        self.local.connection = None
        return self.exchange(method, path, body, headers)

    def request(self, method, path, body=None, content_type="application/json"):
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
            body = json.dumps(body).encode()
        status, raw = self.exchange(method, path, body, headers)
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = raw.decode(errors="replace")
        if status >= 400:
            raise ApiError(method, path, status, answer)
        return answer

    def get(self, path):
        return self.request("GET", path)

    def create(self, path, body):
        return self.request("POST", path, body)

    def put(self, path, body):
        return self.request("PUT", path, body)

    def patch(self, path, body):
        return self.request("PATCH", path, body, MERGE_PATCH)

    def delete(self, path, grace_seconds=None):
        """What is gone already is as good as deleted."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        try:
            return self.request("DELETE", path, options)
        except ApiError as error:
            if error.code != 404:
                raise
            return None


class Watch(threading.Thread):
    """Calls on_event("SET" or "GONE", object) for everything in a collection, now and later.

    It lists, watches from there, and begins again when that ends, for whatever reason.
    """

    RETRY_SECONDS = 0.2

    def __init__(self, api, path, on_event):
        super().__init__(name=f"watch {path}", daemon=True)
        self.api, self.path, self.on_event = api, path, on_event
        self.known = {}
        self.stopped = threading.Event()
        self.connection = None

    def run(self):
        while not self.stopped.is_set():
            try:
                self.follow(self.list())
            except UNREACHABLE + (ApiError, ValueError):
                self.stopped.wait(self.RETRY_SECONDS)

    def list(self):
        answer = self.api.get(self.path)
        before, self.known = self.known, {}
        for item in answer.get("items") or []:
            self.known[item["metadata"]["uid"]] = item
            self.on_event("SET", item)
        for uid in before.keys() - self.known.keys():
            self.on_event("GONE", before[uid])
        return answer["metadata"]["resourceVersion"]

    def follow(self, version):
        query = urlencode({"watch": 1, "allowWatchBookmarks": "true", "resourceVersion": version})
        self.connection = self.api.connect(timeout=None)
        try:
            self.connection.request("GET", f"{self.path}?{query}")
            response = self.connection.getresponse()
            while response.status == 200 and not self.stopped.is_set():
                line = response.readline()
                if not line:
                    return
                self.handle(json.loads(line))
        finally:
            self.connection.close()

    def handle(self, event):
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise ValueError(item.get("message"))
        if kind == "BOOKMARK":
            return
        if kind == "DELETED":
            self.known.pop(item["metadata"]["uid"], None)
        else:
            self.known[item["metadata"]["uid"]] = item
        self.on_event("GONE" if kind == "DELETED" else "SET", item)

    def stop(self):
        self.stopped.set()
        connection = self.connection
        if connection and connection.sock:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.join(2)
