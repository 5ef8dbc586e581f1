"""The examples of resolvers/: programs that do not speak xDS, by lookaside.v1.BackendDiscovery.

Each is built into its language's agent, as a user would take it: one file, and what protoc makes of discovery.proto.
"""
import os
import shutil

from conformance import agents
from conformance.agents import DEBIAN_PYTHON, HERE, Language
from conformance.scenarios import (controller_restarted, drain_under_load, scale_up, spread_over_three,
                                   to_zero_and_back)
from conformance.world import World
from support.process import REPOSITORY, wait_until
from support.report import Skip

EXAMPLES = HERE / "resolvers"
PROTOS = REPOSITORY / "pkg/wire/proto"
PROTO = "lookaside/v1/discovery.proto"
GRPC_PLUGIN = "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"
PACKAGE = "lookaside.dev/api"                    # go_package, without v1
AGENT = "lookaside.dev/tests/conformance/agent"
LINES = 150


def _check_length(path):
    lines = len(path.read_text().splitlines())
    assert lines < LINES, f"{path}: {lines} lines are no example"


def build_go(note):
    agents.need("protoc")
    _check_length(EXAMPLES / "go/lookaside.go")

    def build(fresh):
        source, programs = fresh / "source", fresh / "programs"
        environment = ["env", f"GOBIN={programs}", f"PATH={programs}:{os.environ['PATH']}"]
        shutil.copytree(fresh / "also/go", source / "lookaside")
        (source / "native.go").write_text(f'package main\n\nimport _ "{AGENT}/lookaside"\n')
        api = source / "api"
        api.mkdir()
        (api / "go.mod").write_text(f"module {PACKAGE}\n\ngo {agents.GO_NEEDED[0]}.{agents.GO_NEEDED[1]}\n")
        for argv in (["go", "build", "-o", f"{programs}/", "google.golang.org/protobuf/cmd/protoc-gen-go"],
                     ["go", "install", GRPC_PLUGIN],
                     ["protoc", f"--proto_path={PROTOS}",
                      *(f"--{kind}_{word}" for kind in ("go", "go-grpc")
                        for word in ("out=api", f"opt=module={PACKAGE}")), PROTO],
                     ["go", "mod", "edit", f"-require={PACKAGE}@v0.0.0", f"-replace={PACKAGE}=./api"],
                     ["go", "build", "-o", fresh / "agent", "."]):
            agents.run([*environment, *argv], source)

    return agents.go_program("go", agents.go_version(), build, note, also=[EXAMPLES / "go", PROTOS / PROTO])


def build_python(note):
    agents.need("protoc", DEBIAN_PYTHON)
    agents.build_python_debian(note)                 # it says what is missing
    if not agents.output(DEBIAN_PYTHON, "-c", "import google.protobuf as p; print(p.__version__)")[:1].isdigit():
        raise Skip("Debian's python3-protobuf is not installed")
    _check_length(EXAMPLES / "python/lookaside.py")

    def build(fresh):
        agents.run(["protoc", f"--proto_path={(PROTOS / PROTO).parent}", f"--python_out={fresh / 'also/python'}",
                    "discovery.proto"], fresh)

    folder = agents.cached("python", "example", agents.output("protoc", "--version"), note, build,
                           also=[EXAMPLES / "python", PROTOS / PROTO])
    return ["env", f"PYTHONPATH={folder / 'also/python'}", DEBIAN_PYTHON, folder / "source/agent.py"]


LANGUAGES = [Language("resolver-go", build_go, 3000, "Go", None),
             Language("resolver-python", build_python, 3000, "Python", None)]


class NativeWorld(World):
    """Targets name the server, too: no bootstrap does."""

    def publish(self, name, endpoints):
        target, moment = super().publish(name, endpoints)
        return target.replace("xds:///", f"lookaside://{self.lookaside.listen}/"), moment


def reconnect(world, language, notes):
    """A replica that knows the list already only confirms it."""
    target, _ = world.publish("confirmed", world.endpoints(1, 2, 3))
    world.reach(target, ("b1", "b2", "b3"))
    name = target.rpartition("/")[2]

    def told():
        return next((stream for stream in world.lookaside.streams()["streams"]
                     if any(one["name"] == name for one in stream.get("targets", ()))), None)
    with world.load(target) as load:
        load.wait_calls(50)
        before = told()["bytesSent"]
        world.lookaside.restart()
        after = wait_until(lambda: (stream := told()) and stream["responses"] and stream, 30, "the client is back")
        assert (after["responses"], after["confirmations"]) == (1, 1), after
        assert after["bytesSent"] < before / 2, (before, after)
        load.wait_calls(50)
        world.manifests.slice("confirmed", world.endpoints(1, 2, 3, 4))
        load.wait_seen("b4")
        assert told()["changes"] == 1, told()
    load.assert_unfailed()
    notes.append(f"{before} bytes at first, {after['bytesSent']} after it")


SCENARIOS = [
    ("three backends, even within 1 %", spread_over_three),
    ("a fourth backend joins", scale_up),
    ("one drains under load", drain_under_load),
    ("to zero and back", to_zero_and_back),
    ("the controller comes back and confirms", reconnect),
    ("controller killed and restarted", controller_restarted),
]
