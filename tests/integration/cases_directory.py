"""A directory of manifests as people, editors, kubelets and disks change it, under clients that watch.

The oracle is that of world.py: every list that a client sees is one that the directory really held.
"""
import os
import time
from pathlib import Path

from tests.support import manifests
from tests.support.lookaside import Lookaside
from tests.support.process import BUILD, PLAIN_BUILD, wait_until

from .fleet import DEADLINE, AdsObserver, NativeObserver
from .world import SERVICE, check_seen, endpoint_slice

NAMESPACE = "shop"


class Directory:
    """A controller on a directory, two clients of one Service, and what they may have seen."""

    def __init__(self, work, fill, build=BUILD):
        self.work, self.path = Path(work), Path(work) / "manifests"
        self.path.mkdir()
        self.history = []
        fill(self)
        self.controller = Lookaside(self.work, self.path, flags=["--threads", "1"], build=build)

    def __enter__(self):
        self.controller.start()
        self.observers = [AdsObserver(self.controller.listen, [NAMESPACE]),
                          NativeObserver(self.controller.listen, [NAMESPACE])]
        self.settle()
        return self

    def __exit__(self, kind, *_):
        for observer in self.observers:
            observer.close()
        code = self.controller.stop()
        if kind is None:
            assert code == 0, self.controller.process.log()
            for observer in self.observers:
                check_seen(observer.seen[NAMESPACE], self.history)

    def held(self, *addresses):
        """From now on this is the truth."""
        if self.history[-1:] != [frozenset(addresses)]:
            self.history.append(frozenset(addresses))

    def settle(self, timeout=DEADLINE):
        for observer in self.observers:
            observer.wait({NAMESPACE: self.history[-1]}, timeout)

    def metric(self, name):
        return self.controller.metrics()[f"lookaside_source_{name}"]

    def log(self):
        return self.controller.process.log(100000)


def _service_text():
    return manifests.to_yaml(manifests.service(SERVICE, NAMESPACE))


def _slice_text(suffix, *addresses):
    return manifests.to_yaml(endpoint_slice(suffix, addresses))


def _text(*addresses):
    return _service_text() + "---\n" + _slice_text("a", *addresses)


def _one_file(directory):
    (directory.path / "greeter.yaml").write_text(_text("10.0.0.1"))
    directory.held("10.0.0.1")


# ---- a mounted ConfigMap ----

def _mount(directory, version):
    """As the kubelet's atomic writer: a folder with a time in its name, and ..data swapped to it."""
    folder = directory.path / f"..2026_01_01_00_00_{version:03}"
    folder.mkdir()
    (folder / "one.yaml").write_text(_service_text() + "---\n" + _slice_text("a", f"10.1.0.{version}"))
    (folder / "two.yaml").write_text(_slice_text("b", f"10.2.0.{version}"))
    (directory.path / "..data_tmp").symlink_to(folder.name)
    directory.held(f"10.1.0.{version}", f"10.2.0.{version}")
    old = directory.path / "..data"
    before = os.readlink(old) if old.is_symlink() else None
    os.rename(directory.path / "..data_tmp", old)
    if before:
        for entry in (directory.path / before).iterdir():
            entry.unlink()
        (directory.path / before).rmdir()


def _mounted(directory):
    _mount(directory, 1)
    for name in ("one.yaml", "two.yaml"):
        (directory.path / name).symlink_to(f"..data/{name}")


def config_maps_are_swapped_whole(work):
    """Two files change in one step: no client sees one of each."""
    with Directory(work, _mounted) as directory:
        for version in range(2, 100):
            _mount(directory, version)
            time.sleep(version % 10 / 1000)            # swaps fall into every part of a look
            if version % 10 == 0:
                begin = time.monotonic()
                directory.settle()
                assert time.monotonic() - begin < 1.9, "not seen, but found by looking"
        directory.settle()


# ---- writers ----

def _rename_over(path, text):
    fresh = path.with_name("sedAb1X")
    fresh.write_text(text)
    os.rename(fresh, path)


def _in_place(path, text):
    path.write_text(text)


