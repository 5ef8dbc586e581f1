"""What is printed and what is kept: the Markdown table and the result file."""
import json
from pathlib import Path

import machine

UNMEASURED = "–"
README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- bench: make bench WRITE=1 writes it -->\n", "<!-- end of bench -->"
# What the README shows: (how a scenario's name begins, a figure, its words there).
SHOWN = (("fan-out, 1,000", "CPU per client and change", "CPU per client and change, 1,000 clients"),
         ("fan-out, 10,000", "CPU per client and change", "CPU per client and change, 10,000 clients"),
         ("fan-out, 1,000", "time to the last client", "a change is at the last of 1,000 clients"),
         ("fan-out, 10,000", "time to the last client", "a change is at the last of 10,000 clients"),
         ("memory, 10,000 clients", "resident, per idle client", "memory of a client"),
         ("memory, 10,000 clients", "resident, per client after the changes", "memory of a client after 100 changes"),
         ("memory, 10,000 clients, TLS", "resident, per idle client", "memory of a client, TLS"),
         ("uninterested, 10,000 services", "CPU per change", "a change that nobody asked for, 10,000 Services: CPU"),
         ("churn", "convergence, p99", "200 changes a second: convergence, p99"),
         ("cold start", "first byte to ready", "cold start, 100,000 endpoints in 2,000 Services"),
         ("cold start", "peak resident memory", "cold start: peak memory"),
         ("reconnect storm", "clients served a second", "10,000 clients come back at once: served a second"),
         ("real API server", "write returned to the last client", "real API server: slice written to the last of 1,000 clients"))


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


def write_readme(bench):
    """Its table anew, from a run that measured all of it."""
    lines = ["| | floor | peer | Lookaside |", "|---|---|---|---|"]
    for begin, figure, words in SHOWN:
        row = next((row for row in bench.rows if row.figure == figure and row.scenario.startswith(begin)), None)
        if row:
            cells = [UNMEASURED if value is None else f"{number(value.median)} {row.unit}" for value in (row.floor, row.peer, row.ours)]
            lines.append(f"| {words} | {' | '.join(cells)} |")
    note = bench.machine
    busy = worst(bench)["foreign"]
    lines += ["", f"{note['cores']} cores ({note['cpu']}), Linux {note['kernel'].partition('-')[0]}, shared by the servers and all their clients; medians"
              f"{f'. Others took up to {busy:.0%} of the machine meanwhile' if busy > machine.FOREIGN_MAX else ''}."]
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    README.write_text(head + BEGIN + "\n".join(lines) + "\n" + rest[rest.index(END):])


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
          f"{seen['slower']:.2f} × the best of the round\n")
    print(markdown(bench.rows))
    for row in bench.rows:
        if row.note:
            print(f"- {row.scenario}, {row.figure}: {row.note}")
    print()
