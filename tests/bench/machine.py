"""The machine that a benchmark runs on, and the file of its results."""

import json
import os
import pathlib
import platform


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((it.split(":")[1].strip() for it in info if it.startswith("model name")), platform.machine())
    load = ", ".join(f"{it:.1f}" for it in os.getloadavg())
    return {"model": model, "processors": os.cpu_count(), "kernel": platform.release(), "load_before": load}


def show_machine(about):
    print(f"{about['model']}, {about['processors']} processors, Linux {about['kernel']}, load {about['load_before']}")


def save(file, results):
    """Writes raw results. Numbers have three decimals."""
    pathlib.Path(file).write_text(json.dumps(rounded(results), indent=1) + "\n")


def rounded(value):
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(it) for name, it in value.items()}
    if isinstance(value, list):
        return [rounded(it) for it in value]
    return value


def options_of(options):
    """The options of a run, with programs by their names."""
    values = {name: it for name, it in vars(options).items() if name != "json"}
    return values | {name: pathlib.Path(values[name]).name for name in ("program", "baseline", "sweep") if values.get(name)}
