"""Flags, config files, kubeconfigs and manifests that are wrong: refused with the place and the cause."""
import re
import struct
import subprocess

import grpc

from tests.support import ads, h2raw, manifests, process
from tests.support.lookaside import Lookaside

from .world import CLUSTER, Client, World

CA = "LS0tLS1CRUdJTiBYLS0tLS0K"
KUBECONFIG = """
clusters: [{{name: c, cluster: {{{cluster}}}}}]
users: [{{name: u, user: {{{user}}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: {current}
"""
SERVER = "server: 'https://127.0.0.1:1'"


def _run(work, *flags, env=None):
    """(exit code, what it printed) of a controller that must end by itself."""
    child = process.Process([process.BUILD / "lookaside", *flags], work / "run.log", env=env)
    child.log_path.unlink(missing_ok=True)
    with child:
        return child.wait(20), child.log()


def _refused(work, code, *texts, flags):
    got, log = _run(work, *flags)
    assert got == code, f"{flags}: exit {got}: {log}"
    for text in texts:
        assert text in log, f"{flags}: no '{text}' in: {log}"
    assert len(log.splitlines()) <= 3, f"{flags}: {log}"


def flags_that_are_wrong(work):
    cases = [
        (["--no-such-flag", "1"], "unknown flag --no-such-flag"),
        (["--listen"], "--listen needs a value"),
        (["--listen", "127.0.0.1:99999"], "--listen"),
        (["--listen", "nonsense"], "--listen"),
        (["--admin", ":x"], "--admin"),
        (["--threads", "0"], "--threads"),
        (["--threads", "many"], "--threads"),
        (["--namespaces", "A/B"], "--namespaces"),
        (["--log-level", "loud"], "--log-level"),
        (["--unknown-names", "maybe"], "--unknown-names"),
        (["--shutdown-timeout", "soon"], "--shutdown-timeout"),
        (["--kubeconfig", "a", "--directory", "b"], "exclude each other"),
        (["--namespaces", "a", "--directory", "b"], "--namespaces and --directory exclude"),
        (["--namespaces="], "--namespaces: '' is not a namespace"),
        (["--namespaces", "a,"], "--namespaces: '' is not a namespace"),
        (["--source", "pods"], "--source: expected slices or endpoints"),
        (["--nodes=perhaps"], "--nodes: expected true or false"),
        (["--nodes", "true"], "unexpected argument 'true'"),
        (["--nodes", "--directory", "b"], "--nodes and --directory exclude"),
        (["--source=endpoints", "--directory", "b"], "--source endpoints and --directory exclude"),
        (["--cluster-domain", "."], "--cluster-domain"),
        (["--cluster-domain", "cluster.local.."], "--cluster-domain"),
        (["--leader-election=maybe"], "--leader-election: expected true or false"),
        (["--lease", "lookaside"], "--lease: expected NAMESPACE/NAME"),
        (["--lease", "a/b/c", "--leader-election"], "--lease: expected NAMESPACE/NAME"),
        (["--lease", "a/b"], "--lease needs --leader-election"),
        (["--identity="], "--identity: expected 1 to 253 characters"),
        (["--replicas-service", "A/b", "--status"], "--replicas-service: expected NAMESPACE/NAME"),
        (["--replicas-service", "a/b", "--rebalance=false"], "--replicas-service needs"),
        (["--replicas-service", "a/b", "--rebalance=false", "--leader-election", "--status=false"],
         "--replicas-service needs"),
        (["--replicas-service", "a/b", "--directory", "b"], "--replicas-service and --directory exclude"),
        (["--rebalance"], "--rebalance needs --replicas-service"),
        (["--rebalance=perhaps"], "--rebalance: expected true or false"),
        (["--rebalance-age", "old"], "--rebalance-age"),
        (["--rebalance-age", "999ms"], "--rebalance-age: expected 1s or more"),
        (["--rebalance-age", "2h"], "--rebalance-age"),
        (["--load-reports=perhaps"], "--load-reports: expected true or false"),
        (["--load-reports", "--load-report-interval", "999ms"], "--load-report-interval: expected 1s or more"),
        (["--load-reports", "--load-report-interval", "2h"], "--load-report-interval"),
        (["--load-report-interval", "10s"], "--load-report-interval needs --load-reports"),
        (["--leader-election", "--directory", "b"], "--leader-election and --directory exclude"),
        (["--status", "--directory", "b"], "--status and --directory exclude"),
        (["--limit", "resets"], "--limit: expected NAME=VALUE"),
        (["--limit=speed=1"], "--limit: no limit 'speed': --help lists them"),
        (["--limit", "resets=0"], "--limit: resets: expected a number a second from 1 to 1000000, found '0'"),
        (["--limit", "header-list=2KiB"], "--limit: header-list: expected bytes (KiB, MiB, GiB) from 4KiB to 1MiB, found '2KiB'"),
        (["--limit", "keepalive=60"], "--limit: keepalive: expected a duration from 1s to 24h, found '60'"),
        (["--limit", "message=8MiB", "--limit", "unfinished=4MiB"], "limit 'unfinished' is below 'message'"),
        (["stray"], "unexpected argument 'stray'"),
    ]
    for flags, text in cases:
        _refused(work, 2, text, flags=flags)


