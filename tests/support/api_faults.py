"""What the fake API server can be told to do wrong: faults of requests, cuts of watch events."""
import gzip
import json
import threading
from dataclasses import dataclass, field

from .process import wait_until


@dataclass
class Fault:
    """Misbehaviour for the next `times` requests of a resource, verb, namespace (None: any)."""
    resource: str | None
    verb: str | None
    act: object                    # async (server, connection, request)
    times: int | None
    namespace: str | None = None
    hits: int = 0

    def fits(self, request):
        return (self.resource in (None, request.resource) and self.verb in (None, request.verb)
                and self.namespace in (None, request.namespace)
                and (self.times is None or self.hits < self.times))

    def wait(self, hits=1, timeout=20):
        wait_until(lambda: self.hits >= hits, timeout, f"the fault was met {hits} times")


@dataclass
class Cut:
    """The next event of a watch: only so many bytes of its line, then the connection goes."""
    resource: str
    where: object                  # (line) → how many bytes of it are sent
    reset: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout=20):
        if not self.done.wait(timeout):
            raise AssertionError("no event came that could be cut")


# ---- misbehaviours ----

def status(code, message="scripted by the test", retry_after=None):
    """An HTTP error with a Status object."""
    async def act(_, conn, request):
        extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
        await conn.answer(code, status_object(code, message), request, extra)
    return act


def body(data, content_type="application/json", code=200):
    """An answer with these bytes as its whole body."""
    async def act(_, conn, __):
        data_bytes = data.encode() if isinstance(data, str) else data
        await conn.head(code, {"Content-Type": content_type, "Content-Length": len(data_bytes)})
        await conn.write(data_bytes)
    return act


def stream(*pieces, then="open"):
    """A chunked 200 with these pieces as chunks; then it stays open, ends, is cut, or is reset."""
    async def act(server, conn, _):
        await conn.head(200, {"Transfer-Encoding": "chunked"})
        for piece in pieces:
            await conn.chunk(piece.encode() if isinstance(piece, str) else piece)
        if then == "open":
            await conn.gone.wait()
        elif then == "end":
            await conn.end()
        else:
            conn.drop(reset=then == "reset")
    return act


def error_event(code, message="scripted by the test"):
    """A watch that says ERROR at once inside its 200."""
    return stream(json.dumps({"type": "ERROR", "object": status_object(code, message)}) + "\n",
                  then="end")


def hang():
    """No answer at all; the connection stays open."""
    async def act(_, conn, __):
        await conn.gone.wait()
    return act


def reset():
    async def act(_, conn, __):
        conn.drop(reset=True)
    return act


def half_a_list(fraction=0.5, framed=True):
    """The true list, but the connection ends within it. Unframed: without Content-Length, so that
    the end of the connection looks like the end of the body."""
    async def act(server, conn, request):
        data = json.dumps(server.page(request)).encode()
        length = {"Content-Length": len(data)} if framed else {"Connection": "close"}
        await conn.head(200, {"Content-Type": "application/json", **length})
        await conn.write(data[:int(len(data) * fraction)])
        conn.drop(reset=False)
    return act


def half_a_gzip():
    async def act(server, conn, request):
        data = gzip.compress(json.dumps(server.page(request)).encode())
        await conn.head(200, {"Content-Encoding": "gzip", "Connection": "close"})
        await conn.write(data[:len(data) // 2])
        conn.drop(reset=False)
    return act


def status_object(code, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": "Expired" if code == 410 else "Scripted", "code": code}
