"""Named groups of environment ids, for loops and for `textgym benchmark --suite PROBES`.

`RLHF` holds the tasks (text, and control paid by feedback), `PROBES` tiny ones whose optimum is
known, each of which isolates one fault of an algorithm, `TEACHING` small worlds to learn the field
with, `ALL` every id; each in the order of the table of environments.
"""

from __future__ import annotations

import difflib

from textgym.envs_registry.specs import ENVIRONMENTS


def _ids(suite: str) -> tuple[str, ...]:
    return tuple(row.id for row in ENVIRONMENTS if row.suite == suite)


RLHF = _ids("RLHF")
PROBES = _ids("PROBES")
TEACHING = _ids("TEACHING")
ALL = tuple(row.id for row in ENVIRONMENTS)

_BY_NAME = {"RLHF": RLHF, "PROBES": PROBES, "TEACHING": TEACHING, "ALL": ALL}


def suite(name: str) -> tuple[str, ...]:
    """Return the ids of a suite by its name, in capitals or not.

    Raises:
        ValueError: There is no such suite; the nearest is named.
    """
    if name.upper() in _BY_NAME:
        return _BY_NAME[name.upper()]
    near = difflib.get_close_matches(name.upper(), _BY_NAME, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"suite must be one of {', '.join(_BY_NAME)}, got {name!r}{hint}")
