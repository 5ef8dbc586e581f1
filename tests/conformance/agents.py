"""The clients: how each is built, once per version, outside the tree; and the remote control."""
import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from support import process
from support.report import Skip

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "agents"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookaside/conformance"
BUILD_SECONDS = 1200
GO_NEEDED = (1, 26)
DEBIAN_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Language:
    """A client: its name, its builder (returns the command line), how many calls it is good for
    in the tests that count, and where it differs from the others.

    title, version: what the README calls it, and the product where it says who cannot do something.

    heeds_empty: an empty list makes calls fail at once. grpc-java 1.85 hands an empty
    ClusterLoadAssignment down as a resolution error, which a READY round_robin ignores: it goes
    on with the backends that it has until they close their connections.
    fails_on_empty: calls fail at once while a list is empty. Go 1.60 lets them wait, up to their deadlines.
    dials_port_names: grpc-js makes a URL of the target, and `greeter.shop:grpc` is none.
    both_families: it connects to a backend's other address when the first does not answer (gRFC A61:
    C++ and Python from 1.66, Go from 1.71, Node from 1.12; in Java it is switched off).
    both_families_switch: what switches it on, in the client's environment.
    trust: what it needs in its environment to trust a CA file, where the bootstrap that names it does not do. grpc-java leaves the name of
    the file unread, and asks the JVM's trust store.
    falls_back: to the second of its bootstrap's servers, when the first is away (gRFC A71: C++ and Python from
    1.67, Java from 1.71, Go from 1.70).
    comes_back: to the first, when that is there again. grpc-go 1.85 asks it for Listeners only, and so follows no change any more.
    keeps_clusters: it asks for Clusters and their lists for 15 minutes more when no route leads there; but all channels of a process share a stream.
    grpclb: it has that policy. @grpc/grpc-js has none.
    first_call_ms: until a new process knows that a name has no backend, on an idle machine.
    """
    name: str
    build: Callable
    calls: int
    title: str
    version: Callable
    heeds_empty: bool = True
    fails_on_empty: bool = True
    dials_port_names: bool = True
    both_families: bool = True
    both_families_switch: str = ""
    trust: Callable | None = None
    falls_back: bool = True
    comes_back: bool = True
    keeps_clusters: bool = False
    grpclb: bool = True
    first_call_ms: int = 500


def output(*argv, seconds=60):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
    return (done.stdout + done.stderr).strip()


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"no {program} on PATH")


