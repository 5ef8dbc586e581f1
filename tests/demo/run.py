"""The product's story, live: a controller on a directory of manifests, three backends, one unmodified gRPC client.

A fourth backend joins, one drains and leaves; a second client that finds the same backends by plain DNS stands beside.
"""
import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from support import greeters, lookaside  # noqa: E402
from support.dns import NameServer  # noqa: E402
from support.manifests import Endpoint, Manifests  # noqa: E402
from support.process import REPOSITORY, Process, accepts, free_port, wait_until  # noqa: E402

THREADS = 10
JOIN_PROMISED_MS = 50                            # about 5 ms here, on an idle machine
JOIN_LIMIT_MS = 250                              # a busy machine may be slow, but not that slow
AGENT = TESTS / "conformance/agents/python/agent.py"
TARGET = "greeter.shop:8001"
DNS_NAME = "greeter.shop.svc.cluster.local"
BAR = 24


class Client:
    """The stock Python client under remote control; every answer is read by a thread of its own."""

    def __init__(self, name, target, work, env, **options):
        self.name, self.target, self.options = name, target, options
        self.process = Process(["/usr/bin/python3", AGENT, target], work / f"client-{name}.log", name, env, pipes=True)
        self.total = {"ok": 0, "failed": 0, "first_error": ""}
        self.seen = {}
        self.by_backend = {}

    def start(self):
        self.process.start()
        self.ask("start", threads=THREADS, timeout_ms=5000, **self.options)
        return self

    def ask(self, command, **arguments):
        self.process.child.stdin.write(json.dumps({"cmd": command, **arguments}) + "\n")
        self.process.child.stdin.flush()
        answer = self.process.child.stdout.readline()
        if not answer:
            raise SystemExit(f"the {self.name} client ended:\n{self.process.log()}")
        return json.loads(answer)

    def take(self):
        """Counts since the last take."""
        got = self.ask("stats")
        self.total["ok"] += got["ok"]
        self.total["failed"] += got["failed"]
        self.total["first_error"] = self.total["first_error"] or got["first_error"]
        self.seen = got["first_seen_ms"]
        for name, count in got["by_backend"].items():
            self.by_backend[name] = self.by_backend.get(name, 0) + count
        return got

    def calls(self, name):
        return self.by_backend.get(name, 0)

    def stop(self):
        if self.process.running:
            with contextlib.suppress(OSError, SystemExit):
                self.ask("stop")
            self.process.terminate(5)


class Screen:
    """One line a second, with what happened in between on lines of their own."""

    def __init__(self):
        self.begin = time.monotonic()
        self.color = sys.stdout.isatty()

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.color else text

    def say(self, text=""):
        print(text, flush=True)

    def event(self, text):
        self.say(self.paint("1;36", f"  {self.now()}  ▸ {text}"))

    def now(self):
        return f"{time.monotonic() - self.begin:5.1f}s"

    def rates(self, name, got, seconds):
        total = max(got["ok"], 1)
        shares = "  ".join(f"{backend} {self.bar(count / total)} {100 * count / total:4.1f}%"
                           for backend, count in sorted(got["by_backend"].items()))
        failed = self.paint("1;31", f"  {got['failed']} FAILED") if got["failed"] else ""
        self.say(f"  {self.now()}  {name:9} {got['ok'] / seconds:6.0f} calls/s  {shares}{failed}")

    @staticmethod
    def bar(share):
        return "█" * max(1, round(share * BAR))


class World:
    """Everything that runs: backends, controller, both clients; ended in reverse."""

    def __init__(self, work, stack):
        self.work, self.stack = work, stack
        self.manifests = Manifests(work / "manifests")
        self.greeters = {}
        listen, admin = self._port(18000), self._port(18080)
        self.lookaside = lookaside.Lookaside(work, self.manifests.directory, listen, admin)
        name_port = free_port()
        self.names = NameServer("127.0.0.1", name_port)
        self.dns_target = f"dns://127.0.0.1:{name_port}/{DNS_NAME}:8001"

    @staticmethod
    def _port(wanted):
        """The usual port where it is free, so that what we print can be typed."""
        return f"127.0.0.1:{free_port() if accepts('127.0.0.1', wanted) else wanted}"

    def add(self, number):
        address = f"127.0.0.{10 + number}"
        if accepts(address, 8001):
            raise SystemExit(f"{address}:8001 is in use: end what listens there (another 'make run'?)")
        greeter = greeters.Greeter(address, f"pod-{number}", self.work).start()
        self.stack.callback(greeter.stop)
        greeter.wait_ready()
        self.greeters[number] = greeter

    def endpoint(self, number):
        return Endpoint(f"127.0.0.{10 + number}", f"zone-{'ab'[number % 2]}", pod=f"pod-{number}")

    def publish(self, *endpoints):
        """Writes the slice; DNS, like a headless Service's, holds the ready ones."""
        self.names.hosts[DNS_NAME] = [endpoint.address for endpoint in endpoints if endpoint.ready]
        return self.manifests.slice("greeter", endpoints)

    def start(self):
        for number in (1, 2, 3):
            self.add(number)
        self.manifests.service("greeter")
        self.publish(*map(self.endpoint, (1, 2, 3)))
        self.lookaside.start()
        self.stack.callback(self.lookaside.stop)
        bootstrap = self.lookaside.bootstrap(self.work / "bootstrap.json", "demo")
        self.xds = self._client("xds", f"xds:///{TARGET}", {"GRPC_XDS_BOOTSTRAP": bootstrap})
        self.dns = self._client("plain DNS", self.dns_target,
                                {"GRPC_DNS_RESOLVER": "ares", "GRPC_XDS_BOOTSTRAP": None},
                                service_config={"loadBalancingConfig": [{"round_robin": {}}]})

    def _client(self, name, target, env, **options):
        client = Client(name, target, self.work, env, **options).start()
        self.stack.callback(client.stop)
        return client