def config_files_that_are_wrong(work):
    path = work / "config.yaml"
    cases = [
        ("threads: [", "line "),
        ("tread: 1\n", "unknown setting 'tread'"),
        ("threads: 0\n", "threads"),
        ("threads: 2.7\n", "threads: expected a whole number, found 2.7"),
        ("threads: 1e99\n", "threads: expected a whole number"),
        ("namespaces: []\n", "namespaces: the list is empty"),
        ("threads: {a: 1}\n", "threads"),
        ("threads: true\n", "threads: expected a text, found a boolean"),
        ("nodes: 1\n", "nodes: expected true or false"),
        ("nodes: []\n", "nodes: expected true or false, found an array"),
        ("source: pods\n", "source: expected slices or endpoints"),
        ("listen: [':18000', 5x]\n", "listen"),
        ("[]\n", "expected settings"),
        ("limits: [resets]\n", "limits: expected a mapping, found an array"),
        ("limits: {speed: 1}\n", "limits: no limit 'speed'"),
        ("limits: {resets: [1]}\n", "limits: resets: expected a text, found an array"),
        ("limits: {resets: 1.5}\n", "limits: resets: expected a whole number, found 1.5"),
        ("limits: {message: 1kb}\n", "limits: message: expected bytes (KiB, MiB, GiB) from 1KiB to 64MiB, found '1kb'"),
    ]
    for text, want in cases:
        path.write_text(text)
        _refused(work, 2, str(path), want, flags=["--config", path])
    _refused(work, 2, "/dev/zero", "larger than", flags=["--config", "/dev/zero"])
    _refused(work, 2, "/nowhere/config.yaml", "No such file", flags=["--config", "/nowhere/config.yaml"])


def kubeconfigs_that_are_wrong(work):
    path = work / "kubeconfig"
    cases = [
        ("clusters: [", "line "),
        ("", "is empty"),
        ("[]", "expected a mapping"),
        (KUBECONFIG.format(cluster=SERVER, user="", current="gone"), "no entry named 'gone'"),
        (KUBECONFIG.format(cluster="", user="token: t", current="x"), "clusters[c].cluster"),
        (KUBECONFIG.format(cluster="server: 'h:1'", user="token: t", current="x"),
         "clusters[c].cluster.server: expected a URL"),
        (KUBECONFIG.format(cluster=SERVER + ", certificate-authority-data: '?'", user="token: t",
                           current="x"), "clusters[c].cluster.certificate-authority-data: not base64"),
        (KUBECONFIG.format(cluster=SERVER + ", certificate-authority: ca.pem", user="token: t",
                           current="x"), "certificate-authority: cannot read"),
        (KUBECONFIG.format(cluster=SERVER, user="exec: {command: aws}", current="x"),
         "users[u].user.exec.apiVersion: expected client.authentication.k8s.io/v1 or v1beta1"),
        (KUBECONFIG.format(cluster=SERVER, user=f"client-certificate-data: {CA}", current="x"),
         "users[u].user: client-certificate without client-key"),
        (KUBECONFIG.format(cluster=SERVER, user="tokenFile: 5", current="x"),
         "users[u].user.tokenFile: expected a string, found a number"),
    ]
    for text, want in cases:
        path.write_text(text)
        _refused(work, 1, str(path), want, flags=["--kubeconfig", path, "--listen", "127.0.0.1:0",
                                                  "--admin", "127.0.0.1:0"])
    _refused(work, 1, "/nowhere/kubeconfig", "No such file", flags=[
        "--kubeconfig", "/nowhere/kubeconfig", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])


