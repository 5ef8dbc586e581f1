"""Lookaside itself ends, and comes back."""

import time

from world import scenario


@scenario("Lookaside is killed and started again")
def restart(world):
    with world.service("restart") as service, world.load(service) as client:
        service.create()
        service.scale(3)
        world.settle(client, service)
        names = set(service.pods)
        client.mark()
        world.lookaside.kill()
        for _ in range(5):
            client.expect_backends(names)
        service.scale(4)  # a change that nobody tells the client, until Lookaside is back
        service.wait_api(set(service.pods))
        client.expect_backends(names)
        world.lookaside.start()
        _, called = world.settle(client, service, within=30, calls_within=30)
        client.expect_no_failure("the restart of Lookaside")
        return (f"{client.ok} calls, 0 failed; the client had the change {called / 1000:.2f} s "
                "after Lookaside was ready again")


@scenario("SIGTERM ends Lookaside with status 0")
def graceful_end(world):
    start = time.monotonic()
    status = world.lookaside.stop()
    assert status == 0, f"the exit status is {status}"
    return f"in {time.monotonic() - start:.1f} s"
