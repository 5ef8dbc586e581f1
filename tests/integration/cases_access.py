"""Who may see a Service: by every protocol, live, and when the resource that says so goes."""
import queue
import subprocess
import threading
import time

from tests.support import ads, grpclb, hidden, manifests, native, process
from tests.support.lookaside import Lookaside

from .cases_tokens import Keyed

CLUSTER, TARGET = "shop/greeter:8001", "greeter.shop:8001"
REFUSED = "lookaside_access_refused_total"


def _resource(name="greeter", **access):
    return {"apiVersion": "lookaside.dev/v1alpha1", "kind": "LookasideService",
            "metadata": {"name": name, "namespace": "shop", "uid": "1"}, "spec": {"access": access}}


class Guarded(Keyed):
    """And a second Service that everybody may see."""

    def __init__(self, work, *flags):
        super().__init__(work, *flags)
        self.api.put(manifests.service("open"),
                     manifests.endpoint_slice("open-a", "open", [manifests.Endpoint("10.0.0.2")]))

    def __enter__(self):
        super().__enter__()
        self.wait_keys()
        return self

    def metadata(self, account):
        return (("authorization", f"Bearer {self.key.token(account)}"),) if account else ()

    def seen(self, account, name=CLUSTER):
        """The addresses that a call of the account is told at first."""
        with ads.connect(self.controller.listen) as channel:
            stream = ads.Stream(channel, ads.node(), metadata=self.metadata(account))
            addresses = stream.subscribe(ads.EDS, [name]).resources[name].addresses
            stream.cancel()
            return sorted(addresses)

    def wait_seen(self, account, addresses):
        process.wait_until(lambda: self.seen(account) == addresses, 10, f"{account} sees {addresses}")


def accounts_and_namespaces(work):
    with Guarded(work) as world:
        assert world.seen(None) == ["10.0.0.1"]
        world.api.put(_resource(namespaces=["web"], serviceAccounts=["batch/job"]))
        world.wait_seen(None, [])
        for account, addresses in (("web/a", ["10.0.0.1"]), ("web/b", ["10.0.0.1"]), ("batch/job", ["10.0.0.1"]),
                                   ("batch/other", []), ("shop/frontend", []), ("job/batch", [])):
            assert world.seen(account) == addresses, account
        assert world.seen("shop/frontend", "shop/open:8001") == ["10.0.0.2"]
        before = world.metric(REFUSED)
        assert world.seen("batch/other") == []
        assert world.metric(REFUSED) == before + 1
        line = [line for line in world.controller.process.log().splitlines() if "may not see" in line][-1]
        assert "account=batch/other" in line and f"name={CLUSTER}" in line and "peer=127.0.0.1:" in line, line
        world.api.put(_resource())
        world.wait_seen("web/a", [])


def to_the_byte_as_one_that_does_not_exist(work):
    none = hidden.told_of_none(work, "greeter")
    with Keyed(work) as world:
        world.wait_keys()
        world.api.put(_resource(namespaces=["web"]))
        with ads.connect(world.controller.listen) as channel:
            def differences(account):
                metadata = (("authorization", f"Bearer {world.key.token(account)}"),) if account else ()
                return hidden.differences(hidden.told(channel, "greeter", metadata), none)
            process.wait_until(lambda: differences(None) == [], 10, "it is hidden")
            assert differences("batch/job") == []
            assert differences("web/a") == ["EDS", "CDS of all", "delta EDS", "native", "grpclb"]


def what_a_client_says_of_itself_is_no_account(work):
    with Guarded(work) as world:
        world.api.put(_resource(namespaces=["web"]))
        world.wait_seen(None, [])
        said = ads.encode((1, ads.encode((1, "namespace"), (2, ads.encode((3, "web"))))))
        with ads.connect(world.controller.listen) as channel:
            for metadata in ((), (("namespace", "web"), ("x-forwarded-client-cert",
                                                         "URI=spiffe://cluster.local/ns/web/sa/a"))):
                stream = ads.Stream(channel, ads.node(metadata=said), metadata=metadata)
                assert stream.subscribe(ads.EDS, [CLUSTER]).resources[CLUSTER].addresses == []
                stream.cancel()


