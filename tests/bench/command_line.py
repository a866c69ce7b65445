#!/usr/bin/env python3
"""Measures the program `answerback` without the local stack: its size, and the instructions of short commands.

Usage: tests/bench/command_line.py PATH_OF_ANSWERBACK   (a release build with --no-default-features)

Runs `--help`, and `ask` against a server that refuses the first call, so the count is that of a command up to its
first bytes on the wire and a little more. Instructions are counted by valgrind's callgrind and hardly vary. The
program fails above MILLIONS_MAX or BYTES_MAX.
"""

import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

# Most instructions of a command, in millions.
MILLIONS_MAX = 15.0
# Largest program. Every CI job that asks downloads it.
BYTES_MAX = 12_000_000
# Seconds for a command under valgrind, on a slow machine.
TIMEOUT = 120


class Refusing(http.server.BaseHTTPRequestHandler):
    """Refuses every call."""

    def do_POST(self):
        self.server.calls.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"code": "unauthorized", "detail": "no"}).encode()
        self.send_response(401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    server.calls = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def count(command, home, code):
    """Instructions of a command that exits with `code`, in millions. None without valgrind."""
    counted = shutil.which("valgrind") is not None
    if counted:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    env = {"HOME": home, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=env, cwd=home, timeout=TIMEOUT, text=True, capture_output=True, check=False)
    assert done.returncode == code, f"{command} exited with {done.returncode}:\n{done.stderr}"
    return int(re.search(r"Collected : (\d+)", done.stderr)[1]) / 1e6 if counted else None


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    server, faults = serve(), []
    url = f"http://127.0.0.1:{server.server_port}"
    key = "[profiles.bench]\nurl = {}\napi_key = \"ab_live_x\"\n".format(json.dumps(url))
    with tempfile.TemporaryDirectory() as home:
        config = pathlib.Path(home) / ".config/answerback/config.toml"
        config.parent.mkdir(parents=True)
        config.touch(mode=0o600)
        config.write_text("default_profile = \"bench\"\n" + key)
        commands = {"--help": (["--help"], 0), "ask": (["ask", "Deploy?", "--to", "ada@example.com", "--wait"], 5)}
        for name, (arguments, code) in commands.items():
            millions = count([program, *arguments], home, code)
            if millions is None:
                print(f"{name}: not counted without valgrind")
                continue
            print(f"{name}: {millions:.3f} million instructions, at most {MILLIONS_MAX}")
            if millions > MILLIONS_MAX:
                faults.append(f"{name} takes {millions:.3f} million instructions, more than {MILLIONS_MAX}")
    assert server.calls == ["/v1/requests"], server.calls
    n_bytes = program.stat().st_size
    print(f"size: {n_bytes} bytes, at most {BYTES_MAX}")
    if n_bytes > BYTES_MAX:
        faults.append(f"the program has {n_bytes} bytes, more than {BYTES_MAX}")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