class Story:
    """Steady, scale-up, scale-down, verdict."""

    def __init__(self, world, screen, seconds):
        self.world, self.screen = world, screen
        self.act = max(3, min(5, (seconds or 20) // 5))
        self.problems = []

    def watch(self, seconds):
        """Shows both clients, once a second."""
        for _ in range(seconds):
            begin = time.monotonic()
            time.sleep(1)                        # the picture's pace: nothing is awaited here
            for client in (self.world.xds, self.world.dns):
                self.screen.rates(client.name, client.take(), time.monotonic() - begin)

    def check(self, held, problem):
        if not held:
            self.problems.append(problem)

    def tell(self):
        self.screen.event(f"three pods; {THREADS} threads call xds:///{TARGET}; {THREADS} more use plain DNS and round_robin")
        self.watch(self.act)
        self.scale_up()
        self.scale_down()
        return self.verdict()

    def first_seen(self, client, name):
        client.take()
        return client.seen.get(name)

    def scale_up(self):
        world, screen = self.world, self.screen
        screen.event("scale-up: pod-4 starts; its EndpointSlice is written")
        world.add(4)
        written = world.publish(*map(world.endpoint, (1, 2, 3, 4)))
        seen = wait_until(lambda: self.first_seen(world.xds, "pod-4"), 10, "the fourth pod gets a call")
        self.joined_ms = seen - written * 1000
        screen.event(f"scale-up: first call to pod-4 {self.joined_ms:.1f} ms after its slice was written "
                     f"(promised: {JOIN_PROMISED_MS} ms)")
        self.check(self.joined_ms <= JOIN_LIMIT_MS,
                   f"the first call to pod-4 took {self.joined_ms:.0f} ms: more than {JOIN_LIMIT_MS} ms")
        self.watch(self.act)
        if self.first_seen(world.dns, "pod-4") is None:
            screen.event("plain DNS: pod-4 has not had a call yet: the name is asked again only when a connection breaks")

    def scale_down(self):
        world, screen = self.world, self.screen
        screen.event("scale-down: pod-1 drains (its slice says terminating), then ends, then leaves the slice")
        stay = list(map(world.endpoint, (2, 3, 4)))
        world.publish(world.endpoint(1).draining(), *stay)
        wait_until(lambda: self.quiet("pod-1"), 10, "pod-1 gets no calls any more", interval=0.05)
        world.greeters[1].drain()
        world.greeters[1].process.wait(10)
        world.publish(*stay)
        self.watch(self.act)

    def quiet(self, name):
        return name not in self.world.xds.take()["by_backend"]

    def verdict(self):
        world, screen = self.world, self.screen
        xds, dns = world.xds.total, world.dns.total
        self.check(xds["ok"] > 0, "no call succeeded")
        self.check(xds["failed"] == 0, f"{xds['failed']} calls failed: {xds['first_error']}")
        late = "never" if "pod-4" not in world.dns.seen else "only after another pod's connection broke"
        screen.say()
        screen.say(f"  {'':28}{'Lookaside (xds)':>22}{'plain DNS':>46}")
        screen.say(f"  {'calls to the new pod':28}{world.xds.calls('pod-4'):>22,}{world.dns.calls('pod-4'):>46,}")
        screen.say(f"  {'failed calls':28}{xds['failed']:>22,}{dns['failed']:>46,}")
        screen.say(f"  {'first call to the new pod':28}{f'{self.joined_ms:.1f} ms':>22}{late:>46}")
        screen.say()
        for problem in self.problems:
            screen.say(screen.paint("1;31", f"  the story did not hold: {problem}"))
        return not self.problems


def print_next(world, screen):
    """What to edit, and how to connect one's own client."""
    directory = world.manifests.directory
    screen.say(f"""  It keeps serving; Ctrl-C ends it.

  Edit a backend list, and watch the shares change:
      $EDITOR {directory}/shop-greeter-a-slice.yaml
  Look inside:
      {REPOSITORY}/build/lookasidectl services --admin {world.lookaside.admin}
      {REPOSITORY}/build/lookasidectl streams --admin {world.lookaside.admin}
      {REPOSITORY}/build/lookasidectl explain {TARGET} --admin {world.lookaside.admin}
      {REPOSITORY}/build/lookasidectl watch {TARGET} --server {world.lookaside.listen}
  Connect a gRPC client of your own (C++, Python, Go, Java, Node):
      export GRPC_XDS_BOOTSTRAP_CONFIG="$({REPOSITORY}/build/lookasidectl bootstrap --server {world.lookaside.listen})"
      and dial xds:///{TARGET}
""")


def serve_on(world, screen):
    """After the story: a line whenever a second's shares or failures differ from the last."""
    last = None
    while True:
        begin = time.monotonic()
        time.sleep(1)
        got = world.xds.take()
        picture = (sorted(got["by_backend"]), bool(got["failed"]))
        if picture != last:
            screen.rates(world.xds.name, got, time.monotonic() - begin)
            last = picture


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=0, help="end by itself after the story, within about so long")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="lookaside-"))
    screen = Screen()
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, work, True)
            world = World(work, stack)
            world.start()
            story = Story(world, screen, arguments.seconds)
            held = story.tell()
            if not arguments.seconds:
                print_next(world, screen)
                serve_on(world, screen)
            return 0 if held else 1
    except KeyboardInterrupt:
        screen.say("\n  stopped")
        return 0


if __name__ == "__main__":
    sys.exit(main())
