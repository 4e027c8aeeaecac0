"""Every keyword argument of every text environment: strings, numbers and None only."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from typing import Any, TypeVar

SPLITS = ("train", "validation", "test")
REWARD_TIMINGS = ("step", "deferred")
REWARD_LEVELS = ("response", "token")
TOKEN_AGGREGATES = ("mean", "sum")
TEACHER_FEEDBACK = ("score", "language")
PROMPT_OVERFLOWS = ("truncate", "error")
DTYPES = ("float32", "bfloat16", "float16")
STOP_SEPARATOR = "|||"
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "split": SPLITS,
    "reward_timing": REWARD_TIMINGS,
    "reward_level": REWARD_LEVELS,
    "token_aggregate": (None, *TOKEN_AGGREGATES),
    "teacher_feedback": TEACHER_FEEDBACK,
    "prompt_overflow": PROMPT_OVERFLOWS,
    "dtype": DTYPES,
    "reward_model_dtype": (None, *DTYPES),
}

ConfigType = TypeVar("ConfigType", bound="TextEnvConfig")


@dataclass(frozen=True, kw_only=True)
class TextEnvConfig:
    """What `gym.make(id, ...)` and `gym.make_vec(id, ...)` accept.

    Attributes:
        split: Which prompts: "train", "validation" or "test".
        data_seed: Fixes a procedural source, 0 or more; `reset(seed)` only draws indices.
        num_prompts: Size of the split, None for the source's own.
        dataset: Prompts from elsewhere: a path, "hf:org/name" or "module:function".
        dataset_columns: Column mapping, `"prompt=source,reference=target"`; dots go into nested
            columns.
        prompt_template: Text with `{prompt}` (and other columns), None for the prompt as it is.
        tokenizer: Folder, hub name or "symbols:a b <eos>"; None for the reference model's.
        reference_model: Folder or hub name of a causal LM, None for the bundled one.
        reward_model: Folder or hub name of a one-label classifier, None for the bundled one.
        reward: "model", "gold", "teacher", "rouge", "bleu", "chrf", "length", "module:function" or
            a weighted sum such as "0.7*model+0.3*rouge".
        reward_level: "response" pays the score at the end; "token" pays the reward model's part of
            it at every step, so that the steps of an episode sum to the same score.
        token_aggregate: What of the reward model's numbers at the response's tokens the score is:
            their "mean" or "sum"; None: as the model was trained, which may be the last one.
        reward_workers: Threads over which a "module:function" reward is called, one episode a
            call: for a slow judge elsewhere. 1 calls it once with all episodes of a batch.
        teacher: The simulated teacher that reward "teacher" asks, "beta=2,delay=3": see
            `TeacherConfig`; None for one who says the gold.
        teacher_feedback: What it is asked for: a "score", or "language" that a critic reads.
        teacher_store: Where its answers are kept: a path (SQLite) or a URL; None keeps them while
            the environment lives.
        teacher_budget: What its answers may cost in all, None for no limit. What it cannot pay
            for is not answered.
        teacher_prices: Prices, "score=1,action=0.01": see `Prices`; None for 1 an answer.
        kl_coef: Weight of log pi_ref in the reward, at least 0.
        temperature: Of the reference's softmax, above 0; the policy must sample with the same.
        max_prompt_tokens: Longest prompt in tokens, at least 1.
        max_new_tokens: Longest response in tokens, at least 1; reaching it ends the episode.
        min_new_tokens: End tokens are masked before this many response tokens.
        missing_eos_score: Replaces the score where the cap ended the episode; None: score it.
        prompt_overflow: "truncate" cuts whole lines from the left (tokens where one line alone is
            too long), "error" raises.
        stop: Strings that end a response, several separated by "|||"; None for none.
        action_tokens: Token ids that may be written, "3,5,8-12"; None for the whole vocabulary.
        action_mask: "module:function" of a mask, see `TextTask.mask_fn`; None for none.
        responder: "module:function" of what answers in the middle of an episode: it is given the
            tokenizer and returns a `textgym.turns.Responder`; None for nobody.
        info_action_mask: Whether `info["action_mask"]` (A,) int8 is given.
        group_size: Neighbouring rows that share their prompt, at least 1; vector only above 1.
        reward_timing: "step", or "deferred": rewards come from `settle_rewards()`; vector only.
        device: "auto", "cpu", "cuda", "mps": where the models run.
        dtype: Of the models' weights: "float32", "bfloat16" or "float16".
        reward_model_dtype: Of the reward model's weights alone, None for `dtype`.
        reward_model_offload: Whether the reward model leaves the accelerator between uses.
        scoring_batch_tokens: Most padded tokens that the reward model or the reference reads in
            one forward over whole sequences, at least 1; None for 1,024 on a
            CPU and 8,192 elsewhere.
        render_mode: "ansi", "human"; any other string is accepted and cannot be rendered.
    """

    split: str = "train"
    data_seed: int = 0
    num_prompts: int | None = None
    dataset: str | None = None
    dataset_columns: str | None = None
    prompt_template: str | None = None
    tokenizer: str | None = None
    reference_model: str | None = None
    reward_model: str | None = None
    reward: str = "model"
    reward_level: str = "response"
    token_aggregate: str | None = None
    reward_workers: int = 1
    teacher: str | None = None
    teacher_feedback: str = "score"
    teacher_store: str | None = None
    teacher_budget: float | None = None
    teacher_prices: str | None = None
    kl_coef: float = 0.05
    temperature: float = 1.0
    max_prompt_tokens: int = 128
    max_new_tokens: int = 48
    min_new_tokens: int = 0
    missing_eos_score: float | None = None
    prompt_overflow: str = "truncate"
    stop: str | None = None
    action_tokens: str | None = None
    action_mask: str | None = None
    responder: str | None = None
    info_action_mask: bool = False
    group_size: int = 1
    reward_timing: str = "step"
    device: str = "auto"
    dtype: str = "float32"
    reward_model_dtype: str | None = None
    reward_model_offload: bool = False
    scoring_batch_tokens: int | None = None
    render_mode: str | None = None

    def __post_init__(self) -> None:
        """Check types and ranges; messages name the argument, the value and what was expected."""
        for field in fields(self):
            _check_plain(field.name, getattr(self, field.name))
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name in ("max_prompt_tokens", "max_new_tokens", "group_size", "reward_workers"):
            check_int(name, getattr(self, name), at_least=1)
        for name in ("data_seed", "min_new_tokens"):
            check_int(name, getattr(self, name), at_least=0)
        if not isinstance(self.reward_model_offload, bool):
            raise ValueError(
                f"reward_model_offload must be True or False, got {self.reward_model_offload!r}"
            )
        for name in ("num_prompts", "scoring_batch_tokens"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), at_least=1)
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens must be at most max_new_tokens={self.max_new_tokens}, "
                f"got {self.min_new_tokens!r}"
            )
        check_kl_coef(self.kl_coef)
        check_temperature(self.temperature)
        if self.missing_eos_score is not None:
            check_finite("missing_eos_score", self.missing_eos_score)

    @classmethod
    def from_kwargs(cls: type[ConfigType], **kwargs: Any) -> ConfigType:
        """Build the config, naming the nearest known argument for an unknown one.

        Raises:
            TypeError: An unknown argument.
            ValueError: A value out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
                # Python's own words, which TorchRL looks for when it offers `frameskip`.
                raise TypeError(f"got an unexpected keyword argument {name!r}{hint}")
        return cls(**kwargs)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The stop strings, possibly none."""
        if self.stop is None:
            return ()
        return tuple(part for part in self.stop.split(STOP_SEPARATOR) if part)


def check_int(name: str, value: object, *, at_least: int) -> None:
    """Raise ValueError unless `value` is an integer of at least `at_least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be an integer of at least {at_least}, got {value!r}")


def check_finite(name: str, value: object) -> None:
    """Raise ValueError unless `value` is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def check_kl_coef(value: float) -> None:
    """Raise ValueError unless `value` is a finite number of at least 0."""
    check_finite("kl_coef", value)
    if value < 0:
        raise ValueError(f"kl_coef must be at least 0, got {value!r}")


def check_temperature(value: float) -> None:
    """Raise ValueError unless `value` is a finite number above 0."""
    check_finite("temperature", value)
    if value <= 0:
        raise ValueError(f"temperature must be above 0, got {value!r}")


def _check_plain(name: str, value: object) -> None:
    # Gymnasium deep-copies and serialises kwargs, so live objects cannot travel.
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise ValueError(
            f"{name} must be a string, a number or None, got {type(value).__name__}; "
            f"pass models and data by path or name, functions as 'module:function'"
        )


def _check_choice(name: str, value: object, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        words = [choice for choice in choices if choice is not None]
        near = difflib.get_close_matches(str(value), words, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} must be one of {choices}, got {value!r}{hint}")
