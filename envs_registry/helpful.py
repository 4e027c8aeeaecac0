r"""RLHF-Helpful-v0: reply to people in a dialogue, on real preference data that you name.

Description:
    A dialogue between a person and an assistant stands there up to the assistant's next turn; the
    agent writes that turn, token by token. The dialogues are those of a data set of human
    preferences; the score is a reward model's, learned from the same people's comparisons. Nothing
    is bundled: data and models are named by arguments, and docs/real-data.md makes all of them.

Observation:
    `Box(0, V, (L,), int64)`: the dialogue's tokens, the response's, then V in every empty cell;
    L = `max_prompt_tokens + max_new_tokens`. The dialogue ends in "\n\nAssistant:", or as the
    tokenizer's chat template ends a prompt where it has one.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md); there is no `gold_score`: what the people
    would have said of a new reply is not known.

Arguments:
    Those of `TextEnvConfig`. `dataset`, `reference_model` and `reward_model` have no default;
    `reward_model` is not needed where `reward` names another score, such as "rouge".

Data:
    Rows with `chosen` (a whole dialogue, "\n\nHuman: … \n\nAssistant: …"), `messages`, or `prompt`;
    other columns by `dataset_columns`. The chosen reply is the prompt's human reference. A tenth of
    the distinct prompts is "validation", another tenth "test".

Version history:
    v0: first version.
"""

from __future__ import annotations

import re

from textgym.config import TextEnvConfig
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.token_env import TokenEnv
from textgym.vector_env import TokenVectorEnv

DEFAULTS = {"max_prompt_tokens": 192, "max_new_tokens": 64}
NEEDED = ("dataset", "reference_model", "reward_model")


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task that the arguments describe.

    Raises:
        ValueError: One of `NEEDED` is missing.
    """
    given = (config.dataset, config.reference_model, config.reward_model)
    missing = [name for name, value in zip(NEEDED, given, strict=True) if value is None]
    if not re.search(r"\bmodel\b", config.reward) and "reward_model" in missing:
        missing.remove("reward_model")
    if missing:
        raise ValueError(
            f"RLHF-Helpful-v0 comes without data and models: expected {', '.join(NEEDED)} (paths "
            f"or hub names; docs/real-data.md makes them), got no {', '.join(missing)}"
        )
    return text_task(config)


class HelpfulEnv(TokenEnv):
    """One row of RLHF-Helpful-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class HelpfulVectorEnv(TokenVectorEnv):
    """N rows of RLHF-Helpful-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
