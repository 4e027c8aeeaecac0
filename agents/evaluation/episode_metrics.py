"""The measures of finished episodes, each with a 95 % interval: scores, KL, lengths, ROUGE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from textgym.intervals import Estimate, bootstrap_interval, mean_interval, wilson_interval
from textgym.types import ENDED_METRIC, Episode, own_reasons

ROUGE_TYPES = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL"}
METRIC_TITLES = {
    "score": "score",
    "gold_score": "gold score",
    "kl": "KL from the reference (nats)",
    "length": "length (tokens)",
    "eos_rate": "EOS rate",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "ref_perplexity": "perplexity under the reference",
    "win_rate": "win rate over the reference",
}


def episode_metrics(
    episodes: Sequence[Episode], log_probs: Sequence[np.ndarray] | None = None
) -> dict[str, Estimate]:
    """Return every metric that the episodes allow, win rate aside.

    Args:
        episodes: N finished episodes, N at least 1.
        log_probs: log pi of each response token, one array per episode; None for no KL.
    """
    scores = [episode.score for episode in episodes if episode.score is not None]
    golds = [episode.gold_score for episode in episodes if episode.gold_score is not None]
    metrics = {}
    if len(scores) == len(episodes):
        metrics["score"] = mean_interval(scores)
    if len(golds) == len(episodes):
        metrics["gold_score"] = mean_interval(golds)
    has_reference = all(np.isfinite(e.ref_log_probs).all() and e.ref_log_probs for e in episodes)
    if has_reference and log_probs is not None:
        metrics["kl"] = mean_interval(sequence_kls(episodes, log_probs))
    metrics["length"] = mean_interval([len(episode.action_ids) for episode in episodes])
    ended = sum(episode.finish_reason == "eos" for episode in episodes)
    metrics["eos_rate"] = wilson_interval(ended, len(episodes))
    reasons = [episode.finish_reason for episode in episodes]
    for reason in own_reasons(reasons):
        count = reasons.count(reason)
        metrics[ENDED_METRIC + reason] = wilson_interval(count, len(episodes))
    metrics.update(rouge(episodes))
    if has_reference:
        metrics["ref_perplexity"] = ref_perplexity(episodes)
    return metrics


def sequence_kls(episodes: Sequence[Episode], log_probs: Sequence[np.ndarray]) -> np.ndarray:
    """Return (N,): the sum over each response of log pi - log pi_ref, in nats."""
    pairs = zip(episodes, log_probs, strict=True)
    return np.array([float(np.sum(ours - np.array(e.ref_log_probs))) for e, ours in pairs])


def ref_perplexity(episodes: Sequence[Episode]) -> Estimate:
    """Exp of the mean -log pi_ref per response token, with a bootstrap interval over episodes."""
    surprise = [-float(np.sum(episode.ref_log_probs)) for episode in episodes]
    lengths = [len(episode.ref_log_probs) for episode in episodes]
    return bootstrap_interval(
        (surprise, lengths), lambda nats, tokens: float(np.exp(nats.sum() / tokens.sum()))
    )


def rouge(episodes: Sequence[Episode]) -> dict[str, Estimate]:
    """ROUGE-1, -2 and -L (F1, stemmed, the best of several references), where there are any."""
    judged = [episode for episode in episodes if episode.prompt.references]
    if not judged:
        return {}
    scorer = RougeScorer(list(ROUGE_TYPES.values()), use_stemmer=True)
    found = [scorer.score_multi(list(e.prompt.references), e.response) for e in judged]
    return {
        name: mean_interval([scores[kind].fmeasure for scores in found])
        for name, kind in ROUGE_TYPES.items()
    }
