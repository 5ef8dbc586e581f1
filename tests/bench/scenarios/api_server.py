"""A real API server: from the moment that the write of a slice of 100 endpoints has returned to the last of 1,000 clients. The floor and the peer are told
by a watch that only counts what is ready."""
import json
import subprocess
import sys
from pathlib import Path

from child import Refused
from judge import Row, times_floor
from support.process import BUILD
from support.report import SKIP_EXIT, Skip

ROUNDS = Path(__file__).resolve().parents[1] / "api_server_rounds.py"
BOUND_SECONDS = 900
LIMIT = 1.3


def run(bench):
    argv = [sys.executable, ROUNDS, "--rounds", str(bench.pick(2, 5)), "--changes", str(bench.pick(5, 20))]
    argv += ["--peer", bench.peer] if bench.peer else []
    argv += ["--tolerate"] if bench.tolerant else []
    argv += ["--quick"] if bench.quick else []
    with bench.folder() as work:
        result = work / "result.json"
        done = subprocess.run([*argv, "--result", result], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=BOUND_SECONDS, check=False)
        (BUILD / "bench/api-server.log").write_text(done.stdout)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode == SKIP_EXIT:
            raise Skip(last)
        if done.returncode != 0:
            raise Refused(f"api server: {last} ({BUILD / 'bench/api-server.log'})")
        found = json.loads(result.read_text())
    bench.refused += found["refused"]
    bench.disturbed.append(found["disturbed"])
    scenario = "real API server, 1,000 clients"

    def pick(key):
        return [{name: one[key] for name, one in result.items()} for result in found["rounds"]]
    bench.rows += [Row(scenario, "write returned to the first client", "ms", pick("first")),
                   Row(scenario, "write returned to the median client", "ms", pick("median")),
                   Row(scenario, "write returned to the last client", "ms", pick("last"), times_floor(LIMIT))]
