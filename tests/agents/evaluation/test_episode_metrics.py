"""The measures of finished episodes, against hand-worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from textgym.agents.evaluation.episode_metrics import episode_metrics, sequence_kls
from textgym.types import Episode, Prompt


def episode(prompt_id=0, response="a b", n_tokens=2, reason="eos", references=(), **changes):
    return Episode(
        prompt=Prompt(prompt_id=prompt_id, text="p", references=references),
        prompt_ids=(0,),
        response_ids=tuple(range(1, n_tokens + 1)),
        response=response,
        finish_reason=reason,
        **changes,
    )


def test_metrics_are_the_hand_worked_numbers():
    episodes = [
        episode(0, score=1.0, gold_score=0.5, ref_log_probs=(-1.0, -2.0)),
        episode(
            1, n_tokens=4, reason="length", score=3.0, gold_score=0.1, ref_log_probs=(-0.5,) * 4
        ),
    ]
    log_probs = [np.array([-0.5, -1.0]), np.array([-0.25] * 4)]
    metrics = episode_metrics(episodes, log_probs)
    assert metrics["score"].mean == 2.0
    assert metrics["gold_score"].mean == pytest.approx(0.3)
    assert metrics["length"].mean == 3.0
    assert metrics["eos_rate"].mean == 0.5
    assert sequence_kls(episodes, log_probs) == pytest.approx([1.5, 1.0])
    assert metrics["kl"].mean == pytest.approx(1.25)
    assert metrics["ref_perplexity"].mean == pytest.approx(math.exp(5.0 / 6))
    # normal interval of (1, 3): 2 +- 1.96 * sqrt(2) / sqrt(2)
    assert metrics["score"].high - 2.0 == pytest.approx(1.96, abs=1e-3)
    assert "rouge1" not in metrics


def test_rouge_takes_the_best_reference():
    metrics = episode_metrics(
        [episode(response="the cat sat", references=("a dog", "the cat ran"))]
    )
    assert metrics["rouge1"].mean == pytest.approx(2 / 3)
    assert metrics["rouge2"].mean == pytest.approx(1 / 2)
    assert metrics["rouge_l"].mean == pytest.approx(2 / 3)