def streams_of_every_kind_move(work):
    with Guarded(work) as world, ads.connect(world.controller.listen) as channel:
        world.api.put(_resource(namespaces=["web"]))
        world.wait_seen(None, [])
        metadata = world.metadata("batch/job")
        stream = ads.Stream(channel, ads.node(), metadata=metadata)
        assert stream.subscribe(ads.LDS, [TARGET]).resources[TARGET].cluster == CLUSTER
        assert CLUSTER in stream.subscribe(ads.CDS, [CLUSTER]).resources
        assert stream.subscribe(ads.EDS, [CLUSTER]).resources[CLUSTER].addresses == []
        delta = ads.DeltaStream(channel, ads.node(), metadata=metadata)
        assert sorted(delta.subscribe(ads.CDS, ["*"]).resources) == ["shop/open:8001"]
        wildcard = ads.Stream(channel, ads.node(), metadata=metadata)
        assert sorted(wildcard.subscribe(ads.CDS, []).resources) == ["shop/open:8001"]
        world.api.put(_resource(namespaces=["web", "batch"]))
        stream.until(ads.EDS, lambda got: list(got.resources[CLUSTER].addresses) == ["10.0.0.1"])
        assert sorted(delta.expect(ads.CDS).resources) == [CLUSTER]
        assert sorted(wildcard.expect(ads.CDS).resources) == [CLUSTER, "shop/open:8001"]
        wildcard.ack(wildcard.last[ads.CDS])
        delta.ack(delta.last[ads.CDS])
        world.api.put(_resource(namespaces=["web"]))
        stream.until(ads.EDS, lambda got: list(got.resources[CLUSTER].addresses) == [])
        assert delta.expect(ads.CDS).removed == [CLUSTER]
        assert sorted(wildcard.expect(ads.CDS).resources) == ["shop/open:8001"]
        for each in (stream, delta, wildcard):
            each.cancel()


def other_protocols_move(work):
    """The native protocol says that there is no such Service, grpclb has its client fall back."""
    with Guarded(work) as world, ads.connect(world.controller.listen) as channel:
        world.api.put(_resource(namespaces=["web"]))
        world.wait_seen(None, [])
        lists, watches = {}, []
        for account in ("web/a", "batch/job", None):
            lists[account] = queue.Queue()
            watches.append(native.Watch(channel, [TARGET], lambda _, got, account=account: lists[account].put(got),
                                        metadata=world.metadata(account)))
            threading.Thread(target=watches[-1].run, daemon=True).start()
        assert [lists[account].get(timeout=5) for account in lists] == [["10.0.0.1"], [], []]
        balanced = {account: grpclb.Stream(channel, TARGET, world.metadata(account)) for account in ("web/a", "batch/job")}
        assert {account: [next(stream)[0] for _ in range(2)] for account, stream in balanced.items()} == {
            "web/a": ["initial", "list"], "batch/job": ["initial", "fallback"]}
        world.api.put(_resource(namespaces=["batch"]))
        assert [lists[account].get(timeout=5) for account in ("web/a", "batch/job")] == [[], ["10.0.0.1"]]
        assert grpclb.until(balanced["batch/job"], "list", 1)[0][0] == "10.0.0.1"
        assert next(balanced["web/a"])[0] == "fallback"
        assert lists[None].empty()
        for stream in (*watches, *balanced.values()):
            stream.cancel()


def a_resource_that_goes_opens_nothing_in_its_grace(work):
    with Guarded(work, "--deletion-grace", "3s") as world:
        resource = _resource(namespaces=["web"])
        world.api.put(resource)
        world.wait_seen(None, [])
        begin = time.monotonic()
        world.api.delete(resource)
        while time.monotonic() - begin < 2:
            assert world.seen(None) == []
        world.wait_seen(None, ["10.0.0.1"])
        assert "spec.access of Services is gone: who sees them is as the default says" in world.controller.process.log()
        # And one that is replaced never opens: the new one is there within the grace.
        world.api.put(resource)
        world.wait_seen(None, [])
        world.api.delete(resource)
        resource["metadata"]["uid"] = "2"
        world.api.put(resource)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert world.seen(None) == []


def by_default(work):
    for access, seen in (("namespace", {None: [], "web/a": [], "shop/a": ["10.0.0.1"]}),
                         ("none", {None: [], "web/a": [], "shop/a": []})):
        folder = work / access
        folder.mkdir()
        with Guarded(folder, "--default-access", access) as world:
            assert {account: world.seen(account) for account in seen} == seen
            world.api.put(_resource(serviceAccounts=["web/a"]))
            world.wait_seen("web/a", ["10.0.0.1"])
            assert world.seen("shop/a") == []


