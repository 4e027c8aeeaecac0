"""A whole task from its configuration: data, models, rewards, by name or from a bundle."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from textgym.callables import is_callable_name, load_callable
from textgym.config import TextEnvConfig
from textgym.dataset_files import HUB_PREFIX
from textgym.dataset_form import DatasetForm
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.file_prompts import FilePrompts, take_split
from textgym.models.causal_reference import CausalLMReference
from textgym.prompts import PromptList, PromptSource, TemplatePrompts, check_prompts
from textgym.rewards.base import RewardFn
from textgym.rewards.learned_ensemble import learned_reward
from textgym.rewards.lookup import reward_named
from textgym.task import MakeReference, TextTask
from textgym.task_parts import action_tokens_from, mask_from, refuse_idle, responder_from
from textgym.tokenizer import TOKENIZER_FILES, TextTokenizer, Tokenizer, load_tokenizer

_TEACHER = "textgym.feedback.teacher_reward:open_teacher_reward"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The models that come with an environment.

    Attributes:
        env_id: The environment.
        folder: Where `reference_model/` (with the tokenizer) and `reward_model/` lie.
    """

    env_id: str
    folder: Path

    def path_of(self, name: str) -> str:
        """Return the folder of "reference_model" or "reward_model".

        Raises:
            ValueError: It has not been built.
        """
        path = self.folder / name
        if not path.is_dir():
            raise ValueError(
                f"{self.env_id} has no bundled {name} at {str(path)!r}: build it with "
                f"`textgym build {self.env_id}`, or pass {name}=... (a folder or hub name)"
            )
        return str(path)


def text_task(
    config: TextEnvConfig,
    *,
    prompts: PromptSource | None = None,
    gold: RewardFn | None = None,
    gold_scale: tuple[float, float] = (0.0, 1.0),
    bundle: Bundle | None = None,
    dataset_form: DatasetForm | None = None,
) -> TextTask:
    """Build the task that a configuration describes.

    Args:
        config: The environment's arguments.
        prompts: Where prompts come from unless `dataset` says otherwise.
        gold: Hidden true utility of `prompts`; that of a `dataset` is its form's.
        gold_scale: Mean and standard deviation of the reference's gold: a simulated teacher's
            units, unless `teacher` names others.
        bundle: Models used unless the arguments name others.
        dataset_form: What is made of a `dataset`; None takes its prompts as they are, and there
            is no gold utility for them.

    Returns:
        The task; its `config` names the models and the tokenizer that are in use.

    Raises:
        ValueError: Something is missing or does not fit; the message names the argument.
    """
    refuse_idle(config)
    config = _with_paths(config, bundle)
    tokenizer = _tokenizer(config)
    if config.dataset is not None:
        prompts, gold = dataset_prompts(config, tokenizer, dataset_form), None
        if dataset_form is not None:
            gold = dataset_form.gold_of(
                partial(dataset_prompts, replace(config, split="train"), tokenizer, dataset_form)
            )
            prompts = dataset_form.fit(prompts)
    if prompts is None:
        raise ValueError(
            "expected dataset=... (a file, 'hf:org/name', 'module:function'), got None"
        )
    if config.prompt_template is not None:
        prompts = TemplatePrompts(prompts, config.prompt_template)
    action_tokens = action_tokens_from(config, tokenizer)
    eos_ids = tuple(sorted({*tokenizer.eos_ids, *_generation_eos_ids(config, tokenizer)}))
    return TextTask(
        config=config,
        prompts=prompts,
        tokenizer=tokenizer,
        reward=_reward(config, tokenizer, prompts, gold, gold_scale),
        gold=gold,
        make_reference=_make_reference(config, action_tokens, tokenizer),
        eos_ids=eos_ids,
        stop=config.stop_strings,
        action_tokens=action_tokens,
        mask_fn=mask_from(config, action_tokens, eos_ids),
        responder=responder_from(config, tokenizer),
    )


def dataset_prompts(
    config: TextEnvConfig, tokenizer: Tokenizer, form: DatasetForm | None = None
) -> PromptSource:
    """Return the prompts that `config.dataset` names, columns mapped as `form` knows them.

    A function is called with those of `split`, `data_seed` and `num_prompts` that it has as
    parameters; a list from a function that has no `split` is cut as files are.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Nothing there, or of the wrong form.
    """
    name = str(config.dataset)
    is_function = is_callable_name(name) and not name.startswith(HUB_PREFIX)
    if not is_function or Path(name).exists():
        has_template = tokenizer.hf is not None and bool(tokenizer.hf.chat_template)
        return FilePrompts(
            name,
            split=config.split,
            columns=config.dataset_columns,
            render_chat=tokenizer.render_chat if has_template else None,
            names=() if form is None else form.names,
            usual_columns=None if form is None else form.columns,
            needs=("reference",) if form is None else tuple(form.needs),
        )
    function = load_callable(name)
    known = inspect.signature(function).parameters
    arguments: dict[str, Any] = {
        "split": config.split,
        "data_seed": config.data_seed,
        "num_prompts": config.num_prompts,
    }
    given = {key: value for key, value in arguments.items() if key in known}
    source = check_prompts(function(**given), f"dataset {name!r}")
    if "split" not in known and isinstance(source, PromptList):
        source = PromptList(take_split([source[i] for i in range(len(source))], config.split))
    return source


