"""Compares digests of actions with those of public libraries for RFC 8785, for generated documents.

Usage: digests.py CANONICALIZE_JS   (BASE_URL and API_KEY in the environment)

An action is asked for, and its digest read from the response. `rfc8785` (PyPI) and `canonicalize` (npm) make
the canonical form of the same action. Equal documents in another spelling must have the same digest.
"""

import concurrent.futures
import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import urllib.parse

import rfc8785

N_DOCUMENTS = 10_000
SEED = 14
AT_ONCE = 4
DEPTH_MAX = 4
# Integers above are not all doubles, and refused.
INTEGER_MAX = 2**53
# Characters whose order, escape or length differs between UTF-8, UTF-16 and JSON. None is refused in bodies.
CHARACTERS = "abzAZ09 _-\"\\/\t\n\u00e9\u007f\u0301\u20ac\ue000\uffef\U0001f600\U00010000\u2028\u2029'<>&"

connections = threading.local()


def number(chance):
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randint(-INTEGER_MAX, INTEGER_MAX)
    if kind == 1:
        return chance.choice([0, -0.0, 1e21, 1e-7, 123456789012345680000.0, 5e-324, 1.7976931348623157e308, 0.1])
    return chance.choice([-1, 1]) * chance.random() * 10.0 ** chance.randint(-30, 30)


def text(chance):
    return "".join(chance.choice(CHARACTERS) for _ in range(chance.randrange(8)))


def value(chance, depth=0):
    kind = chance.randrange(6 if depth < DEPTH_MAX else 4)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return number(chance)
    if kind in (2, 3):
        return text(chance)
    size = chance.randrange(6)
    if kind == 4:
        return [value(chance, depth + 1) for _ in range(size)]
    return {text(chance): value(chance, depth + 1) for _ in range(size)}


def respelled(chance, document):
    """The same document: members in another order, and escapes where none is needed."""
    if isinstance(document, dict):
        members = list(document.items())
        chance.shuffle(members)
        return {name: respelled(chance, item) for name, item in members}
    if isinstance(document, list):
        return [respelled(chance, item) for item in document]
    return document


def ask(action, ensure_ascii):
    """The digest of an action."""
    if not hasattr(connections, "one"):
        connections.one = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["BASE_URL"]).netloc)
    body = {"title": "?", "options": [{"value": "yes", "label": "Yes"}], "action": action}
    headers = {"authorization": f"Bearer {os.environ['API_KEY']}", "content-type": "application/json"}
    body = json.dumps(body, ensure_ascii=ensure_ascii, allow_nan=False)
    connections.one.request("POST", "/v1/requests", body.encode(), headers)
    response = connections.one.getresponse()
    answer = json.loads(response.read())
    assert response.status == 201, (answer, action)
    return answer["action"]["digest"]


def main():
    (script,) = sys.argv[1:]
    chance = random.Random(SEED)
    actions = [{"name": f"action {it}", "args": value(chance)} for it in range(N_DOCUMENTS)]
    others = [respelled(chance, it) for it in actions]
    lines = "".join(json.dumps(it) + "\n" for it in actions)
    of_npm = subprocess.run(["node", script], input=lines, check=True, capture_output=True, text=True).stdout.split()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ours = list(pool.map(lambda it: ask(it, False), actions))
        same = list(pool.map(lambda it: ask(it, True), others))
    for action, our, other, npm in zip(actions, ours, same, of_npm, strict=True):
        of_pypi = hashlib.sha256(rfc8785.dumps(action)).hexdigest()
        expected = {f"sha256:{of_pypi}", f"sha256:{npm}"}
        assert {our, other} == expected, (action, our, other, expected)
    n_different = len(set(ours))
    print(f"{N_DOCUMENTS} actions have the digests of rfc8785 and canonicalize, {n_different} of them different")
    # The name of each action is another one.
    assert n_different == N_DOCUMENTS


if __name__ == "__main__":
    main()
