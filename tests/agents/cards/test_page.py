"""What a card shows, from figures made by hand."""

from __future__ import annotations

from typing import Any

from textgym.agents.benchmark.plan import OBJECTIVE, ROWS
from textgym.agents.cards.facts import OWN_LICENCE, USERS_LICENCE, facts_of
from textgym.agents.cards.page import EXACT_HEAD, card, gallery
from textgym.intervals import Estimate

ID = "Probe-Copy-v0"


def estimate(mean: float) -> dict[str, Any]:
    return Estimate(mean=mean, low=mean - 0.1, high=mean + 0.1, count=64).as_dict()


def figures(*means: float) -> dict[str, Any]:
    return {
        "env_id": ID,
        "version": "0.1.0",
        "metric": "gold_score",
        "random": estimate(0.2),
        "reference": None,
        "human": estimate(0.6),
        "best_known": estimate(1.0),
        "runs": [
            {"command": f"textgym train {ID} --seed {i}", "steps": 5000, "minutes": 1.25}
            | {"trained": estimate(mean)}
            for i, mean in enumerate(means)
        ],
        "rollouts": {
            "trained": [{"response": "a b c", "score": 1.0, "gold_score": 1.0}],
            "random": [
                {"actions": list(range(50)), "return": 2.5, "gold_score": None, "last": "\x1b[1mx"}
            ],
        },
    }


def test_a_card_has_everything() -> None:
    facts = facts_of(ROWS[ID])
    text = card(facts, figures(0.9, 1.0))
    assert text.startswith(f"# {ID}\n") and f'gym.make("{ID}")' in text
    for heading in ("Description", "Reward", "Data", "Version history", "Prompts", "Scores"):
        assert f"\n## {heading}\n" in text
    assert text.count("````text\na a ") == 5  # the first prompts of the split
    assert "Solved: a mean of at least 0.95 (`reward_threshold`)" in text
    assert "| random (64 episodes) | 0.200 [0.100, 0.300] |" in text
    assert "| human reference (64 episodes) | 0.600 [0.500, 0.700] |" in text
    assert "| trained (2 runs) | 0.950 [" in text and "| reference" not in text
    assert f"- `textgym train {ID} --seed 0`: 0.900 [0.800, 1.000], not solved, 5,000 steps" in text
    assert f"- `textgym train {ID} --seed 1`: 1.000 [0.900, 1.100], solved" in text
    assert "### Trained\n\n````text\na b c\n-- gold_score 1.000, score 1.000" in text
    assert "````text\nx\nactions: 0 1 2" in text and "39 …\n-- return 2.500" in text
    assert f"`textgym benchmark --envs {ID} --seeds 0 --eval-prompts 64`" in text
    assert f"Licence of the data: {OWN_LICENCE}." in text


def test_an_exact_measure_says_whether_a_run_solved_it() -> None:
    measured = figures(0.9, 1.0)
    for run, found in zip(measured["runs"], (0.002, 0.3), strict=True):
        run["exact"] = {"measure": "relative regret", "found": found, "is_solved": found < 0.01}
    text = card(facts_of(ROWS["Probe-ExactKL-v0"]), measured)
    assert "0.900 [0.800, 1.000], relative regret 0.002, solved, 5,000 steps" in text
    assert "1.000 [0.900, 1.100], relative regret 0.300, not solved, 5,000 steps" in text


def test_where_the_objective_is_exact_there_is_no_interval_but_a_regret() -> None:
    measured = figures(0.75) | {"metric": OBJECTIVE, "reference": estimate(-1.0)}
    measured["runs"][0]["exact"] = {
        "measure": "relative regret",
        "found": 0.125,
        "is_solved": False,
    }
    text = card(facts_of(ROWS["Probe-ExactKL-v0"]), measured)
    assert f"| policy | {EXACT_HEAD} |" in text
    assert "| reference | -1.0000 |" in text and "| best known | 1.0000 |" in text
    assert "| trained (1 run) | 0.7500 |" in text
    # J* - J in the units of the reward, and its share of J* - J_ref = 2.
    assert ": J 0.7500, regret 0.2500, relative regret 0.125, not solved, 5,000 steps" in text
    assert "`textgym benchmark --envs Probe-ExactKL-v0 --seeds 0`" in text


def test_a_run_on_feedback_says_what_its_labels_were() -> None:
    measured = figures(480.0)
    measured["runs"][0]["labels"] = 4000
    text = card(facts_of(ROWS["RLHF-CartPole-v0"]), measured)
    assert "480.000 [479.900, 480.100], solved, 4,000 labels, 5,000 steps in 1.2 minutes" in text


def test_what_was_not_measured_is_not_shown() -> None:
    text = card(facts_of(ROWS[ID]), None)
    assert "Not measured yet." in text and "## Rollouts" not in text


def test_an_environment_that_needs_arguments_has_a_card_too() -> None:
    facts = facts_of(ROWS["RLHF-Helpful-v0"])
    assert facts.samples == () and facts.licence == USERS_LICENCE
    assert 'gym.make("RLHF-Helpful-v0", dataset=..., reference_model=..., ' in card(facts, None)


def test_the_gallery_links_every_card_in_its_suite() -> None:
    pairs = [(facts_of(ROWS[ID]), figures(0.9)), (facts_of(ROWS["TwoState-v0"]), None)]
    text = gallery(pairs)
    probes, worlds = text.split("\n## ")[1:]
    assert probes.startswith("Probes") and worlds.startswith("Small worlds")
    row = "0.20 ± 0.10 |  | 0.60 ± 0.10 | 1.00 ± 0.10 | 0.90 ± 0.10 |"
    assert f"[{ID}]({ID}.md)" in probes and row in probes
    assert "[TwoState-v0](TwoState-v0.md)" in worlds
    assert "human reference" in probes and "human reference" not in worlds


def test_every_card_says_what_solved_means() -> None:
    said = {
        env_id: next(
            line
            for line in card(facts_of(ROWS[env_id]), None).splitlines()
            if "solved" in line.lower()
        )
        for env_id in ("RLHF-Summarize-v0", "RLHF-Helpful-v0", "RLHF-CartPole-v0", "RLHF-NER-v0")
    }
    gain = "Solved: more gold than the reference, by 95 % intervals that do not touch."
    assert said["RLHF-Summarize-v0"].startswith(gain) and said["RLHF-NER-v0"].startswith(gain)
    assert said["RLHF-Helpful-v0"].startswith(
        "What counts as solved is up to the data and the models"
    )
    assert said["RLHF-CartPole-v0"].startswith("Solved: a mean of at least 475")
    maze = card(facts_of(ROWS["TextMaze-v0"]), None)
    assert "solved stands in the description: here a mean of at least 0.3" in maze
    for env_id, row in ROWS.items():
        if row.suite != "RLHF" and row.reward_threshold is None:
            assert "Solved:" in facts_of(row).sections["Description"], env_id
