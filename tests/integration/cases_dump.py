"""/debug/streams, for whoever wonders what a client was told, and what holds it up."""
import subprocess

from tests.support import ads, h2raw, native, process

from .cases_clients import REQUEST
from .world import SERVICE, World

TARGET = f"{SERVICE}.shop:8001"
WINDOW = 65_535


def _streams(world, number):
    """All streams, once there are so many."""
    return process.wait_until(
        lambda: (got := world.controller.streams()["streams"]) and len(got) == number and got, 10,
        lambda: f"{number} streams; {world.controller.streams()}")


def what_went_over_a_stream(work):
    with World(work) as world:
        world.client()
        world.put("a", "10.0.0.7")
        world.settle()
        [stream] = _streams(world, 1)
        assert stream["userAgent"].startswith("grpc-python/"), stream
        assert stream["messagesSent"] == 2 and stream["messagesReceived"] >= 2, stream
        assert 0 <= stream["sentSecondsAgo"] <= stream["ageSeconds"] < 30, stream
        assert 0 <= stream["receivedSecondsAgo"] <= stream["ageSeconds"], stream
        assert stream["window"] > 0 and not stream["stalled"], stream
        assert "stalledMessage" not in stream and "deadlineSeconds" not in stream, stream
        connection = stream["connection"]
        assert (connection["calls"], connection["subscriptions"], connection["backlog"]) == (1, 1, 0), \
            connection
        assert connection["window"] > 0 and connection["heardSecondsAgo"] < 30, connection
        assert "draining" not in connection and "unansweredPingSeconds" not in connection, connection


def what_holds_a_stream_up(work):
    """A list that is longer than the client's window."""
    with World(work) as world:
        for number in range(3):
            world.put(f"n{number}", *[f"10.{i >> 8}.{i & 255}.{number}" for i in range(1000)])
        world.settle(world.client())
        peer = h2raw.Peer(world.controller.listen)
        peer.open_call(REQUEST)
        peer.until(h2raw.DATA)
        stream = process.wait_until(
            lambda: next((each for each in world.controller.streams()["streams"]
                          if each["stalled"]), None), 10, "a stream that stalls")
        stalled = stream["stalledMessage"]
        assert stalled["bytes"] - stalled["bytesHeld"] == stream["bytesSent"] == WINDOW, stream
        assert (stream["window"], stream["connection"]["window"]) == (0, 0), stream
        assert stream["userAgent"] == "" and stalled["seconds"] < 30, stream
        peer.close()


def a_client_that_tells_nothing_is_known_by_its_library(work):
    """A native stream has no node: the table of lookasidectl names what the HTTP header says."""
    with World(work) as world, ads.connect(world.controller.listen) as channel:
        watch = native.Watch(channel, [TARGET], lambda *_: None)
        [stream] = _streams(world, 1)
        assert stream["protocol"] == "native", stream
        done = subprocess.run([process.BUILD / "lookasidectl", "streams", "--admin",
                               world.controller.admin], capture_output=True, text=True, timeout=10)
        head, row = done.stdout.splitlines()
        at = head.index("AGENT")
        assert row[at:].startswith("grpc-python/"), done.stdout
        watch.cancel()


CASES = [
    what_went_over_a_stream,
    what_holds_a_stream_up,
    a_client_that_tells_nothing_is_known_by_its_library,
]
