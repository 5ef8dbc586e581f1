"""Clients on a unix socket: who they are is what the kernel says of their process."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tests.support import hidden, manifests, process
from tests.support.lookaside import Lookaside
from tests.support.report import Skip

GROUP, FRONTEND, BATCH, STRANGER = 4242, 4201, 4202, 4203
PEERS = 'lookaside_peers_total{result="%s"}'
CLIENT = Path(__file__).with_name("unix_client.py")
ACCESS = {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
          "metadata": {"name": "greeter", "namespace": "shop"},
          "spec": {"access": {"serviceAccounts": ["shop/frontend"]}}}


class Served:
    """A controller on a socket that the group may use, as in a folder that is setgid."""

    def __init__(self, work, *flags):
        if os.geteuid() != 0:
            raise Skip("only root can make clients of other users")
        self.folder = Path(tempfile.mkdtemp(prefix="lookaside-unix-"))   # the work folder is nobody else's
        os.chown(self.folder, 0, GROUP)
        self.folder.chmod(0o2770)
        self.socket = self.folder / "socket"
        files = manifests.Manifests(work / "manifests")
        files.service("greeter")
        files.slice("greeter", [manifests.Endpoint("10.0.0.1")])
        (work / "manifests" / "access.json").write_text(json.dumps(ACCESS))
        self.none = hidden.told_of_none(work, "greeter")
        self.controller = Lookaside(work, directory=work / "manifests", flags=[
            "--threads", "1", "--listen", f"unix:{self.socket}", "--unix-account", f"{FRONTEND}=shop/frontend",
            "--unix-account", f"{BATCH}=batch/job", *flags])

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        code = self.controller.stop()
        shutil.rmtree(self.folder)
        assert code == 0, self.controller.process.log()

    @contextmanager
    def client(self, uid, gid=GROUP, token=()):
        """(what it printed, the pid)"""
        with subprocess.Popen([sys.executable, CLIENT, self.socket, str(uid), str(gid), *token], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                line = child.stdout.readline()
                assert line, child.stderr.read()
                yield json.loads(line), child.pid
            finally:
                child.stdin.close()
                child.wait(10)

    def differences(self, said):
        """By which protocols the client can tell that there is a Service."""
        answers = {which: bytes.fromhex(answer) for which, answer in said["told"].items()}
        return hidden.differences(answers, self.none)

    def stream(self):
        return self.controller.streams()["streams"][0]

    def audit(self, uid):
        return [line for line in self.controller.process.log().splitlines()
                if "may not see" in line and f"uid={uid}" in line]


def users_are_accounts(work):
    with Served(work) as world:
        with world.client(FRONTEND) as (said, pid):
            assert said["addresses"] == ["10.0.0.1"] and said["cluster"] == "shop/greeter:8001", said
            assert world.differences(said) == ["EDS", "CDS of all", "delta EDS", "native", "grpclb"]
            stream = world.stream()
            assert stream["account"] == {"namespace": "shop", "name": "frontend", "by": "unix"}, stream
            assert stream["process"] == {"pid": pid, "uid": FRONTEND, "gid": GROUP}, stream
            done = subprocess.run([process.BUILD / "lookasidectl", "streams", "--admin", world.controller.admin],
                                  capture_output=True, text=True, timeout=20, check=True)
            assert f"unix:uid {FRONTEND}, pid {pid}" in done.stdout, done.stdout
        assert not world.audit(FRONTEND)
        with world.client(BATCH) as (said, pid):
            assert said["addresses"] == [] and said["cluster"] == "batch/greeter:8001", said
            assert world.differences(said) == []
            line = world.audit(BATCH)[-1]
            assert f"pid={pid}" in line and "account=batch/job" in line and "by=unix" in line, line


def others_are_nobody(work):
    """And what they say of themselves makes them nothing else."""
    with Served(work) as world:
        before = world.controller.metrics()["lookaside_access_refused_total"]
        with world.client(STRANGER) as (said, pid):
            assert said["addresses"] == [] and said["cluster"] == "web/greeter:8001", said
            assert world.differences(said) == []
            assert "account" not in world.stream() and world.stream()["process"]["uid"] == STRANGER
            line = world.audit(STRANGER)[-1]
            assert f"pid={pid}" in line and "account=nobody" in line and "by=none" in line, line
        metrics = world.controller.metrics()
        assert metrics["lookaside_access_refused_total"] > before
        assert metrics[PEERS % "unix-unknown"] > 0 and metrics[PEERS % "unix"] == 0


def who_may_not_open_it_is_refused_by_the_kernel(work):
    with Served(work) as world:
        try:
            with world.client(FRONTEND, gid=FRONTEND):
                raise RuntimeError("it was served")
        except AssertionError as error:
            assert "Permission denied" in str(error) or "UNAVAILABLE" in str(error), error


def settings_that_do_not_fit(work):
    listen = ["--directory", work, "--listen", f"unix:{work}/socket"]
    for flags, words in (([*listen, "--unix-account", "frontend=shop/a"], "expected UID=NAMESPACE/ACCOUNT"),
                         ([*listen, "--unix-account", "1000=shop"], "'shop' is no NAMESPACE/ACCOUNT"),
                         ([*listen, "--unix-account", "1000=shop/a", "--unix-account", "1000=shop/b"],
                          "user 1000 has an account already"),
                         ([*listen, "--unix-account", "65534=shop/a"], "all users appear that have no number here"),
                         ([*listen, "--unix-account", "4294967295=shop/a"], "expected UID=NAMESPACE/ACCOUNT"),
                         (["--directory", work, "--unix-account", "1000=shop/a"], "--unix-account needs --listen unix:")):
        done = subprocess.run([process.BUILD / "lookaside", *flags], capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode == 2 and words in done.stderr + done.stdout, (flags, done)


def in_a_config_file(work):
    with Served(work) as world:
        config = work / "config.yaml"
        config.write_text(f"unixAccounts: ['{BATCH}=web/a', '{STRANGER}=shop/frontend']\n")
        other = world.folder / "other"
        with Lookaside(work / "second", directory=work / "manifests", flags=[
                "--config", config, "--listen", f"unix:{other}"]):
            world.socket = other
            with world.client(STRANGER) as (said, _):
                assert said["addresses"] == ["10.0.0.1"] and said["cluster"] == "shop/greeter:8001", said


CASES = [users_are_accounts, others_are_nobody, who_may_not_open_it_is_refused_by_the_kernel, settings_that_do_not_fit,
         in_a_config_file]
