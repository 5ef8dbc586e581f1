"""A TCP proxy that damages what passes, at a byte that a test chooses.

    with TcpProxy(api.port) as proxy:
        fault = proxy.plan(Fault("cut", at=300, request=b"/namespaces/n7/endpointslices?limit"))
        ...
        fault.wait()

A fault takes the first exchange that it fits: that of a request whose head holds `request` (the bytes
are counted from the first one of its answer), or, where the bytes mean nothing (TLS), the `connection`
of that number (counted from its first byte, in the direction given).
"""
import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field

from .loop_thread import LoopThread
from .process import free_port

ACTS = ("cut", "reset", "freeze", "pause", "slice", "corrupt")


@dataclass
class Fault:
    """What happens behind `at` bytes. cut: FIN both ways. reset: RST. freeze: the bytes vanish both ways
    and nobody is told. pause: nothing for a moment, so that what follows is read by itself. slice: from
    there on every byte is sent by itself. corrupt: that byte is another one."""
    act: str
    at: int = 0
    request: bytes | None = None
    connection: int | None = None
    up: bool = False               # the client's bytes; only by connection
    seconds: float = 0.02          # of a pause
    met: threading.Event = field(default_factory=threading.Event)
    taken: bool = False

    def wait(self, timeout=20):
        if not self.met.wait(timeout):
            raise AssertionError(f"{self.act} at byte {self.at} of {self.request or self.connection}: "
                                 f"{'its end was not reached' if self.taken else 'nothing asked for it'}")


@dataclass
class Exchange:
    """A request's head, and the bytes of its answer as they came."""
    head: bytes
    answer: bytearray = field(default_factory=bytearray)


class TcpProxy(LoopThread):
    def __init__(self, to_port, host="127.0.0.1", record=False):
        super().__init__()
        self.to_port, self.host, self.record = to_port, host, record
        self.port = free_port(host)
        self.exchanges = []        # with record
        self.connections = 0       # accepted so far
        self._faults, self._links = [], set()
        self._lock = threading.Lock()

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, self.host, self.port, backlog=1000)

    async def _close(self):
        await super()._close()
        for link in list(self._links):
            link.drop()

    def plan(self, *faults):
        """Adds faults; each is met once. Returns the last."""
        with self._lock:
            self._faults.extend(faults)
        return faults[-1]

    def take(self, fits):
        """The first fault that fits and that nobody has taken, taken; or None."""
        with self._lock:
            for fault in self._faults:
                if fits(fault):
                    fault.taken = True
                    self._faults.remove(fault)
                    return fault
        return None

    def open_links(self):
        return len(self._links)

    async def _serve(self, reader, writer):
        number, self.connections = self.connections, self.connections + 1
        try:
            up_reader, up_writer = await asyncio.open_connection(self.host, self.to_port)
        except OSError:
            writer.transport.abort()               # as if there were no proxy: refused
            return
        link = _Link(self, number, writer, up_writer)
        self._links.add(link)
        pumps = [asyncio.ensure_future(link.pump_up(reader)),
                 asyncio.ensure_future(link.pump_down(up_reader))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if not link.dropped:                   # one side ended: let the last bytes through
                await asyncio.wait(pumps, timeout=0.2)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            link.drop()
            self._links.discard(link)


class _Link:
    """One connection: two writers, and what is to happen to it."""

    def __init__(self, proxy, number, down, up):
        self.proxy, self.number = proxy, number
        self.down, self.up = down, up
        self.frozen = self.dropped = False
        self.head = b""                            # of the request that is coming in
        self.exchange = None
        self.counts = {"up": 0, "down": 0}
        self.faults = {"up": proxy.take(lambda fault: fault.connection == number and fault.up),
                       "down": proxy.take(lambda fault: fault.connection == number and not fault.up)}
        for writer in (down, up):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def pump_up(self, reader):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.notice(data)
                await self.forward("up", self.up, data)
            if not self.frozen:
                self.up.write_eof()

    async def pump_down(self, reader):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.exchange is not None:
                    self.exchange.answer += data
                await self.forward("down", self.down, data)
            if not self.frozen:
                self.down.write_eof()
        while self.frozen:                         # the end vanishes like the rest
            await asyncio.sleep(3600)

    def notice(self, data):
        """A complete head begins an exchange: requests have no body here."""
        self.head = (self.head + data)[-65536:]
        if not self.head.endswith(b"\r\n\r\n"):
            return
        head, self.head = self.head, b""
        if self.proxy.record:
            self.exchange = Exchange(head)
            self.proxy.exchanges.append(self.exchange)
        fault = self.proxy.take(lambda fault: fault.request is not None and fault.request in head)
        if fault:
            self.faults["down"], self.counts["down"] = fault, 0

    async def forward(self, way, writer, data):
        """Passes the bytes on, up to the fault and, if it leaves something, behind it."""
        fault, before = self.faults[way], self.counts[way]
        self.counts[way] += len(data)
        if self.frozen or self.dropped:
            return
        if fault is None or before + len(data) <= fault.at:
            await self.write(writer, data)
            return
        if fault.act == "slice":
            await self.slice(writer, data, max(fault.at - before, 0))
            fault.met.set()
            return
        self.faults[way] = None
        await self.write(writer, data[:fault.at - before])
        rest = data[fault.at - before:]
        fault.met.set()
        if fault.act == "freeze":
            self.frozen = True
        elif fault.act in ("cut", "reset"):
            self.drop(reset=fault.act == "reset")
        elif fault.act == "pause":
            await asyncio.sleep(fault.seconds)
            await self.write(writer, rest)
        else:
            await self.write(writer, bytes([rest[0] ^ 0x15]) + rest[1:])

    @staticmethod
    async def write(writer, data):
        if writer.transport.is_closing():
            raise ConnectionResetError
        writer.write(data)
        await writer.drain()

    async def slice(self, writer, data, whole):
        await self.write(writer, data[:whole])
        for at in range(whole, len(data)):
            await self.write(writer, data[at:at + 1])
            await asyncio.sleep(0)

    def drop(self, reset=False):
        if self.dropped:
            return
        self.dropped = True
        for writer in (self.down, self.up):
            sock = writer.get_extra_info("socket")
            if reset and sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
