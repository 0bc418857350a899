#!/usr/bin/env python3
"""Draws what a soak measured: plot.py <out.svg> <name>=<figures.csv>... See tests/soak.rs."""

import csv
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "benches"))
from plots import COLOURS, line, short, text, write  # noqa: E402

# Title, the column that is drawn, what it is divided by, and whether by its logarithm: the two ways of committing are
# far apart in time.
PANELS = [
    ("Memory of the first process, MB", "memory_bytes", 1e6, False),
    ("Its descriptors", "descriptors", 1, False),
    ("WAL, MB", "wal_bytes", 1e6, False),
    ("Ledger file, MB", "ledger_bytes", 1e6, False),
    ("Append, p99 of each second, ms", "append_p99", 1e-3, True),
    ("Poll of ten, p99 of each second, ms", "poll_p99", 1e-3, True),
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


def scale(values, logarithmic):
    """Where a value is between bottom (0) and top (1), and the values at the lines."""
    high = max(values) * 1.1 or 1
    if not logarithmic:
        return (lambda y: y / high), [0, high / 2, high]
    low, high = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
    return (lambda y: (math.log10(y) - low) / (high - low)), [10.0**power for power in range(low, high + 1)]


def panel(parts, left, top, title, series, logarithmic):
    position, lines = scale([y for points in series.values() for _, y in points], logarithmic)
    end = max(x for points in series.values() for x, _ in points)
    bottom = top + PANEL_HEIGHT
    parts.append(text(left, top - 12, title, "title"))
    for value in lines:
        y = bottom - position(value) * PANEL_HEIGHT
        label = f"{value:g}" if logarithmic else short(value)
        parts += [line(left, y, left + PANEL_WIDTH, y), text(left - 8, y + 4, label, "small", "end")]
    for part in (0, 0.5, 1):
        x = left + part * PANEL_WIDTH
        parts.append(text(x, bottom + 18, f"{end * part / 60:g} min" if end >= 120 else f"{end * part:g} s", "small", "middle"))
    for name, points in series.items():
        at = [(left + x / end * PANEL_WIDTH, bottom - position(y) * PANEL_HEIGHT) for x, y in thinned(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline points="{path}" class="line" stroke="{COLOURS[name]}"/>')


def main():
    out = Path(sys.argv[1])
    runs = dict(argument.split("=", 1) for argument in sys.argv[2:])
    runs = {f"simledger, commit = {name}": read(path) for name, path in runs.items()}
    head = "A soak: 16 threads, and 4 processes which are killed and started anew in turn"
    parts = [text(20, 32, head, "head")]
    for index, name in enumerate(runs):
        x = 20 + index * 260
        parts += [f'<path d="M{x},54 h30" class="line" stroke="{COLOURS[name]}"/>', text(x + 38, 58, name, "small")]
    for index, (title, column, unit, logarithmic) in enumerate(PANELS):
        left, top = LEFT + index % 2 * 485, 105 + index // 2 * STEP
        series = {
            name: [(row["second"], row[column] / unit) for row in rows if row[column] or not logarithmic]
            for name, rows in runs.items()
        }
        panel(parts, left, top, title, series, logarithmic)
    write(out, WIDTH, 105 + len(PANELS) // 2 * STEP - 20, parts, head)


if __name__ == "__main__":
    main()
