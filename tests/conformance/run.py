#!/usr/bin/python3
"""Conformance: stock gRPC clients of every language against the real controller.

run.py [--language go,java,...] [--scenarios] [--policies] [--grpclb] [--load] [--security] [--story] [--write-readme] [--keep] [--jobs N]

A language whose toolchain is missing is skipped by name; with LOOKASIDE_NO_SKIP=1 that fails.
Exit code: 0, 1 if anything failed, 77 if everything was skipped.
"""
import argparse
import concurrent.futures
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEBIAN_PYTHON = "/usr/bin/python3"
if importlib.util.find_spec("grpc") is None and sys.executable != DEBIAN_PYTHON:
    os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])      # python3-grpcio is installed for it

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conformance import load, matrix, policies_run, resolvers, security, story
from conformance.agents import LANGUAGES
from conformance.scenarios import SCENARIOS
from conformance.world import World
from support import lookaside, process
from support.report import Report, Skip

HERE = Path(__file__).resolve().parent
PROTOCOL, GRPCURL, INTEROP = "protocol", "grpcurl", "interop"


def missing_packages():
    """The packages of packages.txt whose command or file is not there."""
    missing = []
    for line in (HERE / "packages.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            package, probe = line.split()
            if not (os.path.exists(probe) if probe.startswith("/") else shutil.which(probe)):
                missing.append(package)
    return missing


def install_packages(report):
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        report.note("not installed; on Debian: apt-get install " + " ".join(missing))
        return
    report.note("installing " + " ".join(missing))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", "-y", *argv], env=environment, timeout=900,
                              capture_output=True, text=True)
        if done.returncode != 0:
            report.note(f"apt-get {argv[0]} failed: {done.stderr.strip()[-500:]}")
            return


def build_agents(languages, report, jobs):
    """{language: command line} of those that can be built; the others are skipped or failed."""
    commands = {}

    def build(language):
        try:
            commands[language.name] = language.build(report.note)
        except Skip as reason:
            report.skip(language.name, str(reason))
        except Exception as error:
            report.fail(f"{language.name}: build of the agent", str(error))

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(build, languages))
    return commands


def run_language(language, command, work, report):
    native = language in resolvers.LANGUAGES
    try:
        with (resolvers.NativeWorld if native else World)(work, command) as world:
            for title, scenario in resolvers.SCENARIOS if native else SCENARIOS:
                world.revive()
                with report.case(f"{language.name}: {title}") as notes:
                    world.run(scenario, language, notes)
            with report.case(f"{language.name}: the controller ends cleanly"):
                world.end_controller()
    except Exception as error:
        report.fail(f"{language.name}: set-up", str(error))


def run_module(name, work, report):
    if importlib.util.find_spec("grpc") is None:
        report.skip(name, "Debian's python3-grpcio is not installed")
        return
    # It needs grpcio, which may have been installed just now.
    importlib.import_module(f"conformance.{name}").run(work, report)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [language.name for language in LANGUAGES + resolvers.LANGUAGES] + [PROTOCOL, GRPCURL, INTEROP]
    parser.add_argument("--language", default="", metavar="A,B",
                        help="only these (a prefix will do): " + ", ".join(names))
    parser.add_argument("--scenarios", action="store_true",
                        help="what every client has to see, and the protocol")
    parser.add_argument("--policies", action="store_true",
                        help="what each policy does with each client, beside the README's table")
    parser.add_argument("--grpclb", action="store_true",
                        help="what each client does with grpclb, beside the README's table")
    parser.add_argument("--load", action="store_true",
                        help="what each client reports of its calls, beside the README's table")
    parser.add_argument("--security", action="store_true",
                        help="how each client comes in, beside the README's table")
    parser.add_argument("--write-readme", action="store_true",
                        help="write those tables instead of comparing them")
    parser.add_argument("--story", action="store_true",
                        help="a million calls of the C++ client instead of the scenarios")
    parser.add_argument("--keep", action="store_true", help="keep logs and manifests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2,
                        help="languages at the same time (default: one per CPU)")
    arguments = parser.parse_args()
    wanted = [word for word in arguments.language.split(",") if word] or [""]
    arguments.names = [name for name in names if any(name.startswith(word) for word in wanted)]
    for word in wanted:
        if not any(name.startswith(word) for name in names):
            parser.error(f"no such language: {word}")
    parts = ("scenarios", "policies", "grpclb", "load", "security")
    if not any(getattr(arguments, part) for part in parts):
        vars(arguments).update(dict.fromkeys(parts, True))
    return arguments


