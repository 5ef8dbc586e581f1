"""Calls that carry a service account's token: whose they are, which are refused, and where the keys come from."""
import base64
import json
import re
import socket
import subprocess
import time

from tests.support import ads, manifests, process, tokens
from tests.support.fake_apiserver import FakeApiServer
from tests.support.lookaside import Lookaside
from tests.support.report import Skip

RESULT = 'lookaside_tokens_total{result="%s"}'
LOADS = 'lookaside_token_keys_loads_total{result="%s"}'


class Keyed:
    """A controller on an API server that has keys, and a Service in the namespace of its tokens."""

    def __init__(self, work, *flags, known=True):
        self.work = work
        self.key, self.curve = tokens.Key(work, "first"), tokens.Key(work, "curve", curve=True)
        self.api = FakeApiServer()
        if known:
            self.api.documents.update(tokens.documents(self.key, self.curve))
        self.api.put(manifests.service("greeter"),
                     manifests.endpoint_slice("greeter-a", "greeter", [manifests.Endpoint("10.0.0.1")]))
        self.flags = ["--threads", "1", "--tokens", *flags]

    def __enter__(self):
        self.api.__enter__()
        self.controller = Lookaside(self.work, flags=[
            "--kubeconfig", self.api.kubeconfig(self.work / "kubeconfig"), *self.flags])
        self.controller.start()
        return self

    def __exit__(self, *_):
        code = self.controller.stop()
        self.api.__exit__(None, None, None)
        assert code == 0, self.controller.process.log()

    def metric(self, name):
        return self.controller.metrics()[name]

    def wait_keys(self):
        process.wait_until(lambda: self.metric("lookaside_token_keys") > 0, 10, "the keys are loaded")

    def ask(self, token, scheme="Bearer", name="greeter:8001"):
        """(status, what is said of it) of a call, or (None, the Cluster that the name leads to)."""
        return self.ask_with((("authorization", f"{scheme} {token}"),), name)

    def ask_with(self, metadata, name="greeter:8001"):
        with ads.connect(self.controller.listen) as channel:
            stream = ads.Stream(channel, ads.node(), metadata=metadata)
            stream.send(ads.LDS, [name])
            try:
                return None, stream.recv(10).resources[name].cluster
            except AssertionError:
                return stream.call.code().name, stream.call.details()
            finally:
                stream.cancel()

    def refused(self, token, words, **how):
        """The log says why, at most once a second; the client is told nothing."""
        def said():
            answer = self.ask(token, **how)
            assert answer == ("UNAUTHENTICATED", "the token is not accepted"), answer
            return words in self.controller.process.log()
        process.wait_until(said, 10, f"'{words}' is in the log")
        assert token == "" or token not in self.controller.process.log()


def tokens_of_both_kinds(work):
    with Keyed(work) as world:
        world.wait_keys()
        for key in (world.key, world.curve):
            assert world.ask(key.token()) == (None, "shop/greeter:8001")
        assert world.ask(world.key.token(), scheme="bearer") == (None, "shop/greeter:8001")
        assert world.ask(world.key.token("web/b"), name="greeter.shop:8001") == (None, "shop/greeter:8001")
        assert world.ask(world.key.token("web/b")) == (None, "web/greeter:8001")
        assert world.ask_with(()) == (None, "default/greeter:8001")
        assert world.metric(RESULT % "accepted") == 5 and world.metric(RESULT % "refused") == 0
        with ads.connect(world.controller.listen) as channel:
            stream = ads.Stream(channel, ads.node(), metadata=(
                ("authorization", f"Bearer {world.key.token('web/b')}"),))
            stream.subscribe(ads.LDS, ["greeter"])
            assert world.controller.streams()["streams"][0]["account"] == {
                "namespace": "web", "name": "b", "by": "token"}
            stream.cancel()


