"""A policy beside the reference model: the same held-out prompts, one table, sample pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from textgym.agents.evaluation.episode_metrics import METRIC_TITLES
from textgym.agents.evaluation.held_out import (
    EvaluablePolicy,
    Evaluation,
    EvaluationConfig,
    evaluate,
)
from textgym.agents.evaluation.judges import Judge
from textgym.agents.evaluation.policy_sources import reference_policy
from textgym.intervals import Estimate
from textgym.types import ENDED_METRIC, Episode


@dataclass(frozen=True, kw_only=True)
class BeforeAfter:
    """The reference model and a policy on the same prompts.

    Attributes:
        before: The reference model; None where the task has no language model as its reference.
        after: The policy.
    """

    before: Evaluation | None
    after: Evaluation

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for a JSON file."""
        before = None if self.before is None else self.before.as_dict()
        return {"before": before, "after": self.after.as_dict()}


def compare_with_reference(
    env: gym.vector.VectorEnv,
    policy: EvaluablePolicy,
    config: EvaluationConfig,
    judge: Judge | None = None,
    *,
    device: str = "auto",
) -> BeforeAfter:
    """Evaluate the reference model, then `policy` against its responses.

    Args:
        env: From `make_evaluation_env`.
        policy: Its temperature must be `config.temperature`.
        config: How many prompts and how to sample.
        judge: Decides the win rate; None for none.
        device: Where the reference runs, as `resolve_device`.
    """
    before = None
    reference = reference_policy(
        env, temperature=config.temperature, seed=config.seed + 1, device=device
    )
    if reference is not None:
        before = evaluate(env, reference, config)
    after = evaluate(
        env,
        policy,
        config,
        reference_episodes=None if before is None else before.episodes,
        judge=judge,
    )
    return BeforeAfter(before=before, after=after)


def comparison_table(result: BeforeAfter, metrics: tuple[str, ...] = ()) -> str:
    """Return the table of metrics, each with its 95 % interval.

    Args:
        result: What to show.
        metrics: Which metrics, in this order; empty for all that were measured.
    """
    wanted = metrics or tuple(METRIC_TITLES)
    known = [name for name in wanted if name in result.after.metrics]
    found = {**(result.before.metrics if result.before else {}), **result.after.metrics}
    known += sorted(name for name in found if name.startswith(ENDED_METRIC))
    head = f"{'':32}  {'reference':>18}  {'trained':>18}"
    lines = [head.rstrip() if result.before else f"{'':32}  {'trained':>18}"]
    for name in known:
        cells = [] if result.before is None else [_cell(result.before.metrics.get(name))]
        cells.append(_cell(result.after.metrics.get(name)))
        title = METRIC_TITLES.get(name) or f"ended {name.removeprefix(ENDED_METRIC)!r}"
        lines.append(f"{title:32}  " + "  ".join(f"{cell:>18}" for cell in cells))
    count = len(result.after.episodes)
    judged = f"; wins judged by {result.after.judge}" if "win_rate" in known else ""
    lines.append(f"({count} held-out responses, ± half of the 95 % interval{judged})")
    return "\n".join(lines)


def sample_pairs(result: BeforeAfter, count: int = 2) -> list[dict[str, Any]]:
    """Return the first prompts with the reference's (where there is one) and the policy's response.

    They are not picked: prompts 0 and 1 of the split.
    """
    pairs = []
    for index, ours in enumerate(result.after.episodes[:count]):
        pair = {"prompt_id": ours.prompt.prompt_id, "prompt": ours.prompt.text}
        if result.before is not None:
            pair["reference"] = _response(result.before.episodes[index])
        pairs.append({**pair, "trained": _response(ours)})
    return pairs


def pairs_text(pairs: list[dict[str, Any]]) -> str:
    """Return sample pairs for people to read."""
    blocks = []
    for pair in pairs:
        lines = [f"prompt {pair['prompt_id']}", pair["prompt"].strip()]
        for who in ("reference", "trained"):
            if who in pair:
                said = pair[who]
                numbers = ", ".join(
                    f"{name.removesuffix('_score')} {said[name]:.2f}"
                    for name in ("score", "gold_score")
                    if said[name] is not None
                )
                lines.append(f"  {who:9} ({numbers}): {said['response'].strip()}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _response(episode: Episode) -> dict[str, Any]:
    return {
        "response": episode.response,
        "score": episode.score,
        "gold_score": episode.gold_score,
    }


def _cell(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.mean:.3f} ± {estimate.half_width:.3f}"
