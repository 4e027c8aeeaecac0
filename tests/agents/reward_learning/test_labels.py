"""Records become arrays; what no reward can be learned from is refused."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.reward_learning.labels import KindLabels, RewardLabels, labels_from_records
from textgym.feedback.records import (
    Comparison,
    Demonstration,
    LanguageFeedback,
    Ranking,
    Score,
    Skipped,
    revised,
)
from textgym.feedback.responses import Span


def test_all_kinds_by_hand(segment_response, annotator) -> None:
    a, b, c = (segment_response([value] * 3) for value in (0, 1, 2))
    records = [
        Comparison(annotator=annotator, chosen=a, rejected=b, strength=0.5),
        Comparison(annotator=annotator, chosen=b, rejected=c, is_tie=True),
        Score(annotator=annotator, response=c, value=0.75),
        Score(annotator=annotator, response=c, value=0.25, action_index=1),
        LanguageFeedback(annotator=annotator, response=a, words="quite good"),
        Demonstration(annotator=annotator, response=a),
        Skipped(annotator=annotator, shown_prompt=a.prompt, skipped=(a,)),
    ]
    labels = labels_from_records(records, critic=lambda words: np.array([0.8]))
    assert labels.counts == {"score": 2, "comparison": 2, "language": 1}
    by_kind = {kind: found.rows.tolist() for kind, found in labels.kinds.items()}
    items = [(item.response, item.span) for item in labels.items]
    whole, part = items.index((c, None)), items.index((c, Span(start=1, end=2)))
    first, second = items.index((a, None)), items.index((b, None))
    assert by_kind["score"] == [[whole], [part]]
    assert by_kind["comparison"] == [[first, second], [second, whole]]
    assert by_kind["language"] == [[first]]
    assert labels.kinds["comparison"].targets.tolist() == [1.0, 0.5]
    assert labels.kinds["comparison"].weights.tolist() == [0.5, 1.0]
    assert labels.kinds["language"].targets.tolist() == [0.8]


def test_a_ranking_is_its_comparisons(segment_response, annotator) -> None:
    ranked = tuple(segment_response([value]) for value in (0, 1, 2))
    labels = labels_from_records([Ranking(annotator=annotator, ranked=ranked, ranks=(2, 1, 2))])
    found = labels.kinds["comparison"]
    pairs = [
        (labels.items[i].response.segment.observations[0][0], labels.items[j].response, target)
        for (i, j), target in zip(found.rows.tolist(), found.targets.tolist(), strict=True)
    ]
    assert [(value, target) for value, _, target in pairs] == [(1.0, 1.0), (0.0, 0.5), (1.0, 1.0)]


def test_what_was_corrected_is_left_out(segment_response, annotator) -> None:
    wrong = Score(annotator=annotator, response=segment_response([1]), value=0.1)
    labels = labels_from_records([wrong, revised(wrong, value=0.9)])
    assert labels.kinds["score"].targets.tolist() == [0.9]


def test_words_need_a_critic_that_answers_in_range(segment_response, annotator) -> None:
    words = [LanguageFeedback(annotator=annotator, response=segment_response([1]), words="fine")]
    with pytest.raises(ValueError, match="expected a critic .* got None for 1 records"):
        labels_from_records(words)
    with pytest.raises(ValueError, match=r"one number for each of 1 records, got shape \(2,\)"):
        labels_from_records(words, critic=lambda records: np.zeros(2))
    with pytest.raises(ValueError, match=r"a number in \[0, 1\], got 1.5"):
        labels_from_records(words, critic=lambda records: np.array([1.5]))


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_label_outside_its_range_is_named(value: float) -> None:
    with pytest.raises(ValueError, match=rf"a number in \[0, 1\], got {value!r}"):
        KindLabels(
            rows=np.zeros((1, 1), dtype=np.int64), targets=np.array([value]), weights=np.ones(1)
        )
    with pytest.raises(ValueError, match="weight must be finite and above 0, got 0.0"):
        KindLabels(rows=np.zeros((1, 1), dtype=np.int64), targets=np.zeros(1), weights=np.zeros(1))


def test_nothing_to_learn_from_is_said(segment_response, annotator) -> None:
    with pytest.raises(ValueError, match="at least one label to learn a reward from, got 0"):
        labels_from_records([]).check_trainable()
    a, b = segment_response([0]), segment_response([1])
    one_class = [
        Comparison(annotator=annotator, chosen=a, rejected=b, is_tie=True),
        Score(annotator=annotator, response=a, value=1.0),
        Score(annotator=annotator, response=b, value=1.0),
    ]
    with pytest.raises(ValueError, match=r"single class.*'score': 2, 'comparison': 1"):
        labels_from_records(one_class).check_trainable()
    better = Comparison(annotator=annotator, chosen=a, rejected=b)
    labels_from_records([*one_class, better]).check_trainable()


def test_the_split_holds_out_a_share_of_each_kind(segment_response, annotator) -> None:
    responses = [segment_response([value]) for value in range(40)]
    records = [
        Score(annotator=annotator, response=r, value=i / 40) for i, r in enumerate(responses)
    ]
    records += [
        Comparison(annotator=annotator, chosen=b, rejected=a)
        for a, b in zip(responses, responses[1:], strict=False)
    ][:20]
    train, held_out = labels_from_records(records).split(0.25, np.random.default_rng(0))
    assert train.counts == {"score": 30, "comparison": 15}
    assert held_out.counts == {"score": 10, "comparison": 5}
    both = np.concatenate([train.kinds["score"].targets, held_out.kinds["score"].targets])
    assert sorted(both) == pytest.approx([i / 40 for i in range(40)])
    none = labels_from_records(records).split(0.0, np.random.default_rng(0))[1]
    assert len(none) == 0 and isinstance(none, RewardLabels)
