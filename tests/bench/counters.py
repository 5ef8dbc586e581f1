"""Lookaside with counters: a library that counts allocations and calls of the kernel (preload/counts.c), and callgrind, which counts instructions."""
import re
import struct
import subprocess
from collections import Counter
from pathlib import Path

from sides import FLAGS, Product
from support.process import BUILD

COUNTERS = ("allocations", "live bytes", "sends", "receives", "watches")    # counts.c's
NAMED = re.compile(r"^(c?fn|c?ob)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^(?:[+-]?\d+|\*) (\d+)$")
VALGRIND = ("valgrind", "--tool=callgrind", "--quiet")


class Counted:
    """read() gives all counters as they are now."""

    def __init__(self, work, services, endpoints, most, tls=False):
        self.file = work / "counts"
        self.product = Product(work, services, endpoints, most, tls=tls, flags=FLAGS,
                               env={"LD_PRELOAD": f"{BUILD / 'bench/counts.so'}", "BENCH_COUNTS": self.file})

    def read(self):
        values = struct.unpack(f"<{len(COUNTERS)}Q", self.file.read_bytes())
        return dict(zip(COUNTERS, values))


class Callgrind:
    """instructions() gives those since it was called last, of all threads, by function."""

    def __init__(self, work, services, endpoints, most):
        self.work, self.number = work, 0
        self.product = Product(work, services, endpoints, most, flags=FLAGS,
                               wrap=[*VALGRIND, f"--callgrind-out-file={work / 'callgrind.out'}"])

    def instructions(self):
        done = subprocess.run(["callgrind_control", "--dump", str(self.product.pid)], capture_output=True, text=True, timeout=120,
                              check=False)
        self.number += 1
        dump = self.work / f"callgrind.out.{self.number}"
        if done.returncode != 0 or not dump.exists():
            raise RuntimeError(f"callgrind_control: {done.stdout}{done.stderr}")
        return by_function(dump.read_text())


def by_function(dump):
    """Counter of a function's own instructions, without those of what it calls."""
    names, libraries, found = {}, {}, Counter()
    function, library, of_call = "", "", False
    for line in dump.splitlines():
        named, cost = NAMED.match(line), COST.match(line)
        if named:
            kind, number, name = named.groups()
            if kind.endswith("ob"):
                libraries.setdefault(number, name)
                library = libraries[number] if kind == "ob" else library
                continue
            names.setdefault(number, name)
            if kind == "fn":
                function = names[number] if not names[number].startswith("0x") else f"{Path(library).name} {names[number]}"
        elif line.startswith("calls="):
            of_call = True                       # the next cost is the callee's
        elif cost:
            if not of_call:
                found[function] += int(cost.group(1))
            of_call = False
    return found
