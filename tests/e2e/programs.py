"""Builds the cluster's programs once and keeps them in the user's cache.

What is built, and from what, is pinned by the go.mod and go.sum of each folder in tools/. A cache
folder is named after a module's version and a hash of those files, so that a changed pin builds
anew and an old checkout finds its own. A program is built beside its place and renamed into it: one
that is there is whole, and an interrupted build goes on where it stopped.

Debian's etcd, which is older, is not installed, since that would start it as a service: its package
is fetched and unpacked.
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
from collections import namedtuple

from process import GUARD

TOOLS = pathlib.Path(__file__).resolve().parent / "tools"
PROGRESS_SECONDS = 15
GO_NEEDED = (1, 26)

DEBIAN_ETCD, DEBIAN_ETCD_PACKAGE = "debian-etcd", "etcd-server"

Program = namedtuple("Program", "name module package")

PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("etcdutl", "etcd", "go.etcd.io/etcd/etcdutl/v3"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("kube-controller-manager", "kubernetes",
            "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    Program("helm", "helm", "helm.sh/helm/v4/cmd/helm"),
)

# Each module's main requirement, whose version names the cache folder.
REQUIREMENTS = {"kubernetes": "k8s.io/kubernetes", "etcd": "go.etcd.io/etcd/server/v3",
                "helm": "helm.sh/helm/v4"}


class Missing(Exception):
    """Something that the machine lacks: the suite cannot run, which is no fault of the product."""


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "lookaside" / "e2e"


def required_version(module):
    requirement = re.escape(REQUIREMENTS[module])
    text = (TOOLS / module / "go.mod").read_text()
    return re.search(rf"^\s*(?:require )?{requirement} (v\S+)", text, re.MULTILINE).group(1)


def module_folder(module):
    digest = hashlib.sha256(os.uname().machine.encode())
    for name in ("go.mod", "go.sum"):
        digest.update((TOOLS / module / name).read_bytes())
    return cache_root() / f"{module}-{required_version(module)}-{digest.hexdigest()[:8]}"


def linker_flags(module):
    """Without these the API server says that it is v0.0.0-master, and Helm something like it."""
    version = required_version(module)
    if module == "helm":
        return f"-s -w -X helm.sh/helm/v4/internal/version.version={version}"
    if module != "kubernetes":
        return "-s -w"
    major, minor = version[1:].split(".")[:2]
    stamp = "-X k8s.io/component-base/version."
    return f"-s -w {stamp}gitVersion={version} {stamp}gitMajor={major} {stamp}gitMinor={minor}"


def go_environment():
    return dict(os.environ, GOFLAGS="-p=2 -buildvcs=false -trimpath", GOTOOLCHAIN="local",
                CGO_ENABLED="0", GOWORK="off")


def check_go():
    wanted = ".".join(map(str, GO_NEEDED))
    if not shutil.which("go"):
        raise Missing(f"Go {wanted} or newer is not on PATH, and the API server is built with it")
    found = subprocess.run(["go", "env", "GOVERSION"], env=go_environment(), cwd="/",
                           capture_output=True, text=True, check=False).stdout.strip()
    version = re.match(r"go(\d+)\.(\d+)", found)
    if not version or tuple(map(int, version.groups())) < GO_NEEDED:
        raise Missing(f"Go {wanted} or newer is needed to build the API server; PATH has "
                      f"{found or 'one that does not run'}")


def wait_with_progress(process, log_path, what):
    started = time.monotonic()
    while True:
        try:
            return process.wait(timeout=PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            # "go build -v" names each package as it compiles it.
            with open(log_path, errors="replace") as log:
                packages = sum(1 for _ in log)
            print(f"e2e: building {what}: {time.monotonic() - started:.0f} s, "
                  f"{packages} packages compiled", flush=True)


def build(program, target):
    """Nothing is left behind when the build is interrupted, except Go's own build cache."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        output, log_path = os.path.join(scratch, program.name), os.path.join(scratch, "log")
        argv = GUARD + ["nice", "go", "build", "-v", "-ldflags", linker_flags(program.module),
                "-o", output, program.package]
        with open(log_path, "w") as log:
            process = subprocess.Popen(argv, cwd=TOOLS / program.module, env=go_environment(),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            status = wait_with_progress(process, log_path, f"{program.name} "
                                        f"{required_version(program.module)}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if status != 0:
            with open(log_path, errors="replace") as log:
                raise RuntimeError(f"building {program.name} failed:\n" + "".join(
                    log.readlines()[-20:]))
        os.rename(output, target)


def ensure_module(module):
    folder = module_folder(module)
    missing = [p for p in PROGRAMS if p.module == module and not (folder / p.name).exists()]
    if not missing:
        return
    check_go()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits here, then finds everything built
        for program in missing:
            if (folder / program.name).exists():
                continue
            started = time.monotonic()
            print(f"e2e: building {program.name} {required_version(module)} "
                  f"(once; kept in {folder})", flush=True)
            build(program, folder / program.name)
            print(f"e2e: built {program.name} in {time.monotonic() - started:.0f} s", flush=True)


def apt(*argv, cwd="/"):
    done = subprocess.run(("apt-get", "-qq") + argv, cwd=cwd, capture_output=True, text=True,
                          check=False)
    return done.returncode == 0, done.stderr.strip()


def fetch_debian_etcd(target):
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Missing(f"{DEBIAN_ETCD_PACKAGE} of Debian cannot be fetched: no {tool} on PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        fetched, why = apt("download", DEBIAN_ETCD_PACKAGE, cwd=scratch)
        if not fetched and os.geteuid() == 0:
            apt("update")
            fetched, why = apt("download", DEBIAN_ETCD_PACKAGE, cwd=scratch)
        if not fetched:
            raise Missing(f"{DEBIAN_ETCD_PACKAGE} of Debian cannot be fetched: {why}")
        package = next(pathlib.Path(scratch).glob("*.deb"))
        subprocess.run(["dpkg-deb", "--extract", package, scratch], check=True)
        os.rename(os.path.join(scratch, "usr/bin/etcd"), target)


def debian_etcd():
    target = cache_root() / DEBIAN_ETCD_PACKAGE / "etcd"
    if not target.exists():
        fetch_debian_etcd(target)
    return target


def ensure():
    """{name: path} of the programs, built now where they are missing."""
    for module in REQUIREMENTS:
        ensure_module(module)
    return {p.name: module_folder(p.module) / p.name for p in PROGRAMS}
