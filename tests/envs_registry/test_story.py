"""RLHF-Story-v0: plots, the stories people write, and the gold utility."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry import story
from textgym.envs_registry.story_plots.gold import StoryGold, constraints_of, gold_terms
from textgym.envs_registry.story_plots.grammar import read_story
from textgym.envs_registry.story_plots.humans import ideal_story
from textgym.envs_registry.story_plots.lexicon import ENDINGS, EVENTS
from textgym.envs_registry.story_plots.plots import HastyPlots, Plots, plot_text
from textgym.rewards.base import RewardFn, score_episodes
from textgym.types import Episode, Prompt

ID = "RLHF-Story-v0"
FACTS: dict[str, Any] = {
    "name": "Mia", "pronoun": "she", "role": "fox", "opening": "Nobody knew Mia the fox",
    "things": ["lamp", "coin"], "friend": "frog", "place": "mill", "avoid": "rain", "mood": "sad",
}  # fmt: skip
IDEAL = "Mia found a lamp. Mia found a coin. Mia met a frog. Mia went to the mill. Mia went home in tears."  # noqa: E501


def gold(response: str, finish_reason: str = "eos", facts: dict[str, Any] = FACTS) -> float:
    return sum(gold_terms(facts, response, finish_reason).values())


@pytest.fixture(scope="module")
def plots() -> list[Prompt]:
    source = Plots(0, "test")
    return [source[i] for i in range(300)]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (IDEAL, 1.0),
        (" she found a coin at the mill. she gave a lamp to a frog. in the end she was sad.", 1.0),
        ("A frog came by. She cried.", 0.65 / 4 + 0.35),
        # Another end than the one asked for.
        ("A frog came by. She laughed.", 0.65 / 4),
        # The end must come last; what comes early costs.
        ("She cried. A frog came by.", 0.65 / 4 - 0.1),
        ("She cried. In the end Mia was sad.", 0.35 - 0.1 - 0.15),
        ("There was rain all day. She cried.", 0.35 - 0.2),
        ("There was snow all day. She cried.", 0.35),
        # What another hero does meets no constraint.
        ("Otto met a frog. She cried.", 0.35 - 0.1),
        ("Mia met a frog. He cried.", 0.65 / 4 - 0.1),
        # The same thing in other words is a repetition; another thing is none.
        ("Mia met a frog. She saw a frog. She cried.", 0.65 / 4 + 0.35 - 0.15),
        ("Mia met a frog. She met a wolf. She cried.", 0.65 / 4 + 0.35),
        # 3 of 9 words are stray.
        ("Frog lamp coin. Mia met a frog. She cried.", 0.65 / 4 + 0.35 - 0.4 * 3 / 9),
        ("Mia met a frog. She cried", 0.65 / 4 - 0.4 * 2 / 6),
        ("Mia met a frog! She cried.", 0.35 - 0.4 * 4 / 6),
        ("", 0.0),
        ("lamp coin frog mill sad", 0.0),
    ],
)
def test_hand_worked(response: str, expected: float) -> None:
    assert gold(response) == pytest.approx(max(0.0, expected))


def test_a_story_that_runs_into_the_cap() -> None:
    assert gold(IDEAL, "length") == pytest.approx(0.9)


def test_forbidden_weather_costs_whoever_waits_for_it() -> None:
    assert gold("Otto waited for the rain to stop. She cried.") == pytest.approx(0.35 - 0.1 - 0.2)


def test_every_wording_is_read_as_what_it_says() -> None:
    words = {"thing": "lamp", "friend": "frog", "place": "mill", "weather": "rain"}
    for kind, templates in {**EVENTS, **ENDINGS}.items():
        for template in templates:
            text = template.format(who="Mia", **words) + "."
            (clause,) = read_story(text).sentences
            assert clause is not None and clause.kind == kind, template
            slots = {slot for slot in ("who", *words) if "{" + slot + "}" in template}
            assert dict(clause.claims) == {s: {"who": "mia", **words}[s] for s in slots}


def test_plots_ask_for_two_to_four_things(plots: list[Prompt]) -> None:
    counts = [len(constraints_of(prompt.facts)) for prompt in plots]
    assert set(counts) == {2, 3, 4}
    assert {"friend", "place", "avoid"} <= {name for prompt in plots for name in prompt.facts}
    for prompt in plots:
        assert prompt.text == plot_text(prompt.facts)
        assert prompt.facts["name"] in prompt.text and prompt.text.endswith("\n\nSTORY:")
        assert all(thing in prompt.text for thing in prompt.facts["things"])
        assert ("AVOID: " in prompt.text) == ("avoid" in prompt.facts)
        assert json.loads(json.dumps(prompt.facts)) == prompt.facts


def test_the_wording_of_the_opening_makes_no_other_plot() -> None:
    source = Plots(0, "train")
    facts = dict(source[0].facts)
    assert source.identity(facts) == source.identity({**facts, "opening": "x"})
    assert source.identity(facts) == source.identity({**facts, "things": facts["things"][::-1]})
    assert source.identity(facts) != source.identity({**facts, "role": "queen"})


def test_careful_people_stay_below_the_ideal(plots: list[Prompt]) -> None:
    ideal = [gold(ideal_story(p.facts), facts=dict(p.facts)) for p in plots]
    human = [gold(p.references[0], facts=dict(p.facts)) for p in plots]
    assert ideal == pytest.approx([1.0] * len(plots))
    assert 0.8 < np.mean(human) < 0.95 and max(human) <= 1.0
    stray = [read_story(prompt.references[0]).num_stray_words for prompt in plots]
    assert max(stray) == 0


def test_people_in_a_hurry_write_worse_of_the_same_plots(plots: list[Prompt]) -> None:
    source = HastyPlots(0, "test")
    hasty = [source[prompt.prompt_id] for prompt in plots]
    assert [(p.text, p.facts) for p in hasty] == [(p.text, p.facts) for p in plots]
    terms = [gold_terms(p.facts, p.references[0], "eos") for p in hasty]
    assert 0.55 < np.mean([sum(found.values()) for found in terms]) < 0.7
    share = {name: np.mean([found[name] != 0 for found in terms]) for name in terms[0]}
    assert 0.5 < share["ending"] < 0.8 and 0.04 < share["hero"] < 0.15
    assert 0.08 < share["repetition"] < 0.25 and 0.02 < share["avoid"] < 0.25
    assert share["fluency"] == share["unfinished"] == 0


def test_cheap_stories_do_not_pay(plots: list[Prompt]) -> None:
    for cheap in (
        [p.text for p in plots],
        [f"{p.facts['opening']}." for p in plots],
        ["In the end she was sad. " * 5] * len(plots),
        [p.references[0] for p in [*plots[1:], plots[0]]],
    ):
        scores = [gold(text, facts=dict(p.facts)) for text, p in zip(cheap, plots, strict=True)]
        assert np.mean(scores) < 0.25


def episode(prompt: Prompt, response: str) -> Episode:
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=(2,), response=response, finish_reason="eos"
    )


def test_reward_function(plots: list[Prompt]) -> None:
    reward = StoryGold()
    assert isinstance(reward, RewardFn)
    episodes = [episode(p, " " + p.references[0]) for p in plots[:20]]
    expected = [gold(p.references[0], facts=dict(p.facts)) for p in plots[:20]]
    assert score_episodes(reward, episodes).scores.tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="gold needs the facts of a plot.* got {} for prompt_id 4"):
        reward([episode(Prompt(prompt_id=4, text="hello"), "hi")])


@pytest.mark.parametrize(
    ("row", "columns", "text"),
    [
        (
            {"title": "The Ox", "fable": "An ox ran.", "lesson": "Wait."},
            None,
            "OPENING: The Ox\nLESSON: Wait.\n\nSTORY:",
        ),
        ({"Prompt": "A law.", "Human": "x"}, "prompt=Prompt", "OPENING: A law.\n\nSTORY:"),
    ],
)
def test_other_openings(
    row: dict[str, Any],
    columns: str | None,
    text: str,
    tiny_model_folder: Path,
    tiny_reward_folder: Path,
    tmp_path: Path,
) -> None:
    file, empty = tmp_path / "rows.jsonl", tmp_path / "empty.jsonl"
    file.write_text(json.dumps(row), "utf-8")
    empty.write_text(json.dumps({"prompt": ""}), "utf-8")
    models = {"reference_model": str(tiny_model_folder), "reward_model": str(tiny_reward_folder)}
    env = gym.make(ID, dataset=str(file), dataset_columns=columns, max_new_tokens=1, **models)
    assert env.reset(seed=0)[1]["prompt"] == text
    assert "gold_score" not in env.step(40)[4]
    with pytest.raises(ValueError, match="prompt 0 of the dataset: expected an opening, got ''"):
        gym.make(ID, dataset=str(empty), **models)
    with pytest.raises(ValueError, match="gold"):
        gym.make(ID, dataset=str(file), dataset_columns=columns, reward="gold", **models)


@pytest.mark.skipif(not story.BUNDLE.folder.is_dir(), reason="no models are built here")
def test_the_bundle_says_what_the_environment_does() -> None:
    card = json.loads((story.BUNDLE.folder / "card.json").read_text("utf-8"))
    measured = card["measured"]["reference_model"]["gold_sampled"]
    assert story.GOLD_SCALE[0] == pytest.approx(measured["mean"], abs=0.01)
    assert card["recipe"]["max_new_tokens"] == story.DEFAULTS["max_new_tokens"]
