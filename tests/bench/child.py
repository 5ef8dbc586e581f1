"""The bench's programs as child processes: commands in, lines out, every wait bounded."""
import os
import queue
import threading

from support.process import Process

WAIT_SECONDS = 120


class Refused(Exception):
    """What was measured says nothing: the round does not count."""


class Child:
    """A Process whose lines are read by a thread; what it says unasked goes where it belongs."""

    def __init__(self, name, argv, log):
        self.process = Process(argv, log, name, pipes=True).start()
        self.lines, self.lost, self.notes = queue.Queue(), [], []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.child.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "lost":
                self.lost.append(rest)
                self.lines.put(None)             # whoever waits hears of it
            elif word == "note":
                self.notes.append(rest)
            else:
                self.lines.put((word, rest.split()))
        self.lines.put(None)

    @property
    def pid(self):
        return self.process.pid

    def tell(self, line, payload=None):
        data = line.encode() + b"\n" if payload is None else line.encode() + b" +%d\n" % len(payload) + payload
        view, fd = memoryview(data), self.process.child.stdin.fileno()
        while view:
            view = view[os.write(fd, view):]

    def hear(self, word, timeout=WAIT_SECONDS):
        """The words behind `word`, which must be what it says next."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise Refused(f"{self.process.name} did not say '{word}' within {timeout} s") from None
        if line is None and self.lost:
            raise Refused(f"{self.process.name} lost a stream: {self.lost[0]}")
        if line is None or line[0] != word:
            raise RuntimeError(f"{self.process.name}: expected '{word}', got {line}\n{self.process.log()}")
        return line[1]

    def ask(self, line, word, timeout=WAIT_SECONDS):
        self.tell(line)
        return self.hear(word, timeout)

    def stop(self):
        self.process.child.stdin.close()
        self.process.terminate()
        self.process.child.stdout.close()