def context_that_is_not_there(work):
    path = work / "kubeconfig"
    path.write_text(KUBECONFIG.format(cluster=SERVER, user="token: t", current="x"))
    _refused(work, 1, "contexts: there is no entry named 'y'", flags=[
        "--kubeconfig", path, "--context", "y", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])


def domain_with_its_dot(work):
    """'cluster.local.', as DNS writes it, is the same domain."""
    folder = manifests.Manifests(work / "manifests")
    folder.service("greeter")
    folder.slice("greeter", [manifests.Endpoint("10.0.0.1")])
    name = "greeter.shop.svc.example.org:8001"
    with Lookaside(work, directory=work / "manifests",
                   flags=["--cluster-domain", "example.org."]) as controller:
        with ads.connect(controller.listen) as channel:
            stream = ads.Stream(channel)
            got = stream.subscribe(ads.LDS, [name])
            assert got.resources[name].cluster == CLUSTER, got.resources
            stream.cancel()


def neither_cluster_nor_directory(work):
    code, log = _run(work, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                     env={"KUBERNETES_SERVICE_HOST": None, "KUBERNETES_SERVICE_PORT": None})
    assert code == 1 and "--kubeconfig" in log and "--directory" in log, (code, log)


def settings_from_a_config_file(work):
    """Every setting of the file counts, and flags win over it."""
    with World(work, start=False) as world:
        config = work / "config.yaml"
        config.write_text(f"kubeconfig: {work / 'kubeconfig'}\nlogFormat: json\nthreads: 2\n"
                          f"listen: ['127.0.0.1:1', '{world.controller.listen}']\n")
        world.controller.process.argv = [str(process.BUILD / "lookaside"), "--config", str(config),
                                         "--listen", world.controller.listen,
                                         "--admin", world.controller.admin]
        world.ready()
        world.client()
        assert all(line.startswith("{") for line in world.log().splitlines()), world.log()


def limits_of_the_file_and_of_flags(work):
    """By name: a flag leaves the file's other limits alone."""
    config = work / "config.yaml"
    config.write_text("limits: {connections-per-address: 3, names: 1, streams: 2, message: 8MiB}\n")
    manifests.Manifests(work / "manifests").service("greeter")
    with Lookaside(work, directory=work / "manifests", flags=[
            "--config", config, "--limit", "connections-per-address=1", "--limit=streams=7"]) as controller:
        in_force = {name: controller.metrics()[f'lookaside_grpc_limit{{limit="{name}"}}']
                    for name in ("connections-per-address", "names", "message", "unfinished", "unfinished-total", "keepalive")}
        assert in_force == {"connections-per-address": 1, "names": 1, "message": 8 << 20, "unfinished": 8 << 20,
                            "unfinished-total": 64 << 20, "keepalive": 60}, in_force
        peer = h2raw.Peer(controller.listen)
        streams = dict(struct.iter_unpack("!HI", peer.until(h2raw.SETTINGS)[3]))[3]
        assert streams == 7, streams
        h2raw.Peer(controller.listen).wait_closed()
        peer.close()
        process.wait_until(lambda: controller.metrics()["lookaside_connections"] == 0, 5, "the first is gone")
        with ads.connect(controller.listen) as channel:
            stream = ads.Stream(channel)
            stream.send(ads.EDS, ["shop/a:1", "shop/b:1"])
            assert stream.status() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert stream.call.details() == "more than 1 names on one stream: ask for the others on another"


def limits_are_in_the_readme(work):
    """Each with its default, as --help has it, and its range, as an error has it."""
    text = subprocess.run([process.BUILD / "lookaside", "--help"], capture_output=True, text=True, check=True).stdout
    told = re.findall(r"^ {8}([a-z-]+) +([0-9]\S*) ", text, re.MULTILINE)
    table = (process.REPOSITORY / "README.md").read_text().partition("\n## Limits\n")[2]
    written = re.findall(r"^\| `([a-z-]+)` \| ([0-9]\S*) \| (\S+ to \S+) \|", table, re.MULTILINE)
    assert len(told) == 20 and sorted(told) == sorted(each[:2] for each in written), (told, written)
    for name, _, range_ in written:
        _refused(work, 2, f"from {range_}", flags=["--limit", f"{name}=x"])