def _shown(*argv):
    done = subprocess.run([process.BUILD / "lookasidectl", *argv], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done
    return done.stdout


def _states(*admin):
    rows = [line.split() for line in _shown("streams", *admin).splitlines()[1:]]
    return sorted(row[-2] for row in rows)


def operators_are_shown_who_sees_it(work):
    for unknown in ("empty", "absent"):
        folder = work / unknown
        folder.mkdir()
        with Guarded(folder, "--unknown-names", unknown) as world, ads.connect(world.controller.listen) as channel:
            world.api.put(_resource(namespaces=["web"]))
            process.wait_until(lambda: "only service accounts of web" in _shown("explain", TARGET, "--admin", world.controller.admin),
                               10, "it is in force")
            metadata = world.metadata("batch/job")
            streams = [ads.Stream(channel, ads.node(), metadata=metadata) for _ in range(2)]
            streams[0].send(ads.EDS, [CLUSTER])
            streams[1].send(ads.LDS, [TARGET])
            balanced = grpclb.Stream(channel, TARGET, metadata)
            assert [next(balanced)[0] for _ in range(2)] == ["initial", "fallback"]
            admin = ("--admin", world.controller.admin)
            process.wait_until(lambda: _states(*admin) == ["hidden"] * 3, 10, lambda: _shown("streams", *admin))
            assert _shown("streams", *admin).count(" batch/job (token) ") == 3
            text = _shown("explain", TARGET, *admin)
            assert text.startswith("1 of 1 endpoint is listed; only service accounts of web see it (spec.access).\n"), text
            assert text.count("batch/job (token)") == 3 and text.count("may not see it") == 3, text
            text = _shown("explain", TARGET, "--account", "batch/job", *admin)
            assert text.startswith("Service account batch/job gets what it would if there were no such Service, since only "), text
            assert "; service account web/a sees it." in _shown("explain", TARGET, "--account", "web/a", *admin)
            # A name of one label is of the account's own namespace, as it is when the account calls.
            assert "Service greeter in namespace web" in _shown("explain", "greeter", "--account", "web/a", "--namespace", "shop", *admin)
            assert _shown("explain", TARGET, "--account", "nobody", *admin).startswith("A client that nothing identifies gets what it ")
            assert "not for everybody" in _shown("services", *admin)
            for account in ("batch", "batch/a/b", "batch/", "Batch/a"):
                done = subprocess.run([process.BUILD / "lookasidectl", "explain", TARGET, "--account", account, *admin],
                                      capture_output=True, text=True, timeout=20, check=False)
                assert done.returncode == 2 and "account: expected NAMESPACE/NAME" in done.stderr, (account, done)
            for stream in (*streams, balanced):
                stream.cancel()


def a_hidden_backend_is_told_apart(work):
    """Who dials the split is served; it is one of its backends that is hidden."""
    with Guarded(work) as world, ads.connect(world.controller.listen) as channel:
        split = _resource("open")
        split["spec"] = {"backends": [{"service": "open"}, {"service": "greeter"}]}
        world.api.put(_resource(namespaces=["web"]), split)
        admin = ("--admin", world.controller.admin)
        process.wait_until(lambda: "not everybody sees the backend greeter" in _shown("explain", "open.shop:8001", *admin), 10, "it is split")
        stream = ads.Stream(channel, ads.node(), metadata=world.metadata("batch/job"))
        stream.ack(stream.subscribe(ads.LDS, ["open.shop:8001"]))
        process.wait_until(lambda: _states(*admin) == ["part"], 10, lambda: _shown("streams", *admin))
        assert "may not see a backend of a Service that it asks for" in world.controller.process.log()
        text = _shown("explain", "open.shop:8001", "--account", "batch/job", *admin)
        assert "100% open:8001, 0% greeter:8001 (the client may not see it)" in text and "may not see a backend of it" in text, text
        stream.cancel()


def _verified(work, controller):
    return subprocess.run([process.BUILD / "lookasidectl", "verify", "--directory", work / "manifests", "--server",
                           controller.listen], capture_output=True, text=True, timeout=30, check=False)


def nobody_can_be_identified(work):
    """Nothing is switched on for that: it is said, to whoever looks."""
    folder = manifests.Manifests(work / "manifests")
    for name in ("greeter", "other"):
        folder.put(name, manifests.service(name),
                   manifests.endpoint_slice(f"{name}-a", name, [manifests.Endpoint("10.0.0.1")]), _resource(name, namespaces=["web"]))
    with Lookaside(work, directory=work / "manifests") as controller:
        lines = [line for line in controller.process.log().splitlines() if "no client sees Services whose resource" in line]
        assert len(lines) == 1 and "services=2" in lines[0], lines
        admin = ("--admin", controller.admin)
        closed = "nothing that tells who clients are is switched on (--tokens, --tls-client-ca, --unix-account, --identify-pods)"
        assert f"; no client sees it: spec.access says who may, and {closed}" in _shown("explain", TARGET, *admin)
        listed = _shown("get", "lks", *admin)
        assert f"Published is False (NobodyIdentified): no client sees the Service: spec.access says who may, and {closed}" in listed, listed
        done = _verified(work, controller)
        assert done.returncode == 1 and "at " + controller.listen in done.stdout, done
        assert "A Service that this client may not see (spec.access, --default-access) looks as if" in done.stdout, done


def settings_that_do_not_fit(_work):
    for access, words in (("some", "expected all, namespace or none"),
                          ("none", "--default-access needs --tokens, --tls-client-ca, --unix-account or --identify-pods")):
        done = subprocess.run([process.BUILD / "lookaside", "--default-access", access], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 2 and words in done.stderr + done.stdout, done


CASES = [accounts_and_namespaces, to_the_byte_as_one_that_does_not_exist, what_a_client_says_of_itself_is_no_account,
         streams_of_every_kind_move, other_protocols_move, a_resource_that_goes_opens_nothing_in_its_grace, by_default,
         operators_are_shown_who_sees_it, a_hidden_backend_is_told_apart, nobody_can_be_identified, settings_that_do_not_fit]
