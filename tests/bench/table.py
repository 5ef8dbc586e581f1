"""What is printed and what is kept: the Markdown table and the result file."""
import json

import machine

UNMEASURED = "–"


def number(value):
    if value is None:
        return UNMEASURED
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def spread(value):
    if value is None:
        return UNMEASURED
    if value.rounds == 1 or value.least == value.most:
        return number(value.median)
    return f"{number(value.median)} ({number(value.least)}–{number(value.most)})"


def ratio(value):
    return UNMEASURED if value is None else f"{value.median:.2f}"


def _met(row):
    if row.target is None:
        return ""
    return {True: "yes", False: "**no**", None: "not measured"}[row.met]


def markdown(rows):
    lines = ["| scenario | figure | floor | peer | Lookaside | × floor | × peer | target | met |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row.scenario} | {row.figure}, {row.unit} | {spread(row.floor)} | {spread(row.peer)} | {spread(row.ours)} | "
                     f"{ratio(row.of_floor)} | {ratio(row.of_peer)} | {row.target.text if row.target else ''} | {_met(row)} |")
    return "\n".join(lines)


def _plain(row):
    def parts(value):
        return None if value is None else {"median": value.median, "least": value.least, "most": value.most}
    return {"scenario": row.scenario, "figure": row.figure, "unit": row.unit, "rounds": row.rounds, "floor": parts(row.floor),
            "peer": parts(row.peer), "lookaside": parts(row.ours), "times_floor": parts(row.of_floor), "times_peer": parts(row.of_peer),
            "target": row.target.text if row.target else None, "met": row.met, "note": row.note}


def write_json(path, bench, peer_version, seconds):
    path.write_text(json.dumps({
        "machine": bench.machine, "disturbance": worst(bench), "peer": peer_version, "quick": bench.quick, "seconds": round(seconds),
        "rows": [_plain(row) for row in bench.rows], "refused": bench.refused, "skipped": bench.skipped,
        "plots": sorted(bench.figures)}, indent=1) + "\n")


def worst(bench):
    """Of all rounds that counted, and those that did not."""
    keys = ("stolen", "foreign", "slower")
    return {key: max((seen[key] for seen in bench.disturbed), default=0) for key in keys}


def print_all(bench, peer_version):
    seen = worst(bench)
    print(f"\n{machine.note_line(bench.machine)}")
    print(f"peer: go-control-plane {peer_version}, LinearCache" if bench.peer else "peer: none on this machine")
    print(f"at most {seen['foreign']:.0%} of the machine went to others in a round, {seen['stolen']:.0%} to its host; slowest pace "
          f"{seen['slower']:.2f} × the best\n")
    print(markdown(bench.rows))
    for row in bench.rows:
        if row.note:
            print(f"- {row.scenario}, {row.figure}: {row.note}")
    print()
