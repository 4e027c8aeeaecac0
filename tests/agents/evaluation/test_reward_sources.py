"""Pairs of records, scores of text by a folder, the unit of a model's own probability."""

import numpy as np
import pytest

from textgym.agents.evaluation.reward_sources import (
    ScoredText,
    pairs_of_records,
    pairs_of_samples,
)
from textgym.agents.reward_learning.text_items import TextReading
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.feedback.records import Comparison, Ranking, Score, revised
from textgym.feedback.responses import Annotator, PromptText, Response
from textgym.feedback.teachers import TeacherConfig, build_teacher
from textgym.models.reward_model import ScoreScale, SequenceScorer, write_score_scale
from textgym.rewards.ensemble_rule import EnsembleRule
from textgym.rewards.learned_ensemble import write_ensemble
from textgym.types import Episode, Prompt

PROMPT = PromptText(text="my friend:")
A, B, C = (Response(prompt=PROMPT, text=t) for t in ("a dog", "the house", "home"))


def who(name):
    return Annotator(id=name, kind="human")


def test_differences_are_logits_whatever_the_normalisation(make_reward_folder):
    folder = make_reward_folder()
    plain = ScoredText(folder, TextReading(), "cpu")
    pairs = [PreferencePair(prompt=PROMPT.text, chosen=" a dog", rejected=" home")] * 2
    before = plain.differences(pairs)
    ids = [
        [
            *plain.tokenizer.encode(PROMPT.text),
            *plain.tokenizer.encode(t),
            plain.tokenizer.eos_ids[0],
        ]
        for t in (" a dog", " home")
    ]
    good, bad = SequenceScorer(folder, "cpu").score_ids(ids)
    assert before == pytest.approx([good - bad] * 2, abs=1e-5)
    write_score_scale(folder, ScoreScale(gain=5.0, bias=3.0))
    scaled = ScoredText(folder, TextReading(), "cpu")
    assert scaled.logit_unit == 5.0
    assert scaled.differences(pairs) == pytest.approx(before, abs=1e-5)
    assert scaled.scores([A]) == pytest.approx(5 * plain.scores([A]) + 3, abs=1e-4)


def test_an_ensemble_is_one_model(tmp_path, make_reward_folder):
    for member in (0, 1):
        target = tmp_path / f"member-{member}"
        make_reward_folder().rename(target)
        write_score_scale(target, ScoreScale(gain=2.0 + 2 * member))
    write_ensemble(tmp_path, EnsembleRule(), 2)
    both = ScoredText(tmp_path, TextReading(), "cpu")
    assert both.logit_unit == pytest.approx(1 / np.mean([1 / 2, 1 / 4]))


def test_records_of_several_annotators_give_a_ceiling():
    said = [
        Comparison(annotator=who("x"), chosen=A, rejected=B),
        Comparison(annotator=who("y"), chosen=B, rejected=A, details={"subset": "odd"}),
        Ranking(annotator=who("x"), ranked=(A, B, C), ranks=(1, 2, 2)),
        Score(annotator=who("x"), response=A, value=0.5),
    ]
    found = pairs_of_records(said)
    assert [p.is_tie for p in found.pairs] == [False, False, False, False, True]
    assert found.pairs[1].subset == "odd" and found.pairs[0].chosen == " a dog"
    assert found.ceiling.among.n_items == 1 and found.ceiling.among.agreement.mean == 0.0
    assert pairs_of_records(said[:1]).ceiling is None
    corrected = [said[0], revised(said[0], chosen=B, rejected=A)]
    assert [p.chosen for p in pairs_of_records(corrected).pairs] == [" the house"]
    with pytest.raises(ValueError, match="none among 1 records"):
        pairs_of_records(said[3:])


def episode(prompt_id, gold):
    return Episode(
        prompt=Prompt(prompt_id=prompt_id, text=f"p{prompt_id}"),
        prompt_ids=(4,),
        response_ids=(5, 2),
        response=f"r{gold}",
        finish_reason="eos",
        gold_score=gold,
    )


def test_a_teacher_judges_samples_and_agrees_with_itself_as_it_must():
    samples = [[episode(i, float(i % 3)), episode(i, 1.0)] for i in range(300)]
    oracle = [build_teacher(TeacherConfig()) for _ in range(2)]
    found = pairs_of_samples(samples, *oracle)
    assert all(p.is_tie == (p.gold_margin == 0) for p in found.pairs)
    assert all(p.gold_margin > 0 for p in found.pairs if not p.is_tie)
    assert found.ceiling.with_gold.mean == 1.0 and found.ceiling.with_itself.mean == 1.0
    coins = [build_teacher(TeacherConfig(beta=0.0, seed=seed)) for seed in (0, 1)]
    tossed = pairs_of_samples(samples, *coins)
    assert tossed.ceiling.with_itself.mean == pytest.approx(0.5, abs=0.1)  # 3.5 deviations
    assert tossed.ceiling.with_gold.mean == pytest.approx(0.5, abs=0.12)
    ties = [[episode(i, 1.0), episode(i, 1.0)] for i in range(3)]
    with pytest.raises(ValueError, match="got 3 undecided"):
        pairs_of_samples(ties, *oracle)
