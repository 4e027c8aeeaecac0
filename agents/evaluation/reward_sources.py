"""What reward models are judged on: pairs of files, of records and of samples; and their scores.

Shape letters: R pairs, P prompts, K samples of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textgym.agents.evaluation.agreement import agreement, votes_of
from textgym.agents.evaluation.reward_report import Ceiling
from textgym.agents.evaluation.sampled_feedback import answers_to, queries_about
from textgym.agents.reward_learning.labels import Judged
from textgym.agents.reward_learning.text_items import ItemEncoder, TextReading
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.reward_measures import share_in_agreement
from textgym.agents.supervised.text_data import spaced
from textgym.feedback.queries import Teacher
from textgym.feedback.records import Comparison, FeedbackRecord, Ranking
from textgym.feedback.responses import PromptText, Response
from textgym.intervals import wilson_interval
from textgym.rewards.base import RewardFn
from textgym.rewards.learned import RewardModel
from textgym.rewards.learned_ensemble import EnsembleReward, first_model, learned_reward
from textgym.tokenizer import Tokenizer, load_tokenizer
from textgym.types import Episode, Prompt


class ScoredText:
    """A reward model's folder (or an ensemble's, or a hub name) that scores any text.

    Attributes:
        tokenizer: The model's own.
        logit_unit: Normalised score in one logit, so that score / unit is what a sigmoid makes the
            model's own probability of; of an ensemble the harmonic mean of its members'.
    """

    def __init__(self, path: str | Path, reading: TextReading, device: str = "auto") -> None:
        """Load it.

        Args:
            path: Folder or hub name.
            reading: How texts are cut.
            device: As `resolve_device`.
        """
        self.tokenizer = self.tokenizer_of(path)
        self.reward: RewardFn = learned_reward(path, self.tokenizer, device)
        self.logit_unit = 1 / float(np.mean([1 / gain for gain in _gains(self.reward)]))
        self._encoder = ItemEncoder(self.tokenizer, reading)

    @staticmethod
    def tokenizer_of(path: str | Path) -> Tokenizer:
        """Return the tokenizer of a reward model or of an ensemble."""
        return load_tokenizer(first_model(path))

    def scores(self, responses: Sequence[Response]) -> np.ndarray:
        """Return the scores of N responses, (N,) float64."""
        encoded = self._encoder.encode([Judged(response=response) for response in responses])
        episodes = [
            Episode(
                prompt=Prompt(prompt_id=-1, text=response.prompt.text),
                prompt_ids=prompt_ids,
                response_ids=response_ids,
                response=response.text,
                finish_reason="eos",
            )
            for response, (prompt_ids, response_ids) in zip(responses, encoded, strict=True)
        ]
        return self.reward(episodes).astype(np.float64)

    def differences(self, pairs: Sequence[PreferencePair]) -> np.ndarray:
        """Return raw score of chosen minus rejected, (R,) float64, in logits."""
        sides = [_response(p.prompt, p.chosen, p.chosen_ids) for p in pairs]
        sides += [_response(p.prompt, p.rejected, p.rejected_ids) for p in pairs]
        chosen, rejected = self.scores(sides).reshape(2, len(pairs))
        return np.asarray((chosen - rejected) / self.logit_unit)


@dataclass(frozen=True, kw_only=True)
class JudgedPairs:
    """Pairs to judge reward models on.

    Attributes:
        pairs: R pairs, ties among them.
        ceiling: How far those who judged agree, where it is known.
    """

    pairs: tuple[PreferencePair, ...]
    ceiling: Ceiling | None = None


def pairs_of_records(records: Iterable[FeedbackRecord]) -> JudgedPairs:
    """Read comparisons and rankings; of several people who judged one pair, each judgement counts.

    Records that a later one corrects are left out.

    Raises:
        ValueError: No comparison.
    """
    kept = list(records)
    revised = {record.revises for record in kept if record.revises}
    comparisons: list[Comparison] = []
    for record in kept:
        if record.record_id in revised:
            continue
        if isinstance(record, Comparison):
            comparisons.append(record)
        elif isinstance(record, Ranking):
            comparisons += record.comparisons()
    if not comparisons:
        raise ValueError(f"expected comparisons or rankings, got none among {len(kept)} records")
    votes = votes_of(comparisons)
    has_several = bool(((~np.isnan(votes)).sum(axis=1) >= 2).any())
    return JudgedPairs(
        pairs=tuple(pair_of_record(record) for record in comparisons),
        ceiling=Ceiling(among=agreement(votes)) if has_several else None,
    )


def pair_of_record(record: Comparison) -> PreferencePair:
    """Return the comparison as supervised training and measures read it."""
    golds = record.chosen.gold_score, record.rejected.gold_score
    prompt = record.prompt.text
    return PreferencePair(
        prompt=prompt,
        chosen=spaced(prompt, record.chosen.text),
        rejected=spaced(prompt, record.rejected.text),
        chosen_ids=record.chosen.token_ids,
        rejected_ids=record.rejected.token_ids,
        margin=record.strength,
        gold_margin=None if golds[0] is None or golds[1] is None else golds[0] - golds[1],
        is_tie=record.is_tie,
        subset=str(record.details.get("subset", "")),
    )


def pairs_of_samples(
    samples: Sequence[Sequence[Episode]], teacher: Teacher, again: Teacher
) -> JudgedPairs:
    """Let a teacher compare the first two samples of each prompt.

    Args:
        samples: P prompts with at least two episodes each, gold noted.
        teacher: Judges.
        again: The same teacher with draws of its own: how far it agrees with itself.

    Raises:
        ValueError: The teacher decides nothing.
    """
    queries = queries_about("comparison", [group[:2] for group in samples])
    said = [record for record in answers_to(teacher, queries) if isinstance(record, Comparison)]
    pairs = tuple(pair_of_record(record) for record in said)
    decided = [p for p in pairs if not p.is_tie and p.gold_margin]
    if not decided:
        raise ValueError(f"expected pairs that the teacher decides, got {len(pairs)} undecided")
    first = {record.query_id: record for record in said}
    second = {r.query_id: r for r in answers_to(again, queries) if isinstance(r, Comparison)}
    same = [
        record.is_tie == first[key].is_tie and (record.is_tie or record.chosen is first[key].chosen)
        for key, record in second.items()
        if key in first
    ]
    return JudgedPairs(
        pairs=pairs,
        ceiling=Ceiling(
            with_gold=share_in_agreement(np.array([p.gold_margin for p in decided])),
            with_itself=wilson_interval(float(sum(same)), len(same)) if same else None,
        ),
    )


def responses_of(samples: Sequence[Sequence[Episode]]) -> list[Response]:
    """Return the samples' responses, prompt by prompt."""
    return [Response.of_episode(episode) for group in samples for episode in group]


def _gains(reward: RewardFn) -> list[float]:
    members = reward.members if isinstance(reward, EnsembleReward) else (reward,)
    return [abs(m.scorer.scale.gain) for m in members if isinstance(m, RewardModel)]


def _response(prompt: str, text: str, ids: tuple[int, ...]) -> Response:
    return replace(Response(prompt=PromptText(text=prompt), text=text), token_ids=ids)