def run_scenarios(arguments, languages, commands, report, work):
    examples = [language for language in resolvers.LANGUAGES if language.name in arguments.names]
    commands = {**commands, **build_agents(examples, report, arguments.jobs)}
    languages = languages + [language for language in examples if language.name in commands]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        tasks = [pool.submit(run_language, language, commands[language.name],
                             work / language.name, report) for language in languages]
        tasks += [pool.submit(run_module, name, work / name, report)
                  for name in (PROTOCOL, GRPCURL, INTEROP) if name in arguments.names]
        for task in tasks:
            task.result()


def run_table(part, what, arguments, languages, commands, report, work, jobs):
    """Every client's column of that table in the README. part: the module with the rows and run_language(). jobs: clients at
    a time; those that wait most of theirs can be more than there are CPUs."""
    table = matrix.Matrix(what, part.ROWS, arguments.write_readme)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda language: part.run_language(
            language, commands[language.name], work / f"{language.name}-{what}", report, table), languages))
    if arguments.write_readme:
        table.write([matrix.column_of(language) for language in LANGUAGES])


def run_policies(arguments, languages, commands, report, work):
    begin = time.monotonic()
    run_table(policies_run, "policies", arguments, languages, commands, report, work,
              arguments.jobs + arguments.jobs // 2)
    report.note(f"the policies took {time.monotonic() - begin:.0f} s")


def run_grpclb(arguments, languages, commands, report, work):
    if importlib.util.find_spec("grpc") is None:
        report.skip("grpclb", "Debian's python3-grpcio is not installed")
        return
    # It needs grpcio, which may have been installed just now.
    from conformance import grpclb    # pylint: disable=import-outside-toplevel
    run_table(grpclb, "grpclb", arguments, languages, commands, report, work, 2 * arguments.jobs)


def run_load(arguments, languages, commands, report, work):
    run_table(load, "load", arguments, languages, commands, report, work, arguments.jobs)


def run_security(arguments, languages, commands, report, work):
    run_table(security, "security", arguments, languages, commands, report, work, arguments.jobs)


def run_all(arguments, report, work):
    if arguments.story:
        arguments.names = ["cpp"]
    languages = [language for language in LANGUAGES if language.name in arguments.names]
    install_packages(report)
    commands = build_agents(languages, report, arguments.jobs)
    if arguments.story:
        if "cpp" in commands:
            story.run(commands["cpp"], work / "story", report)
        return
    languages = [language for language in languages if language.name in commands]
    for wanted, part in ((arguments.scenarios, run_scenarios), (arguments.grpclb, run_grpclb),
                         (arguments.load, run_load), (arguments.security, run_security),
                         (arguments.policies, run_policies)):
        if wanted:
            part(arguments, languages, commands, report, work)


def main():
    arguments = parse_arguments()
    report = Report("conformance")
    lacking = lookaside.build_has("lookaside", "greeter", "xds-fixture", "grpc-testserver")
    if lacking:
        report.fail("conformance", f"{process.BUILD / lacking} is missing: run make all fixtures first")
        return report.finish()
    work = Path(tempfile.mkdtemp(prefix="lookaside-conformance-"))
    begin = time.monotonic()
    try:
        run_all(arguments, report, work)
    except KeyboardInterrupt:
        os._exit(130)                 # children die with this process
    report.note(f"took {time.monotonic() - begin:.0f} s")
    if arguments.keep or report.failed:
        report.note(f"logs and manifests are in {work}")
    else:
        shutil.rmtree(work, ignore_errors=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
