"""Random specs of a LookasideService, made from the schema of its kind: valid ones, with values at
their bounds, and such that have one thing wrong."""

import re

OTHER_POLICIES = ("RoundRobin", "WeightedRoundRobin", "LeastRequest", "PickFirst")
# Of each kind those that are sound, and others.
DURATIONS = ("1ms", "99ms", "100ms", "999ms", "1s", "1m1s", "5m", "10m", "601s", "1h", "3601s",
             "24h", "1440m1ms", "0s", "1s1ms", "1ms1s", "000001s", "0000001s", "1h1h",
             "999999h99999m", "1.5s", "-1s", "+1s", "5", "1d", "s", "1us", "1 s", "", "1S", "1m5",
             "999999ms")
HOSTS = (("a.b", "greeter.example.com", "1.b", "a.b.c.d.e", "x" * 63 + ".b",
          "a.b1", ".".join(["x" * 63] * 3 + ["y" * 61])),
         ("a.1", "a.1b", "a.b-", "-a.b", "a..b", "a.b.", "A.b", "a", "a_b.c", "x" * 64 + ".b",
          ".a.b", "a.-b", ".".join(["x" * 63] * 3 + ["y" * 62]), "a b.c", "é.fr", ""))
LABELS = (("greeter", "a", "a-b", "8001", "1a", "x" * 63),
          ("a-", "-a", "A", "a.b", "", "x" * 64, "a_b", "é", "web/a"))
PORTS = ((1, 80, 65535, "grpc", "8001", "1", "65535", "080", "00080", "g" * 63, "1e3", "a-b"),
         (0, 65536, -1, "0", "65536", "99999", "000080", "g" * 64, "GRPC", "g-", "-1", "", "8 1",
          "99999999999999999999", "9" * 63))
HEADERS = (("x-user-id", "a", "a.b_c-d", "bin", "a" * 64, "0"),
           ("-a", "a-bin", "-bin", ":path", "X-A", "", "a" * 65, "_a", "a b", "é"))
OTHER_TYPES = (None, True, 0, 1, -1, 2.5, 3.0, "", "text", [], {}, [1], {"a": 1}, 1e30)
KNOWN_WORDS = ("RoundRobin", "None", "none", "Fail", "unavailable", "UNAVAILABLE", "random")


class Specs:
    """random: of a seed, so that a run can be had again. Most have one thing that is wrong: of two
    one would hide the other."""

    WRONG_ODDS = 0.04  # wherever something could be wrong

    def __init__(self, schema, rng):
        self.schema, self.random = schema, rng
        self.left = 0

    def __call__(self):
        self.left = self.random.choice((0, 0, 1, 1, 1, 1, 3))
        spec = self.make(self.schema)
        if isinstance(spec, dict) and self.chance(0.9):
            mend(spec)
        return spec

    def chance(self, odds):
        return self.random.random() < odds

    def wrongly(self):
        if not self.left or not self.chance(self.WRONG_ODDS):
            return False
        self.left -= 1
        return True

    def make(self, node):
        if self.wrongly():
            return self.random.choice(OTHER_TYPES)
        if "enum" in node:
            return self.random.choice(KNOWN_WORDS if self.wrongly() else node["enum"])
        if node.get("x-kubernetes-int-or-string"):
            return self.choose(PORTS)
        return getattr(self, f"make_{node['type']}")(node)

    def choose(self, values):
        good, bad = values
        return self.random.choice(bad if self.wrongly() else good)

    def make_object(self, node):
        required, share = node.get("required", ()), self.random.choice((0.2, 0.5, 0.9))
        made = {name: self.make(child) for name, child in node["properties"].items()
                if (not self.wrongly() if name in required else self.chance(share))}
        if self.wrongly():
            made["unknown"] = 1
        return made

    def make_array(self, node):
        least, most = node.get("minItems", 0), node["maxItems"]
        if self.wrongly():
            count = self.random.choice((0, most + 1))
        else:
            count = min(most, max(least, self.random.choice((0, 1, 2, 3, most))))
        made = [self.make(node["items"]) for _ in range(count)]
        return made if self.wrongly() else self.distinct(node, made)

    @staticmethod
    def distinct(node, items):
        keys = node.get("x-kubernetes-list-map-keys")
        seen = {}
        for item in items:
            key = str([item.get(k) for k in keys] if keys and isinstance(item, dict) else item)
            seen.setdefault(key, item)
        return list(seen.values())

    def make_integer(self, node):
        low, high = node["minimum"], node["maximum"]
        if self.wrongly():
            return self.random.choice((low - 1, high + 1, str(low), low + 0.5, float(low), 1 << 40))
        return self.random.choice((low, high, min(low + 1, high), self.random.randint(low, high)))

    def make_string(self, node):
        rules = " ".join(rule["rule"] for rule in node["x-kubernetes-validations"])
        if "duration(" in rules:
            return self.make_duration(rules)
        if "-bin" in rules:
            return self.choose(HEADERS)
        if "[.]" in rules:
            return self.choose(HOSTS)
        return self.choose(LABELS) if self.chance(0.3) else f"s{self.random.randint(0, 99)}"

    def make_duration(self, rules):
        """Within the bounds of the rule, or anything."""
        if self.wrongly():
            return self.random.choice(DURATIONS)
        low, high = (milliseconds(text) for text in re.findall(r"duration\('(\w+)'\)", rules))
        return self.written(self.random.choice((low, high, self.random.randint(low, high))))

    def written(self, count):
        """That many milliseconds, in one of the ways that they can be written."""
        seconds, rest = divmod(count, 1000)
        if rest or self.chance(0.2):
            return f"{count}ms" if count < 1000000 else f"{seconds}s{rest}ms"
        minutes, rest = divmod(seconds, 60)
        if rest or self.chance(0.2):
            return f"{seconds}s" if self.chance(0.5) else f"{minutes}m{rest}s"
        return f"{minutes}m" if minutes % 60 or self.chance(0.5) else f"{minutes // 60}h"


def milliseconds(text):
    units = {"h": 3600000, "m": 60000, "s": 1000, "ms": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|h|m|s)", text))


def part(spec, name):
    found = spec.get(name)
    return found if isinstance(found, dict) else {}


def mend(spec):
    """What holds between fields does: a spec of random ones breaks some rule nearly always."""
    balancing, detection = part(spec, "loadBalancing"), part(spec, "outlierDetection")
    if "ringHash" in balancing and balancing.get("policy") in (None, *OTHER_POLICIES):
        balancing["policy"] = "RingHash"
    if balancing.get("policy") == "RingHash":
        spec.pop("subset", None)
    part(part(spec, "retry"), "backoff").pop("max", None)
    if detection and not {"failurePercentage", "successRate"} & set(detection):
        detection["successRate"] = {}
    detection.pop("maxEjection", None)
    backends = spec.get("backends")
    if isinstance(backends, list) and backends and isinstance(backends[0], dict):
        if backends[0].get("weight") == 0:
            backends[0]["weight"] = 1
