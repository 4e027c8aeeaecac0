"""Better policies earn more: gold of the best known policy, of the reference and at random.

The best known policy is the environment's `best_known_action()`, where it has one, what is best by
its exact `optimal_q` (S, A), its `best_known_response(prompt)`, or the first human reference of
each prompt; responses are written token by token. The reference is the environment's
`reference_action()`, or its language model, sampled. Gold is `gold_score` of the last info; where a
task has none, its `score`, and where there is no score either, the sum of the rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from textgym.intervals import Estimate, mean_interval, paired_difference
from textgym.models.decoding import open_decoder
from textgym.models.loading import load_causal_lm
from textgym.models.sampling import action_logits, sample
from textgym.rollout import rollout
from textgym.testing.case import Case, random_actions
from textgym.tokenizer import end_token
from textgym.types import Prompt

Act = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class GoldOrder:
    """Mean gold of three policies, each with its 95 % interval.

    Attributes:
        best_known: Of the best policy that is known; None where none is.
        reference: Of the reference; None where the task has none.
        random: Of actions drawn evenly among the allowed ones.
        episodes: Policy to the gold of each of its episodes; of text, episode i of every policy
            answers the same prompt.
    """

    best_known: Estimate | None
    reference: Estimate | None
    random: Estimate
    episodes: Mapping[str, Sequence[float]] = field(repr=False)

    @classmethod
    def of(cls, episodes: Mapping[str, Sequence[float]]) -> GoldOrder:
        """Summarise the gold of each policy's episodes, "random" among them."""
        means = {name: mean_interval(golds) for name, golds in episodes.items()}
        return cls(
            best_known=means.get("best_known"),
            reference=means.get("reference"),
            random=means["random"],
            episodes=episodes,
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
    assert len(ordered) > 1, f"{case.id} has neither best_known_action(), references nor a model"
    for better, worse in pairwise(ordered):
        high, low = found.episodes[better], found.episodes[worse]
        ahead = mean_interval(high).low > mean_interval(low).high
        if case.family == "token" and not ahead:
            ahead = paired_difference(high, low).low > 0
        assert ahead, f"gold of {better} is {mean_interval(high)}, of {worse} {mean_interval(low)}"
    return found


def measure_gold(case: Case, num_episodes: int = 64) -> GoldOrder:
    """Play `num_episodes` episodes with each of the three policies, as far as they are known."""
    if case.family != "token":
        return _of_single_steps(case, num_episodes)
    core: Any = case.make().unwrapped
    # Gold alone is looked at: where it is the reward too, no reward model has to read along.
    reward = {"reward": "gold"} if core.task.gold is not None else {}
    envs: Any = case.make_vec(num_envs=num_episodes, kl_coef=0.0, **reward)
    prompt_ids = [index % len(core.task.prompts) for index in range(num_episodes)]

    def golds(policy: Any) -> list[float]:
        episodes = rollout(envs, policy, num_episodes, seed=case.seed, prompt_ids=prompt_ids)
        return [float(e.score if e.gold_score is None else e.gold_score) for e in episodes]  # type: ignore[arg-type]

    model = sampled_reference(envs, case.seed)
    found = {} if model is None else {"reference": golds(model)}
    if hasattr(core, "best_known_action"):
        steps = _of_single_steps(case, num_episodes, num_prompts=len(core.task.prompts))
        return GoldOrder.of({**steps.episodes, **found})
    human = written_references(envs, prompt_ids)
    found |= {} if human is None else {"best_known": golds(human)}
    return GoldOrder.of({**found, "random": golds(None)})


def written_references(envs: Any, prompt_ids: list[int]) -> Callable[[np.ndarray], Any] | None:
    """Return what writes the best known response to prompt `prompt_ids[i]` in row i.

    Args:
        envs: A vector text environment of as many rows, reset to these prompts.
        prompt_ids: One for each row.

    Returns:
        A function from observations (N, L) to actions (N,), None where a prompt has no reference.

    Raises:
        AssertionError: A reference has a token that is no action.
    """
    core = envs.unwrapped
    texts = [_best_text(core, core.task.prompts[index]) for index in prompt_ids]
    if not all(texts):
        return None
    action_of = {int(token): action for action, token in enumerate(core.action_tokens)}
    written = []
    for text in texts:
        tokens = [*_tokens_of(text, core), *end_token(core.tokenizer)]
        unknown = [token for token in tokens if token not in action_of]
        assert not unknown, f"tokens {unknown} of {text!r} are no actions"
        written.append([action_of[token] for token in tokens])

    is_over = np.zeros(len(texts), dtype=bool)
    last_steps = np.full(len(texts), -1)

    def act(observations: np.ndarray) -> np.ndarray:
        nonlocal is_over, last_steps
        steps = _lengths(observations, core) - core.prompt_lengths
        is_over, last_steps = is_over | (steps <= last_steps), steps
        pairs = zip(written, steps, strict=True)
        chosen = np.array([actions[min(step, len(actions) - 1)] for actions, step in pairs])
        # A row that is done plays on with another prompt, of which nothing is known or counted.
        return np.where(is_over, core.action_masks().argmax(axis=1), chosen)

    return act


def _best_text(core: Any, prompt: Prompt) -> str:
    """Return the best response that is known, empty where none is."""
    if hasattr(core, "best_known_response"):
        return core.best_known_response(prompt)
    return prompt.references[0] if prompt.references else ""


def _tokens_of(text: str, core: Any) -> list[int]:
    """Encode a response; where one token is a whole reply, find the one that says it."""
    replies = {core.tokenizer.decode([int(token)]): int(token) for token in core.action_tokens}
    if text in replies:
        return [replies[text]]
    return list(core.tokenizer.encode(" " + text))


def sampled_reference(envs: Any, seed: int) -> Callable[[np.ndarray], Any] | None:
    """Return what samples from a text environment's reference model, None where it has none."""
    core = envs.unwrapped
    if core.config.reference_model is None:
        return None
    model = load_causal_lm(
        core.config.reference_model, device=core.config.device, dtype=core.config.dtype
    )
    width = envs.observation_space.shape[1]
    decoder = open_decoder(model, envs.num_envs, width)
    tokens = torch.as_tensor(core.action_tokens, device=model.device)
    generator = torch.Generator(device=model.device).manual_seed(seed)

    @torch.inference_mode()
    def act(observations: np.ndarray) -> np.ndarray:
        hidden = decoder.advance(observations, _lengths(observations, core))
        allowed = torch.as_tensor(core.action_masks(), device=model.device)
        logits = action_logits(decoder.logits(hidden), tokens, allowed, core.temperature)
        return sample(logits, generator).cpu().numpy()

    return act


def _lengths(observations: np.ndarray, core: Any) -> np.ndarray:
    return (observations < core.vocab_size).sum(axis=1)


def _of_single_steps(case: Case, num_episodes: int, *, num_prompts: int | None = None) -> GoldOrder:
    env: Any = case.make()
    core = env.unwrapped

    draw = random_actions(env, case.seed)
    reference = getattr(core, "reference_action", None)
    policies: dict[str, Act | None] = {
        "best_known": best_policy(core),
        "reference": None if reference is None else lambda observation: reference(),
        "random": lambda observation: draw(),
    }
    return GoldOrder.of(
        {
            name: episode_golds(env, act, case.seed, num_episodes, num_prompts=num_prompts)
            for name, act in policies.items()
            if act is not None
        }
    )


def best_policy(core: Any) -> Act | None:
    """Return the best policy that an unwrapped environment knows, None where it knows none."""
    if hasattr(core, "optimal_q"):
        return lambda observation: int(core.optimal_q[core.state].argmax())
    if hasattr(core, "best_known_action"):
        return lambda observation: core.best_known_action()
    return None


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
