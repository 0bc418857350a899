#!/usr/bin/env python3
"""Draws what results.json in the folder says: plots.py <folder>. Python's own library is all it needs.

writes.svg, reads.svg: bars, microseconds of an operation by system, on a logarithmic scale.
latency.svg: how long the slowest part of the appends takes, eight threads.
growth.svg: what an append costs when the ledger has grown.
"""

import json
import math
import sys
from html import escape
from pathlib import Path

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.head { font-size: 18px; font-weight: 600; }
.small { font-size: 12px; fill: #57606a; }
.ground { fill: #ffffff; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
.bar { fill: #8c99a8; }
.bar.log { fill: #d4570a; }
.bar.sqlite { fill: #f0a35e; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.ours { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9da7b3; }
  .ground { fill: #0d1117; }
  .grid { stroke: #30363d; }
  .value { stroke: #0d1117; }
  .bar { fill: #6e7d8e; }
  .bar.log { fill: #f5822b; }
  .bar.sqlite { fill: #b0703a; }
}
"""

# Lines: distinct on white and on black, simledger in the colour of its bars.
COLOURS = {
    "simledger, commit = log": "#e8680f",
    "simledger, commit = sqlite": "#d9a066",
    "SQLite, as people write it": "#3b82d6",
    "SQLite, tuned": "#5aa9c9",
    "SQLiteCpp": "#7d8bd4",
    "LMDB, no sync": "#2f9e62",
    "LMDB, no sync, write map": "#7db84a",
    "RocksDB": "#c0569b",
    "fjall": "#8f6fd1",
    "Redis Streams": "#d64545",
    "honker": "#8a8f98",
}


def short(value):
    """Three digits, with commas."""
    digits = max(0, min(3, 2 - math.floor(math.log10(value)))) if value > 0 else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def text(x, y, words, cls="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1, y1, x2, y2, cls="grid"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def write(path, width, height, parts, label):
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(label)}">\n<style>{STYLE}</style>\n'
        f'<rect width="{width}" height="{height}" rx="6" class="ground"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


class Log:
    """A logarithmic axis from `low` to `high`, drawn from `begin` to `end`."""

    def __init__(self, values, begin, end):
        self.low = math.floor(math.log10(min(values)) - 0.05)
        self.high = math.ceil(math.log10(max(values)) + 0.05)
        self.begin, self.end = begin, end

    def at(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self):
        return [10.0**power for power in range(self.low, self.high + 1)]


def unit(us):
    """A tick of an axis of time."""
    if us >= 1e6:
        return f"{us / 1e6:g} s"
    return f"{us / 1e3:g} ms" if us >= 1e3 else f"{us:g} µs"


def bars(path, rows, works, head):
    """Panels of bars, two beside each other, all on one scale."""
    panels = []
    for work, title, figure in works:
        found = [(row["system"], row[figure]) for row in rows if row["work"] == work and row[figure]]
        if found:
            panels.append((title, sorted(found, key=lambda one: one[1])))
    if not panels:
        return
    width, name_width, bar_width, step, top = 1000, 192, 205, 20, 58
    values = [value for _, found in panels for _, value in found]
    parts, y = [text(20, 32, head, "head")], top
    for pair in (panels[i : i + 2] for i in range(0, len(panels), 2)):
        rows_in_pair = max(len(found) for _, found in pair)
        for column, (title, found) in enumerate(pair):
            left = 20 + column * 495
            axis = Log(values, left + name_width, left + name_width + bar_width)
            parts.append(text(left, y + 14, title, "title"))
            bottom = y + 30 + step * rows_in_pair
            for tick in axis.ticks():
                parts.append(line(axis.at(tick), y + 24, axis.at(tick), bottom))
                if round(math.log10(tick) - axis.low) % 2 == 0:
                    parts.append(text(axis.at(tick), bottom + 15, unit(tick), "small", "middle"))
            for i, (system, value) in enumerate(found):
                middle = y + 30 + step * i + step / 2
                kind = {"simledger, commit = log": "log", "simledger, commit = sqlite": "sqlite"}.get(system, "")
                parts.append(text(left + name_width - 8, middle + 4, system, "ours" if kind else "", "end"))
                length = max(2, axis.at(value) - axis.begin)
                parts.append(
                    f'<rect x="{axis.begin}" y="{middle - 7:.1f}" width="{length:.1f}" height="14" '
                    f'class="bar {kind}"/>'
                )
                parts.append(text(axis.begin + length + 5, middle + 4, short(value), "value ours" if kind else "value"))
        y += 30 + step * rows_in_pair + 42
    write(path, width, y, parts, head)


def labels_apart(ends, distance=15):
    """Moves labels that would lie on one another apart, in their order."""
    ends.sort(key=lambda end: end[0])
    for i in range(1, len(ends)):
        ends[i][0] = max(ends[i][0], ends[i - 1][0] + distance)
    return ends


def lines(path, head, series, place, x_ticks, x_label, y_label):
    """Lines on a logarithmic scale, their names at their ends. `place`: from a value of x to a part of the width."""
    width, height, left, right, top, bottom = 1000, 470, 80, 700, 60, 410
    values = [y for points in series.values() for _, y in points]
    if not values:
        return
    axis = Log(values, bottom, top)
    parts = [text(20, 32, head, "head"), text(left, top - 8, y_label, "small")]
    for tick in axis.ticks():
        parts += [line(left, axis.at(tick), right, axis.at(tick)), text(left - 8, axis.at(tick) + 4, unit(tick), "small", "end")]
    for value, name in x_ticks:
        x = left + place(value) * (right - left)
        parts += [line(x, top, x, bottom), text(x, bottom + 20, name, "small", "middle")]
    parts.append(text((left + right) / 2, bottom + 45, x_label, "small", "middle"))
    ends = []
    for system, points in series.items():
        at = [(left + place(x) * (right - left), axis.at(y)) for x, y in points]
        colour = COLOURS.get(system.split(":")[0], "#888888")
        ours = system.startswith("simledger")
        thick = ' style="stroke-width: 3.5"' if ours else ""
        dashes = ' stroke-dasharray="6 4"' if ":" in system else ""
        parts.append(
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in at)}" class="line" stroke="{colour}"'
            f'{dashes}{thick}/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
        ends.append([at[-1][1], at[-1], system, colour, ours])
    for y, (end_x, end_y), system, colour, ours in labels_apart(ends):
        parts.append(f'<path d="M{end_x + 4:.1f},{end_y:.1f} L{right + 22},{y:.1f}" stroke="{colour}" fill="none" opacity="0.6"/>')
        parts.append(text(right + 26, y + 4, system, "ours" if ours else ""))
    write(path, width, height, parts, head)


def main():
    folder = Path(sys.argv[1])
    rows = json.loads((folder / "results.json").read_text())
    titles = {row["work"]: row["title"] for row in rows}
    mean = lambda work, title=None: (work, title or titles.get(work, work), "us_mean")
    p50 = lambda work, title: (work, title, "us_p50")

    bars(
        folder / "writes.svg",
        rows,
        [
            mean("append", "Append JSON, 1 thread"),
            mean("append 8", "8 threads, time per entry"),
            mean("append 4 processes", "4 processes, time per entry"),
            mean("batch", "Batch of 1,000 JSON, time per entry"),
            mean("synced", "Synced append, 1 thread"),
            mean("synced 8", "Synced append, 8 threads, per entry"),
        ],
        "Writing: microseconds, mean, less is better (logarithmic)",
    )
    bars(
        folder / "reads.svg",
        rows,
        [
            p50("poll of none", "Poll of none, p50"),
            p50("poll of ten", "Poll of ten, every field read, p50"),
            p50("get", "Get by id, recent, p50"),
            mean("step", "Step of 100 agents: one appends, all poll, mean"),
            mean("read all", titles.get("read all", "read all").split(" right")[0].capitalize() + ", every field, mean"),
            p50("wake processes", "Wake-up across processes, p50"),
        ],
        "Reading: microseconds, less is better (logarithmic)",
    )

    tail = lambda part: -math.log10(max(1 - part, 1e-5))
    ends = [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"), (1, "worst")]
    wanted = [part for part, _ in ends]
    series = {
        row["system"]: [(part, us) for part, us in row["quantiles"] if part in wanted]
        for row in rows
        if row["work"] == "append 8" and "quantiles" in row
    }
    lines(
        folder / "latency.svg",
        "Appends of 8 threads: how long a call takes at most (logarithmic)",
        series,
        lambda part: (tail(part) - tail(0.5)) / (tail(1) - tail(0.5)),
        ends,
        "of the calls",
        "time of a call",
    )

    series = {}
    for row in rows:
        if row["work"] != "growth":
            continue
        size = int(row["variant"])
        series.setdefault(row["system"], []).append((size, row["us_mean"]))
        if row["system"].startswith("simledger"):
            series.setdefault(row["system"] + ": drained", []).append((size, row["drained_us"]))
    sizes = sorted({size for points in series.values() for size, _ in points})
    if len(sizes) > 1:
        low, high = math.log10(sizes[0]), math.log10(sizes[-1])
        lines(
            folder / "growth.svg",
            "Appends to a ledger that has grown: mean time of an entry (logarithmic)",
            {name: sorted(points) for name, points in series.items()},
            lambda size: (math.log10(size) - low) / (high - low),
            [(size, f"{size:,}") for size in sizes],
            "entries in the ledger (logarithmic)",
            "time per entry",
        )


if __name__ == "__main__":
    main()
