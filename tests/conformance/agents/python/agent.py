"""An unmodified grpcio client under remote control.

Commands come as JSON lines on standard input, one JSON line answers each. See ../README.md for
the commands. The same file runs under Debian's grpcio and under PyPI's newest.
"""
import json
import sys
import threading
import time

import grpc

METHOD = "/helloworld.Greeter/SayHello"
REQUEST = b"\x0a\x05agent"                       # HelloRequest{name: "agent"}


def grpclb_config(name):
    """Selects grpclb; the balancer is asked for the name, or for what is dialled ("*")."""
    policy = {"childPolicy": [{"round_robin": {}}]}
    if name != "*":
        policy["serviceName"] = name
    return {"loadBalancingConfig": [{"grpclb": policy}]}


def dial(target, options):
    if target.startswith("lookaside://"):        # only where ../../resolvers/python is on the path
        import lookaside                         # pylint: disable=import-outside-toplevel
        return lookaside.Channel(*target.removeprefix("lookaside://").split("/"))
    return grpc.insecure_channel(target, options=options)


class Channel:
    """One dialled target, and when each of its backends first answered."""

    def __init__(self, target, idle_ms, name, grpclb, service_config):
        options = [("grpc.client_idle_timeout_ms", idle_ms)] if idle_ms else []
        if name:                                 # else PickFirst takes what another channel has
            options.append(("grpc.use_local_subchannel_pool", 1))
        if grpclb:
            service_config = grpclb_config(grpclb)
            options.append(("grpc.dns_enable_srv_queries", 1))
        if service_config:                       # for targets that are not xds:///
            options.append(("grpc.service_config", json.dumps(service_config)))
        self.channel = dial(target, options)
        self.call = self.channel.unary_unary(METHOD)
        self.first_seen = {}
        self.state = "IDLE"
        self.channel.subscribe(self._changed)

    def _changed(self, state):
        self.state = state.name

    def once(self, command):
        header = command.get("header")
        return self.call(REQUEST, timeout=command.get("timeout_ms", 5000) / 1000,
                         metadata=((header, command["value"]),) if header else None,
                         wait_for_ready=command.get("wait_for_ready", False))


class Run:
    """Threads that make calls until next() says stop, and what they counted."""

    def __init__(self, channel, command, more):
        self.channel, self.command, self.more = channel, command, more
        self.lock = threading.Lock()
        self.sum = self.empty()
        self.threads = [threading.Thread(target=self.work, daemon=True)
                        for _ in range(max(command.get("threads", 1), 1))]

    @staticmethod
    def empty():
        return {"ok": 0, "failed": 0, "by_backend": {}, "errors": {}, "first_error": "",
                "slowest_ms": 0.0}

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def work(self):
        pause = self.command.get("pause_us", 0) / 1e6
        while self.more():
            begin = time.monotonic()
            try:
                self.answered(self.channel.once(self.command), begin)
            except grpc.RpcError as error:
                self.failed(error, begin)
            if pause:
                time.sleep(pause)

    def answered(self, reply, begin):
        name = reply.partition(b" from ")[2].decode()
        with self.lock:
            self.sum["ok"] += 1
            self.sum["by_backend"][name] = self.sum["by_backend"].get(name, 0) + 1
            self.channel.first_seen.setdefault(name, time.time() * 1000)
            self.timed(begin)

    def failed(self, error, begin):
        code = error.code().name
        with self.lock:
            self.sum["failed"] += 1
            self.sum["errors"][code] = self.sum["errors"].get(code, 0) + 1
            self.sum["first_error"] = self.sum["first_error"] or f"{code}: {error.details()}"
            self.timed(begin)

    def timed(self, begin):
        self.sum["slowest_ms"] = max(self.sum["slowest_ms"], (time.monotonic() - begin) * 1000)

    def take(self):
        """What was counted since the last take."""
        with self.lock:
            taken, self.sum = self.sum, self.empty()
            return {**taken, "first_seen_ms": dict(self.channel.first_seen)}


class Countdown:
    """Lets n calls through, whichever thread asks."""

    def __init__(self, count):
        self.left, self.lock = count, threading.Lock()

    def __call__(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0


class Agent:
    def __init__(self, target):
        self.target, self.channels = target, {}
        self.load, self.halt = None, threading.Event()

    def channel(self, command):
        key = (command.get("target", self.target), command.get("idle_ms", 0),
               command.get("channel", ""), command.get("grpclb", ""))
        if key not in self.channels:
            self.channels[key] = Channel(*key, command.get("service_config"))
        return self.channels[key]

    def call(self, command):
        run = Run(self.channel(command), command, Countdown(command["n"]))
        run.start()
        run.join()
        return run.take()

    def start(self, command):
        self.halt = halt = threading.Event()
        self.load = Run(self.channel(command), command, lambda: not halt.is_set())
        self.load.start()
        return {"started": True}

    def stats(self, _command):
        return self.load.take()

    def stop(self, _command):
        self.halt.set()
        self.load.join()
        return self.load.take()

    def state(self, command):
        return {"state": self.channel(command).state}

    def handle(self, command):
        commands = {"call": self.call, "start": self.start, "stats": self.stats,
                    "stop": self.stop, "state": self.state}
        return commands[command["cmd"]](command)


def main():
    agent = Agent(sys.argv[1] if len(sys.argv) > 1 else "")
    for line in sys.stdin:
        try:
            answer = agent.handle(json.loads(line))
        except Exception as error:                # the answer names it; the session goes on
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


main()