def run(argv, cwd):
    done = subprocess.run([str(word) for word in argv], cwd=cwd, text=True, timeout=BUILD_SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise AssertionError(f"{argv[0]}: exit {done.returncode}\n{done.stdout[-4000:]}")


def _files(path):
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def cached(name, version, toolchain, note, build, also=()):
    """The folder of a built agent: made by build(folder) if this version of it is not there yet.

    The key covers every source file and the toolchain; the folder appears by rename, complete. `also`: more files and
    folders of sources, which build() finds in folder/also.
    """
    source = SOURCES / name
    digest = hashlib.sha256(toolchain.encode())
    for root in (source, *also):
        for path in _files(root):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    done = CACHE / f"{name}-{version}-{digest.hexdigest()[:12]}"
    if done.exists():
        return done
    note(f"building the {name} agent, {version} (once; kept in {done})")
    CACHE.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=CACHE))
    try:
        shutil.copytree(source, fresh / "source")
        for path in also:
            copy = fresh / "also" / path.name
            copy.parent.mkdir(exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
        build(fresh)
        with contextlib.suppress(OSError):       # somebody else was faster
            os.rename(fresh, done)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if not done.exists():
        raise AssertionError(f"cannot create {done}")
    note(f"built the {name} agent")
    return done


def version_of(path, pattern):
    return re.search(pattern, (SOURCES / path).read_text()).group(1)


def go_program(name, version, build, note, also=()):
    """What build(folder) makes as folder/agent."""
    need("go")
    toolchain = output("go", "version")
    found = re.search(r"go(\d+)\.(\d+)", toolchain)
    if not found or tuple(map(int, found.groups())) < GO_NEEDED:
        raise Skip(f"Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer needed, found: {toolchain}")
    return [cached(name, version, toolchain, note, build, also) / "agent"]


def _go_build(package, *flags):
    return lambda fresh: run(["go", "build", *flags, "-o", fresh / "agent", package], fresh / "source")


def go_version(modules="go.mod"):
    return version_of(f"go/{modules}", r"google.golang.org/grpc v(\S+)")


def build_go(note):
    return go_program("go", go_version(), _go_build("."), note)


def build_go_older(note):
    return go_program("go", go_version("older.mod"), _go_build(".", "-modfile=older.mod", "-tags=older"), note)


def build_grpcurl(note):
    """No agent, but the stock command."""
    version = version_of("grpcurl/go.mod", r"github.com/fullstorydev/grpcurl v(\S+)")
    return go_program("grpcurl", version, _go_build("github.com/fullstorydev/grpcurl/cmd/grpcurl"), note)


def build_interop(note):
    """grpc-go's own client of grpc.testing."""
    version = version_of("interop/go.mod", r"google.golang.org/grpc v(\S+)")
    return go_program("interop", version, _go_build("google.golang.org/grpc/interop/client"), note)


def build_interop_java(note):
    """grpc-java's, which has the cases of compression."""
    need("java", "mvn")
    version = version_of("interop-java/pom.xml", r"<version>([^<]+)</version>\s*</dependency>")
    folder = cached("interop-java", version, output("java", "-version"), note, lambda fresh: run(
        ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DincludeScope=runtime",
         "-DoutputDirectory=target/lib"], fresh / "source"))
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/source/target/lib/*",
            "io.grpc.testing.integration.TestServiceClient"]


def build_python_debian(note):
    if not Path("/usr/lib/python3/dist-packages/grpc").exists():
        raise Skip("Debian's python3-grpcio is not installed")
    return [DEBIAN_PYTHON, SOURCES / "python/agent.py"]


def python_version():
    return version_of("python/requirements.txt", r"grpcio==(\S+)")


def build_python_pypi(note):
    need(DEBIAN_PYTHON)
    version = python_version()

    def build(fresh):
        # A venv cannot move, but packages in a folder can.
        run([DEBIAN_PYTHON, "-m", "venv", fresh / "venv"], fresh)
        run([fresh / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check",
             "--target", fresh / "packages", "-r", "source/requirements.txt"], fresh)
        shutil.rmtree(fresh / "venv")

    folder = cached("python", version, output(DEBIAN_PYTHON, "--version"), note, build)
    return ["env", f"PYTHONPATH={folder / 'packages'}", DEBIAN_PYTHON,
            folder / "source/agent.py"]


def build_node(note):
    need("node", "npm")
    version = version_of("node/package.json", r'"@grpc/grpc-js-xds": "([^"]+)"')
    folder = cached("node", version, output("node", "--version"), note, lambda fresh: run(
        ["npm", "ci", "--no-audit", "--no-fund"], fresh / "source"))
    return ["node", folder / "source/agent.js"]


def java_version(kind="grpc.version"):
    return version_of("java/pom.xml", rf"<{kind}>([^<]+)<")


def _java_build(version, note):
    need("java", "javac", "mvn")
    folder = cached("java", version, output("java", "-version"), note, lambda fresh: run(
        ["mvn", "--batch-mode", "--quiet", f"-Dgrpc.version={version}", "compiler:compile",
         "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=target/lib"],
        fresh / "source"))
    target = folder / "source/target"
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp",
            f"{target / 'classes'}:{target / 'lib'}/*", "agent.Agent"]


def build_java(note):
    return _java_build(java_version(), note)


def build_java_older(note):
    return _java_build(java_version("grpc.older"), note)


def java_trust_store(ca):
    """The environment of a JVM that trusts only that authority."""
    store, word = ca.with_suffix(".p12"), "lookaside"
    if not store.exists():
        run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", ca, "-keystore", store,
              "-storepass", word], ca.parent)
    return {"JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={store} "
                                 f"-Djavax.net.ssl.trustStorePassword={word}"}


def build_cpp(note):
    need("g++", "pkg-config")
    version = output("pkg-config", "--modversion", "grpc++")
    if not re.match(r"\d", version):
        raise Skip("gRPC C++ (libgrpc++-dev) is not installed")

    def build(fresh):
        # pkg-config goes through Abseil's hundred packages again and again: some 20 s.
        flags = output("pkg-config", "--cflags", "--libs", "grpc++", seconds=300).split()
        run(["g++", "-std=c++17", "-O2", "source/agent.cc", "-o", "agent", *flags], fresh)

    folder = cached("cpp", version, output("g++", "--version"), note, build)
    return [folder / "agent"]


def _grpc_of_debian():
    return output(DEBIAN_PYTHON, "-c", "import grpc; print(grpc.__version__)")


LANGUAGES = [
    Language("go", build_go, 20000, "Go", go_version, comes_back=False),
    Language("go-1.60", build_go_older, 20000, "Go", lambda: go_version("older.mod"),
             fails_on_empty=False, both_families=False, falls_back=False),
    Language("java", build_java, 20000, "Java", java_version,
             heeds_empty=False, both_families=False,
             both_families_switch="GRPC_EXPERIMENTAL_XDS_DUALSTACK_ENDPOINTS", trust=java_trust_store,
             first_call_ms=3000),
    Language("java-1.60", build_java_older, 20000, "Java", lambda: java_version("grpc.older"),
             both_families=False, falls_back=False, keeps_clusters=True, trust=java_trust_store, first_call_ms=3000),
    Language("node", build_node, 10000, "Node.js",
             lambda: version_of("node/package.json", r'"@grpc/grpc-js-xds": "([^"]+)"'),
             dials_port_names=False, falls_back=False, grpclb=False),
    Language("python-pypi", build_python_pypi, 10000, "Python", python_version),
    Language("python-debian", build_python_debian, 10000, "Python", _grpc_of_debian,
             both_families=False, falls_back=False, keeps_clusters=True),
    Language("cpp", build_cpp, 20000, "C++", lambda: output("pkg-config", "--modversion", "grpc++"),
             both_families=False, falls_back=False, keeps_clusters=True),
]


class Agent:
    """A running agent. ask() sends one command and waits, bounded, for its answer."""

    def __init__(self, command, bootstrap, log, switches=(), env=None):
        proxies = {name: None for name in os.environ if name.lower().endswith("_proxy")}
        self.process = process.Process(command, log, "agent", pipes=True, env={
            **proxies, "GRPC_XDS_BOOTSTRAP": bootstrap, **{name: "true" for name in switches},
            **(env or {})})
        self.answers = queue.Queue()

    def start(self):
        self.process.start()
        threading.Thread(target=self._read, args=(self.process.child.stdout,), daemon=True).start()
        return self

    def _read(self, lines):
        for line in lines:
            self.answers.put(line)
        self.answers.put(None)

    @property
    def running(self):
        return self.process.running

    def ask(self, cmd, timeout=60, **fields):
        pipe = self.process.child.stdin
        try:
            pipe.write(json.dumps({"cmd": cmd, **fields}) + "\n")
            pipe.flush()
            line = self.answers.get(timeout=timeout)
        except (BrokenPipeError, queue.Empty):
            line = None
        if line is None:
            self.process.kill()
            raise AssertionError(f"no answer of the agent to {cmd} in {timeout} s; its log ends:\n"
                                 + self.process.log(15))
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(f"agent, {cmd}: {answer['error']}")
        return answer

    def close(self):
        """End of input; returns the exit code."""
        if not self.running:
            return self.process.child.returncode
        self.process.child.stdin.close()
        try:
            return self.process.wait(10)
        except process.WaitTimeout:
            return self.process.kill()
