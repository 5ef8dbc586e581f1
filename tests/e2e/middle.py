"""What can stand between Lookaside and its API servers: a TCP balancer that can cut, freeze and
refuse, and a proxy that knows no streaming lists."""

import asyncio
import itertools
import json
import socket
import ssl
import threading

BALANCER_PORT, OLD_PORT = 6440, 6450
HOST = "127.0.0.1"
CHUNK = 65536
# A request, with its token, is longer than what ends a handshake of TLS 1.3, which is data, too.
TLS_DATA, TLS_FINISHED_MAX = b"\x17", 400


def close(connection):
    """At once for both sides, also while another thread reads or writes."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class Balancer:
    """Connections to one port go on, in turn, to those of the aimed-at that accept them."""

    def __init__(self, port=BALANCER_PORT, host=HOST):
        self.address, self.targets, self.turns = (host, port), [], itertools.count()
        self.listener, self.connections = None, set()
        self.lock, self.flowing = threading.Lock(), threading.Event()
        self.rising = threading.Event()
        self.flowing.set()
        self.rising.set()

    def aim(self, *targets):
        """For connections to come: addresses, or ports of this machine."""
        self.targets = [(HOST, t) if isinstance(t, int) else t for t in targets]

    def open(self):
        self.listener = socket.create_server(self.address, backlog=128)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """From now on connections are refused, and those that are there end."""
        close(self.listener)
        self.cut()

    def cut(self):
        with self.lock:
            connections, self.connections = self.connections, set()
        for connection in connections:
            close(connection)

    def freeze(self):
        """Everything stays open and nothing gets through; who connects is accepted."""
        self.flowing.clear()

    def hold_requests(self):
        """They get no further, while servers are still heard, and connections made."""
        self.rising.clear()

    def thaw(self):
        self.rising.set()
        self.flowing.set()

    def stop(self):
        self.close()
        self.thaw()

    def count(self):
        with self.lock:
            return len(self.connections) // 2

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.keep(client)
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def keep(self, connection):
        with self.lock:
            self.connections.add(connection)

    def drop(self, *connections):
        with self.lock:
            self.connections.difference_update(connections)
        for connection in connections:
            close(connection)

    def carry(self, client):
        self.flowing.wait()
        server = self.reach()
        if not server:
            self.drop(client)
            return
        self.keep(server)
        back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
        back.start()
        self.pump(client, server, self.let_rise)
        back.join()
        self.drop(client, server)

    def reach(self):
        for target in self.choose():
            try:
                return socket.create_connection(target, 5)
            except OSError:
                continue
        return None

    def choose(self):
        """The targets, in the order in which they are tried."""
        targets = self.targets
        first = next(self.turns) % max(len(targets), 1)
        return targets[first:] + targets[:first]

    def let_rise(self, data):
        if data[:1] == TLS_DATA and len(data) > TLS_FINISHED_MAX:
            self.rising.wait()

    def pump(self, source, sink, let_pass=lambda data: None):
        """Until one side is closed; then both are, once that may be known."""
        try:
            source.settimeout(None)
            while data := source.recv(CHUNK):
                self.flowing.wait()
                let_pass(data)
                sink.sendall(data)
        except OSError:
            pass
        self.flowing.wait()
        close(source)
        close(sink)


class OldServer:
    """An API server of before streaming lists: it answers 422 where one is asked for, and hands
    everything else to the real one. Requests without a body, one after another."""

    def __init__(self, folder, upstream_port, port=OLD_PORT):
        self.port, self.upstream_port = port, upstream_port
        self.refused = 0
        self.server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server_tls.load_cert_chain(folder / "server.crt", folder / "server.key")
        self.client_tls = ssl.create_default_context(cafile=folder / "ca.crt")
        self.loop = asyncio.new_event_loop()
        self.tasks = set()
        self.thread = threading.Thread(target=self.run, name="old server", daemon=True)

    def start(self):
        self.server = self.loop.run_until_complete(asyncio.start_server(
            self.serve, HOST, self.port, ssl=self.server_tls))
        self.thread.start()

    def run(self):
        self.loop.run_forever()
        self.loop.run_until_complete(self.end())
        self.loop.close()

    async def end(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        try:
            upstream = await asyncio.open_connection(HOST, self.upstream_port, ssl=self.client_tls)
            back = asyncio.ensure_future(self.copy(upstream[0], writer))
            try:
                await self.requests(reader, writer, upstream[1])
            finally:
                back.cancel()
                upstream[1].close()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def requests(self, reader, writer, upstream):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"sendInitialEvents" in head.split(b"\r\n", 1)[0]:
                self.refused += 1
                writer.write(self.refusal())
                await writer.drain()
            else:
                upstream.write(head)
                await upstream.drain()

    @staticmethod
    async def copy(reader, writer):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.close()

    @staticmethod
    def refusal():
        body = json.dumps({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": 'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: '
                       "sendInitialEvents is forbidden for watch unless the WatchList feature "
                       "gate is enabled", "reason": "Invalid", "code": 422}).encode()
        return (b"HTTP/1.1 422 Unprocessable Entity\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)) + body
