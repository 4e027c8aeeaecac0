"""Reward models from comparisons: the Bradley-Terry loss, normalisation, held-out measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel

from textgym.agents.reward_learning.ensembles import normalisation
from textgym.agents.storage.checkpoint import save_folder, save_json
from textgym.agents.supervised.bradley_terry import BradleyTerry
from textgym.agents.supervised.model_files import save_language_model
from textgym.agents.supervised.preference_data import PreferencePair, split_by_prompt
from textgym.agents.supervised.reference_samples import reference_sequences
from textgym.agents.supervised.reward_measures import RewardMeasures, reward_measures
from textgym.agents.supervised.scoring_head import classifier_from, score_sequences
from textgym.agents.supervised.training_loop import LoopConfig, Progress, train
from textgym.models.loading import resolve_device
from textgym.models.reward_model import ScoreScale, check_token_aggregate, write_score_scale
from textgym.tokenizer import Tokenizer, end_token, load_tokenizer

TokenIds = tuple[int, ...]
_UNKNOWN_STARTS = (
    "a score that is made of the response's tokens needs to know where responses begin: expected "
    "response_starts=, or normalise_on=None (and config.reference_model)"
)


@dataclass(frozen=True, kw_only=True)
class RewardTrainingConfig(LoopConfig):
    """Reward-model training.

    Attributes:
        model: Folder or hub name of a causal LM (usually the fine-tuned one) to start from.
        tokenizer: Folder or hub name; None takes the model's own.
        max_prompt_tokens: Longer prompts lose their beginning.
        max_response_tokens: Longer responses lose their end, end token included.
        centring: Weight of the squared sum of a pair's scores, which keeps them near 0.
        held_out_fraction: Share of the prompts kept for evaluation where no held-out data is given.
        reference_model: Folder or name of the policy whose samples the scores are normalised on
            (mean 0, standard deviation 1); None normalises on the training responses.
        n_normalisation: Samples for the normalisation, at least 2.
        token_aggregate: "mean" or "sum": every response token gets a reward, and their mean or
            sum is the score that is trained; None trains the number at the last token.
        learning_rate: Highest rate.
        weight_decay: Decoupled decay of matrices.
    """

    model: str
    tokenizer: str | None = None
    max_prompt_tokens: int = 512
    max_response_tokens: int = 128
    centring: float = 0.0
    held_out_fraction: float = 0.1
    reference_model: str | None = None
    n_normalisation: int = 512
    token_aggregate: str | None = None
    learning_rate: float = 3e-4
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        """Reject settings without a meaning."""
        super().__post_init__()
        for name in ("max_prompt_tokens", "max_response_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if self.n_normalisation < 2:
            raise ValueError(f"n_normalisation must be at least 2, got {self.n_normalisation!r}")
        check_token_aggregate(self.token_aggregate)
        if self.centring < 0:
            raise ValueError(f"centring must be at least 0, got {self.centring!r}")


@dataclass(frozen=True, kw_only=True)
class RewardTrainingResult:
    """What came out.

    Attributes:
        folder: Folder of the sequence classifier, with `textgym.json` (gain and bias).
        held_out: Measures on held-out comparisons.
        gain: Factor that makes the scores' standard deviation 1 on the normalisation samples.
        bias: Term that then makes their mean 0; 0 where the score is a sum over tokens.
        n_train: Comparisons trained on.
        n_held_out: Comparisons held out.
        progress: Steps, seconds and the history of evaluations.
    """

    folder: Path
    held_out: RewardMeasures
    gain: float
    bias: float
    n_train: int
    n_held_out: int
    progress: Progress


def train_reward_model(
    config: RewardTrainingConfig,
    pairs: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair] | None = None,
    *,
    output: str | Path,
    normalise_on: Sequence[TokenIds] | None = None,
    response_starts: Sequence[int] | None = None,
    progress: bool = False,
) -> RewardTrainingResult:
    """Train, normalise, evaluate and save; an interrupted run in the same folder is continued.

    Args:
        config: Model and training.
        pairs: At least one comparison.
        held_out: Comparisons that are only evaluated; None splits them off by prompt.
        output: Gets `model/` (Hugging Face's, with `textgym.json`), `training/`, `results.json`.
        normalise_on: Whole sequences (prompt and response ids) of the reference; None: `config`'s.
        response_starts: Where their responses begin; needed with `token_aggregate`.
        progress: Show a bar with the time left.

    Raises:
        ValueError: No comparisons, a model that cannot be loaded, or one without a tokenizer.
    """
    _check(config, pairs, held_out, normalise_on, response_starts)
    output = Path(output)
    if held_out is None:
        pairs, held_out = split_by_prompt(pairs, config.held_out_fraction, config.seed)
    tokenizer = load_tokenizer(config.tokenizer or config.model)
    model = classifier_from(config.model, seed=config.seed).to(resolve_device(config.device))
    objective = _objective(model, pairs, tokenizer, config, config.centring)
    judge = _objective(model, held_out, tokenizer, config)
    state = train(
        model,
        objective,
        config,
        folder=output / "training",
        evaluate=lambda: _brief(reward_measures(held_out, judge.differences(config.batch_tokens))),
        label="reward model",
        progress=progress,
    )
    starts = list(response_starts or ())
    if normalise_on is None:
        normalise_on, starts = _normalisation_sequences(
            config, pairs, objective, tokenizer, progress
        )
    scale = _scale(model, config, normalise_on, starts)
    result = RewardTrainingResult(
        folder=output / "model",
        held_out=reward_measures(held_out, judge.differences(config.batch_tokens)),
        gain=scale.gain,
        bias=scale.bias,
        n_train=len(pairs),
        n_held_out=len(held_out),
        progress=state,
    )
    save_folder(output / "model", classifier_writer(model, tokenizer, scale))
    plain = {**asdict(result), "folder": result.folder.name, "config": asdict(config)}
    save_json(output / "results.json", plain)
    return result


def _check(
    config: RewardTrainingConfig,
    pairs: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair] | None,
    normalise_on: Sequence[TokenIds] | None,
    response_starts: Sequence[int] | None,
) -> None:
    if not pairs or (held_out is not None and not held_out):
        raise ValueError("expected at least one comparison on each side, got 0")
    if all(pair.is_tie for pair in pairs):
        raise ValueError(
            f"expected comparisons with a winner, got a single class: {len(pairs)} ties, from "
            "which no reward can be learned"
        )
    if config.token_aggregate is not None and normalise_on is not None and response_starts is None:
        raise ValueError(f"{_UNKNOWN_STARTS}, got token_aggregate={config.token_aggregate!r}")


def _objective(
    model: PreTrainedModel,
    pairs: Sequence[PreferencePair],
    tokenizer: Tokenizer,
    config: RewardTrainingConfig,
    centring: float = 0.0,
) -> BradleyTerry:
    return BradleyTerry(
        model,
        pairs,
        _encoder(tokenizer, config),
        centring,
        token_aggregate=config.token_aggregate,
        prompt_length=lambda pair: len(_prompt_ids(pair, tokenizer, config)),
    )


def _scale(
    model: PreTrainedModel,
    config: RewardTrainingConfig,
    sequences: Sequence[TokenIds],
    starts: Sequence[int],
) -> ScoreScale:
    """Gain and bias that give the scores of some sequences mean 0 and standard deviation 1."""
    aggregate = config.token_aggregate
    scores = score_sequences(
        model, sequences, config.batch_tokens, starts=starts, token_aggregate=aggregate
    )
    gain, bias = normalisation(scores)
    # A constant for every token of a sum would pay for length; the trained zero is kept.
    bias = 0.0 if aggregate == "sum" else bias
    return ScoreScale(gain=gain, bias=bias, token_aggregate=aggregate)


def _encoder(
    tokenizer: Tokenizer, config: RewardTrainingConfig
) -> Callable[[PreferencePair], tuple[TokenIds, TokenIds]]:
    def response_ids(text: str, known: TokenIds) -> TokenIds:
        ids = known or (*tokenizer.encode(text), *end_token(tokenizer))
        return tuple(ids[: config.max_response_tokens])

    def encode(pair: PreferencePair) -> tuple[TokenIds, TokenIds]:
        prompt = _prompt_ids(pair, tokenizer, config)
        chosen = response_ids(pair.chosen, pair.chosen_ids)
        return prompt + chosen, prompt + response_ids(pair.rejected, pair.rejected_ids)

    return encode


def _prompt_ids(
    pair: PreferencePair, tokenizer: Tokenizer, config: RewardTrainingConfig
) -> TokenIds:
    return tuple(tokenizer.encode(pair.prompt)[-config.max_prompt_tokens :])


def _normalisation_sequences(
    config: RewardTrainingConfig,
    pairs: Sequence[PreferencePair],
    objective: BradleyTerry,
    tokenizer: Tokenizer,
    progress: bool,
) -> tuple[list[TokenIds], list[int]]:
    """Sequences to normalise on, and where their responses begin."""
    draw = np.random.default_rng(config.seed)
    rows = draw.integers(len(pairs), size=config.n_normalisation)
    prompts = [_prompt_ids(pairs[row], tokenizer, config) for row in rows]
    starts = [len(prompt) for prompt in prompts]
    if config.reference_model is None:
        sides = draw.integers(2, size=len(rows))
        return [objective.encoded[r][s] for r, s in zip(rows, sides, strict=True)], starts
    sequences = reference_sequences(
        config.reference_model,
        prompts,
        tokenizer,
        max_new_tokens=config.max_response_tokens,
        batch_tokens=config.batch_tokens,
        seed=config.seed,
        device=config.device,
        progress=progress,
    )
    return sequences, starts


def classifier_writer(
    model: PreTrainedModel, tokenizer: Tokenizer, scale: ScoreScale
) -> Callable[[Path], None]:
    """Return what writes a classifier, its tokenizer and its scale into an existing folder."""

    def write(folder: Path) -> None:
        save_language_model(model, tokenizer, folder)
        write_score_scale(folder, scale)

    return write


def _brief(measures: RewardMeasures) -> dict[str, float]:
    return {"held_out_accuracy": measures.accuracy.mean, "held_out_loss": measures.log_loss.mean}
