"""The cluster's etcd: a process, and what is asked of it over its HTTP gateway."""

import base64
import json
import shutil
import signal
import subprocess
import urllib.request

from process import Process, wait_until

CLIENT, PEER = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
MEMBER = "default"
START_SECONDS = 20
ANSWER_SECONDS = 60


class Etcd:
    def __init__(self, program, utility, folder):
        self.program, self.utility, self.folder = program, utility, folder
        self.data, self.process = folder / "etcd", None

    def start(self):
        self.process = Process("etcd", [
            self.program, f"--data-dir={self.data}", f"--name={MEMBER}", "--log-level=warn",
            f"--listen-client-urls={CLIENT}", f"--advertise-client-urls={CLIENT}",
            f"--listen-peer-urls={PEER}", f"--initial-advertise-peer-urls={PEER}",
            f"--initial-cluster={MEMBER}={PEER}", *self.speed()],
            self.folder / "etcd.log", cwd=self.folder)
        wait_until(self.healthy, START_SECONDS, "etcd healthy")

    def speed(self):
        """The disk is nobody's test here. Debian's etcd does not know the flag."""
        told = subprocess.run([self.program, "--help"], capture_output=True, text=True, check=False)
        return ["--unsafe-no-fsync"] if "--unsafe-no-fsync" in told.stdout + told.stderr else []

    def stop(self):
        process, self.process = self.process, None
        if process:
            process.stop(first=signal.SIGKILL)

    def remove(self):
        shutil.rmtree(self.data, ignore_errors=True)

    @staticmethod
    def ask(path, body=None):
        """The lines of an answer; a GET without a body."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        data = None if body is None else json.dumps(body).encode()
        with opener.open(CLIENT + path, data=data, timeout=ANSWER_SECONDS) as answer:
            return [json.loads(line) for line in answer if line.strip()]

    def healthy(self):
        if self.process.status() is not None:
            raise RuntimeError(f"etcd ended\n{self.process.log_tail()}")
        try:
            return self.ask("/health")[0]["health"] == "true"
        except OSError:
            return False

    def revision(self):
        """The API server's resource versions are these numbers."""
        return int(self.ask("/v3/kv/range", {"key": "AA=="})[0]["header"]["revision"])

    def compact(self):
        """Forgets all history but the newest revision; returns that."""
        revision = self.revision()
        self.ask("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def snapshot(self, path):
        """As "etcdctl snapshot save" does."""
        with open(path, "wb") as out:
            for line in self.ask("/v3/maintenance/snapshot", {}):
                out.write(base64.b64decode(line["result"].get("blob", "")))

    def restore(self, path):
        """While it is stopped. As "etcdutl snapshot restore" does, into a folder of its own."""
        self.remove()
        done = subprocess.run([
            self.utility, "snapshot", "restore", path, f"--data-dir={self.data}",
            f"--name={MEMBER}", f"--initial-cluster={MEMBER}={PEER}",
            f"--initial-advertise-peer-urls={PEER}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"etcdutl snapshot restore: {done.stderr.strip()}")
