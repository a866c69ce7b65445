"""Packages of the baselines that run on Node.js. They come from npm, and are kept in the target folder."""

import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target"
# Packages in a bundle may use `require`.
BANNER = "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);"


def missing(*programs):
    """Those of these programs that this machine does not have."""
    return [it for it in programs if not shutil.which(it)]


def install(name):
    """Installs the packages of a baseline, and copies it next to them, where Node.js looks for them. Returns the folder."""
    work = TARGET / name
    work.mkdir(parents=True, exist_ok=True)
    lock = (HERE / name / "package-lock.json").read_bytes()
    stamp = work / "node_modules" / "installed"
    for file in (HERE / name).iterdir():
        shutil.copy(file, work)
    if not stamp.exists() or stamp.read_bytes() != lock:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=work, check=True)
        stamp.write_bytes(lock)
    return work


def bundle():
    """Bundles the function in JavaScript that functions are compared with. Returns its file."""
    if programs := missing("node", "npm"):
        sys.exit(f"This machine has no {' and no '.join(programs)}.")
    work = install("node")
    command = [work / "node_modules" / ".bin" / "esbuild", "handler.js", "--bundle", "--minify", "--platform=node"]
    options = ["--format=esm", "--target=node20", "--outfile=node.mjs", "--log-level=error", BANNER]
    subprocess.run(command + options, cwd=work, check=True)
    return work / "node.mjs"
