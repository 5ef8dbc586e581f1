"""The simulator's fixed seeds, in two processes; and that every mutant's patch still applies (mutants.py finds them).

    run.py PROGRAM
"""
import subprocess
import sys
from pathlib import Path

from mutants import MUTANTS, applies

SEEDS = 1000
PROCESSES = 2


def run_seeds(program):
    """Two processes: other suites run on machines of two cores too. One that fails has said so."""
    share = SEEDS // PROCESSES
    children = [subprocess.Popen([program, "--first", str(i * share + 1), "--last", str((i + 1) * share)])
                for i in range(PROCESSES)]
    return [child.wait() for child in children]


def check_patches():
    stale = [patch.name for patch in MUTANTS if not applies(patch)]
    for name in stale:
        print(f"FAILED the mutant {name} does not apply any more")
    print(f"mutants: {len(MUTANTS) - len(stale)} passed, {len(stale)} failed", flush=True)
    return bool(stale)


def main():
    stale = check_patches()
    failed = any(run_seeds(Path(sys.argv[1]).resolve()))
    return 1 if stale or failed else 0


if __name__ == "__main__":
    sys.exit(main())
