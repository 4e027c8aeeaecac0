"""Figures of a card: which environment they are of, and which runs stay beside new ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from textgym.agents.benchmark.fingerprint import fingerprint_of
from textgym.agents.benchmark.plan import BenchmarkFolder
from textgym.agents.benchmark.rollouts import known_rollouts
from textgym.agents.cards.figures import (
    Figures,
    disagreement,
    figures_from,
    with_fingerprint,
    with_runs_of,
)
from textgym.agents.storage.checkpoint import save_json

ID = "TwoState-v0"
RUN = {"command": "train", "steps": 5, "minutes": 1.0, "trained": {"mean": 1.0}}


@pytest.fixture(scope="module")
def played() -> dict[str, Any]:
    return known_rollouts(ID, "tabular")


@pytest.fixture
def known(played: dict[str, Any]) -> dict[str, Any]:
    return {"metric": "return", "random": {"mean": 0.0}, "rollouts": copy.deepcopy(played)}


def figures(known: dict[str, Any], *runs: dict[str, Any], **more: Any) -> Figures:
    rollouts = {**known["rollouts"], **({"trained": [{"last": "x"}]} if runs else {})}
    return {"env_id": ID, "algo": "ppo", **known, "runs": list(runs), "rollouts": rollouts, **more}


def test_figures_whose_rollouts_are_played_today_are_of_today(known: dict[str, Any]) -> None:
    found = with_fingerprint(figures(known, RUN))
    assert found["fingerprint"] == fingerprint_of(ID) and disagreement(found) is None
    # But for rounding: another machine adds up otherwise.
    known["rollouts"]["random"][0]["return"] += 1e-6
    assert with_fingerprint(figures(known))["fingerprint"] == fingerprint_of(ID)


def test_other_rollouts_are_of_nobody_knows_what(known: dict[str, Any]) -> None:
    known["rollouts"]["best_known"][3]["last"] += "!"
    found = with_fingerprint(figures(known))
    assert found["fingerprint"] is None
    message = disagreement(found)
    assert message is not None and message.endswith(
        f"not what it plays today: `textgym benchmark --envs {ID} --output FOLDER`, then "
        f"`textgym cards {ID} --figures FOLDER`"
    )
    # Less, more and other numbers are other rollouts too.
    for change in ("return", "pop", "people"):
        others = copy.deepcopy(known_rollouts(ID, "tabular"))
        if change == "return":
            others["random"][0]["return"] += 1
        elif change == "pop":
            others["random"].pop()
        else:
            others["human"] = []
        assert with_fingerprint(figures({**known, "rollouts": others}))["fingerprint"] is None


def test_a_fingerprint_that_stands_there_is_kept_and_compared(known: dict[str, Any]) -> None:
    other = {**fingerprint_of(ID), "play": "0" * 16}
    found = with_fingerprint(figures(known, fingerprint=other))
    assert found["fingerprint"] == other
    assert str(disagreement(found)).startswith(f"the figures of {ID} were measured on other play:")


def test_runs_stay_beside_new_figures_of_the_same(known: dict[str, Any]) -> None:
    today = fingerprint_of(ID)
    stored = figures(known, RUN, fingerprint=today, algo="a2c")
    new = figures(known, fingerprint=today, random={"mean": 0.5})
    found = with_runs_of(new, stored)
    assert found["runs"] == [RUN] and found["algo"] == "a2c" and found["random"] == {"mean": 0.5}
    assert found["rollouts"]["trained"] == [{"last": "x"}]
    assert with_runs_of(new, None) == new
    own = figures(known, {**RUN, "steps": 6}, fingerprint=None)
    assert with_runs_of(own, stored) == own


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "score"},
        {"fingerprint": {"play": "0" * 16}},
        {"fingerprint": None},
    ],
)
def test_runs_of_something_else_do_not(known: dict[str, Any], change: dict[str, Any]) -> None:
    today = fingerprint_of(ID)
    new = figures(known, fingerprint=today)
    assert with_runs_of(new, figures(known, RUN, **{"fingerprint": today, **change})) == new
    # Nor where of neither it is known what it is of.
    unknown = figures(known, fingerprint=None)
    assert with_runs_of(unknown, figures(known, RUN, fingerprint=None)) == unknown


def cells(tmp_path: Path, known: dict[str, Any], run: dict[str, Any]) -> BenchmarkFolder:
    for name, values in (("known", known), ("ppo-0", {**run, "rollouts": []})):
        file = tmp_path / "cells" / f"{ID}-{name}.json"
        file.parent.mkdir(exist_ok=True)
        save_json(file, values)
    return BenchmarkFolder(tmp_path)


def test_cells_carry_their_fingerprint(tmp_path: Path, known: dict[str, Any]) -> None:
    today, other = fingerprint_of(ID), {"play": "0" * 16}
    found = figures_from(cells(tmp_path, {**known, "fingerprint": other}, RUN), ID)
    assert found is not None and found["fingerprint"] == other and found["runs"] == [RUN]
    # Cells that were written without one are of today where their rollouts are.
    found = figures_from(cells(tmp_path, known, RUN), ID)
    assert found is not None and found["fingerprint"] == today and len(found["runs"]) == 1
    found = figures_from(cells(tmp_path, known, {**RUN, "fingerprint": today}), ID)
    assert found is not None and found["runs"] == [RUN]


def test_cells_of_two_environments_are_no_figures(tmp_path: Path, known: dict[str, Any]) -> None:
    today, other = fingerprint_of(ID), {**fingerprint_of(ID), "settings": "0" * 16}
    folder = cells(tmp_path, {**known, "fingerprint": other}, {**RUN, "fingerprint": today})
    with pytest.raises(ValueError, match=r"ppo-0.json' was measured on other settings than"):
        figures_from(folder, ID)
