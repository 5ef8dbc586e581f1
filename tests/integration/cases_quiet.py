"""Serving threads that sleep through what concerns none of their clients, and yet never say what is over."""
import queue
import threading
import time

from tests.support import ads, manifests, native, process
from tests.support.lookaside import Lookaside

CHANGES = 200
TAKEN = "lookaside_catalogs_total"


class Busy:
    """A client follows greeter, while the list of another Service grows, as fast as it goes."""

    def __init__(self, work):
        self.folder = manifests.Manifests(work / "manifests")
        for name in ("greeter", "other"):
            self.folder.put(name, manifests.service(name), manifests.endpoint_slice(f"{name}-a", name, [manifests.Endpoint("10.0.0.1")]))
        self.controller = Lookaside(work, directory=work / "manifests", flags=["--threads", "1"])
        self.last = "10.0.0.1"

    def __enter__(self):
        self.controller.__enter__()
        return self

    def __exit__(self, *_):
        self.controller.__exit__(*_)

    def change(self, number):
        self.last = f"10.0.1.{number % 250 + 1}"
        self.folder.put("other", manifests.service("other"),
                        manifests.endpoint_slice("other-a", "other", [manifests.Endpoint(self.last)]))

    def published(self):
        services = {each["name"]: each for each in self.controller.services()["services"]}
        return [endpoint["address"] for endpoint in services["other"]["ports"][0]["endpoints"]] == [self.last]


def who_is_not_concerned_sleeps(work):
    with Busy(work) as world, ads.connect(world.controller.listen) as channel:
        stream = ads.Stream(channel, ads.node())
        stream.ack(stream.subscribe(ads.EDS, ["shop/greeter:8001"]))
        before, begin = world.controller.metrics()[TAKEN], time.monotonic()
        for number in range(CHANGES):
            world.change(number)
            process.wait_until(world.published, 5, "it is published", interval=0.002)
        taken = world.controller.metrics()[TAKEN] - before
        assert taken <= 3 + time.monotonic() - begin, f"woken {taken} times by {CHANGES} changes of another Service"
        stream.cancel()


def who_subscribes_behind_them_is_told_the_newest(work):
    """By each protocol the first list is that of now, not of when the thread was awake last."""
    with Busy(work) as world, ads.connect(world.controller.listen) as channel:
        holder = ads.Stream(channel, ads.node())
        holder.ack(holder.subscribe(ads.EDS, ["shop/greeter:8001"]))
        for number in range(60):
            world.change(number)
            process.wait_until(world.published, 5, "it is published", interval=0.002)
            if number % 3 == 0:
                stream = ads.Stream(channel, ads.node())
                got = stream.subscribe(ads.EDS, ["shop/other:8001"]).resources["shop/other:8001"].addresses
                stream.cancel()
            elif number % 3 == 1:
                stream = ads.DeltaStream(channel, ads.node())
                got = stream.subscribe(ads.EDS, ["shop/other:8001"]).resources["shop/other:8001"].addresses
                stream.cancel()
            else:
                seen = queue.Queue()
                watch = native.Watch(channel, ["other.shop:8001"], lambda _, addresses: seen.put(addresses))
                threading.Thread(target=watch.run, daemon=True).start()
                got = seen.get(timeout=5)
                watch.cancel()
            assert list(got) == [world.last], f"change {number}: {got} in place of {world.last}"
        holder.cancel()


def a_wildcard_hears_of_all(work):
    with Busy(work) as world, ads.connect(world.controller.listen) as channel:
        stream = ads.Stream(channel, ads.node())
        got = stream.subscribe(ads.CDS, [])
        assert sorted(got.resources) == ["shop/greeter:8001", "shop/other:8001"]
        stream.ack(got)
        for number in range(20):
            world.folder.put("more", manifests.service(f"more-{number}"))
            want = f"shop/more-{number}:8001"
            stream.until(ads.CDS, lambda got, want=want: want in got.resources)
        stream.cancel()


CASES = [who_is_not_concerned_sleeps, who_subscribes_behind_them_is_told_the_newest, a_wildcard_hears_of_all]
