"""The chart as Helm renders it, and what a test asks of that."""
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from support.report import Skip

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/lookaside"
POLICY_KIND = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
RELEASE, NAMESPACE = "lookaside", "lookaside-system"
HELM_SECONDS = 60
# Helm says this of the link from the chart to crds/, each time.
LINK_NOTE = "found symbolic link in path"


def find_helm():
    """Built once, in the cache of the e2e suite."""
    sys.path.insert(0, str(ROOT / "tests/e2e"))
    import programs  # pylint: disable=import-outside-toplevel,import-error
    try:
        programs.ensure_module("helm")
    except programs.Missing as missing:
        raise Skip(str(missing)) from missing
    return programs.module_folder("helm") / "helm"


class Refused(Exception):
    """Helm's own words."""


class Rendered:
    """The objects of one rendering."""

    def __init__(self, text):
        self.objects = [o for o in yaml.safe_load_all(text) if o]

    def all(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind, name=None):
        found = [o for o in self.all(kind) if name is None or o["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects of kind {kind} {name or ''}"
        return found[0]

    def kinds(self):
        return {o["kind"] for o in self.objects}

    def pod(self):
        return self.one("Deployment")["spec"]["template"]

    def config_text(self):
        return self.one("ConfigMap", RELEASE)["data"]["config.yaml"]


class Helm:
    def __init__(self, program):
        self.program = program
        self.home = Path(tempfile.mkdtemp(prefix="lookaside-chart-"))
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)}

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *argv):
        """(what it prints, what it says beside that)."""
        done = subprocess.run([self.program, *map(str, argv)], env=self.env, cwd=self.home,
                              capture_output=True, text=True, timeout=HELM_SECONDS, check=False)
        said = "\n".join(line for line in done.stderr.splitlines() if LINK_NOTE not in line)
        if done.returncode != 0:
            raise Refused(said + done.stdout)
        return done.stdout, said

    @contextlib.contextmanager
    def values(self, values):
        path = self.home / "values.yaml"
        path.write_text(json.dumps(values))  # which is YAML
        yield ("--values", path)

    def template(self, values=None, *flags, policies=True, namespace=NAMESPACE, chart=CHART):
        """policies: whether the cluster knows MutatingAdmissionPolicy."""
        if policies:
            flags += ("--api-versions", POLICY_KIND)
        with self.values(values or {}) as file_flags:
            text, said = self.run("template", RELEASE, chart, "--namespace", namespace, *file_flags,
                                  *flags)
        assert not said, f"helm template says: {said}"
        return Rendered(text)

    def notes(self, values=None):
        with self.values(values or {}) as flags:
            text, _ = self.run("install", RELEASE, CHART, "--namespace", NAMESPACE,
                               "--dry-run=client", *flags)
        return text.split("NOTES:\n", 1)[1]
