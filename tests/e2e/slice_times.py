"""When each backend first stood ready in a slice, as a watch of the test's own saw it.

A program of its own, so that the clock is read when the watch event comes, whatever the test is
busy with: it prints a line "NAME MILLISECONDS", the latter in Unix time.
"""

import pathlib
import sys
import time

from api import Api, Watch
from cluster import PORTS

PATH = "/apis/discovery.k8s.io/v1/endpointslices"


def main():
    known = set()

    def on_slice(kind, item):
        now = time.time() * 1000
        for endpoint in item.get("endpoints") or [] if kind == "SET" else []:
            name = (endpoint.get("targetRef") or {}).get("name")
            if name and name not in known and (endpoint.get("conditions") or {}).get("ready"):
                known.add(name)
                print(name, f"{now:.1f}", flush=True)

    Watch(Api(pathlib.Path(sys.argv[1]), PORTS[0]), PATH, on_slice).run()


if __name__ == "__main__":
    main()
