"""SVG pictures: lines over a number axis, bars in groups. Axes have units, sides have the same colour everywhere, and a legend."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 52, 92
COLOURS = {"floor": "#7a7a7a", "peer": "#d97706", "lookaside": "#2563eb"}
TITLES = {"floor": "bare loop (floor)", "peer": "go-control-plane LinearCache (peer)", "lookaside": "Lookaside"}
FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"
TICKS = 6


def _text(x, y, words, size=12, anchor="middle", extra=""):
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='#222' {FONT} {extra}>{escape(words)}</text>"


def _tick_text(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def nice_ticks(most):
    """Round numbers from 0 to just beyond `most`."""
    if most <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(most / TICKS))
    step = next(step * factor for factor in (1, 2, 5, 10) if most / (step * factor) <= TICKS)
    return [step * i for i in range(math.ceil(most / step - 1e-9) + 1)]


def _frame(title, unit_x, unit_y):
    return ["<?xml version='1.0' encoding='UTF-8'?>",
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}'>",
            f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>", _text(WIDTH / 2, 26, title, 16, extra="font-weight='bold'"),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 40, unit_x),
            _text(20, (TOP + HEIGHT - BOTTOM) / 2, unit_y, extra=f"transform='rotate(-90 20 {(TOP + HEIGHT - BOTTOM) / 2:.0f})'")]


def _y_axis(most):
    ticks = nice_ticks(most)

    def place(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / ticks[-1]
    out = []
    for tick in ticks:
        out.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{place(tick):.1f}' y2='{place(tick):.1f}' "
                   f"stroke='{'#222' if tick == 0 else '#ddd'}'/>")
        out.append(_text(LEFT - 8, place(tick) + 4, _tick_text(tick), 11, "end"))
    return out, place


def _x_axis(values, log):
    if log:
        low, high = math.log10(min(values)), math.log10(max(values))
        ticks = [10 ** i for i in range(math.floor(low), math.ceil(high) + 1)]
        low, high = math.log10(ticks[0]), math.log10(ticks[-1])
        scale = lambda value: (math.log10(value) - low) / ((high - low) or 1)  # noqa: E731
    else:
        ticks = nice_ticks(max(values))
        scale = lambda value: value / ticks[-1]  # noqa: E731

    def place(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * scale(value)
    out = []
    for tick in ticks:
        out.append(f"<line x1='{place(tick):.1f}' x2='{place(tick):.1f}' y1='{HEIGHT - BOTTOM}' y2='{HEIGHT - BOTTOM + 5}' stroke='#222'/>")
        out.append(_text(place(tick), HEIGHT - BOTTOM + 19, _tick_text(tick), 11))
    return out, place


def _legend(names):
    out, x = [], LEFT
    for name in names:
        out.append(f"<rect x='{x}' y='{HEIGHT - 26}' width='14' height='14' fill='{COLOURS[name]}'/>")
        out.append(_text(x + 20, HEIGHT - 14, TITLES[name], 12, "start"))
        x += 40 + 7.2 * len(TITLES[name])
    return out


def _thinned(points, most=400):
    step = max(1, len(points) // most)
    return points[::step] + ([points[-1]] if points else [])


def lines(title, unit_x, unit_y, series, log_x=False):
    """series: {side: [(x, y), ...]}."""
    series = {name: _thinned(points) for name, points in series.items() if points}
    x_axis, x_at = _x_axis([x for points in series.values() for x, _ in points], log_x)
    y_axis, y_at = _y_axis(max(y for points in series.values() for _, y in points))
    out = _frame(title, unit_x, unit_y) + y_axis + x_axis
    for name, points in series.items():
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points)
        out.append(f"<polyline points='{path}' fill='none' stroke='{COLOURS[name]}' stroke-width='2'/>")
        if len(points) < 20:
            out += [f"<circle cx='{x_at(x):.1f}' cy='{y_at(y):.1f}' r='3.5' fill='{COLOURS[name]}'/>" for x, y in points]
    return "\n".join(out + _legend([name for name in COLOURS if name in series]) + ["</svg>"]) + "\n"


def _bar(x, width, top, value, spread, name, y_at):
    out = [f"<rect x='{x:.1f}' y='{top:.1f}' width='{width:.1f}' height='{max(0, y_at(0) - top):.1f}' fill='{COLOURS[name]}'/>",
           _text(x + width / 2, y_at(spread[1]) - 6, _tick_text(value), 11)]
    if spread[0] != spread[1]:
        middle = x + width / 2
        out.append(f"<line x1='{middle:.1f}' x2='{middle:.1f}' y1='{y_at(spread[0]):.1f}' y2='{y_at(spread[1]):.1f}' stroke='#111'/>")
    return out


def bars(title, unit_y, groups):
    """groups: [(label, {side: (median, least, most)})]. A label has a line for each part behind a comma and a space."""
    most = max(values[2] for _, sides in groups for values in sides.values())
    y_axis, y_at = _y_axis(most * 1.08)
    out = _frame(title, "", unit_y) + y_axis
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    names = [name for name in COLOURS if any(name in sides for _, sides in groups)]
    width = min(60, room * 0.8 / len(names))
    for number, (label, sides) in enumerate(groups):
        start = LEFT + room * (number + 0.5) - width * len(names) / 2
        for line, words in enumerate(label.split(", ")):
            out.append(_text(LEFT + room * (number + 0.5), HEIGHT - BOTTOM + 17 + 14 * line, words, 11))
        for place, name in enumerate(names):
            if name in sides:
                median, least, top = sides[name]
                out += _bar(start + place * width, width - 4, y_at(median), median, (least, top), name, y_at)
    return "\n".join(out + _legend(names) + ["</svg>"]) + "\n"
