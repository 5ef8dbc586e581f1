"""A stock gRPC client that is told by JSON lines what to call, and answers with what happened.

Usage: agent.py TARGET, with GRPC_XDS_BOOTSTRAP in the environment. Commands, one a line on stdin,
each answered by one line on stdout; the end of stdin ends the agent:
  {"cmd":"call","n":N,"threads":T,"timeout_ms":MS,"wait_for_ready":B}        totals of N calls
  {"cmd":"start","threads":T,"timeout_ms":MS,"wait_for_ready":B,"pause_us":US}  load until "stop"
  {"cmd":"stats"}                                                           totals since the last
  {"cmd":"stop"}                                                            the same, and ends it
Protobuf is made by hand (both messages are one string), so that nothing is generated.
"""

import json
import sys
import threading
import time

import grpc

METHOD = "/helloworld.Greeter/SayHello"
NAME = b"e2e"
REQUEST = b"\x0a" + bytes([len(NAME)]) + NAME


def read_string_field(message):
    """The string in field 1 of a message that has only that."""
    length, shift, at = 0, 0, 1
    if message[:1] != b"\x0a":
        raise ValueError(f"a reply without field 1: {message!r}")
    while True:
        byte = message[at]
        length |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return message[at:at + length].decode()


class Tally:
    """What happened since the last take()."""

    def __init__(self):
        self.lock = threading.Lock()
        self.first_seen = {}
        self.reset()

    def reset(self):
        self.ok, self.failed, self.by_backend, self.errors, self.first_error = 0, 0, {}, {}, ""

    def add_reply(self, reply):
        backend = read_string_field(reply).rpartition(" from ")[2]
        with self.lock:
            self.ok += 1
            self.by_backend[backend] = self.by_backend.get(backend, 0) + 1
            if backend not in self.first_seen:
                self.first_seen[backend] = int(time.time() * 1000)

    def add_error(self, error):
        code = error.code().name
        with self.lock:
            self.failed += 1
            self.errors[code] = self.errors.get(code, 0) + 1
            self.first_error = self.first_error or f"{code}: {error.details()}"

    def take(self):
        with self.lock:
            totals = {"ok": self.ok, "failed": self.failed, "by_backend": self.by_backend,
                      "errors": self.errors, "first_error": self.first_error,
                      "first_seen_ms": dict(self.first_seen)}
            self.reset()
            return totals


class Agent:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)
        self.method = self.channel.unary_unary(METHOD)
        self.load = Tally()
        self.stopping = threading.Event()
        self.threads = []

    def call_once(self, command, tally):
        try:
            tally.add_reply(self.method(REQUEST, timeout=command["timeout_ms"] / 1000,
                                        wait_for_ready=command.get("wait_for_ready", False)))
        except grpc.RpcError as error:
            tally.add_error(error)

    def run_threads(self, count, body):
        threads = [threading.Thread(target=body, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def call(self, command):
        tally, left, lock = Tally(), [command["n"]], threading.Lock()

        def body():
            while True:
                with lock:
                    if left[0] == 0:
                        return
                    left[0] -= 1
                self.call_once(command, tally)

        for thread in self.run_threads(command.get("threads", 1), body):
            thread.join()
        return tally.take()

    def start(self, command):
        def body():
            while not self.stopping.is_set():
                self.call_once(command, self.load)
                time.sleep(command.get("pause_us", 0) / 1e6)

        self.load = Tally()
        self.stopping.clear()
        self.threads = self.run_threads(command.get("threads", 1), body)
        return {"started": True}

    def stats(self, _command):
        return self.load.take()

    def stop(self, _command):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self.load.take()


def main():
    agent = Agent(sys.argv[1])
    commands = {"call": agent.call, "start": agent.start, "stats": agent.stats, "stop": agent.stop}
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(commands[command["cmd"]](command)), flush=True)
    agent.stop(None)
    agent.channel.close()


if __name__ == "__main__":
    main()
