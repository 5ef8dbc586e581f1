"""A ClusterIP, as far as connections go: each new one is carried to one of the targets, taken at random.

    with ServiceIp([port, ...]) as service:
        ads.connect(service.address)
        service.aim([port, ...])       # for those that come from now on
"""
import asyncio
import contextlib
import random
import socket

from .loop_thread import LoopThread
from .process import free_port


class ServiceIp(LoopThread):
    def __init__(self, ports, host="127.0.0.1", seed=1):
        super().__init__()
        self.host, self.port = host, free_port(host)
        self.ports, self.random = list(ports), random.Random(seed)
        self.accepted = 0

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def aim(self, ports):
        self.ports = list(ports)

    async def _listen(self):
        self._server = await asyncio.start_server(self._carry, self.host, self.port, backlog=1000)

    async def _carry(self, reader, writer):
        self.accepted += 1
        try:
            back = await asyncio.open_connection(self.host, self.random.choice(self.ports))
        except OSError:
            writer.transport.abort()
            return
        for each in (writer, back[1]):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(self._pump(reader, back[1]), self._pump(back[0], writer))
        finally:
            writer.close()
            back[1].close()

    @staticmethod
    async def _pump(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
