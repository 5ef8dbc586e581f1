"""The network namespace of a run: only loopback, and every address of the cluster lives on it.

Inside it ports and addresses are the run's own, so they are constants, and nothing that a test
sends can leave the machine.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from programs import Missing

SERVICE_NETWORK = "10.96.0.0/16"
POD_NETWORK, POD_NETWORK_6 = "10.244.0.0/16", "fd00:244::/64"
# Of backends that no pod stands behind (site.py); containers.py has the one between.
HAND_NETWORK, HAND_ADDRESS = "10.246.0.0/16", "10.246.{}.{}"
# Of each API server; it refuses to advertise a loopback address.
ADVERTISED = ("10.96.255.254", "10.96.255.253")
# Linux lets a process listen on an IPv4 address that is only routed, on an IPv6 one not by itself.
NONLOCAL_BIND = pathlib.Path("/proc/sys/net/ipv6/ip_nonlocal_bind")
# Between pods that have networks of their own (containers.py).
FORWARD = pathlib.Path("/proc/sys/net/ipv4/ip_forward")
MARK = "LOOKASIDE_E2E_NAMESPACE"


def unshare_argv():
    """Root needs no user namespace; anybody else becomes root inside one."""
    for tool in ("unshare", "ip"):
        if not shutil.which(tool):
            raise Missing(f"the program {tool} is not on PATH (util-linux, iproute2)")
    argv = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    tried = subprocess.run(argv + ["true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise Missing(f"no network namespace can be made here: {tried.stderr.strip()}")
    return argv


def enter():
    """Runs this very command again inside a namespace. Does not return."""
    argv = unshare_argv() + [sys.executable] + sys.argv
    os.environ[MARK] = str(os.getpid())
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def entered():
    # unshare --net only executes, so the process keeps its id; a stale variable does not match.
    return os.environ.get(MARK) == str(os.getpid())


def prepare():
    # Every pod address is this machine's own, whether or not a pod has it now: a process can listen
    # on it, and where none does, a connection is refused.
    for command in ("link set lo up",
                    *(f"address add {address}/32 dev lo" for address in ADVERTISED),
                    f"route add local {POD_NETWORK} dev lo",
                    f"route add local {HAND_NETWORK} dev lo",
                    f"route add local {SERVICE_NETWORK} dev lo",
                    f"-6 route add local {POD_NETWORK_6} dev lo"):
        subprocess.run(["ip"] + command.split(), check=True)
    NONLOCAL_BIND.write_text("1")
    FORWARD.write_text("1")
