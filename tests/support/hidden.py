"""Whether a Service that a client may not see is to it, to the byte, as one that does not exist."""
import queue

from . import ads, grpclb, native
from .lookaside import Lookaside


def _first(channel, method, message, answers, metadata):
    outgoing = queue.Queue()
    outgoing.put(message)
    call = channel.stream_stream(method)(iter(outgoing.get, None), timeout=10, metadata=metadata)
    got = [next(call) for _ in range(answers)]
    outgoing.put(None)
    call.cancel()
    return b"".join(got)


def told(channel, service, metadata=None):
    """What is said at first of a Service of namespace shop, by every protocol: {which: bytes}."""
    cluster, target = f"shop/{service}:8001", f"{service}.shop:8001"
    asked = {"LDS": (ads.METHOD, ads.request(ads.LDS, [target], node=ads.node())),
             "EDS": (ads.METHOD, ads.request(ads.EDS, [cluster], node=ads.node())),
             "CDS of all": (ads.METHOD, ads.request(ads.CDS, [], node=ads.node())),
             "delta CDS": (ads.DELTA_METHOD, ads.delta_request(ads.CDS, [cluster], node=ads.node())),
             "delta EDS": (ads.DELTA_METHOD, ads.delta_request(ads.EDS, [cluster], node=ads.node())),
             "native": (native.METHOD, native.request([target]))}
    answers = {which: _first(channel, *how, 1, metadata) for which, how in asked.items()}
    answers["grpclb"] = _first(channel, grpclb.METHOD, ads.encode((1, ads.encode((1, target)))), 2, metadata)
    return answers


def told_of_none(work, service, flags=()):
    """The same by a controller that knows no Service."""
    folder = work / "none"
    folder.mkdir(parents=True)
    with Lookaside(work / "none-known", directory=folder, flags=["--threads", "1", *flags]) as controller, \
            ads.connect(controller.listen) as channel:
        return told(channel, service)


def differences(answers, none):
    """By which protocols a Service can be told from one that does not exist."""
    return [which for which in none if answers[which] != none[which]]
