#!/usr/bin/env python3
"""Draws the results of the benchmarks as SVG, next to their JSON.

Usage: tests/bench/plot.py FOLDER

Reads units.json, race.json, local.json and growth.json in the folder, those that exist.
"""

import html
import json
import pathlib
import sys

WIDTH, ROW, BAR = 760, 26, 16
LEFT, RIGHT, TOP = 240, 70, 46
COLORS = ["#2f6f9f", "#d98e04", "#5b8c5a", "#a23b4a", "#7a6c9d", "#8a8a8a", "#c06a3d"]
SYSTEMS = {"answerback": "local stack", "bullmq": "BullMQ, sync each write", "bullmq_everysec": "BullMQ, sync each second"}
FONT = 'font-family="sans-serif" font-size="12" fill="#222"'


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT} {more}>{html.escape(words)}</text>'


def document(title, height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    back = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<title>{html.escape(title)}</title>", back, text(12, 20, title, 'font-weight="bold"'), *parts, "</svg>"]) + "\n"


def bars(title, rows, names):
    """Stacked bars. A row is a label, and a value for each name."""
    most = max(sum(values) for _, values in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    parts, x = [], 12
    if len(names) > 1:
        for color, name in zip(COLORS, names):
            parts += [f'<rect x="{x}" y="30" width="10" height="10" fill="{color}"/>', text(x + 14, 39, name)]
            x += 34 + 7 * len(name)
    for place, (label, values) in enumerate(rows):
        y, x = TOP + place * ROW, LEFT
        parts.append(text(LEFT - 8, y + 13, label, 'text-anchor="end"'))
        for color, value in zip(COLORS, values):
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{color}"/>')
            x += value * scale
        parts.append(text(x + 6, y + 13, f"{sum(values):.2f}"))
    return document(title, TOP + len(rows) * ROW + 10, parts)


def lines(title, columns, series):
    """One line for each series, over columns at equal distances, from zero."""
    height, bottom = 330, 280
    most = max(max(it) for it in series.values()) * 1.1
    xs = [60 + it * (WIDTH - 300) / max(1, len(columns) - 1) for it in range(len(columns))]
    parts = [f'<path d="M60 {TOP} V{bottom} H{WIDTH - 230}" fill="none" stroke="#888"/>', text(12, TOP + 4, f"{most:.1f}")]
    parts += [text(x, bottom + 18, name, 'text-anchor="middle"') for x, name in zip(xs, columns)]
    for place, (color, (name, values)) in enumerate(zip(COLORS, series.items())):
        points = [(x, bottom - value / most * (bottom - TOP)) for x, value in zip(xs, values)]
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
        parts += [f'<rect x="{WIDTH - 205}" y="{TOP + place * 20}" width="10" height="10" fill="{color}"/>']
        parts.append(text(WIDTH - 190, TOP + 9 + place * 20, name))
    return document(title, height, parts)


def plot_units(results):
    names = ["http_api", "writes", "reads", "invocations", "duration", "queue", "logs"]
    labels = ["HTTP API", "writes", "reads", "requests", "duration", "queue", "logs"]
    rows = [it for it in results["lifecycles"] if not it["name"].startswith("100")]
    rows = [(f"lifecycle, {it['name']}", it) for it in rows] + [(f"event, {it['name']}", it) for it in results["events"][:3]]
    rows = [(label, [it["parts"][name] for name in names]) for label, it in rows]
    return bars("US dollars for a million", rows, labels)


def plot_race(results):
    rows = [(title, [results["summary"][name]["cpu_ms_per_event"]]) for name, title in SYSTEMS.items()]
    return bars("CPU ms an event, all processes", rows, ["CPU"])


def plot_latencies(results):
    percents = [1, 10, 25, 50, 75, 90, 95, 99]
    series = {}
    for name, rounds in results.items():
        all = sorted(it for round in rounds for it in round["latencies_ms"])
        series[SYSTEMS.get(name, name)] = [all[min(len(all) - 1, len(all) * it // 100)] for it in percents]
    return lines("ms from event or answer to callback at 100/s, by percentile", [f"p{it}" for it in percents], series)


def plot_growth(results):
    columns = [f"{it['stored']:,}" for it in results["rounds"]]
    names = results["rounds"][0]["operations"]
    series = {name: [it["operations"][name]["cpu_ms"] for it in results["rounds"]] for name in names}
    return lines("CPU ms a call, by stored requests", columns, series)


def main():
    folder = pathlib.Path(sys.argv[1])
    load = lambda name: json.loads((folder / name).read_text()) if (folder / name).exists() else None
    race, local = load("race.json"), load("local.json")
    latencies = (race or {}).get("rounds", {}) | ({"local stack, answers": local["rounds"]["program"]} if local else {})
    plots = {
        "units": (plot_units, load("units.json")),
        "race": (plot_race, race),
        "latencies": (plot_latencies, latencies),
        "growth": (plot_growth, load("growth.json")),
    }
    for name, (plot, results) in plots.items():
        if results:
            (folder / f"{name}.svg").write_text(plot(results))
            print(folder / f"{name}.svg")


if __name__ == "__main__":
    main()
