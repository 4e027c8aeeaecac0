"""Rewards that a formula gives, mostly by comparing with human references.

Shape letter: N episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from textgym.types import Episode


class ReferenceMetric:
    """The best agreement of a response with any of its prompt's references, in [0, 1]."""

    needs_facts = True

    def __init__(self, name: str, compare: Callable[[str, str], float]) -> None:
        """Keep `compare(response, reference)`."""
        self.name = name
        self._compare = compare

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32.

        Raises:
            ValueError: A prompt has no reference.
        """
        return np.array([self._best(episode) for episode in episodes], dtype=np.float32)

    def _best(self, episode: Episode) -> float:
        if not episode.prompt.references:
            raise ValueError(
                f"reward {self.name!r} needs references, got none for prompt_id "
                f"{episode.prompt.prompt_id}; map a column with dataset_columns='reference=...'"
            )
        return max(self._compare(episode.response, text) for text in episode.prompt.references)


class ResponseLength:
    """The number of response tokens, the end token left out; use it in a weighted sum."""

    name = "length"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the lengths, (N,) float32."""
        lengths = [len(e.response_ids) - (e.finish_reason == "eos") for e in episodes]
        return np.array(lengths, dtype=np.float32)


def rouge_metric(kind: str, name: str) -> ReferenceMetric:
    """Return ROUGE F1, stemmed; `kind` is "rouge1", "rouge2" or "rougeL"."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind], use_stemmer=True)
    return ReferenceMetric(
        name, lambda response, text: float(scorer.score(text, response)[kind].fmeasure)
    )


def bleu_metric(name: str = "bleu") -> ReferenceMetric:
    """Return sentence BLEU divided by 100."""
    import sacrebleu

    return ReferenceMetric(
        name, lambda response, text: sacrebleu.sentence_bleu(response, [text]).score / 100.0
    )


def chrf_metric(name: str = "chrf") -> ReferenceMetric:
    """Return sentence chrF divided by 100."""
    import sacrebleu

    return ReferenceMetric(
        name, lambda response, text: sacrebleu.sentence_chrf(response, [text]).score / 100.0
    )


PROGRAMMATIC: dict[str, Callable[[], ReferenceMetric | ResponseLength]] = {
    "rouge": lambda: rouge_metric("rougeL", "rouge"),
    "rouge1": lambda: rouge_metric("rouge1", "rouge1"),
    "rouge2": lambda: rouge_metric("rouge2", "rouge2"),
    "rougeL": lambda: rouge_metric("rougeL", "rougeL"),
    "bleu": bleu_metric,
    "chrf": chrf_metric,
    "length": ResponseLength,
}
