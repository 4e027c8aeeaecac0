"""Questions about a text policy's responses: sampled, chosen, written down.

Shape letters: C candidates, k responses of a candidate, M members of an ensemble.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from textgym.feedback.queries import Query
from textgym.feedback.responses import Response
from textgym.feedback.selection import select_by_disagreement, select_by_spread, select_random
from textgym.rewards.base import RewardFn
from textgym.rewards.learned_ensemble import EnsembleReward
from textgym.types import Episode

Group = Sequence[Episode]
"""k episodes that answer one prompt."""


def chosen_groups(
    groups: Sequence[Group],
    count: int,
    selection: str,
    reward: RewardFn | None,
    generator: np.random.Generator,
) -> list[Group]:
    """Return the groups that are most wanted, `count` of them.

    Args:
        groups: C candidates of k episodes each.
        count: How many, at most C.
        selection: "random", "disagreement" or "spread".
        reward: What has been learned by now; None: all are drawn at random.
        generator: Draws, and breaks ties.

    Raises:
        ValueError: "disagreement" without an ensemble, or "spread" of single responses.
    """
    if reward is None or selection == "random":
        return [groups[i] for i in select_random(len(groups), count, generator)]
    episodes = [episode for group in groups for episode in group]
    shape = (len(groups), len(groups[0]))
    if selection == "spread":
        scores = np.asarray(reward(episodes)).reshape(shape)
        return [groups[i] for i in select_by_spread(scores, count, generator)]
    if not isinstance(reward, EnsembleReward):
        raise ValueError(
            f"selection 'disagreement' needs an ensemble, got {type(reward).__name__}: give more "
            "members"
        )
    members = reward.member_scores(episodes).reshape(-1, *shape)
    members = members[:, :, 0] if shape[1] == 1 else members
    return [groups[i] for i in select_by_disagreement(members, count, generator)]


def question(
    kind: str,
    group: Group,
    run_id: str,
    number: int,
    generator: np.random.Generator,
    *,
    fingerprint: str,
    temperature: float,
) -> Query:
    """Write one question, its responses in a random order.

    Its id follows from the run, the number and the content, so that a run that goes on gives the
    same question the same id.
    """
    responses = tuple(
        Response.of_episode(
            episode, policy_fingerprint=fingerprint, sampling={"temperature": temperature}
        )
        for episode in group
    )
    prompt = responses[0].prompt
    content = repr([(r.prompt.token_ids, r.token_ids) for r in responses]).encode()
    return Query(
        kind=kind,
        prompt=prompt,
        responses=tuple(replace(response, prompt=prompt) for response in responses),
        query_id=f"{run_id}-{number}-{hashlib.sha256(content).hexdigest()[:12]}",
        shown_order=tuple(generator.permutation(len(group)).tolist()),
    )
