"""Supervised fine-tuning of a causal language model on prompts with responses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from textgym.agents.storage.checkpoint import save_folder, save_json
from textgym.agents.supervised.fresh_models import fresh_causal_lm, is_scratch
from textgym.agents.supervised.language_modelling import (
    EncodedPair,
    LanguageModelling,
    encode_turns,
    held_out_losses,
)
from textgym.agents.supervised.model_files import save_language_model
from textgym.agents.supervised.preference_data import held_out_items
from textgym.agents.supervised.text_data import TextPair
from textgym.agents.supervised.training_loop import LoopConfig, Progress, train
from textgym.intervals import Estimate, ratio_interval
from textgym.models.loading import check_vocabulary, copy_causal_lm, resolve_device
from textgym.models.trunk import trunk_and_head
from textgym.tokenizer import Tokenizer, load_tokenizer, train_sentencepiece

TRAIN_TOKENIZER = "train:"


@dataclass(frozen=True, kw_only=True)
class SFTConfig(LoopConfig):
    """Supervised fine-tuning.

    Attributes:
        model: Folder or hub name of a causal LM, or a fresh one:
            "scratch:llama,layers=4,width=128,heads=4" (also qwen2, gpt2).
        tokenizer: Folder or hub name; "train:4000" makes a SentencePiece tokenizer of that many
            ids from the training texts; None takes the model's own.
        max_prompt_tokens: Longer prompts lose their beginning, so that the end, where the
            response begins, is kept.
        max_response_tokens: Longer responses lose their end, end token included.
        loss_on: "response", or "all" to learn the prompts too; what others say inside a response
            (`TextPair.others`) is learned in neither.
        held_out_fraction: Share of the prompts kept for evaluation where no held-out data is given.
        learning_rate: Highest rate; 1e-3 suits a small fresh model, 1e-5 a pretrained one.
    """

    model: str = "scratch:llama"
    tokenizer: str | None = None
    max_prompt_tokens: int = 512
    max_response_tokens: int = 128
    loss_on: str = "response"
    held_out_fraction: float = 0.05
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Reject settings without a meaning."""
        super().__post_init__()
        if self.loss_on not in ("response", "all"):
            raise ValueError(f"loss_on must be 'response' or 'all', got {self.loss_on!r}")
        for name in ("max_prompt_tokens", "max_response_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if is_scratch(self.model) and self.tokenizer is None:
            raise ValueError(
                f"a fresh model needs tokenizer=..., got None for model {self.model!r}; expected "
                "a folder, a name, or 'train:4000'"
            )


@dataclass(frozen=True, kw_only=True)
class SFTResult:
    """What came out.

    Attributes:
        folder: The model's folder, loadable by `AutoModelForCausalLM.from_pretrained`.
        held_out_loss: Nats per token of the held-out responses, end token included.
        perplexity: exp of it.
        n_train: Pairs trained on.
        n_held_out: Pairs held out.
        n_parameters: Weights of the model.
        progress: Steps, seconds and the history of evaluations.
    """

    folder: Path
    held_out_loss: Estimate
    perplexity: Estimate
    n_train: int
    n_held_out: int
    n_parameters: int
    progress: Progress


def train_sft(
    config: SFTConfig,
    pairs: Sequence[TextPair],
    held_out: Sequence[TextPair] | None = None,
    *,
    output: str | Path,
    progress: bool = False,
) -> SFTResult:
    """Train, evaluate and save; an interrupted run in the same folder is continued.

    Args:
        config: Model and training.
        pairs: At least one pair.
        held_out: Pairs that are only evaluated; None splits them off by prompt.
        output: Gets `model/` (an ordinary Hugging Face folder), `training/` (the state of the
            run) and `results.json`.
        progress: Show a bar with the time left.

    Raises:
        ValueError: No pairs, a model without a tokenizer or with too small a vocabulary, or
            sequences longer than the model has positions.
    """
    if not pairs or (held_out is not None and not held_out):
        raise ValueError("expected at least one pair of prompt and response on each side, got 0")
    output = Path(output)
    if held_out is None:
        pairs, held_out = _split(pairs, config)
    tokenizer = _tokenizer(config, pairs, output)
    model = _model(config, tokenizer)
    kept = [encode_pair(pair, tokenizer, config) for pair in pairs]
    held = [encode_pair(pair, tokenizer, config) for pair in held_out]
    _check_model(model, tokenizer, max(len(pair.ids) for pair in (*kept, *held)))

    def evaluate() -> dict[str, float]:
        losses, counts = held_out_losses(model, held, config.batch_tokens)
        return {"held_out_loss": float(losses.sum() / counts.sum())}

    state = train(
        model,
        LanguageModelling(model, kept, config.loss_on),
        config,
        folder=output / "training",
        evaluate=evaluate,
        label="supervised fine-tuning",
        progress=progress,
    )
    save_folder(output / "model", lambda folder: save_language_model(model, tokenizer, folder))
    result = _result(model, len(kept), held, config, state, output / "model")
    plain = {**asdict(result), "folder": result.folder.name, "config": asdict(config)}
    save_json(output / "results.json", plain)
    return result


def encode_pair(pair: TextPair, tokenizer: Tokenizer, config: SFTConfig) -> EncodedPair:
    """Encode prompt and turns apart, as the environment does, and cut what is too long."""
    prompt = tokenizer.encode(pair.prompt)[-config.max_prompt_tokens :]
    response, is_own = encode_turns(pair, tokenizer)
    longest = config.max_response_tokens
    return EncodedPair(
        ids=(*prompt, *response[:longest]),
        prompt_length=len(prompt),
        is_own=tuple(is_own[:longest]) if pair.others else (),
    )


def _split(pairs: Sequence[TextPair], config: SFTConfig) -> tuple[list[TextPair], list[TextPair]]:
    held = held_out_items((p.prompt for p in pairs), config.held_out_fraction, config.seed)
    return [p for p in pairs if p.prompt not in held], [p for p in pairs if p.prompt in held]


def _tokenizer(config: SFTConfig, pairs: Sequence[TextPair], output: Path) -> Tokenizer:
    name = config.tokenizer or config.model
    if not name.startswith(TRAIN_TOKENIZER):
        return load_tokenizer(name)
    size = name.removeprefix(TRAIN_TOKENIZER)
    if not size.isdigit():
        raise ValueError(f"tokenizer must be 'train:NUMBER', a folder or a name, got {name!r}")
    folder = output / "tokenizer"
    if not folder.is_dir():
        texts = [pair.prompt + pair.response for pair in pairs]
        save_folder(folder, lambda target: train_sentencepiece(texts, target, int(size)))
    return load_tokenizer(folder)


def _model(config: SFTConfig, tokenizer: Tokenizer) -> PreTrainedModel:
    device = resolve_device(config.device)
    if not is_scratch(config.model):
        return copy_causal_lm(config.model, device=device, dtype="float32")
    pad = None if tokenizer.hf is None else tokenizer.hf.pad_token_id
    model: Any = fresh_causal_lm(
        config.model,
        vocab_size=tokenizer.vocab_size,
        eos_ids=tokenizer.eos_ids,
        pad_id=pad,
        seed=config.seed,
    )
    return model.to(device)


def _check_model(model: PreTrainedModel, tokenizer: Tokenizer, longest: int) -> None:
    check_vocabulary(model, tokenizer)
    trunk_and_head(model)  # refuses models whose logits are not a linear layer on hidden states
    if not tokenizer.eos_ids:
        raise ValueError("expected a tokenizer with an end token (eos), got one without")
    positions = model.config.to_dict().get("max_position_embeddings") or longest
    if longest > positions:
        raise ValueError(
            f"the longest sequence has {longest} tokens, the model {positions} positions; expected "
            "a smaller max_prompt_tokens + max_response_tokens"
        )


def _result(
    model: PreTrainedModel,
    n_train: int,
    held: Sequence[EncodedPair],
    config: SFTConfig,
    state: Progress,
    folder: Path,
) -> SFTResult:
    loss = ratio_interval(*held_out_losses(model, held, config.batch_tokens))
    return SFTResult(
        folder=folder,
        held_out_loss=loss,
        perplexity=_exponential(loss),
        n_train=n_train,
        n_held_out=len(held),
        n_parameters=sum(p.numel() for p in model.parameters()),
        progress=state,
    )


def _exponential(estimate: Estimate) -> Estimate:
    mean, low, high = (math.exp(x) for x in (estimate.mean, estimate.low, estimate.high))
    return Estimate(mean=mean, low=low, high=high, count=estimate.count)
