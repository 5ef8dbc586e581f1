"""The lists that clients must get, worked out from the API's own objects.

A second implementation of the rules, which shares nothing with the product but what is written of
them: a Service and the EndpointSlices of its namespace go in, as the API server's JSON, and a set
of Backends comes out. The rules are kube-proxy's, see README.md, "Which pods are in a list".
"""

import ipaddress
from collections import namedtuple

SERVICE_LABEL = "kubernetes.io/service-name"
SPEAKS_GRPC = ("grpc", "kubernetes.io/h2c")

# `other`: the same pod's address in the other family, "" without one.
Backend = namedtuple("Backend", "address port zone other", defaults=("", ""))
# Where a client is; "": unknown.
Place = namedtuple("Place", "zone node", defaults=("", ""))
NOWHERE = Place()


def expected(service, slices, port=None, place=NOWHERE, hostname=None):
    """What a client at `place` gets that asked for `port`: a number, a name, or None for none.

    `service` is None where the API has none.
    """
    if service is None:
        return frozenset()
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        number = port if isinstance(port, int) else 0
        return frozenset([Backend(spec["externalName"], number)]) if number else frozenset()
    backends = merged(own(service, slices), wanted_port(service, port))
    if hostname:
        backends = {key: e for key, e in backends.items() if e.get("hostname") == hostname}
    chosen = {}
    for family in ("IPv4", "IPv6"):
        of_family = {key: e for key, e in backends.items() if family_of(key[0]) == family}
        chosen.update(choose(of_family, spec, place))
    return joined(chosen, prefers=(spec.get("ipFamilies") or ["IPv4"])[0])


def own(service, slices):
    """Its slices, except those that a former Service of the same name left behind."""
    name, uid = service["metadata"]["name"], service["metadata"]["uid"]

    def left_behind(item):
        owners = [o["uid"] for o in item["metadata"].get("ownerReferences") or []
                  if (o["apiVersion"], o["kind"]) == ("v1", "Service")]
        return bool(owners) and uid not in owners

    return [s for s in slices if s["addressType"] != "FQDN" and not left_behind(s)
            and (s["metadata"].get("labels") or {}).get(SERVICE_LABEL) == name]


def is_tcp(port):
    return (port.get("protocol") or "TCP") == "TCP"


def wanted_port(service, asked):
    """A function of a slice: the numbers at which its endpoints are wanted; of one that has no ports,
    which counts in a headless Service only, the number as it is given."""
    spec = service["spec"]
    headless = spec.get("clusterIP") == "None"
    found = find_port([p for p in spec.get("ports") or [] if is_tcp(p)], asked)
    if found is None and not (headless and isinstance(asked, int)):
        return lambda item: []

    def wanted(item):
        if not item.get("ports"):
            return [found["port"] if found else asked] if headless else []
        if found:
            return numbers(item, lambda p: (p.get("name") or "") == (found.get("name") or ""))
        return numbers(item, lambda p: p["port"] == asked)
    return wanted


def find_port(ports, asked):
    """The Service port that is meant, or None."""
    if isinstance(asked, int):
        meant = [p for p in ports if p["port"] == asked]
    elif asked:
        meant = [p for p in ports if p.get("name") == asked]
    else:
        meant = ports
        if len(meant) != 1:
            meant = [p for p in ports if p.get("name") == "grpc"] or \
                    [p for p in ports if p.get("appProtocol") in SPEAKS_GRPC]
    return meant[0] if len(meant) == 1 else None


def numbers(item, means):
    return [p["port"] for p in item.get("ports") or [] if is_tcp(p) and p.get("port") and means(p)]


def can_be_called(endpoint):
    """What the API server takes besides is in nobody's list."""
    try:
        address = ipaddress.ip_address(endpoint["addresses"][0])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified
                or getattr(address, "ipv4_mapped", None))


def merged(slices, wanted):
    """{(address, port): endpoint}; of duplicates the one in the newest slice counts, and a port that
    its slice names more than one that was given."""
    found, given = {}, {}
    for item in sorted(slices, key=lambda s: (int(s["metadata"]["resourceVersion"]),
                                              s["metadata"]["name"])):
        for endpoint in filter(can_be_called, item.get("endpoints") or []):
            for number in wanted(item):
                (found if item.get("ports") else given)[endpoint["addresses"][0], number] = endpoint
    named = {address for address, _ in found}
    return {**{key: e for key, e in given.items() if key[0] not in named}, **found}


def condition(endpoint, name, default):
    value = (endpoint.get("conditions") or {}).get(name)
    return default if value is None else value


def is_ready(endpoint):
    return condition(endpoint, "ready", True)


def is_draining(endpoint):
    return condition(endpoint, "serving", True) and condition(endpoint, "terminating", False)


def only(endpoints, keep):
    return {key: e for key, e in endpoints.items() if keep(e)}


def choose(endpoints, spec, place):
    """What kube-proxy on the client's node would use, of one address family."""
    is_local = spec.get("internalTrafficPolicy") == "Local" and spec.get("clusterIP") != "None"
    if is_local and place.node:
        near = only(endpoints, lambda e: e.get("nodeName") == place.node)
        return only(near, is_ready) or only(near, is_draining)
    ready = only(endpoints, is_ready)
    if not ready:
        return only(endpoints, is_draining)
    return hinted(ready, "forNodes", place.node) or hinted(ready, "forZones", place.zone) or ready


def hinted(ready, kind, here):
    """Those with a hint for this node or zone; none unless every endpoint has hints of the kind."""
    hints = {key: {h["name"] for h in (e.get("hints") or {}).get(kind) or []}
             for key, e in ready.items()}
    if not here or not all(hints.values()):
        return {}
    return {key: e for key, e in ready.items() if here in hints[key]}


def family_of(address):
    return "IPv6" if ":" in address else "IPv4"


def joined(chosen, prefers):
    """One Backend for each pod, by the family that the Service prefers."""
    def uid(endpoint):
        return (endpoint.get("targetRef") or {}).get("uid")

    rest = {(uid(e), port): address for (address, port), e in chosen.items()
            if uid(e) and family_of(address) != prefers}
    first = {(uid(e), port) for (address, port), e in chosen.items()
             if uid(e) and family_of(address) == prefers}
    return frozenset(
        Backend(address, port, e.get("zone") or "",
                rest.get((uid(e), port), "") if family_of(address) == prefers else "")
        for (address, port), e in chosen.items()
        if family_of(address) == prefers or (uid(e), port) not in first)
