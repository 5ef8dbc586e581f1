"""What plain DNS would have done: a name server for one headless Service, as a cluster's DNS serves it."""
import socket
import struct
import threading

TTL_SECONDS = 5                                  # of CoreDNS' kubernetes plugin


class NameServer:
    """Answers every A question with the addresses that are set now, over UDP on loopback."""

    def __init__(self, address, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.addresses, self.questions = [], 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(1500)
                self.socket.sendto(self._answer(query), peer)
            except OSError:
                return

    def _answer(self, query):
        end = query.index(b"\0", 12) + 5         # header, name, type and class of the one question
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        records = b""
        if kind == 1:
            self.questions += 1
            records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, TTL_SECONDS, 4)
                               + socket.inet_aton(address) for address in self.addresses)
        count = len(self.addresses) if kind == 1 else 0
        return query[:2] + struct.pack("!HHHHH", 0x8580, 1, count, 0, 0) + query[12:end] + records

    def close(self):
        self.socket.close()
