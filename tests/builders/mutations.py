"""A valid JSON file in hundreds of wrong forms, as a stranger, a broken disk or an attacker would hand it in."""

import json
import random
from collections.abc import Iterator
from typing import Any

WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    -0.0,
    1e308,
    10**12,
    10**30,
    -(2**63),
    "",
    "1",
    "1e-99999999",
    "1/0",
    "nan",
    "9" * 5000,
    "\0",
    "../../etc/passwd",
    "\x1b[2J",
    [],
    [[]],
    [0] * 2000,
    {},
    {"": {}},
    {"a": None},
)
RAW = (
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "[" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    '"\\ud800"',
    "{",
    "'x'",
)
"""What stands in place of a value, as text."""
_MARK = "\x00here\x00"


def places_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys and numbers that lead to each value in it."""
    yield place
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield from places_of(inner, (*place, key))


def mutations(value: Any, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """What was done, and the file after that."""
    rng = random.Random(seed)
    places = list(places_of(value))
    yield from (("all in UTF-16", json.dumps(value).encode("utf-16")), ("nothing", b""), ("binary", bytes(range(256))))
    for _ in range(count):
        place = rng.choice(places)
        kind = rng.choice(("wrong", "wrong", "wrong", "raw", "gone", "twice", "unknown", "long"))
        yield f"{kind} at {place}", _mutated(value, place, kind, rng)


def _mutated(value: Any, place: tuple[Any, ...], kind: str, rng: random.Random) -> bytes:
    content = json.loads(json.dumps({"": value}))
    holder = content
    steps = ("", *place)
    for step in steps[:-1]:
        holder = holder[step]
    at = steps[-1]
    if kind == "gone" and place:
        del holder[at]
    elif kind == "unknown" and isinstance(holder[at], dict):
        holder[at]["unknown"] = rng.choice(WRONG)
    elif kind == "long" and isinstance(holder[at], list):
        holder[at] = holder[at] * 1000
    elif kind == "wrong":
        holder[at] = rng.choice(WRONG)
    else:
        holder[at] = _MARK
        text = json.dumps(content.get(""))
        raw = rng.choice(RAW) if kind == "raw" else '{"schema": 1, "schema": 1}'
        return text.replace(json.dumps(_MARK), raw).encode()
    return json.dumps(content.get("")).encode()
