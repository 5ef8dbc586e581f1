"""Random specs of a LookasideService, made from the schema of its kind: mostly valid, often at a
bound or just beyond, sometimes of another type."""

import itertools

DURATIONS = ("1ms", "25ms", "99ms", "100ms", "999ms", "1s", "30s", "59s", "1m", "61s", "1m1s", "5m",
             "10m", "601s", "1h", "3601s", "24h", "1440m1ms", "0s", "1s1ms", "1ms1s", "000001s",
             "0000001s", "1h1h", "999999h99999m", "1.5s", "-1s", "+1s", "5", "1d", "s", "1us",
             "1 s",
             "", "1S", "1m5", "999999ms")
HOSTS = ("a.b", "greeter.example.com", "1.b", "a.1", "a.1b", "a.b-", "-a.b", "a..b", "a.b.", "A.b",
         "a", "a_b.c", "a.b.c.d.e", "x" * 63 + ".b", "x" * 64 + ".b", ".a.b", "a.-b", "a.b1",
         ".".join(["x" * 63] * 3 + ["y" * 61]), ".".join(["x" * 63] * 3 + ["y" * 62]), "a b.c",
         "é.fr")
LABELS = ("greeter", "a", "a-b", "a-", "-a", "A", "a.b", "", "8001", "1a", "x" * 63, "x" * 64,
          "a_b",
          "é", "web/a")
PORTS = (1, 80, 65535, 0, 65536, -1, "grpc", "8001", "0", "65535", "65536", "080", "000080",
         "00080",
         "g" * 63, "g" * 64, "GRPC", "g-", "-1", "", "99999999999999999999", "9" * 63, "1e3", "8 1")
HEADERS = ("x-user-id", "a", "a.b_c-d", "-a", "a-bin", "bin", "-bin", ":path", "X-A", "",
           "a" * 64, "a" * 65, "0", "_a", "a b", "é")
OTHER_TYPES = (None, True, 0, 1, -1, 2.5, 3.0, "", "text", [], {}, [1], {"a": 1}, 1e30)
KNOWN_WORDS = "RoundRobin", "Off", "off", "Fail", "unavailable", "UNAVAILABLE", "random"


class Specs:
    """random: of a seed, so that a run can be had again. wrong: how often a value is one that the
    schema has not."""

    def __init__(self, schema, random, wrong):
        self.schema, self.random, self.wrong = schema, random, wrong

    def __call__(self):
        """Most are mostly valid: else a wrong value would hide the others."""
        self.odds = self.random.choice((0, 0, self.wrong, 3 * self.wrong))
        return self.make(self.schema)

    def chance(self, odds):
        return self.random.random() < odds

    def make(self, node):
        if self.chance(self.odds / 4):
            return self.random.choice(OTHER_TYPES)
        if "enum" in node:
            return self.random.choice(KNOWN_WORDS if self.chance(self.odds) else node["enum"])
        if node.get("x-kubernetes-int-or-string"):
            return self.choose(PORTS, 9)
        return getattr(self, f"make_{node['type']}")(node)

    def choose(self, values, good):
        """The first so many of them are the sound ones."""
        return self.random.choice(values if self.chance(self.odds) else values[:good])

    def make_object(self, node):
        required, share = node.get("required", ()), self.random.choice((0.2, 0.5, 0.9))
        made = {name: self.make(child) for name, child in node["properties"].items()
                if name != "true"
                and self.chance(1 - self.odds if name in required else share)}
        if self.chance(self.odds / 4):
            made["unknown"] = 1
        return made

    def make_array(self, node):
        most = node["maxItems"]
        low = 0 if self.chance(self.odds) else node.get("minItems", 0)
        high = self.random.choice((2, 3, most, most + 1 if self.chance(self.odds) else most))
        made = [self.make(node["items"]) for _ in range(self.random.randint(low, max(low, high)))]
        return made if self.chance(self.odds) else self.distinct(node, made)

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
        bounds = (low, high, min(low + 1, high), max(high - 1, low))
        if self.chance(self.odds):
            return self.random.choice((low - 1, high + 1, str(low), low + 0.5, float(low), 1 << 40))
        return self.random.choice((*bounds, self.random.randint(low, high)))

    def make_string(self, node):
        rules = " ".join(rule["rule"] for rule in node["x-kubernetes-validations"])
        if "duration(" in rules:
            return self.choose(DURATIONS + (self.duration(),), 18)
        if "-bin" in rules:
            return self.choose(HEADERS, 3)
        if "[.]" in rules:
            return self.choose(HOSTS, 3)
        return self.choose(LABELS, 3) if self.chance(0.3) else f"s{self.random.randint(0, 99)}"

    def duration(self):
        units = self.random.sample(("h", "m", "s", "ms"), 2)
        parts = (f"{self.random.randint(0, 99)}{unit}" for unit in units)
        return "".join(itertools.islice(parts, self.random.randint(1, 2)))