def the_least_manifest_of_the_readme(work):
    text = (process.REPOSITORY / "README.md").read_text()
    manifest = re.search(r"The least that there is to serve.*?```yaml\n(.*?)```", text, re.DOTALL)[1]
    (work / "manifests").mkdir()
    (work / "manifests" / "greeter.yaml").write_text(manifest)
    with Lookaside(work, directory=work / "manifests") as controller, ads.connect(controller.listen) as channel:
        stream = ads.Stream(channel, ads.node())
        assert stream.subscribe(ads.EDS, ["shop/greeter:8001"]).resources["shop/greeter:8001"].addresses == ["10.0.0.1"]
        stream.cancel()


def directory_that_is_not_there(work):
    _refused(work, 1, "/nowhere", flags=["--directory", "/nowhere", "--listen", "127.0.0.1:0",
                                         "--admin", "127.0.0.1:0"])


def manifests_that_are_wrong(work):
    """Each names its file and cause in the log; the other files count, and the last good state stays."""
    folder = manifests.Manifests(work / "manifests")
    folder.service("greeter")
    folder.slice("greeter", [manifests.Endpoint("10.0.0.1")])
    broken = {
        "yaml": ("a: {\n", r"line \d+"),
        "tabs": ("a:\n\t- b\n", r"line \d+"),
        "kind": ("apiVersion: v1\nkind: Service\nmetadata: {namespace: shop}\n", "name"),
        "ports": ("apiVersion: v1\nkind: Service\nmetadata: {name: bad, namespace: shop}\n"
                  "spec: {ports: 5}\n", "ports"),
        "endpoints": ("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n"
                      "metadata: {name: bad-a, namespace: shop, labels: "
                      "{kubernetes.io/service-name: greeter}}\n"
                      "ports: [{port: 8001}]\nendpoints: [{addresses: ['not an address']}]\n", "bad-a"),
        "not_utf8": (b"a: \xff\xfe\n", "not_utf8"),
    }
    with Lookaside(work, directory=work / "manifests") as controller:
        client = Client(controller.listen)
        client.wait(["10.0.0.1"])
        for name, (text, want) in broken.items():
            path = work / "manifests" / f"{name}.yaml"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            process.wait_until(
                lambda: any(name in line and re.search(want, line)
                            for line in controller.process.log(1000).splitlines()),
                10, lambda: f"the log tells of {name}\n" + controller.process.log())
        folder.slice("greeter", [manifests.Endpoint("10.0.0.2")])
        client.wait(["10.0.0.2"])
        (work / "manifests" / "shop-greeter-a-slice.yaml").write_text("endpoints: [\n")
        folder.service("other")                        # so that we know when it was looked at
        folder.slice("other", [manifests.Endpoint("10.0.0.9")])
        other = Client(controller.listen, CLUSTER.replace("greeter", "other"))
        other.wait(["10.0.0.9"])
        folder.slice("greeter", [manifests.Endpoint("10.0.0.3")])
        client.wait(["10.0.0.3"])
        assert frozenset() not in client.seen, client.seen
        client.close()
        other.close()


def help_and_version(work):
    code, log = _run(work, "--version")
    assert code == 0 and re.search(r"^lookaside \d+\.\d+\.\d+$", log), log
    done = subprocess.run([process.BUILD / "lookaside", "--help"], capture_output=True, text=True,
                          timeout=10)
    for flag in ("--kubeconfig", "--directory", "--listen", "--admin", "--threads", "--namespaces",
                 "--source", "--nodes", "--config", "--log-format", "--log-level", "--unknown-names"):
        assert flag in done.stdout, f"{flag} is not in --help"


CASES = [flags_that_are_wrong, config_files_that_are_wrong, kubeconfigs_that_are_wrong,
         context_that_is_not_there, domain_with_its_dot, neither_cluster_nor_directory, settings_from_a_config_file,
         limits_of_the_file_and_of_flags, limits_are_in_the_readme, the_least_manifest_of_the_readme, directory_that_is_not_there, manifests_that_are_wrong, help_and_version]
