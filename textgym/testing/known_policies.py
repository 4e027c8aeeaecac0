"""What is known of an environment without training: the best policy, the reference, people.

The best known policy is the environment's `best_known_action()`, where it has one, what is best by
its exact `optimal_q` (S, A), its `best_known_response(prompt)`, the first human reference of each
prompt, or `solution.policy`, sampled; responses are written token by token. The reference is the
environment's `reference_action()`, or its language model, sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from textgym.models.decoding import open_decoder
from textgym.models.loading import load_causal_lm
from textgym.models.sampling import action_logits, sample
from textgym.tokenizer import end_token
from textgym.types import Episode, Prompt, TokenIds

Act = Callable[[Any], Any]
# The probability of every action (A,), by the response so far.
Table = Mapping[TokenIds, np.ndarray]
# An environment that has one of these needs no people to know what is best.
BETTER_THAN_PEOPLE = ("best_known_response", "best_known_action", "optimal_q")


def best_policy(core: Any) -> Act | None:
    """Return the best policy that an unwrapped environment knows, None where it knows none."""
    if hasattr(core, "optimal_q"):
        return lambda observation: int(core.optimal_q[core.state].argmax())
    if hasattr(core, "best_known_action"):
        return lambda observation: core.best_known_action()
    return None


def best_texts(core: Any, prompt_ids: Sequence[int]) -> list[str] | None:
    """Return the best known response to each prompt, None where there is one without.

    Args:
        core: An unwrapped text environment.
        prompt_ids: Which prompts of its split.
    """
    return _all_told(_best_text(core, core.task.prompts[index]) for index in prompt_ids)


def human_texts(core: Any, prompt_ids: Sequence[int]) -> list[str] | None:
    """Return the first human reference of each prompt, None where there is one without.

    None too where nothing better is known: then they are `best_texts`.
    """
    if not any(hasattr(core, name) for name in BETTER_THAN_PEOPLE):
        return None
    return _all_told("".join(core.task.prompts[index].references[:1]) for index in prompt_ids)


def human_golds(core: Any, prompt_ids: Sequence[int]) -> list[float] | None:
    """Return the gold of each prompt's first human reference, as it stands there.

    None where there is a prompt without one, where nothing better is known, or without a gold.
    """
    texts = human_texts(core, prompt_ids)
    if texts is None or core.task.gold is None:
        return None
    episodes = [
        Episode(
            prompt=core.task.prompts[index],
            prompt_ids=(),
            response_ids=(),
            response=text,
            finish_reason="eos",
        )
        for index, text in zip(prompt_ids, texts, strict=True)
    ]
    return [float(gold) for gold in core.task.gold(episodes)]


def text_writer(envs: Any, texts: Sequence[str]) -> Callable[[np.ndarray], Any]:
    """Return what writes text i in row i.

    Args:
        envs: A vector text environment of as many rows, reset to their prompts.
        texts: One for each row.

    Returns:
        A function from observations (N, L) to actions (N,).

    Raises:
        AssertionError: A text has a token that is no action.
    """
    core = envs.unwrapped
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


def best_table(core: Any) -> Table | None:
    """Return the policy that solves an environment exactly, None where none is known.

    It is best for the environment's own `kl_coef`, which it pays for with some of the score.
    """
    try:
        solution = getattr(core, "solution", None)
    except ValueError:  # with these arguments there is none
        return None
    return getattr(solution, "policy", None)


def table_sampler(envs: Any, table: Table, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what samples a table's actions (N,) for observations (N, L).

    Args:
        envs: A vector text environment whose actions are all tokens of its vocabulary.
        table: Of every response so far that may come.
        seed: Of the draws.
    """
    core = envs.unwrapped
    generator = np.random.default_rng(seed)

    def act(observations: np.ndarray) -> np.ndarray:
        spans = zip(observations, core.prompt_lengths, _lengths(observations, core), strict=True)
        states = [tuple(row[start:end].tolist()) for row, start, end in spans]
        return np.array([generator.choice(core.vocab_size, p=table[state]) for state in states])

    return act


def _best_text(core: Any, prompt: Prompt) -> str:
    """Return the best response that is known, empty where none is."""
    best = core.best_known_response(prompt) if hasattr(core, "best_known_response") else ""
    return best or "".join(prompt.references[:1])


def _all_told(texts: Iterable[str]) -> list[str] | None:
    found = list(texts)
    return found if found and all(found) else None


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
