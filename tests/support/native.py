"""A client of lookaside.v1.BackendDiscovery, by hand: no generated code."""
import queue

from . import ads

METHOD = "/lookaside.v1.BackendDiscovery/Watch"


class Watch:
    """One stream that follows targets. fn(target, addresses or None) is called for every list, from a
    thread of gRPC's; None: the list stays as it was. The end of the stream is `fn(None, error)`."""

    def __init__(self, channel, targets, fn, metadata=None):
        self.outgoing = queue.Queue()
        self.call = channel.stream_stream(METHOD)(iter(self.outgoing.get, None), metadata=metadata)
        self.fn = fn
        self.outgoing.put(ads.encode(*[(1, target) for target in targets]))

    def run(self):
        """Reads until the stream ends."""
        try:
            for data in self.call:
                fields = ads.decode(data)
                version = fields.get(2, [b""])[-1]
                addresses = [ads.decode(entry).get(1, [b""])[-1].decode()
                             for entry in fields.get(3, [])]
                self.fn(fields[1][-1].decode(), addresses if version else None)
        except Exception as error:                 # the end of the stream, too
            self.fn(None, error)

    def cancel(self):
        self.outgoing.put(None)
        self.call.cancel()