def _slowly(path, text):
    with open(path, "w") as file:
        for at in range(0, len(text), len(text) // 3):
            file.write(text[at:at + len(text) // 3])
            file.flush()
            time.sleep(0.35)


def _as_vim(path, text):
    swap, backup = path.with_name(f".{path.name}.swp"), path.with_name(f"{path.name}~")
    swap.write_bytes(b"b0VIM 9.0")
    path.with_name("4913").write_text("")
    path.with_name("4913").unlink()
    os.rename(path, backup)
    path.write_text(text)
    backup.unlink()
    swap.unlink()


def _as_emacs(path, text):
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("user@host.1:2")
    path.with_name(f"#{path.name}#").write_text(text)
    path.write_text(text)
    path.with_name(f"#{path.name}#").unlink()
    lock.unlink()


def _delete_and_write(path, text):
    path.unlink()
    path.write_text(text)


def _by_link(path, text):
    target = path.with_name("target")
    if target.exists():
        target.unlink()
    target.write_text(text)
    path.unlink()
    path.symlink_to("target")


def every_way_of_writing_is_seen_whole(work):
    ways = [_rename_over, _in_place, _slowly, _as_vim, _as_emacs, _delete_and_write, _by_link,
            _rename_over]
    with Directory(work, _one_file) as directory:
        for number, way in enumerate(ways):
            addresses = [f"10.0.{number}.{k}" for k in range(1, 6)]
            directory.held(*addresses)
            way(directory.path / "greeter.yaml", _text(*addresses))
            try:
                directory.settle()
            except AssertionError as error:
                raise AssertionError(f"{way.__name__}: {error}") from None
        assert "bad manifest" not in directory.log(), directory.log()


# ---- what is wrong with a file ----

BAD_FILES = {
    "kind: [unclosed\n": "did not find expected",
    "kind: Service\n\tname: x\n": "line 6, column 1",
    "kind: Service\nkind: Service\n": "duplicate key 'kind', first on line 5",
    "kind: \xff\n": "line 5, column 7",
    "kind: \0\n": "line 5, column 7",
    "- a\n- b\n": "line 5: expected an object, found an array",
    "apiVersion: v1\nkind: Service\n": "line 5: metadata.name: missing",
    "apiVersion: v1\nkind: List\nitems:\n- 7\n": "items[0]: expected an object",
    "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi")): "too many values, aliases expanded",
    "[" * 5000: "nested too deeply",
    "a: b: c\n": "line 5",
    "!!python/object:os.system {}\n": "a tag outside the core schema",
}


def bad_files_keep_what_they_gave(work):
    """Each has a good first document: of a malformed file nothing is taken, not even that."""
    with Directory(work, _one_file) as directory:
        for number in range(len(BAD_FILES)):
            (directory.path / f"more-{number:02}.yaml").write_text(_slice_text(f"m{number}", f"10.3.0.{number}"))
        truth = {"10.0.0.1", *(f"10.3.0.{number}" for number in range(len(BAD_FILES)))}
        directory.history.append(frozenset(truth))
        _wait_without_oracle(directory, truth)
        good = "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n---\n"
        for number, text in enumerate(BAD_FILES):
            _rename_over_bytes(directory.path / f"more-{number:02}.yaml", (good + text).encode("latin-1"))
        wait_until(lambda: directory.metric("bad_files") == len(BAD_FILES), DEADLINE,
                   lambda: f"all are bad: {directory.metric('bad_files')}\n{directory.log()}")
        log = directory.log()
        for number, part in enumerate(BAD_FILES.values()):
            line = next(line for line in log.splitlines() if f"file=more-{number:02}.yaml" in line)
            assert part in line and "what it gave before stays" in line, f"'{part}' is not in: {line}"
        assert frozenset(truth) == directory.observers[0].seen[NAMESPACE][-1]
        for number in range(len(BAD_FILES)):
            (directory.path / f"more-{number:02}.yaml").unlink()
        (directory.path / "greeter.yaml").write_text(_text("10.0.0.2"))
        _wait_without_oracle(directory, {"10.0.0.2"})


def _wait_without_oracle(directory, addresses):
    """The files change one by one, so that many lists on the way are true."""
    directory.history.clear()
    directory.history.append(frozenset(addresses))
    directory.settle()
    for observer in directory.observers:
        with observer.news:
            del observer.seen[NAMESPACE][:-1]


def _rename_over_bytes(path, data):
    fresh = path.with_name("fresh.tmp")
    fresh.write_bytes(data)
    os.rename(fresh, path)


# ---- the directory itself ----

def directory_that_goes_and_comes_back(work):
    with Directory(work, _one_file) as directory:
        aside = work / "aside"
        os.rename(directory.path, aside)
        wait_until(lambda: "cannot read the folder" in directory.log(), DEADLINE, "its absence is said")
        assert directory.controller.get("/readyz")[0] == 200
        directory.path.mkdir()                         # empty at first: a mount point
        time.sleep(0.3)
        directory.held("10.0.0.2")
        (directory.path / "greeter.yaml").write_text(_text("10.0.0.2"))
        directory.settle()
        for entry in directory.path.iterdir():         # now a link to another one
            entry.unlink()
        directory.path.rmdir()
        directory.held("10.0.0.1")
        directory.path.symlink_to(aside)
        directory.settle()
        for number in range(3, 6):                     # which is watched
            directory.held(f"10.0.0.{number}")
            begin = time.monotonic()
            _rename_over(aside / "greeter.yaml", _text(f"10.0.0.{number}"))
            directory.settle()
            assert time.monotonic() - begin < 1.9, "not seen, but found by looking"


def ten_thousand_files(work):
    """Of which one changes."""
    def fill(directory):
        _one_file(directory)
        text = manifests.to_yaml(manifests.service("NAME", NAMESPACE)) + "---\n" + manifests.to_yaml(
            manifests.endpoint_slice("NAME-a", "NAME", [manifests.Endpoint(f"ADDRESS.{k}")
                                                        for k in range(1, 6)]))
        for number in range(9999):
            (directory.path / f"service-{number}.yaml").write_text(text.replace(
                "NAME", f"s{number}").replace("ADDRESS", f"10.{64 + (number >> 8)}.{number & 255}"))
    with Directory(work, fill, PLAIN_BUILD) as directory:
        assert directory.metric("files") == 10000
        memory = directory.controller.memory()
        assert memory < 150 << 10, f"{memory} KiB"
        reads = directory.metric("reads_total")
        for number in range(2, 7):
            directory.held(f"10.0.0.{number}")
            _rename_over(directory.path / "greeter.yaml", _text(f"10.0.0.{number}"))
            directory.settle(5)
        assert directory.metric("reads_total") - reads == 5, "others were read, too"
        grown = directory.controller.memory() - memory
        assert grown < 4 << 10, f"{grown} KiB more"


CASES = [config_maps_are_swapped_whole, every_way_of_writing_is_seen_whole,
         bad_files_keep_what_they_gave, directory_that_goes_and_comes_back, ten_thousand_files]
