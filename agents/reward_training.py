"""Reward models from comparisons: the Bradley-Terry loss, normalisation, held-out measures."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from textgym.agents.checkpoint import save_folder, save_json
from textgym.agents.preference_data import PreferencePair, split_by_prompt
from textgym.agents.response_sampling import sample_responses
from textgym.agents.reward_measures import RewardMeasures, reward_measures
from textgym.agents.sft import end_token, save_language_model
from textgym.agents.supervised import LoopConfig, Progress, train
from textgym.agents.token_batches import right_padded, sorted_batches
from textgym.models.loading import load_causal_lm, resolve_device
from textgym.models.model_source import cannot_load, is_local_only
from textgym.models.reward_model import ScoreScale, write_score_scale
from textgym.tokenizer import Tokenizer, load_tokenizer

TokenIds = tuple[int, ...]
_PAIRS_PER_GROUP = 8  # comparisons of one prompt that share a batch item


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
        if self.centring < 0:
            raise ValueError(f"centring must be at least 0, got {self.centring!r}")


@dataclass(frozen=True, kw_only=True)
class RewardTrainingResult:
    """What came out.

    Attributes:
        folder: Folder of the sequence classifier, with `textgym.json` (gain and bias).
        held_out: Measures on held-out comparisons.
        gain: Factor that makes the scores' standard deviation 1 on the normalisation samples.
        bias: Term that then makes their mean 0.
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
    progress: bool = False,
) -> RewardTrainingResult:
    """Train, normalise, evaluate and save; an interrupted run in the same folder is continued.

    Args:
        config: Model and training.
        pairs: At least one comparison.
        held_out: Comparisons that are only evaluated; None splits them off by prompt.
        output: Gets `model/` (an ordinary Hugging Face folder with `textgym.json`), `training/`
            and `results.json`.
        normalise_on: Whole sequences (prompt and response ids) of the reference policy; None
            samples or chooses them as `config` says.
        progress: Show a bar with the time left.

    Raises:
        ValueError: No comparisons, a model that cannot be loaded, or one without a tokenizer.
    """
    if not pairs or (held_out is not None and not held_out):
        raise ValueError("expected at least one comparison on each side, got 0")
    output = Path(output)
    if held_out is None:
        pairs, held_out = split_by_prompt(pairs, config.held_out_fraction, config.seed)
    tokenizer = load_tokenizer(config.tokenizer or config.model)
    model = classifier_from(config.model, seed=config.seed)
    model.to(resolve_device(config.device))
    encode = _encoder(tokenizer, config)
    objective = BradleyTerry(model, pairs, encode, config.centring)
    judge = BradleyTerry(model, held_out, encode)
    state = train(
        model,
        objective,
        config,
        folder=output / "training",
        evaluate=lambda: _brief(reward_measures(held_out, judge.differences(config.batch_tokens))),
        label="reward model",
        progress=progress,
    )
    if normalise_on is None:
        normalise_on = _normalisation_sequences(config, pairs, objective, tokenizer, progress)
    gain, bias = normalisation(score_sequences(model, normalise_on, config.batch_tokens))
    result = RewardTrainingResult(
        folder=output / "model",
        held_out=reward_measures(held_out, judge.differences(config.batch_tokens)),
        gain=gain,
        bias=bias,
        n_train=len(pairs),
        n_held_out=len(held_out),
        progress=state,
    )
    save_folder(output / "model", _writer(model, tokenizer, gain, bias))
    plain = {**asdict(result), "folder": result.folder.name, "config": asdict(config)}
    save_json(output / "results.json", plain)
    return result


