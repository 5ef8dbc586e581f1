"""A client of another user on a unix socket: it becomes that user, asks, prints one line of JSON, and stays until its input ends.

    unix_client.py SOCKET UID GID [TOKEN]
"""
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import ads, hidden  # noqa: E402

CLUSTER = "shop/greeter:8001"


def main():
    socket, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    metadata = (("authorization", f"Bearer {sys.argv[4]}"),) if len(sys.argv) > 4 else None
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    # It says to be somebody else, in every way that there is.
    said = ads.node(metadata=ads.encode((1, ads.encode((1, "namespace"), (2, ads.encode((3, "web")))))))
    with ads.connect(f"unix:{socket}") as channel:
        told = {which: answer.hex() for which, answer in hidden.told(channel, "greeter", metadata).items()}
        stream = ads.Stream(channel, said, metadata=metadata)
        addresses = stream.subscribe(ads.EDS, [CLUSTER]).resources[CLUSTER].addresses
        cluster = stream.subscribe(ads.LDS, ["greeter:8001"]).resources["greeter:8001"].cluster
        print(json.dumps({"addresses": addresses, "told": told, "cluster": cluster}), flush=True)
        sys.stdin.read()
        stream.cancel()


if __name__ == "__main__":
    main()
