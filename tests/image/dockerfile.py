"""What a Dockerfile says, and its steps run without an engine.

A stage is a stack of layers: folders, as overlayfs takes them. The first of each is a Debian that
debootstrap makes. What depends on no folder of the tree (the packages) is kept in the user's cache;
the rest is in a folder of the run.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from support.report import Skip

ROOT = Path(__file__).resolve().parents[2]
STEP = Path(__file__).resolve().parent / "step.sh"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookaside/image"
IMAGES = {"debian:12-slim": "bookworm"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_SECONDS, STEP_SECONDS, COMMAND_SECONDS = 600, 900, 60


def instructions(path):
    """[(word, rest)], comments left out and lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def ignored(name):
    """By .dockerignore, whose first line leaves out everything."""
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*", lines
    return not any(f"{name}/".startswith(f"{line[1:]}/") for line in lines[1:])


@dataclass
class Stage:
    layers: list = field(default_factory=list)  # the oldest first
    key: str = ""
    cached: bool = True
    folder: str = "/"
    user: str = "0:0"
    entrypoint: list = field(default_factory=list)
    ports: list = field(default_factory=list)

    def lower(self):
        return ":".join(str(layer) for layer in reversed(self.layers))


class Builder:
    def __init__(self, note):
        if os.geteuid() != 0:
            raise Skip("only root can make a root filesystem here")
        for tool in ("apt-get", "dpkg-deb", "unshare", "chroot"):
            if not shutil.which(tool):
                raise Skip(f"no {tool} on PATH")
        self.note, self.stages = note, {}
        self.work = Path(tempfile.mkdtemp(prefix="lookaside-image-"))
        self.numbers = 0

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)

    # ---- steps

    def build(self, path):
        """The last stage."""
        stage, steps = None, {"RUN": self.run, "COPY": self.copy}
        for word, rest in instructions(path):
            if word == "FROM":
                stage = self.start(rest)
            elif word in steps:
                steps[word](stage, rest)
            elif word == "WORKDIR":
                stage.folder = rest
            elif word == "USER":
                stage.user = rest
            elif word == "EXPOSE":
                stage.ports = [int(port) for port in rest.split()]
            elif word == "ENTRYPOINT":
                stage.entrypoint = json.loads(rest)
            else:
                raise AssertionError(f"{word} is not known here")
        return stage

    def start(self, rest):
        words = rest.split()
        stage = Stage(layers=[self.base(IMAGES[words[0]])], key=words[0])
        if len(words) == 3:
            self.stages[words[2]] = stage
        return stage

    def layer(self, stage, said, content=b""):
        """(folder, whether it is there already)."""
        place = "\0".join((stage.key, stage.folder, stage.user, said, ""))
        stage.key = hashlib.sha256(place.encode() + content).hexdigest()[:16]
        if stage.cached:
            target = CACHE / stage.key
            there = target.exists()
        else:
            self.numbers += 1
            target, there = self.work / str(self.numbers), False
        stage.layers.append(target)
        return target, there

    def step(self, stage, target, *argv):
        """Into a layer beside its place, which it takes when it is whole."""
        fresh = Path(tempfile.mkdtemp(prefix=".layer-", dir=target.parent))
        lower = ":".join(str(layer) for layer in reversed(stage.layers[:-1]))
        try:
            self.enter(lower, fresh / "new", *argv)
            os.rename(fresh / "new", target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @staticmethod
    def enter(lower, upper, *argv, seconds=STEP_SECONDS):
        env = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
        done = subprocess.run(
            ["unshare", "--mount", "sh", STEP, lower, *map(str, [upper, *argv])],
            env={**env, "PATH": PATH, "HOME": "/", "LC_ALL": "C.UTF-8"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, check=False)
        assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout[-3000:]}"
        return done.stdout

    def run(self, stage, command):
        target, there = self.layer(stage, command)
        if not there:
            self.note(f"running {command[:60]}")
            self.step(stage, target, "run", stage.folder, stage.user, "sh", "-c", command)

    def copy(self, stage, rest):
        words = rest.split()
        if words[0].startswith("--from="):
            other = self.stages[words.pop(0).removeprefix("--from=")]
            stage.cached = False
            target, _ = self.layer(stage, rest)
            self.step(stage, target, "take", stage.folder, self.place(stage, words[-1]),
                      other.lower(), *(word.lstrip("/") for word in words[:-1]))
            return
        sources = [ROOT / word for word in words[:-1]]
        assert not any(ignored(word) for word in words[:-1]), f"{words} is in .dockerignore"
        stage.cached = stage.cached and all(source.is_file() for source in sources)
        content = b"".join(s.read_bytes() for s in sources if s.is_file())
        target, there = self.layer(stage, rest, content)
        if not there:
            self.step(stage, target, "copy", stage.folder, self.place(stage, words[-1]), *sources)

    @staticmethod
    def place(stage, target):
        """A final ./ is kept, which makes it a folder."""
        full = target if target.startswith("/") else f"{stage.folder}/{target}"
        return full.replace("/./", "/").lstrip("/")

    # ---- the result

    def inside(self, stage, *command, user=None):
        """What a command prints in a container of a stage, without network or API."""
        self.numbers += 1
        upper = self.work / f"run-{self.numbers}"
        upper.with_name(f"{upper.name}.offline").touch()
        return self.enter(stage.lower(), upper, "run", "/", user or stage.user, *command,
                          seconds=COMMAND_SECONDS)

    # ---- the Debian below

    def base(self, suite):
        target = CACHE / suite
        if target.exists():
            return target
        CACHE.mkdir(parents=True, exist_ok=True)
        self.note(f"making a Debian {suite} (once; kept in {target})")
        fresh = Path(tempfile.mkdtemp(prefix=".base-", dir=CACHE))
        try:
            self.debootstrap(suite, fresh)
            os.rename(fresh / "root", target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return target

    def debootstrap(self, suite, fresh):
        """Its package is unpacked, not installed."""
        self.tool(["apt-get", "-qq", "download", "debootstrap"], fresh)
        self.tool(["dpkg-deb", "--extract", next(fresh.glob("*.deb")), fresh / "tool"], fresh)
        mirror = self.tool(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                            f"Codename: {suite}", "Created-By: Packages"], fresh).split()
        self.tool(["unshare", "--mount", fresh / "tool/usr/sbin/debootstrap", "--variant=minbase",
                   suite, fresh / "root", *mirror[:1]], fresh,
                  DEBOOTSTRAP_DIR=str(fresh / "tool/usr/share/debootstrap"))
        shutil.rmtree(fresh / "root/var/cache/apt/archives")

    @staticmethod
    def tool(argv, folder, **env):
        done = subprocess.run([str(word) for word in argv], cwd=folder, env={**os.environ, **env},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=BASE_SECONDS,
                              check=False)
        assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout[-2000:]}"
        return done.stdout
