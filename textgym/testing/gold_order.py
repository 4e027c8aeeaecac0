"""Better policies earn more: gold of the best known policy, of the reference and at random.

Which these are stands in `known_policies`. Gold is `gold_score` of the last info; where a task has
none, its `score`, and where there is no score either, the sum of the rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from textgym.intervals import Estimate, mean_interval, paired_difference
from textgym.rollout import rollout
from textgym.testing.case import Case, random_actions
from textgym.testing.known_policies import (
    Act,
    best_policy,
    best_table,
    best_texts,
    human_golds,
    sampled_reference,
    table_sampler,
    text_writer,
)


@dataclass(frozen=True, kw_only=True)
class GoldOrder:
    """Mean gold of three policies and of people, each with its 95 % interval.

    Attributes:
        best_known: Of the best policy that is known; None where none is.
        human: Of the prompts' first human references, as they stand there; None where there are
            none, where they are the best that is known, or where the task has no gold.
        reference: Of the reference; None where the task has none.
        random: Of actions drawn evenly among the allowed ones.
        episodes: Policy to the gold of each of its episodes.
        has_pairs: Whether episode i of every policy answers the same prompt.
    """

    best_known: Estimate | None
    human: Estimate | None
    reference: Estimate | None
    random: Estimate
    episodes: Mapping[str, Sequence[float]] = field(repr=False)
    has_pairs: bool = True

    @classmethod
    def of(cls, episodes: Mapping[str, Sequence[float]], *, has_pairs: bool = True) -> GoldOrder:
        """Summarise the gold of each policy's episodes, "random" among them."""
        means = {name: mean_interval(golds) for name, golds in episodes.items()}
        return cls(
            best_known=means.get("best_known"),
            human=means.get("human"),
            reference=means.get("reference"),
            random=means["random"],
            episodes=episodes,
            has_pairs=has_pairs,
        )


def check_gold_order(case: Case, num_episodes: int = 64) -> GoldOrder:
    """Check gold(best known) > gold(reference) > gold(random), beyond their 95 % intervals.

    Of text the policies answer the same prompts, so that the interval of their differences will do.
    A reference that is no model is left out: a table of logits need not be better than chance.

    Raises:
        AssertionError: The order does not hold, or the environment knows neither a best policy nor
            a reference.
    """
    found = measure_gold(case, num_episodes)
    ordered = [name for name in ("best_known", "reference", "random") if name in found.episodes]
    assert len(ordered) > 1, (
        f"{case.id} has neither best_known_action(), references, a solution nor a model"
    )
    for better, worse in pairwise(ordered):
        high, low = found.episodes[better], found.episodes[worse]
        ahead = mean_interval(high).low > mean_interval(low).high
        if found.has_pairs and not ahead:
            ahead = paired_difference(high, low).low > 0
        assert ahead, f"gold of {better} is {mean_interval(high)}, of {worse} {mean_interval(low)}"
    return found


def measure_gold(case: Case, num_episodes: int = 64) -> GoldOrder:
    """Play `num_episodes` episodes with each of the three policies, as far as they are known.

    What people wrote of so many prompts is judged as it stands.
    """
    core: Any = case.make().unwrapped
    num_prompts = len(getattr(getattr(core, "task", None), "prompts", ()))
    prompt_ids = [index % num_prompts for index in range(num_episodes if num_prompts else 0)]
    human = human_golds(core, prompt_ids)
    people = {} if human is None else {"human": human}
    if case.family != "token":
        steps = _of_single_steps(case, num_episodes, num_prompts=num_prompts or None)
        return GoldOrder.of({**steps, **people}, has_pairs=num_prompts > 0)
    # Gold alone is looked at: where it is the reward too, no reward model has to read along.
    reward = {"reward": "gold"} if core.task.gold is not None else {}
    envs: Any = case.make_vec(num_envs=num_episodes, kl_coef=0.0, **reward)

    def golds(policy: Any) -> list[float]:
        episodes = rollout(envs, policy, num_episodes, seed=case.seed, prompt_ids=prompt_ids)
        return [float(e.score if e.gold_score is None else e.gold_score) for e in episodes]  # type: ignore[arg-type]

    model = sampled_reference(envs, case.seed)
    found = {} if model is None else {"reference": golds(model)}
    if hasattr(core, "best_known_action"):
        steps = _of_single_steps(case, num_episodes, num_prompts=num_prompts)
        return GoldOrder.of({**steps, **found, **people})
    texts, table = best_texts(core, prompt_ids), best_table(core)
    if texts is not None:
        found["best_known"] = golds(text_writer(envs, texts))
    elif table is not None:
        found["best_known"] = golds(table_sampler(envs, table, case.seed))
    return GoldOrder.of({**found, **people, "random": golds(None)})


def _of_single_steps(
    case: Case, num_episodes: int, *, num_prompts: int | None
) -> dict[str, list[float]]:
    env: Any = case.make()
    core = env.unwrapped
    draw = random_actions(env, case.seed)
    reference = getattr(core, "reference_action", None)
    policies: dict[str, Act | None] = {
        "best_known": best_policy(core),
        "reference": None if reference is None else lambda observation: reference(),
        "random": lambda observation: draw(),
    }
    return {
        name: episode_golds(env, act, case.seed, num_episodes, num_prompts=num_prompts)
        for name, act in policies.items()
        if act is not None
    }


def episode_golds(
    env: Any, act: Act, seed: int, num_episodes: int, *, num_prompts: int | None = None
) -> list[float]:
    """Play episodes one after the other and return the gold of each.

    Args:
        env: A single environment.
        act: From an observation to an action.
        seed: Of the first reset.
        num_episodes: How many, at least 1.
        num_prompts: Of a text environment, whose prompts 0, 1, … are then answered; None: drawn.
    """
    golds = []
    for index in range(num_episodes):
        options = None if num_prompts is None else {"prompt_id": index % num_prompts}
        observation, _ = env.reset(seed=seed if index == 0 else None, options=options)
        total, is_end = 0.0, False
        while not is_end:
            observation, reward, terminated, truncated, info = env.step(act(observation))
            total, is_end = total + float(reward), bool(terminated or truncated)
        golds.append(float(info.get("gold_score", info.get("score", total))))
    return golds