class BradleyTerry:
    """-log sigmoid of score differences; see `supervised.Objective`.

    An item is a group of comparisons of one prompt; each distinct response of a group is encoded
    once, so that k responses give up to k(k-1)/2 comparisons for k forward passes.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        pairs: Sequence[PreferencePair],
        encode: Callable[[PreferencePair], tuple[TokenIds, TokenIds]],
        centring: float = 0.0,
    ) -> None:
        """Take the classifier, the comparisons, and how one is encoded (chosen, rejected)."""
        self.model, self.centring = model, centring
        self.encoded = [encode(pair) for pair in pairs]
        self.is_tie = np.array([pair.is_tie for pair in pairs], dtype=bool)
        self.groups = _groups(pairs)
        self.costs = np.array([self._cost(group) for group in self.groups], dtype=np.int64)

    def _cost(self, group: Sequence[int]) -> int:
        distinct = {ids for row in group for ids in self.encoded[row]}
        return len(distinct) * max(len(ids) for ids in distinct)

    def loss(self, items: np.ndarray) -> Tensor:
        """Return the mean loss of the comparisons in the groups `items`."""
        rows = [row for item in items for row in self.groups[item]]
        chosen, rejected = self._scores(rows)
        ties = torch.from_numpy(self.is_tie[rows]).to(chosen.device)
        losses = bradley_terry_losses(chosen, rejected, ties)
        return losses.mean() + self.centring * (chosen + rejected).square().mean()

    def differences(self, batch_tokens: int) -> np.ndarray:
        """Raw score of chosen minus rejected of every comparison, (R,) float32, no gradients."""
        found = np.zeros(len(self.encoded), dtype=np.float32)
        self.model.eval()
        with torch.no_grad():
            for items in sorted_batches(self.costs, batch_tokens):
                rows = [row for item in items for row in self.groups[item]]
                chosen, rejected = self._scores(rows)
                found[rows] = (chosen - rejected).cpu().numpy()
        return found

    def _scores(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        places: dict[TokenIds, int] = {}
        for row in rows:
            for ids in self.encoded[row]:
                places.setdefault(ids, len(places))
        scores = raw_scores(self.model, list(places))
        pairs = torch.tensor([[places[ids] for ids in self.encoded[row]] for row in rows])
        pairs = pairs.to(scores.device)
        return scores[pairs[:, 0]], scores[pairs[:, 1]]


def bradley_terry_losses(chosen: Tensor, rejected: Tensor, is_tie: Tensor) -> Tensor:
    """Loss of each comparison, (R,) nats; a tie is half a win for either side.

    Args:
        chosen: (R,) raw scores.
        rejected: (R,) raw scores.
        is_tie: (R,) bool.
    """
    gap = chosen - rejected
    won, lost = -F.logsigmoid(gap), -F.logsigmoid(-gap)
    return torch.where(is_tie, (won + lost) / 2, won)


def raw_scores(model: Any, sequences: Sequence[TokenIds]) -> Tensor:
    """One-label head read at each sequence's last token, (R,) float32, before gain and bias."""
    ids, lengths = right_padded(sequences)
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    last = hidden[torch.arange(len(lengths), device=hidden.device), (lengths - 1).to(hidden.device)]
    return model.score(last).squeeze(-1).float()


def score_sequences(
    model: PreTrainedModel, sequences: Sequence[TokenIds], batch_tokens: int = 16384
) -> np.ndarray:
    """Raw scores of any number of sequences, (R,) float32, in batches and without gradients."""
    found = np.zeros(len(sequences), dtype=np.float32)
    costs = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    model.eval()
    with torch.no_grad():
        for items in sorted_batches(costs, batch_tokens):
            found[items] = raw_scores(model, [sequences[i] for i in items]).cpu().numpy()
    return found


def normalisation(scores: np.ndarray) -> tuple[float, float]:
    """Gain and bias with which `gain * score + bias` has mean 0 and standard deviation 1.

    Raises:
        ValueError: Fewer than two scores, or all the same.
    """
    spread = float(np.std(scores, dtype=np.float64)) if len(scores) > 1 else 0.0
    if spread < 1e-12:
        raise ValueError(f"expected scores that differ, got {len(scores)} with spread {spread!r}")
    return 1 / spread, -float(np.mean(scores, dtype=np.float64)) / spread


