"""A ClusterIP, as far as connections go: each new one is carried to one of the targets, taken at random.

    with ServiceIp([port, ...]) as service:
        ads.connect(service.address)
        service.aim([port, ...])       # for those that come from now on
"""
import asyncio
import contextlib
import random
import socket
import threading

from .process import free_port


class ServiceIp:
    def __init__(self, ports, host="127.0.0.1", seed=1):
        self.host, self.port = host, free_port(host)
        self.ports, self.random = list(ports), random.Random(seed)
        self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def aim(self, ports):
        self.ports = list(ports)

    def __enter__(self):
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        self._server = await asyncio.start_server(self._carry, self.host, self.port, backlog=1000)

    async def _close(self):
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
