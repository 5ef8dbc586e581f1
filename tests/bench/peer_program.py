"""The peer, go-control-plane's LinearCache, built once into the user's cache, keyed by its sources and the Go that builds them."""
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "peer"
GO_NEEDED = (1, 26)
BUILD_SECONDS = 900
PLANE = "github.com/envoyproxy/go-control-plane"


class Missing(Exception):
    """Why there is no peer on this machine."""


def version():
    return re.search(rf"{PLANE} (v\S+)", (SOURCE / "go.mod").read_text()).group(1)


def _go():
    if not shutil.which("go"):
        raise Missing("no go on PATH")
    found = subprocess.run(["go", "version"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"go(\d+)\.(\d+)", found)
    if not numbers or tuple(map(int, numbers.groups())) < GO_NEEDED:
        raise Missing(f"Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer is needed, found: {found.strip() or 'none that runs'}")
    return found


def _cache():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookaside/bench"


def _build(target):
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        program = Path(scratch) / "peer"
        done = subprocess.run(["go", "build", "-trimpath", "-o", program, "."], cwd=SOURCE, text=True, timeout=BUILD_SECONDS,
                              env=dict(os.environ, GOFLAGS="-buildvcs=false", GOWORK="off", CGO_ENABLED="0"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise Missing(f"go build: {' '.join(done.stdout.split())[-300:]}")
        with contextlib.suppress(OSError):       # somebody else was faster
            os.rename(program, target)


def ensure(say):
    """The program's path; raises Missing."""
    toolchain = _go()
    digest = hashlib.sha256(toolchain.encode())
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = _cache() / f"peer-{version()}-{digest.hexdigest()[:12]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        say(f"building the peer, go-control-plane {version()} (once; kept in {target})")
        _build(target)
    return target