def tokens_that_do_not_hold(work):
    stranger = work / "stranger"
    stranger.mkdir()
    with Keyed(work) as world:
        world.wait_keys()
        key, now = world.key, int(time.time())
        good = key.token()
        unsigned = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (
            {"alg": "none", "kid": "first"},
            {"iss": tokens.ISSUER, "sub": "system:serviceaccount:shop:frontend", "aud": [tokens.AUDIENCE],
             "exp": now + 600}))
        world.refused(key.token(life=-60), "the token has expired at 20")
        world.refused(key.token(nbf=now + 60), "the token is not valid before 20")
        world.refused(key.token(aud=["https://kubernetes.default.svc"]), "the token is for another audience")
        world.refused(key.token(iss="https://elsewhere"), "the token's issuer is 'https://elsewhere'")
        world.refused(key.token(sub="system:node:a"), "the token is not of a service account")
        world.refused(tokens.Key(stranger, "first").token(), "the token's signature is not that of its key")
        world.refused(tokens.Key(stranger, "other").token(), "the token's key is unknown")
        world.refused(f"{unsigned}.", "the token is signed by algorithm 'none'")
        world.refused(key.token(header={"alg": "HS256"}), "the token is signed by algorithm 'HS256'")
        world.refused("nonsense", "the token has not three parts")
        world.refused("dXNlcjpwYXNz", "the authorization is not a Bearer token", scheme="Basic")
        assert world.ask_with((("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}"))) \
            == ("UNAUTHENTICATED", "more than one authorization header")
        assert world.ask(good) == (None, "shop/greeter:8001")
        assert world.metric(RESULT % "accepted") == 1
        assert world.metric(RESULT % "refused") >= 9 and world.metric(RESULT % "unknown-key") >= 1


def of_another_audience_on_request(work):
    with Keyed(work, "--token-audience", "example.com") as world:
        world.wait_keys()
        world.refused(world.key.token(), "the token is for another audience than 'example.com'")
        assert world.ask(world.key.token(aud="example.com")) == (None, "shop/greeter:8001")


def who_is_not_asked_may_say_anything(work):
    with Keyed(work) as world:
        flags = [flag for flag in world.flags if flag != "--tokens"]
        with Lookaside(work / "other", flags=["--kubeconfig", work / "kubeconfig", *flags]) as other:
            world.controller, own = other, world.controller
            assert world.ask("nonsense", name="greeter.shop:8001") == (None, "shop/greeter:8001")
            assert "lookaside_token_keys" not in other.metrics()
            world.controller = own


def keys_outlive_the_api_server(work):
    with Keyed(work, known=False) as world:
        assert world.ask(world.key.token()) == ("UNAVAILABLE", "tokens cannot be verified yet: try again later")
        assert world.metric(RESULT % "no-keys") == 1
        assert "/.well-known/openid-configuration: " in world.controller.process.log()
        world.api.documents.update(tokens.documents(world.key))
        world.wait_keys()
        world.api.stop()
        assert world.ask(world.key.token()) == (None, "shop/greeter:8001")
        assert world.metric(LOADS % "failed") >= 1 and world.metric(LOADS % "loaded") == 1
        world.api.start()


def a_key_that_is_rotated_is_asked_for_once_a_minute(work):
    with Keyed(work) as world:
        world.wait_keys()
        begin, old = time.monotonic(), world.key.token()
        fresh = tokens.Key(work, "second")
        world.api.documents.update(tokens.documents(fresh))
        world.refused(fresh.token(), "the token's key is unknown")
        assert world.ask(old) == (None, "shop/greeter:8001")
        process.wait_until(lambda: world.ask(fresh.token())[0] is None, 90, "the new key is known", interval=0.5)
        assert time.monotonic() - begin > 50, "asked again too soon"
        assert world.api.documents_asked.count("/openid/v1/jwks") == 2, world.api.documents_asked
        assert world.ask(old)[0] == "UNAUTHENTICATED"


