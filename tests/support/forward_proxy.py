"""A small HTTP and SOCKS5 proxy, plain or behind TLS, for names that only it knows.

    with ForwardProxy({"api.invalid": ("127.0.0.1", api.port)}) as proxy:
        ... f"http://127.0.0.1:{proxy.port}" ...
        assert proxy.asked == ["CONNECT api.invalid:443"]
"""
import asyncio
import base64
import contextlib
import ssl

from .loop_thread import LoopThread


class ForwardProxy(LoopThread):
    def __init__(self, names, tls=None, user=None):
        """names: {host: (address, port)}, nothing else is reached. tls: (certificate file, key file).
        user: "name:password" that HTTP clients must give."""
        super().__init__()
        self.names, self.tls, self.user = names, tls, user
        self.asked, self.port = [], None       # "CONNECT host:port", "GET http://...", "SOCKS host:port"

    async def _listen(self):
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            first = await reader.readexactly(1)
            if first == b"\x05":
                await self._socks(reader, writer)
            else:
                await self._http(reader, writer, first)
        writer.close()

    async def _http(self, reader, writer, first):
        head = first + await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(f"{method} {target}")
        if self.user and base64.b64encode(self.user.encode()) not in head:
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        host = target.removeprefix("http://").partition("/")[0].rpartition(":")[0]
        if method == "CONNECT":
            await self._relay(reader, writer, host, answer=b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            await self._relay(reader, writer, host, request=head)

    async def _socks(self, reader, writer):
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        if kind != 3:                          # the name is for the proxy to resolve
            self.asked.append(f"SOCKS address of kind {kind}")
            return
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"SOCKS {host}:{port}")
        await self._relay(reader, writer, host, answer=b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")

    async def _relay(self, reader, writer, host, answer=b"", request=b""):
        if host not in self.names:
            return
        far_reader, far_writer = await asyncio.open_connection(*self.names[host])
        writer.write(answer)
        far_writer.write(request)
        done, rest = await asyncio.wait(
            [asyncio.ensure_future(self._copy(*way))
             for way in ((reader, far_writer), (far_reader, writer))],
            return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*done, *rest, return_exceptions=True)
        far_writer.close()

    @staticmethod
    async def _copy(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
