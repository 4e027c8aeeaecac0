"""`textgym cards`, and that the cards in docs/ are what it would write today."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgym.agents.benchmark.exact import known_objectives
from textgym.agents.benchmark.plan import ROWS
from textgym.agents.cards.facts import facts_of
from textgym.agents.cards.figures import disagreement, stored_figures
from textgym.agents.cards.page import card, gallery
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.main import main

PAGES = Path(__file__).resolve().parents[2] / "docs" / "environments"


@pytest.fixture(scope="module")
def cards() -> dict[str, tuple]:
    found = {}
    for env_id, row in ROWS.items():
        try:
            found[env_id] = (facts_of(row), stored_figures(PAGES, env_id))
        except ImportError as error:  # Box2D is an extra
            if "Lunar" not in env_id:
                raise
            pytest.skip(f"the cards need it: {error}")
    return found


@pytest.mark.parametrize("env_id", ROWS)
def test_card_and_environment_agree(cards: dict[str, tuple], env_id: str) -> None:
    """Where this fails: `textgym cards`."""
    written = (PAGES / f"{env_id}.md").read_text("utf-8")
    assert written == card(*cards[env_id])


def test_the_gallery_has_them_all_and_nothing_else(cards: dict[str, tuple]) -> None:
    assert (PAGES / "README.md").read_text("utf-8") == gallery(list(cards.values()))
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    assert pages == set(ROWS) and {path.stem for path in PAGES.glob("*.json")} <= pages


@pytest.mark.parametrize("env_id", ROWS)
def test_figures_are_of_todays_environment(cards: dict[str, tuple], env_id: str) -> None:
    """Models, prompts, gold, settings and play are those of when they were measured.

    Where this fails: the message has the commands.
    """
    figures = cards[env_id][1]
    if figures is not None:
        assert disagreement(figures) is None, disagreement(figures)


def test_exact_figures_are_those_of_today() -> None:
    """Where this fails: `textgym benchmark --envs ID`, then `textgym cards ID --figures`."""
    env_id = "Probe-ExactKL-v0"
    figures, known = stored_figures(PAGES, env_id), known_objectives(env_id)
    assert figures is not None
    assert {name: figures[name]["mean"] for name in known} == pytest.approx(known)
    for run in figures["runs"]:  # J of the agent is what its share of J* - J_ref says
        lacking = run["exact"]["found"] * (known["best_known"] - known["reference"])
        assert run["trained"]["mean"] == pytest.approx(known["best_known"] - lacking)


def test_a_card_that_disagrees_is_noticed(cards: dict[str, tuple]) -> None:
    facts, figures = cards["Probe-Copy-v0"]
    other = ROWS["Probe-Copy-v0"].__class__(
        **{**vars(facts.row), "summary": "Something else", "reward_threshold": 0.5}
    )
    changed = facts.__class__(**{**vars(facts), "row": other})
    assert card(changed, figures) != (PAGES / "Probe-Copy-v0.md").read_text("utf-8")


def test_the_command_takes_new_figures_from_a_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "textgym.cli.cards.ROWS", {name: ROWS[name] for name in ("TwoState-v0", "Probe-Copy-v0")}
    )
    runs, pages = str(tmp_path / "b"), tmp_path / "pages"
    small = ("--seeds", "1", "--steps", "200", "--eval-prompts", "4", "--output", runs)
    assert main(["benchmark", "--envs", "TwoState-v0", *small]) == 0
    assert main(["cards", "--figures", runs, "--output", str(pages)]) == 0
    text = (pages / "TwoState-v0.md").read_text("utf-8")
    assert "| trained (1 run) |" in text and text.count("\nactions: ") == 15
    assert "Not measured yet" in (pages / "Probe-Copy-v0.md").read_text("utf-8")
    assert "2 cards" in capsys.readouterr().out

    # What is known alone is measured anew: the run that the card has stays.
    known = str(tmp_path / "known")
    only = ("--seeds", "0", "--eval-prompts", "3", "--output", known)
    assert main(["benchmark", "--envs", "TwoState-v0", *only]) == 0
    assert main(["cards", "--figures", known, "--output", str(pages)]) == 0
    again = (pages / "TwoState-v0.md").read_text("utf-8")
    assert "| random (3 episodes) |" in again and "| random (4 episodes) |" in text
    runs_of = [line for line in text.splitlines() if "`stable_baselines3" in line]
    assert runs_of and all(line in again for line in runs_of)
    assert again.split("### Trained")[1] == text.split("### Trained")[1]


def test_figures_of_another_environment_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_id = "Probe-Copy-v0"
    monkeypatch.setattr("textgym.cli.cards.ROWS", {env_id: ROWS[env_id]})
    figures = stored_figures(PAGES, env_id)
    assert figures is not None and figures["runs"]
    figures.pop("fingerprint", None)
    figures["rollouts"]["random"][0]["prompt"] += " b"
    save_json(tmp_path / f"{env_id}.json", figures)
    assert main(["cards", env_id, "--output", str(tmp_path)]) == 0
    assert f"the rollouts of {env_id} are not what it plays today" in capsys.readouterr().err
    assert stored_figures(tmp_path, env_id) == {**figures, "fingerprint": None}

    # Its runs do not stay beside what is measured today, which is of today.
    known = ("--seeds", "0", "--eval-prompts", "2", "--output", str(tmp_path / "b"))
    assert main(["benchmark", "--envs", env_id, *known]) == 0
    new = ("--figures", str(tmp_path / "b"), "--output", str(tmp_path))
    assert main(["cards", env_id, *new]) == 0
    printed = capsys.readouterr().err
    assert f"the runs of {env_id} were measured on another environment: they" in printed
    assert "plays today" not in printed
    found = stored_figures(tmp_path, env_id)
    assert found is not None and found["runs"] == [] and disagreement(found) is None


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cards", "Probe-Coppy-v0", "--output", str(tmp_path)]) == 2
    assert "did you mean 'Probe-Copy-v0'" in capsys.readouterr().err
    assert main(["cards", "--figures", str(tmp_path), "--output", str(tmp_path)]) == 2
    assert "--figures must be a benchmark's folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