def _with_paths(config: TextEnvConfig, bundle: Bundle | None) -> TextEnvConfig:
    found: dict[str, str] = {}
    if bundle is not None and config.reference_model is None:
        found["reference_model"] = bundle.path_of("reference_model")
    uses_model = "model" in re.findall(r"[A-Za-z_][\w.:]*", config.reward)
    if bundle is not None and config.reward_model is None and uses_model:
        found["reward_model"] = bundle.path_of("reward_model")
    reference = found.get("reference_model", config.reference_model)
    if config.tokenizer is None and reference is not None:
        found["tokenizer"] = reference
    return replace(config, **found)  # type: ignore[arg-type]


def _tokenizer(config: TextEnvConfig) -> Tokenizer:
    if config.tokenizer is None:
        raise ValueError(
            "expected tokenizer=... or reference_model=... (a folder or hub name), got neither"
        )
    tokenizer = load_tokenizer(config.tokenizer)
    _require_ids_of_reference(tokenizer, config)
    return tokenizer


def _require_ids_of_reference(tokenizer: Tokenizer, config: TextEnvConfig) -> None:
    """Refuse a tokenizer whose ids mean other tokens to the reference model.

    Tokens may be missing or added at the end; a folder without a tokenizer says nothing.
    """
    path = config.reference_model
    if path is None or path == config.tokenizer or not isinstance(tokenizer, TextTokenizer):
        return
    if not any((Path(path) / name).is_file() for name in TOKENIZER_FILES):
        return
    own = load_tokenizer(path)
    if not isinstance(own, TextTokenizer) or own.fingerprint == tokenizer.fingerprint:
        return
    token_of = {index: token for token, index in own.hf.get_vocab().items()}
    for token, index in sorted(tokenizer.hf.get_vocab().items(), key=lambda item: item[1]):
        if token_of.get(index, token) != token:
            raise ValueError(
                f"vocabulary mismatch: token {index} is {token!r} in the tokenizer "
                f"{config.tokenizer!r} and {token_of[index]!r} in that of the reference model "
                f"{path!r}; expected a tokenizer with the model's ids"
            )


def _reward(
    config: TextEnvConfig,
    tokenizer: Tokenizer,
    prompts: PromptSource,
    gold: RewardFn | None,
    gold_scale: tuple[float, float],
) -> RewardFn:
    path = config.reward_model

    def make_model() -> RewardFn:
        return learned_reward(
            str(path),
            tokenizer,
            config.device,
            config.reward_model_dtype or config.dtype,
            offload=config.reward_model_offload,
            token_budget=config.scoring_batch_tokens,
            token_aggregate=config.token_aggregate,
        )

    def make_teacher() -> RewardFn:
        assert gold is not None
        # By name: the store behind it needs an extra.
        judge = EpisodeJudge(gold=gold, prompts=prompts, tokenizer=tokenizer)
        opened: RewardFn = load_callable(_TEACHER)(config, judge, gold_scale)
        return opened

    return reward_named(
        config.reward,
        gold=gold,
        make_teacher=None if gold is None else make_teacher,
        make_model=None if path is None else make_model,
        workers=config.reward_workers,
    )


def _make_reference(
    config: TextEnvConfig, action_tokens: Any, tokenizer: Tokenizer
) -> MakeReference | None:
    path = config.reference_model
    if path is None:
        return None
    tokens = None if config.action_tokens is None else action_tokens
    return lambda num_rows, width: CausalLMReference(
        path,
        num_rows,
        width,
        tokens,
        config.device,
        config.dtype,
        num_actions=tokenizer.vocab_size,
        token_budget=config.scoring_batch_tokens,
    )


def _generation_eos_ids(config: TextEnvConfig, tokenizer: Tokenizer) -> list[int]:
    """Return the end tokens of the reference's generation config: chat models have several."""
    if config.reference_model is None:
        return []
    file = Path(config.reference_model) / "generation_config.json"
    if not file.is_file():
        return []
    found = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id")
    ids = found if isinstance(found, list) else [found]
    return [i for i in ids if isinstance(i, int) and 0 <= i < tokenizer.vocab_size]