def classifier_from(path: str, *, seed: int) -> Any:
    """Load a causal LM as a one-label classifier: no dropout, head drawn from N(0, 1/(d + 1)).

    Raises:
        ValueError: No model there, or an architecture without a `score` head.
    """
    local = is_local_only(path, "model")
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            path,
            num_labels=1,
            dtype=torch.float32,
            local_files_only=local,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, KeyError) as error:
        raise cannot_load(path, "model", error) from error
    head = dict(model.named_children()).get("score")
    if not isinstance(head, torch.nn.Linear):
        raise ValueError(
            f"expected a model whose sequence classifier has a linear head 'score', got {path!r} "
            f"({type(model).__name__})"
        )
    without_dropout(model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        noise = torch.randn(head.weight.shape, generator=draw)
        head.weight.copy_(noise / math.sqrt(head.in_features + 1))
    return model


def without_dropout(model: PreTrainedModel) -> None:
    """Set every dropout of a model to 0, in its modules and in what its config says."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(vars(module).get("attention_dropout"), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010  (a plain number, no module)
    for name, value in model.config.to_dict().items():
        if isinstance(value, float) and (name.endswith("dropout") or name.endswith("pdrop")):
            setattr(model.config, name, 0.0)


def _groups(pairs: Sequence[PreferencePair]) -> list[list[int]]:
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        by_prompt[pair.prompt].append(row)
    return [
        rows[start : start + _PAIRS_PER_GROUP]
        for rows in by_prompt.values()
        for start in range(0, len(rows), _PAIRS_PER_GROUP)
    ]


def _encoder(
    tokenizer: Tokenizer, config: RewardTrainingConfig
) -> Callable[[PreferencePair], tuple[TokenIds, TokenIds]]:
    def prompt_ids(pair: PreferencePair) -> TokenIds:
        return tuple(tokenizer.encode(pair.prompt)[-config.max_prompt_tokens :])

    def response_ids(text: str, known: TokenIds) -> TokenIds:
        ids = known or (*tokenizer.encode(text), *end_token(tokenizer))
        return tuple(ids[: config.max_response_tokens])

    def encode(pair: PreferencePair) -> tuple[TokenIds, TokenIds]:
        prompt = prompt_ids(pair)
        chosen = response_ids(pair.chosen, pair.chosen_ids)
        return prompt + chosen, prompt + response_ids(pair.rejected, pair.rejected_ids)

    return encode


def _normalisation_sequences(
    config: RewardTrainingConfig,
    pairs: Sequence[PreferencePair],
    objective: BradleyTerry,
    tokenizer: Tokenizer,
    progress: bool,
) -> list[TokenIds]:
    draw = np.random.default_rng(config.seed)
    rows = draw.integers(len(pairs), size=config.n_normalisation)
    if config.reference_model is None:
        sides = draw.integers(2, size=len(rows))
        return [objective.encoded[r][s] for r, s in zip(rows, sides, strict=True)]
    device = resolve_device(config.device)
    reference = load_causal_lm(config.reference_model, device=device, dtype="float32")
    prompts = [
        tuple(tokenizer.encode(pairs[row].prompt)[-config.max_prompt_tokens :]) for row in rows
    ]
    responses = sample_responses(
        reference,
        prompts,
        eos_ids=tokenizer.eos_ids,
        max_new_tokens=config.max_response_tokens,
        vocab_size=tokenizer.vocab_size,
        seed=config.seed,
        batch_size=max(1, config.batch_tokens // max(map(len, prompts))),
        label="reference samples",
        progress=progress,
    )
    return [prompt + response for prompt, response in zip(prompts, responses, strict=True)]


def _writer(
    model: PreTrainedModel, tokenizer: Tokenizer, gain: float, bias: float
) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        save_language_model(model, tokenizer, folder)
        write_score_scale(folder, ScoreScale(gain=gain, bias=bias))

    return write


def _brief(measures: RewardMeasures) -> dict[str, float]:
    return {"held_out_accuracy": measures.accuracy.mean, "held_out_loss": measures.log_loss}
