"""What counts and what does not: rounds are compared only where all sides did the same."""
import statistics
from dataclasses import dataclass, field

from child import Refused

FLOOR, PEER, OURS = "floor", "peer", "lookaside"
SIDES = (FLOOR, PEER, OURS)


@dataclass
class Heard:
    """What the clients of one side heard in a round: {(service, endpoints): {hashes of the list}}, and how many times each was heard."""
    hashes: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)

    def add(self, arrival):
        key = (arrival.service, arrival.endpoints)
        self.hashes.setdefault(key, set()).add(arrival.hash)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.sizes[key] = arrival.bytes


def complete(heard, side, expected):
    """Every list that was published was heard by all who had asked for it, once. expected: {(service, endpoints): clients}."""
    for key, clients in expected.items():
        found = heard.counts.get(key, 0)
        if found != clients:
            raise Refused(f"{side}: {found} of {clients} clients got the list of {key[1]} endpoints of service {key[0]}")
        if len(heard.hashes[key]) != 1:
            raise Refused(f"{side}: its clients got {len(heard.hashes[key])} different lists of {key[1]} endpoints")
    strange = set(heard.counts) - set(expected)
    if strange:
        raise Refused(f"{side}: lists of {sorted(strange)[0][1]} endpoints came, which nobody had published")


def alike(heard):
    """All sides sent the same bytes, of what more than one sent. heard: {side: Heard}."""
    first_side, first = next(iter(heard.items()))
    for side, other in heard.items():
        for key in first.hashes.keys() & other.hashes.keys():
            if first.hashes[key] != other.hashes[key]:
                raise Refused(f"{side} sent other bytes than {first_side} as the list of {key[1]} endpoints: "
                              f"{other.sizes[key]} and {first.sizes[key]} of them")


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, with the least and the most."""
    median: float
    least: float
    most: float
    rounds: int

    @staticmethod
    def of(values):
        return Spread(statistics.median(values), min(values), max(values), len(values))


def percentile(values, percent):
    """Of a sorted list."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


# ---- targets: a text, and whether a row meets it ----

@dataclass(frozen=True)
class Target:
    text: str
    met: object                                  # of a Row: True, False, or None: it cannot be said


def at_most(limit, unit):
    return Target(f"≤ {limit:g} {unit}", lambda row: row.ours.median <= limit)


def times_floor(limit):
    return Target(f"≤ {limit:g} × floor", lambda row: row.of_floor and row.of_floor.median <= limit)


def share_of_floor(limit):
    return Target(f"≥ {limit:.0%} of the floor's", lambda row: row.of_floor and row.of_floor.median >= limit)


def below_peer(limit):
    return Target(f"≥ {limit:g} × less than the peer",
                  lambda row: None if row.of_peer is None else 1 / row.of_peer.median >= limit)


@dataclass
class Row:
    """One figure of a scenario. Ratios are taken within a round, then their median."""
    scenario: str
    figure: str
    unit: str
    rounds: list                                 # [{side: value}]
    target: Target = None
    note: str = ""

    def _spread(self, side):
        values = [values[side] for values in self.rounds if values.get(side) is not None]
        return Spread.of(values) if values else None

    def _ratio(self, side):
        ratios = [values[OURS] / values[side] for values in self.rounds
                  if values.get(side) and values.get(OURS) is not None]
        return Spread.of(ratios) if ratios else None

    floor = property(lambda self: self._spread(FLOOR))
    peer = property(lambda self: self._spread(PEER))
    ours = property(lambda self: self._spread(OURS))
    of_floor = property(lambda self: self._ratio(FLOOR))
    of_peer = property(lambda self: self._ratio(PEER))

    @property
    def met(self):
        if self.target is None or self.ours is None:
            return None
        result = self.target.met(self)
        return None if result is None else bool(result)
