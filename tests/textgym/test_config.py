"""Arguments of environments: defaults, ranges, nearest names."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from textgym.config import TextEnvConfig


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="'kl_coeff'; did you mean 'kl_coef'"):
        TextEnvConfig.from_kwargs(kl_coeff=0.1)
    with pytest.raises(TypeError, match="'zzz'; known: split"):
        TextEnvConfig.from_kwargs(zzz=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("split", "valdation", "did you mean 'validation'"),
        ("kl_coef", -0.1, "kl_coef must be at least 0, got -0.1"),
        ("kl_coef", float("nan"), "finite number, got nan"),
        ("temperature", 0, "temperature must be above 0, got 0"),
        ("max_new_tokens", 0, "at least 1, got 0"),
        ("max_new_tokens", True, "at least 1, got True"),
        ("max_prompt_tokens", 2.5, "at least 1, got 2.5"),
        ("min_new_tokens", 49, "at most max_new_tokens=48, got 49"),
        ("group_size", 0, "at least 1, got 0"),
        ("num_prompts", 0, "at least 1, got 0"),
        ("reward_timing", "late", "one of .*'deferred'.*got 'late'"),
        ("prompt_overflow", "cut", "got 'cut'"),
        ("dtype", "float64", "got 'float64'"),
        ("reward_model_dtype", "half", "one of .*'bfloat16'.*got 'half'"),
        ("reward_model_offload", "yes", "must be True or False, got 'yes'"),
        ("scoring_batch_tokens", 0, "at least 1, got 0"),
        ("missing_eos_score", float("inf"), "finite number, got inf"),
        ("reward_model", object(), "by path or name, functions as 'module:function'"),
        ("reward", len, "got builtin_function_or_method"),
    ],
)
def test_bad_values_are_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextEnvConfig.from_kwargs(**{name: value})


def test_any_render_mode_and_plain_pickling() -> None:
    config = TextEnvConfig(render_mode="rgb_array", stop="a|||b")
    assert config.stop_strings == ("a", "b") and TextEnvConfig().stop_strings == ()
    assert pickle.loads(pickle.dumps(config)) == config