def _ctl(command, *argv):
    done = subprocess.run([process.BUILD / "lookasidectl", command, *argv], capture_output=True, text=True, timeout=30,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def _own_address():
    """One that is not loopback, or None. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def lookasidectl_sends_a_token(work):
    with Keyed(work, "--default-access", "namespace") as world:
        world.wait_keys()
        good, stranger, empty = work / "good", work / "stranger", work / "empty"
        good.write_text(world.key.token() + "\n")
        stranger.write_text(world.key.token("web/b"))
        empty.write_text("two words\n")
        watch = ("watch", "greeter.shop:8001", "--once", "--server", world.controller.listen)
        for flags, code, words in ((("--token-file", good), 0, "+ 10.0.0.1:8001"),
                                   (("--token-file", stranger), 0, "no such Service"),
                                   ((), 0, "no such Service"),
                                   (("--token-file", empty), 1, f"'{empty}' holds no token"),
                                   (("--token-file", work / "none"), 1, "No such file or directory"),
                                   (("--token-plaintext",), 1, "--token-plaintext needs --token-file")):
            assert (answer := _ctl(*watch, *flags))[0] == code and words in answer[1], (flags, answer)
        verify = ("verify", "--kubeconfig", work / "kubeconfig", "--server", world.controller.listen)
        assert (answer := _ctl(*verify, "--token-file", good))[0] == 0, answer
        assert (answer := _ctl(*verify))[0] == 1 and "missing 10.0.0.1:8001" in answer[1], answer


def lookasidectl_keeps_a_token_to_itself(work):
    """Without TLS, or without a certificate that is checked, only this host hears it, unless somebody says otherwise."""
    address = _own_address()
    if not address:
        raise Skip("this host has no address but loopback")
    with Keyed(work, "--listen", f"{address}:0", "--listen", f"unix:{work}/socket") as world:
        world.wait_keys()
        token = work / "token"
        token.write_text(world.key.token())
        log = process.wait_until(lambda: re.search(rf"listen=[^ ]*{re.escape(address)}:(\d+)",
                                                   world.controller.process.log()), 5, "it listens")
        watch = ("watch", "greeter:8001", "--once", "--token-file", token, "--server")
        server = f"{address}:{log[1]}"
        for flags in ((), ("--tls-insecure",)):
            code, said = _ctl(*watch, server, *flags)
            assert code == 1 and "a token is a secret" in said and "--tls" in said, (flags, said)
        code, said = _ctl(*watch, server, "--tls-insecure", "--token-plaintext")
        assert code == 1 and "a token is a secret" not in said, said    # it dials, and there is no TLS
        assert world.metric(RESULT % "accepted") == 0
        for server in ((server, "--token-plaintext"), (f"unix:{work}/socket",)):
            assert (answer := _ctl(*watch, *server))[0] == 0 and "+ 10.0.0.1:8001" in answer[1], answer
        assert world.metric(RESULT % "accepted") == 2


def lookasidectl_reads_its_token_again(work):
    with Keyed(work) as world:
        world.wait_keys()
        token = work / "token"
        token.write_text(world.key.token())
        child = process.Process([process.BUILD / "lookasidectl", "watch", "greeter:8001", "--server",
                                 world.controller.listen, "--token-file", token], work / "watch.log", "watch")
        child.start()
        process.wait_until(lambda: "+ 10.0.0.1:8001" in child.log(), 10, "the list of one account")
        token.write_text(world.key.token("web/b"))
        world.controller.restart()
        process.wait_until(lambda: "- 10.0.0.1:8001" in child.log(), 20, lambda: "the list of the other: " + child.log())
        child.terminate()


def settings_that_do_not_fit(work):
    for flags, words in ((["--tokens", "--directory", work], "--tokens and --directory exclude each other"),
                         (["--token-audience", "a"], "--token-audience needs --tokens"),
                         (["--tokens", "--token-audience="], "the audience is empty")):
        done = subprocess.run([process.BUILD / "lookaside", *flags], capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode == 2 and words in done.stderr + done.stdout, done


CASES = [tokens_of_both_kinds, tokens_that_do_not_hold, of_another_audience_on_request,
         who_is_not_asked_may_say_anything, keys_outlive_the_api_server,
         a_key_that_is_rotated_is_asked_for_once_a_minute, lookasidectl_sends_a_token,
         lookasidectl_keeps_a_token_to_itself, lookasidectl_reads_its_token_again, settings_that_do_not_fit]
