"""The life of the process: ports that are taken, signals, draining."""
import fcntl
import os
import signal
import time

import grpc

from tests.support import h2raw, manifests, process
from tests.support.lookaside import Lookaside

from .cases_clients import REQUEST
from .world import Client, World


def two_on_one_port(work):
    """A clear error and exit 1; the first one notices nothing."""
    with World(work) as world:
        client = world.client()
        for flags, taken in (
                (["--listen", world.controller.listen, "--admin", "127.0.0.1:0"], world.controller.listen),
                (["--listen", "127.0.0.1:0", "--admin", world.controller.admin], world.controller.admin)):
            second = process.Process([process.BUILD / "lookaside", "--kubeconfig", work / "kubeconfig",
                                      *flags], work / "second.log")
            with second:
                code = second.wait(15)
            assert code == 1, f"exit {code}: {second.log()}"
            assert taken in second.log() and "ddress already in use" in second.log(), second.log()
            second.log_path.unlink()
        world.put("a", "10.0.0.4")
        client.wait(["10.0.0.4"])


def sigterm_ends_streams_well(work):
    with World(work) as world:
        clients = [world.client() for _ in range(20)]
        begin = time.monotonic()
        world.controller.process.signal(signal.SIGTERM)
        codes = [client.stream.status(timeout=15) for client in clients]
        assert set(codes) == {grpc.StatusCode.OK}, codes
        assert world.controller.process.wait(15) == 0
        assert time.monotonic() - begin < 12


def sigint_is_the_same(work):
    with World(work) as world:
        client = world.client()
        world.controller.process.signal(signal.SIGINT)
        assert client.stream.status(timeout=15) == grpc.StatusCode.OK
        assert world.controller.process.wait(15) == 0


def second_sigterm_ends_at_once(work):
    """Once the two are too far apart to be one wish."""
    with World(work, flags=["--shutdown-delay", "60s"]) as world:
        client = world.client()
        world.controller.process.signal(signal.SIGTERM)
        process.wait_until(lambda: world.controller.get("/readyz")[0] == 503, 10, "unready")
        first = time.monotonic()
        assert client.error is None, client.error
        # One more only: a third one finds the handlers gone, and ends it without a word.
        process.wait_until(lambda: time.monotonic() > first + 0.3, 1, "not the same wish")
        world.controller.process.signal(signal.SIGTERM)
        process.wait_until(lambda: not world.controller.process.running, 8, "the second signal ends it")
        assert world.controller.process.child.returncode == 128 + signal.SIGTERM
        assert "second signal" in world.log(), world.log()
        world.controller.process.child.returncode = 0  # it is what this case wants


def two_signals_at_once_are_one(work):
    """A Ctrl-C reaches the process from the terminal and from its parent: still a graceful end."""
    with World(work) as world:
        client = world.client()
        world.controller.process.signal(signal.SIGINT)
        world.controller.process.signal(signal.SIGTERM)
        assert client.stream.status(timeout=15) == grpc.StatusCode.OK
        assert world.controller.process.wait(15) == 0


def a_log_that_nobody_reads(work):
    """Lines are lost, work is not; whoever reads again is told how many."""
    pipe = work / "log.pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 8192)
    folder = manifests.Manifests(work / "manifests")
    folder.service("greeter")
    folder.slice("greeter", [manifests.Endpoint("10.0.0.1")])
    controller = Lookaside(work, directory=work / "manifests")
    controller.process.argv = ["sh", "-c", 'exec "$@" 2>"$0"', str(pipe), *controller.process.argv]
    with controller:
        client = Client(controller.listen)
        client.wait(["10.0.0.1"])
        folder.put("broken", *[dict(manifests.service(f"bad-{i}"), spec={"ports": i})
                               for i in range(200)])
        process.wait_until(lambda: controller.metrics()["lookaside_bad_objects_total"] >= 200, 10,
                           "200 bad objects")
        folder.slice("greeter", [manifests.Endpoint("10.0.0.2")])
        client.wait(["10.0.0.2"])
        os.read(reader, 1 << 20)
        client.close()
    log = os.read(reader, 1 << 20).decode()
    os.close(reader)
    assert controller.process.exit_code == 0, controller.process.exit_code
    assert "log lines lost: nobody read them lines=" in log and "shutting down" in log, log


def unready_before_it_stops(work):
    """During the delay it serves on, new clients too, and says that it is going."""
    with World(work, flags=["--shutdown-delay", "2s"]) as world:
        client = world.client()
        world.controller.process.signal(signal.SIGTERM)
        process.wait_until(lambda: world.controller.get("/readyz")[0] == 503, 10, "unready")
        assert world.controller.get("/healthz")[0] == 200
        newcomer = world.client()
        world.put("a", "10.0.0.4")
        client.wait(["10.0.0.4"], timeout=1.5)
        newcomer.wait(["10.0.0.4"], timeout=1.5)
        assert world.controller.process.wait(15) == 0


def peers_that_never_read_do_not_stop_the_end(work):
    with World(work, flags=["--shutdown-timeout", "2s"]) as world:
        for number in range(6):
            world.put(f"n{number}", *[f"10.{i >> 8}.{i & 255}.{number}" for i in range(1000)])
        world.client()
        peers = [h2raw.Peer(world.controller.listen, receive_buffer=4096) for _ in range(3)]
        for peer in peers:
            peer.open_call(REQUEST)
        process.wait_until(
            lambda: world.controller.metrics()['lookaside_streams{protocol="xds"}'] == 4, 10, "4 streams")
        begin = time.monotonic()
        world.controller.process.signal(signal.SIGTERM)
        assert world.controller.process.wait(15) == 0
        assert time.monotonic() - begin < 6
        for peer in peers:
            peer.close()


def sigterm_before_it_is_ready(work):
    with World(work, start=False) as world:
        world.api.stop()
        world.starting()
        world.wait_reason("Connection refused")
        begin = time.monotonic()
        world.controller.process.signal(signal.SIGTERM)
        assert world.controller.process.wait(15) == 0
        assert time.monotonic() - begin < 5


def killed_and_started_again(work):
    """A restart gives the same list, and the same version: nothing is kept but the API's."""
    with World(work) as world:
        before = world.client()
        version = before.stream.last[next(iter(before.stream.last))].version
        before.close()
        world.clients.clear()
        world.controller.restart()
        after = world.client()
        assert after.stream.last[next(iter(after.stream.last))].version == version


def ends_well_on_a_directory(work):
    folder = manifests.Manifests(work / "manifests")
    folder.service("greeter")
    controller = Lookaside(work, directory=work / "manifests").start()
    assert controller.stop() == 0, controller.process.log()


CASES = [two_on_one_port, sigterm_ends_streams_well, sigint_is_the_same, second_sigterm_ends_at_once,
         two_signals_at_once_are_one, a_log_that_nobody_reads, unready_before_it_stops,
         peers_that_never_read_do_not_stop_the_end, sigterm_before_it_is_ready,
         killed_and_started_again, ends_well_on_a_directory]
