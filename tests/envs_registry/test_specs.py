"""The table of environments: each row names a family, which is tested, and a suite."""

from __future__ import annotations

import re

import pytest

from textgym.envs_registry.specs import ENVIRONMENTS, EnvRow

ROW = {
    "id": "My-v0",
    "entry_point": "module:Env",
    "vector_entry_point": "module:Envs",
    "family": "token",
    "suite": "RLHF",
    "summary": "a line",
}


def test_ids_differ_and_hold_their_version_last() -> None:
    ids = [row.id for row in ENVIRONMENTS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]*(-[A-Z][A-Za-z]*)*-v\d+", name) for name in ids), ids


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "Control"}, r"family of My-v0 must be one of \('token', .*, got 'Control'"),
        ({"suite": "probes"}, r"suite of My-v0 must be one of \('RLHF', .*, got 'probes'"),
    ],
)
def test_family_and_suite_are_checked(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EnvRow(**{**ROW, **change})  # type: ignore[arg-type]
    assert EnvRow(**ROW).needs == ()  # type: ignore[arg-type]
