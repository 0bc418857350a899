#!/usr/bin/env python3
"""Draws what a soak measured: plot.py <out.svg> <name>=<figures.csv>... See tests/soak.rs."""

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "benches"))
from plots import COLOURS, line, short, text, write  # noqa: E402

# Title, and the columns that are drawn, each with what it is divided by.
PANELS = [
    ("Memory of the first process, MB", "memory_bytes", 1e6),
    ("Its descriptors", "descriptors", 1),
    ("WAL, MB", "wal_bytes", 1e6),
    ("Ledger file, MB", "ledger_bytes", 1e6),
    ("Append, p99 of each second, ms", "append_p99", 1e-3),
    ("Poll of ten, p99 of each second, ms", "poll_p99", 1e-3),
]
WIDTH, LEFT, PANEL_WIDTH, PANEL_HEIGHT, STEP = 1000, 70, 380, 150, 225
POINTS = 200


def read(path):
    with open(path, newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def thinned(values):
    """At most so many points: the largest of each stretch, so that no spike is left out."""
    size = max(1, -(-len(values) // POINTS))
    return [max(values[i : i + size], key=lambda point: point[1]) for i in range(0, len(values), size)]


def panel(parts, left, top, title, series):
    high = max(y for points in series.values() for _, y in points) * 1.1 or 1
    end = max(x for points in series.values() for x, _ in points)
    bottom = top + PANEL_HEIGHT
    parts.append(text(left, top - 12, title, "title"))
    for part in (0, 0.5, 1):
        y = bottom - part * PANEL_HEIGHT
        parts += [line(left, y, left + PANEL_WIDTH, y), text(left - 8, y + 4, short(high * part), "small", "end")]
        x = left + part * PANEL_WIDTH
        parts.append(text(x, bottom + 18, f"{end * part / 60:g} min" if end >= 120 else f"{end * part:g} s", "small", "middle"))
    for name, points in series.items():
        at = [(left + x / end * PANEL_WIDTH, bottom - y / high * PANEL_HEIGHT) for x, y in thinned(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline points="{path}" class="line" stroke="{COLOURS[name]}"/>')


def main():
    out = Path(sys.argv[1])
    runs = dict(argument.split("=", 1) for argument in sys.argv[2:])
    runs = {f"simledger, commit = {name}": read(path) for name, path in runs.items()}
    head = "A soak: 20 agents in 5 processes, four of which are killed and started anew in turn"
    parts = [text(20, 32, head, "head")]
    for index, name in enumerate(runs):
        x = 20 + index * 260
        parts += [f'<path d="M{x},54 h30" class="line" stroke="{COLOURS[name]}"/>', text(x + 38, 58, name, "small")]
    for index, (title, column, unit) in enumerate(PANELS):
        left, top = LEFT + index % 2 * 485, 105 + index // 2 * STEP
        series = {name: [(row["second"], row[column] / unit) for row in rows] for name, rows in runs.items()}
        panel(parts, left, top, title, series)
    write(out, WIDTH, 105 + len(PANELS) // 2 * STEP - 20, parts, head)


if __name__ == "__main__":
    main()
