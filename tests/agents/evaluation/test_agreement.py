"""Agreement of annotators by hand, and votes read from records."""

import numpy as np
import pytest

from textgym.agents.evaluation.agreement import agreement, krippendorff_alpha, votes_of
from textgym.agents.evaluation.correlations import pearson, spearman
from textgym.feedback.records import Comparison
from textgym.feedback.responses import Annotator, PromptText, Response

NAN = float("nan")


def test_by_hand():
    votes = np.array([[1, 1, 0], [1, 1, 1], [0.5, 0, NAN], [1, NAN, NAN]])
    found = agreement(votes)
    assert found.n_items == 3
    assert found.agreement.mean == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert found.decided.mean == pytest.approx((1 / 3 + 1) / 2)
    # Item 1: both ones see an even split of the others (half each), the zero stands against two.
    # Item 2: three times with the others. Item 3: the one who decides meets a tie, half.
    assert found.majority.mean == pytest.approx(((0.5 + 0.5 + 0) / 3 + 1 + 0.5) / 3)


def test_alpha_of_a_published_kind():
    """Nominal alpha of a table worked out by its definition over pairs of values."""
    rows = [np.array(r) for r in ([1, 1], [1, 0], [0, 0], [0.5, 0.5, 1], [0, 0, 0])]
    values = np.concatenate(rows)
    observed = sum(
        np.sum([a != b for i, a in enumerate(r) for j, b in enumerate(r) if i != j]) / (len(r) - 1)
        for r in rows
    ) / len(values)
    pairs = [(a, b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j]
    expected = np.mean([a != b for a, b in pairs])
    assert krippendorff_alpha(rows) == pytest.approx(1 - observed / expected)
    assert krippendorff_alpha([np.ones(2), np.ones(3)]) == 1.0


def test_chance_has_an_alpha_of_zero():
    votes = np.random.default_rng(0).integers(0, 2, (20_000, 3)).astype(float)
    found = agreement(votes)
    assert found.alpha == pytest.approx(0, abs=0.02)
    assert found.agreement.mean == pytest.approx(0.5, abs=0.02)
    assert found.majority.mean == pytest.approx(0.5, abs=0.02)


def test_no_two_votes_is_an_error():
    with pytest.raises(ValueError, match="at least 2 votes, got none among 2"):
        agreement(np.array([[1, NAN], [NAN, 0]]))


def test_votes_of_records_do_not_depend_on_the_side():
    prompt = PromptText(text="p")
    a, b = (Response(prompt=prompt, text=t) for t in "ab")

    def said(name, chosen, rejected, is_tie=False):
        who = Annotator(id=name, kind="human")
        return Comparison(annotator=who, chosen=chosen, rejected=rejected, is_tie=is_tie)

    records = [said("x", a, b), said("y", b, a), said("z", b, a, is_tie=True)]
    assert votes_of(records).tolist() == [[1.0, 0.0, 0.5]]
    assert votes_of([*records, said("y", a, b)]).tolist() == [[1.0, 1.0, 0.5]]


def test_rank_correlation_by_hand():
    x, y = np.array([1.0, 2, 2, 9]), np.array([0.0, 5, 1, 7])
    ranks = np.array([1, 2.5, 2.5, 4]), np.array([1.0, 3, 2, 4])
    assert spearman(x, y) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert spearman(x, np.exp(x)) == pytest.approx(1)
    assert pearson(x, np.ones(4)) == 0.0
