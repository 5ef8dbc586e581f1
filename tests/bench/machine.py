"""What the machine is, what processes took of it, and whether a round was disturbed."""
import os
import platform
import re
import shutil
import subprocess
import time
import zlib
from pathlib import Path

from child import Refused
from support.process import wait_until

STEAL_MAX = 0.05       # of the machine's time, that the host gave to others
FOREIGN_MAX = 0.25     # of the machine's time, that went to processes which are not the bench's
SLOWER_MAX = 1.35      # times the time that a fixed piece of work took at best in the round
QUIET_US = 50          # of CPU time within QUIET_SECONDS: at rest
QUIET_SECONDS = 0.02
TICK = os.sysconf("SC_CLK_TCK")


def cpu_us(pid):
    """CPU time of all of a process's threads so far, ended ones too: the kernel's clock of another process (clock_getcpuclockid)."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1000


def resident_kib(pid, peak=False):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)" if peak else r"VmRSS:\s+(\d+)", text).group(1))


def _runs(pid):
    """Whether a thread of the process runs, or would if it were let."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "stat").read_text().rpartition(")")[2].split()[0] == "R":
            return True
    return False


def rest(pid, seconds=30):
    """Until the process has done all it had to: its CPU time stands still, and not because others have the machine."""
    last = [cpu_us(pid)]

    def quiet():
        now, before = cpu_us(pid), last[0]
        last[0] = now
        return now - before < QUIET_US and not _runs(pid)
    wait_until(quiet, seconds, "the server comes to rest", interval=QUIET_SECONDS)


def _work():
    """A fixed piece of work: its CPU time at best tells the machine's pace. Tried for 20 ms: less is what a neighbour on the host happens to do."""
    data, best = bytes(1 << 20), float("inf")
    for _ in range(80):
        begin = time.thread_time_ns()
        zlib.crc32(data)
        best = min(best, time.thread_time_ns() - begin)
    return best


def _ticks():
    """(busy, stolen, all) of the machine so far, in seconds."""
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, idle, wait, irq, soft, steal = words
    return (user + nice + system + irq + soft) / TICK, steal / TICK, sum(words) / TICK


class Watch:
    """Says afterwards whether the time between begin() and end() was undisturbed.

    Hosts change their pace for minutes: that spoils no ratio. Within a round, whose sides are compared, it does.
    """

    def __init__(self, tolerant=False):
        self.tolerant, self.seen = tolerant, []
        self.begin_round()

    def begin_round(self):
        self.paces = [_work()]

    def begin(self, pids):
        self.pids = [os.getpid(), *pids]
        self.start, self.ours = _ticks(), self._own()

    def _own(self):
        ended = os.times()                       # children that ended meanwhile
        return sum(cpu_us(pid) for pid in self.pids) / 1e6 + ended.children_user + ended.children_system

    def end(self):
        """Raises Refused, unless disturbances are tolerated."""
        busy, stolen, whole = (after - before for after, before in zip(_ticks(), self.start))
        ours = self._own() - self.ours
        self.paces.append(_work())
        foreign = max(0, busy - ours - 3 / TICK) / max(whole, 0.1)
        share, slower = stolen / max(whole, 0.1), max(self.paces) / min(self.paces)
        self.seen.append({"stolen": share, "foreign": foreign, "slower": slower})
        if self.tolerant:
            return
        if share > STEAL_MAX:
            raise Refused(f"the host took {share:.0%} of the machine's time")
        if foreign > FOREIGN_MAX:
            raise Refused(f"other processes took {foreign:.0%} of the machine's time")
        if slower > SLOWER_MAX:
            raise Refused(f"the machine works {slower:.2f} times slower than before in the round (throttled?)")

    def worst(self):
        return {key: max((seen[key] for seen in self.seen), default=0) for key in ("stolen", "foreign", "slower")}


def _said(*argv):
    if not shutil.which(argv[0]):
        return "none"
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    return (done.stdout or done.stderr).strip().split("\n")[0]


def note():
    """The machine, for people who compare results."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    libraries = {name: _said("pkg-config", "--modversion", name) for name in ("libnghttp2", "openssl", "libuv", "libcurl")}
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "memory_mib": int(memory.group(1)) // 1024, "kernel": platform.release(), "go": _said("go", "version"),
            "compiler": _said("gcc", "--version"), "libraries": libraries, "load": round(os.getloadavg()[0], 2),
            "day": time.strftime("%Y-%m-%d")}


def note_line(machine):
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_mib'] // 1024} GiB, Linux {machine['kernel']}, "
            f"{machine['compiler']}, {machine['go']}, {libraries}; load {machine['load']} at the beginning")
