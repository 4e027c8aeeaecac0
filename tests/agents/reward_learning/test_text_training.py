"""A reward model of text from scores, comparisons and words: losses, ensembles, what is saved."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from textgym.agents.reward_learning.labels import labels_from_records
from textgym.agents.reward_learning.losses import fraction_losses
from textgym.agents.reward_learning.text_items import ItemEncoder, TextReading
from textgym.agents.reward_learning.text_objective import TextObjective, TextRewardLearner
from textgym.agents.reward_learning.text_training import (
    TextRewardConfig,
    fit_text_reward,
    split_by_prompt,
)
from textgym.agents.supervised.scoring_head import score_sequences
from textgym.feedback.records import Comparison, LanguageFeedback, Score
from textgym.feedback.responses import Annotator, PromptText, Response
from textgym.models.reward_model import SequenceScorer, read_score_scale
from textgym.rewards.learned import RewardModel
from textgym.rewards.learned_ensemble import EnsembleReward, learned_reward
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode, Prompt

TEACHER = Annotator(id="t", kind="simulated")
WORDS = ("dog", "friend", "home", "later", "you", "he")


def response(number, text):
    return Response(prompt=PromptText(text=f"{WORDS[number % 6]} {number}:"), text=text)


def records(count, kinds=("score", "comparison", "language")):
    """The response that says "nice" is better, in every kind of feedback."""
    found = []
    for number in range(count):
        good, bad = (response(number, f" {w} {WORDS[number % 5]}") for w in ("nice", "rude"))
        if "comparison" in kinds:
            found.append(Comparison(annotator=TEACHER, chosen=good, rejected=bad))
        if "score" in kinds:
            found.append(Score(annotator=TEACHER, response=good, value=0.9))
            found.append(Score(annotator=TEACHER, response=bad, value=0.2))
        if "language" in kinds:
            found.append(LanguageFeedback(annotator=TEACHER, response=good, words="great"))
            found.append(LanguageFeedback(annotator=TEACHER, response=bad, words="poor"))
    return found


def critic(said):
    return np.array([0.8 if one.words == "great" else 0.1 for one in said])


def labels(count, **kwargs):
    return labels_from_records(records(count, **kwargs), critic)


def settings(model, **changes):
    return TextRewardConfig(
        **{"model": str(model), "batch_tokens": 256, "learning_rate": 3e-3, "device": "cpu"}
        | {"n_normalisation": 16, "epochs": 4.0, "held_out_fraction": 0.25}
        | changes
    )


def test_the_loss_is_the_weighted_sum_of_each_kinds_mean(make_reward_folder):
    folder = make_reward_folder()
    found = labels(3)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    learner = TextRewardLearner(model, found)
    encoded = ItemEncoder(load_tokenizer(folder), TextReading()).encode(found.items)
    weights = {"score": 0.5, "comparison": 2.0, "language": 3.0}
    factors = {k: weights[k] * np.full(len(v), 1 / len(v)) for k, v in found.kinds.items()}
    objective = TextObjective(learner, found, encoded, factors)
    raw = score_sequences(model, [prompt + answer for prompt, answer in encoded])
    gaps = np.diff(raw[found.kinds["comparison"].rows], axis=1)[:, 0]  # rejected - chosen
    expected = 2.0 * np.logaddexp(0, gaps).mean()
    for kind in ("score", "language"):
        kept = found.kinds[kind]
        logits = learner.calibrations[kind](torch.from_numpy(raw[kept.rows[:, 0]]))
        each = fraction_losses(logits, torch.from_numpy(kept.targets).float())
        expected += weights[kind] * each.mean().item()
    everything = np.arange(len(objective.costs))
    assert objective.loss(everything).item() == pytest.approx(expected, rel=1e-4)
    # The mean over single groups is the same: batches are unbiased.
    singles = [objective.loss(np.array([i])).item() for i in everything]
    assert np.mean(singles) == pytest.approx(expected, rel=1e-4)


def test_absent_kinds_cost_nothing_and_have_no_calibration(make_reward_folder):
    folder = make_reward_folder()
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found = labels(2).only(["comparison"])
    learner = TextRewardLearner(model, found)
    assert not list(learner.calibrations.parameters())
    encoded = ItemEncoder(load_tokenizer(folder), TextReading()).encode(found.items)
    objective = TextObjective(learner, found, encoded, {"comparison": np.full(2, 0.5)})
    # Only what is compared is computed: two short responses behind one prompt, twice.
    longest = max(len(p) + 2 * len(r) for p, r in encoded)
    assert len(objective.costs) == 2 and objective.costs.max() <= longest
    # A label without a share is left out altogether.
    assert len(TextObjective(learner, found, encoded, {"comparison": np.eye(2)[0]}).costs) == 1


def test_all_kinds_together_learn_and_are_reported_apart(tmp_path, tiny_model_folder):
    result = fit_text_reward(labels(60), settings(tiny_model_folder), output=tmp_path)
    assert result.counts == {"score": 90, "comparison": 45, "language": 90}
    assert result.held_out["comparison"].accuracy.mean == 1.0
    assert result.held_out["comparison"].count == 15
    for kind in ("score", "language"):
        assert result.held_out[kind].correlation > 0.9
        assert result.held_out[kind].loss.mean < result.held_out[kind].knows_nothing
        assert result.calibrations[0][kind][0] > 0
    scale = read_score_scale(result.folder)
    assert (scale.gain, scale.bias) == pytest.approx(result.scales[0])
    tokenizer = load_tokenizer(result.folder)
    ids = [
        tokenizer.encode("dog 7:") + tokenizer.encode(f" {word} you") + [tokenizer.eos_ids[0]]
        for word in ("nice", "rude")
    ]
    nice, rude = SequenceScorer(result.folder, "cpu").score_ids(ids)
    assert nice > rude
    assert {path.name for path in tmp_path.iterdir()} == {"model", "training", "results.json"}


@pytest.mark.parametrize("kind", ["score", "comparison", "language"])
def test_each_kind_alone_learns(tmp_path, tiny_model_folder, kind):
    result = fit_text_reward(
        labels(40, kinds=(kind,)),
        settings(tiny_model_folder),
        labels(12, kinds=("comparison",)) if kind == "comparison" else labels(12, kinds=(kind,)),
        output=tmp_path,
    )
    report = result.held_out[kind]
    assert set(result.held_out) == {kind}
    agreement = report.accuracy.mean if kind == "comparison" else report.correlation
    assert agreement > 0.9


def test_an_ensemble_is_normalised_combined_and_loaded_as_a_reward(tmp_path, tiny_model_folder):
    found = labels(30, kinds=("comparison",))
    config = settings(tiny_model_folder, members=2, rule="minimum", epochs=1.0)
    tokenizer = load_tokenizer(tiny_model_folder)
    normalise_on = [
        (*tokenizer.encode(f"{a}:"), *tokenizer.encode(f" {b}")) for a in WORDS for b in WORDS
    ]
    result = fit_text_reward(found, config, output=tmp_path, normalise_on=normalise_on)
    reward = learned_reward(result.folder, tokenizer, "cpu")
    assert isinstance(reward, EnsembleReward) and reward.shares_tokenizer
    episodes = [
        Episode(
            prompt=Prompt(prompt_id=0, text=""),
            prompt_ids=ids[:1],
            response_ids=ids[1:],
            response="",
            finish_reason="eos",
        )
        for ids in normalise_on
    ]
    each = reward.member_scores(episodes)
    assert each.mean(axis=1) == pytest.approx([0, 0], abs=1e-4)
    assert each.std(axis=1) == pytest.approx([1, 1], rel=1e-4)
    assert np.abs(each[0] - each[1]).max() > 1e-3  # other heads, other order, other labels
    np.testing.assert_allclose(reward(episodes), each.min(axis=0), rtol=1e-6)
    one = learned_reward(result.folder / "member-1", tokenizer, "cpu")
    assert isinstance(one, RewardModel)
    np.testing.assert_allclose(one(episodes), each[1], rtol=1e-6)


def test_a_run_in_the_same_folder_is_continued(tmp_path, tiny_model_folder):
    found = labels(20, kinds=("score", "comparison"))
    fit_text_reward(found, settings(tiny_model_folder, max_steps=2), output=tmp_path)
    longer = settings(tiny_model_folder, max_steps=4)
    whole = fit_text_reward(found, longer, output=tmp_path)
    assert [row["step"] for row in whole.progress[0].history] == [2, 4]
    again = fit_text_reward(found, longer, output=tmp_path)  # nothing is left to do
    assert again.calibrations == whole.calibrations and again.scales == whole.scales


def test_no_prompt_is_on_both_sides():
    train, held = split_by_prompt(labels(20), 0.25, seed=1)

    def prompts(part):
        rows = {row for kind in part.kinds.values() for row in kind.rows.ravel()}
        return {part.items[row].response.prompt.text for row in rows}

    assert len(prompts(held)) == 5 and len(prompts(train)) == 15
    assert not prompts(train) & prompts(held)
    bare = [
        Score(annotator=TEACHER, response=Response(prompt=PromptText(text=""), text=w), value=i / 6)
        for i, w in enumerate(WORDS)
    ]
    train, held = split_by_prompt(labels_from_records(bare), 0.5, seed=1)
    assert train.counts == held.counts == {"score": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": 0}, "members must be at least 1, got 0"),
        ({"n_normalisation": 1}, "n_normalisation must be at least 2, got 1"),
        ({"held_out_fraction": 0}, "held_out_fraction must lie in"),
        ({"rule": "best"}, "rule must be one of"),
        ({"score_weight": -1.0}, "score_weight must be"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens must be at least 1"),
        ({"epochs": 0}, "epochs must be"),
    ],
)
def test_settings_without_a_meaning_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings("anywhere", **changes)


def test_nothing_to_learn_from_is_refused(tmp_path, tiny_model_folder):
    ties = [
        Comparison(
            annotator=TEACHER,
            chosen=response(n, " nice"),
            rejected=response(n, " rude"),
            is_tie=True,
        )
        for n in range(8)
    ]
    config = settings(tiny_model_folder)
    with pytest.raises(ValueError, match="single class"):
        fit_text_reward(labels_from_records(ties), config, output=tmp_path)
    with pytest.raises(ValueError, match="at least one label"):
        fit_text_reward(labels_from_records([]), config, output=tmp_path)
    with pytest.raises(ValueError, match="at least 2 distinct prompts"):
        fit_text_reward(labels(1), config, output=tmp_path)
    without = settings(tiny_model_folder, score_weight=0.0)
    scores = labels(8, kinds=("score",))
    with pytest.raises(ValueError, match="at least one label"):
        fit_text_reward(scores, without, output=tmp_path)
