"""make simulate-mutants: does the simulator find bugs that were put in on purpose?

Each file of mutants/ is a small patch against pkg/, with a line in front that says what it breaks. It is applied to a copy
of the sources in build/mutants; then the same seeds run that `make test` runs, until one fails.

    mutants.py [WORD...]     only those with one of the words in their names

Exit code 1: one survives, does not apply, or does not compile.
"""
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
MUTANTS = sorted((HERE / "mutants").glob("*.patch"))
TREE = REPOSITORY / "build" / "mutants"
SOURCES = ["Makefile", "pkg", "tests/simulate", "tests/support/deps.sh"]
SEEDS = 1000
BUILD_SECONDS, RUN_SECONDS = 900, 900
FOUND = re.compile(r"^FAILED seed (\d+): (.*)$", re.M)


def patch_command(patch, *options):
    return ["patch", "--strip=1", "--silent", "--force", "--no-backup-if-mismatch", f"--input={patch}", *options]


def applies(patch, tree=REPOSITORY):
    return subprocess.run(patch_command(patch, "--dry-run"), cwd=tree, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def copy_sources():
    """What has not changed keeps its time, so that only what has is compiled."""
    TREE.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        whole = REPOSITORY / source
        for path in [whole] if whole.is_file() else (p for p in whole.rglob("*") if p.is_file()):
            copy = TREE / path.relative_to(REPOSITORY)
            if not copy.exists() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    for copy in (p for p in (TREE / "pkg").rglob("*") if p.is_file()):
        if not (REPOSITORY / copy.relative_to(TREE)).exists():
            copy.unlink()


def build():
    return subprocess.run(["make", "-s", "-j2", "WERROR=", "build/simulate"], cwd=TREE, timeout=BUILD_SECONDS,
                          capture_output=True, text=True, check=False)


def find():
    """(seed, what it said), or None: it survived."""
    run = subprocess.run([TREE / "build" / "simulate", "--last", str(SEEDS), "--quick"], cwd=TREE, timeout=RUN_SECONDS,
                         capture_output=True, text=True, errors="replace", check=False)
    found = FOUND.search(run.stdout)
    if found:
        return int(found[1]), found[2]
    return None if run.returncode == 0 else (0, f"it ended with {run.returncode}: {run.stderr.strip()[-120:]}")


def try_mutant(patch):
    """A row of the table: name, seed, what it said; seed None: not found."""
    if subprocess.run(patch_command(patch), cwd=TREE, check=False).returncode != 0:
        return patch.stem, None, "does not apply"
    try:
        made = build()
        if made.returncode != 0:
            return patch.stem, None, "does not compile: " + made.stderr.strip().splitlines()[-1]
        found = find()
        return (patch.stem, *found) if found else (patch.stem, None, f"SURVIVED {SEEDS} seeds")
    finally:
        subprocess.run(patch_command(patch, "--reverse"), cwd=TREE, check=True)


def main():
    words = sys.argv[1:]
    chosen = [patch for patch in MUTANTS if not words or any(word in patch.stem for word in words)]
    if not chosen:
        sys.exit(f"mutants.py: no mutant is called like that: {' '.join(words)}")
    copy_sources()
    made = build()
    if made.returncode != 0:
        sys.exit("mutants.py: the sources do not compile:\n" + made.stderr)
    print(f"{'mutant':32} {'found at seed':>13} {'seconds':>8}  what it said")
    survivors = 0
    for patch in chosen:
        begin = time.monotonic()
        name, seed, text = try_mutant(patch)
        survivors += seed is None
        print(f"{name:32} {'-' if seed is None else seed:>13} {time.monotonic() - begin:8.1f}  {text[:110]}", flush=True)
    print(f"mutants: {len(chosen) - survivors} passed, {survivors} failed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
