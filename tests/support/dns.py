"""A name server as a cluster's DNS is one: addresses of names, and SRV records of their balancers."""
import socket
import struct
import threading

TTL_SECONDS = 5                                  # of CoreDNS' kubernetes plugin
A, SRV = 1, 33
NO_SUCH_NAME = 3


class NameServer:
    """Answers over UDP. What it knows may change at any time: `hosts` maps names to IPv4 addresses, `balancers` names to the
    (target, port) of their record _grpclb._tcp.NAME. Names without a dot at the end."""

    def __init__(self, address, port=53):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.hosts, self.balancers = {}, {}
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
        name = _name(query[12:end - 4])
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        known, data = self._find(name, kind)
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, TTL_SECONDS, len(entry)) + entry
                           for entry in data)
        flags = 0x8580 if known else 0x8580 | NO_SUCH_NAME
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(data), 0, 0) + query[12:end] + records

    def _find(self, name, kind):
        """Whether there is such a name, and its records of that kind."""
        service, _, owner = name.partition("._tcp.")
        if owner:
            balancer = self.balancers.get(owner) if service == "_grpclb" else None
            found = [struct.pack("!HHH", 0, 100, balancer[1]) + _labels(balancer[0])] if balancer else []
            return bool(found), found if kind == SRV else []
        addresses = self.hosts.get(name)
        return addresses is not None, [socket.inet_aton(address) for address in addresses or ()
                                       if kind == A]

    def close(self):
        self.socket.close()


def _name(labels):
    """A question's name as text, in lower case."""
    parts, at = [], 0
    while labels[at]:
        parts.append(labels[at + 1:at + 1 + labels[at]].decode("ascii", "replace"))
        at += 1 + labels[at]
    return ".".join(parts).lower()


def _labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
