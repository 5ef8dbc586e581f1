"""The image: the steps of cmd/lookaside/Dockerfile run in scratch roots, and what comes out."""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from image.dockerfile import ROOT, Builder, instructions  # noqa: E402
from support.report import SKIP_EXIT, Report, Skip  # noqa: E402

DOCKERFILE = ROOT / "cmd/lookaside/Dockerfile"
PROGRAMS = {"lookaside", "lookasidectl"}
MANIFEST = """apiVersion: v1
kind: Service
metadata: {name: greeter, namespace: shop}
spec: {ports: [{name: grpc, port: 8001}]}
"""
SERVE = """mkdir /tmp/manifests && echo "$0" >/tmp/manifests/greeter.yaml
lookaside --directory /tmp/manifests --listen 127.0.0.1:28000 --admin unix:/tmp/admin &
for try in $(seq 50); do
    lookasidectl watch greeter.shop:8001 --server 127.0.0.1:28000 --once && break
    sleep 0.1
done
kill $! && wait $!
"""


def runs_as_the_chart_says(_builder, stage):
    import yaml  # pylint: disable=import-outside-toplevel
    values = yaml.safe_load((ROOT / "charts/lookaside/values.yaml").read_text())
    pod = values["podSecurityContext"]
    assert stage.user == f"{pod['runAsUser']}:{pod['runAsGroup']}", stage.user
    template = (ROOT / "charts/lookaside/templates/deployment.yaml").read_text()
    ports = [int(port) for port in re.findall(r"containerPort: (\d+)", template)]
    assert stage.ports == ports, (stage.ports, ports)
    assert stage.entrypoint == ["lookaside"], stage.entrypoint


def holds_the_programs_and_no_compiler(builder, stage):
    assert set(builder.inside(stage, "ls", "/usr/local/bin").split()) == PROGRAMS
    left = builder.inside(stage, "sh", "-c", "ls /src /out /var/lib/apt/lists/* 2>/dev/null; "
                          "command -v gcc make; true")
    assert not left.strip(), left
    for program in sorted(PROGRAMS):
        path = f"/usr/local/bin/{program}"
        libraries = builder.inside(stage, "ldd", path)
        assert "not found" not in libraries, libraries
        mode = builder.inside(stage, "stat", "-c", "%a %U", path).split()
        assert mode == ["755", "root"], mode


def says_its_version(builder, stage):
    version = re.search(r"appVersion: (\S+)", (ROOT / "charts/lookaside/Chart.yaml").read_text())[1]
    assert builder.inside(stage, *stage.entrypoint, "--version").split()[-1] == version
    tag = re.search(r"-t lookaside:(\S+) ", DOCKERFILE.read_text())[1]
    assert tag == version, tag


def has_what_the_chart_s_test_calls(builder, stage):
    builder.inside(stage, "/bin/sh", "-euc", "command -v seq sleep lookasidectl")


def serves(builder, stage):
    said = builder.inside(stage, "sh", "-c", SERVE, MANIFEST)
    assert "greeter.shop:8001  0 backends" in said, said


def leaves_the_tree_alone(_builder, _stage):
    """Whatever is copied is there, and .dockerignore lets it through."""
    copied = [word for name, rest in instructions(DOCKERFILE) if name == "COPY"
              for word in rest.split()[:-1] if not rest.startswith("--from")]
    assert copied and all((ROOT / word).exists() for word in copied), copied


CASES = (runs_as_the_chart_says, holds_the_programs_and_no_compiler, says_its_version,
         has_what_the_chart_s_test_calls, serves, leaves_the_tree_alone)


def main():
    report, stage = Report("image"), None
    try:
        builder = Builder(report.note)
    except Skip as reason:
        report.skip("image", str(reason))
        report.finish()
        return 1 if report.failed else SKIP_EXIT
    try:
        with report.case("its steps run"):
            stage = builder.build(DOCKERFILE)
        for case in CASES if stage else ():
            with report.case(case.__name__):
                case(builder, stage)
    finally:
        builder.close()
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
