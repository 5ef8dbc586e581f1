"""One connection of the fake API server: HTTP/1.1, as slow and as broken as it is told to be."""
import asyncio
import contextlib
import gzip
import json
import socket
import struct

HEAD_MAX = 65536
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
            409: "Conflict", 410: "Gone", 422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error",
            503: "Service Unavailable"}


class Reader(asyncio.StreamReader):
    """Tells the end of the peer's bytes also to those who do not read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.ended = asyncio.Event()

    def feed_eof(self):
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc):
        super().set_exception(exc)
        self.ended.set()


class Connection:
    def __init__(self, server, reader, writer, number):
        self.server, self.reader, self.writer, self.number = server, reader, writer, number
        self.gone = asyncio.Event()
        certificate = writer.get_extra_info("peercert") or {}
        self.user = next((value for part in certificate.get("subject", ()) for key, value in part
                          if key == "commonName"), "")

    async def read_head(self):
        """(request line, headers) or None at the end."""
        try:
            data = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            return None
        lines = data.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        return lines[0], headers

    async def write(self, data):
        """Writes it, in as small and slow pieces as server.trickle says."""
        size, delay = self.server.trickle or (len(data) or 1, 0)
        for at in range(0, len(data), size):
            await self.write_piece(data[at:at + size])
            if delay:
                await asyncio.sleep(delay)

    async def write_piece(self, data):
        if self.gone.is_set() or self.reader.ended.is_set() or self.writer.transport.is_closing():
            raise ConnectionResetError             # asyncio would warn, or, with TLS, break
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, code, headers):
        lines = [f"HTTP/1.1 {code} {REASONS.get(code, 'X')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self.write_piece(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def answer(self, code, obj, request, extra=None):
        """A complete JSON answer, gzipped where the client takes it."""
        data = (json.dumps(obj, ensure_ascii=False) + "\n").encode()
        headers = {"Content-Type": "application/json", **(extra or {})}
        if self.server.gzip and "gzip" in request.headers.get("accept-encoding", ""):
            data = gzip.compress(data)
            headers["Content-Encoding"] = "gzip"
        await self.head(code, {**headers, "Content-Length": len(data)})
        await self.write(data)

    async def chunk(self, data):
        await self.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self):
        await self.write(b"0\r\n\r\n")

    def drop(self, reset):
        with contextlib.suppress(AttributeError):      # asyncio's TLS, where the peer was faster
            sock = self.writer.get_extra_info("socket")
            if reset and sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
            else:
                self.writer.close()
        self.gone.set()
