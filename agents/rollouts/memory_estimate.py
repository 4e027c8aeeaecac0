"""How much memory one iteration takes, estimated before it runs.

Shape letters: N environments, L observation width, A actions, D model width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch as th
from torch import nn

from textgym.agents.policies.prompt_families import ROW_TOKENS_PER_BUDGET, is_worthwhile
from textgym.agents.policies.transformer_policy import TransformerPolicy
from textgym.agents.rollouts.iteration_shape import IterationShape, iteration_shape
from textgym.agents.rollouts.task_facts import settling_env
from textgym.models.loading import load_causal_lm
from textgym.models.sampling import LOGITS_PER_CHUNK, is_recomputed
from textgym.models.shared_prompts import SharedPrompts, states_after_prompts
from textgym.models.trunk import hidden_states
from textgym.rewards.composed import WeightedSum
from textgym.rewards.learned import RewardModel
from textgym.rewards.learned_ensemble import EnsembleReward

GIB = 1024**3
FLOAT32 = 4
# (chunk, A) arrays that live at once while log-probs and entropies of one chunk are computed.
LOGITS_COPIES = 5
# Of these, how many the backward pass keeps of entropies that have a gradient.
LOGITS_KEPT = 4
# (N, L) int64 arrays that live at once in a step: the state, two observations, copies and masks.
OBSERVATIONS = 6
# A CPU's heap keeps blocks of earlier micro-batches, which have other sizes. How much is held in
# all, in micro-batches, without and with shared prompts (measured 2.1 and 1.3).
KEPT_BY_HEAP = (2.0, 1.5)
# Segments of one prompt on which what autograd keeps is counted, at most.
MOST_ROWS_PROBED = 8
# Longest sequence on which the activations of a token are counted.
LONGEST_PROBE = 256
# Numbers that an optimiser keeps per weight; others are taken to keep as many as Adam.
STATE_PER_WEIGHT = {"SGD": 0, "RMSprop": 1, "RMSpropTFLike": 1}


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes that one iteration of an agent takes at its peak, by part.

    Attributes:
        weights: The policy's, its value model included.
        reference: The frozen reference model.
        reward_model: The learned reward model.
        gradients: Of the policy.
        optimizer_state: Of the policy.
        kv_slots: Keys and values of all rows.
        buffer: The rollout buffer and the observations of a step.
        activations: What the backward pass keeps of the largest minibatch, or of its largest
            micro-batch under gradient checkpointing.
        logits: The largest chunk of logits with its copies.
    """

    weights: int
    reference: int
    reward_model: int
    gradients: int
    optimizer_state: int
    kv_slots: int
    buffer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """Sum of all parts, bytes."""
        return sum(getattr(self, part.name) for part in fields(self))

    def largest(self) -> list[tuple[str, int]]:
        """Return names and bytes of the parts, the largest first."""
        sizes = [(part.name, int(getattr(self, part.name))) for part in fields(self)]
        return sorted(sizes, key=lambda item: -item[1])

    def line(self) -> str:
        """Say the total and its largest parts in one line."""
        parts = [f"{name.replace('_', ' ')} {amount(size)}" for name, size in self.largest()[:4]]
        return f"memory: about {amount(self.total)} GiB ({', '.join(parts)})"


def amount(size: float) -> str:
    """Format bytes as GiB with two significant digits, without the unit."""
    return f"{size / GIB:.2g}" if size < 9.95 * GIB else f"{size / GIB:.0f}"


def estimate_memory(agent: Any, shape: IterationShape | None = None) -> MemoryEstimate:
    """Estimate the peak of one iteration of PPO or A2C.

    The activations of a token are counted, not guessed: one short forward with gradients notes
    what autograd keeps, of segments that share a prompt where the update reads them so.

    Args:
        agent: With its environment and policy.
        shape: Sizes to count with; None for `iteration_shape`.
    """
    shape = shape or iteration_shape(agent)
    policy: TransformerPolicy = agent.policy
    task = agent.env.get_attr("task")[0]
    trained = [p for p in policy.parameters() if p.requires_grad]
    gradients = sum(p.numel() * p.element_size() for p in trained)
    per_weight = STATE_PER_WEIGHT.get(type(policy.optimizer).__name__, 2)
    reference = None
    if task.config.reference_model is not None:
        place = {"device": task.config.device, "dtype": task.config.dtype}
        reference = load_causal_lm(task.config.reference_model, **place)
    held = [model for model in (policy.language_model, policy.value_model) if model is not None]
    # A rollout reads a separate value model's values off whole sequences, without slots.
    slotted = [policy.language_model]
    if reference is not None and settling_env(agent.env) is None:
        slotted.append(reference)
    # Weights that two models share, as under an adapter, are counted once.
    seen: dict[int, int] = {}
    return MemoryEstimate(
        weights=_take(seen, policy),
        reference=_take(seen, reference),
        reward_model=sum(_take(seen, model) for model in _learned_rewards(task.reward)),
        gradients=gradients,
        optimizer_state=per_weight * gradients,
        kv_slots=shape.n_envs * (shape.width + 1) * sum(_cell_bytes(m) for m in slotted),
        buffer=agent.rollout_buffer.nbytes + OBSERVATIONS * 8 * shape.n_envs * shape.width,
        activations=_activation_bytes(policy, held, shape),
        logits=_logits_bytes(policy, shape),
    )


def _storages(module: nn.Module) -> dict[int, int]:
    """Give the module's distinct storages: address to bytes."""
    tensors = [*module.parameters(), *module.buffers()]
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}


def _take(seen: dict[int, int], module: nn.Module | None) -> int:
    """Count the storages of a module that were not counted before."""
    if module is None:
        return 0
    new = {address: size for address, size in _storages(module).items() if address not in seen}
    seen.update(new)
    return sum(new.values())


def _learned_rewards(reward: Any) -> list[nn.Module]:
    if isinstance(reward, WeightedSum):
        return [model for _, part in reward.parts for model in _learned_rewards(part)]
    if isinstance(reward, EnsembleReward):
        return [member.scorer.model for member in reward.members]
    return [reward.scorer.model] if isinstance(reward, RewardModel) else []


def _cell_bytes(model: Any) -> int:
    """Bytes of one cell of a KV slot over all layers; 0 for a model without attention."""
    config = model.config.get_text_config()
    settings = config.to_dict()
    if "num_attention_heads" not in {*settings, *config.attribute_map}:
        return 0
    heads, width = config.num_attention_heads, config.hidden_size
    head_width = settings.get("head_dim") or width // heads
    kv_heads = settings.get("num_key_value_heads") or heads
    size = next(model.parameters()).element_size()
    return 2 * config.num_hidden_layers * kv_heads * head_width * size


def _rows_of_a_prompt(policy: TransformerPolicy, shape: IterationShape) -> int:
    """How many segments the update reads behind one prompt."""
    head, tail = shape.prompt_tokens - 1, shape.response_tokens
    fitting = max(1, int((policy.micro_batch_budget - head) // tail))
    rows = min(MOST_ROWS_PROBED, fitting, round(shape.segments_per_prompt))
    is_shared = (
        head >= 1
        and is_worthwhile(head + rows * tail, rows * (head + tail))
        and policy.can_share_prompts()
    )
    return rows if is_shared else 1


def _micro_batch_tokens(policy: TransformerPolicy, shape: IterationShape, rows: int) -> float:
    """Tokens of one micro-batch, those of a shared prompt counted for each of `rows` segments."""
    head, tail = shape.prompt_tokens - 1, shape.response_tokens
    shared = min(ROW_TOKENS_PER_BUDGET, rows * (head + tail) / (head + rows * tail))
    budget = max(policy.micro_batch_budget, shape.width)
    return min(shape.minibatch_tokens, budget * shared)


def _activation_bytes(policy: TransformerPolicy, models: list[Any], shape: IterationShape) -> int:
    rows = _rows_of_a_prompt(policy, shape)
    per_token = sum(_kept_per_token(policy, model.base_model, shape, rows) for model in models)
    tokens = shape.minibatch_tokens
    if policy.gradient_checkpointing:
        copies = KEPT_BY_HEAP[rows > 1] if policy.device.type == "cpu" else 1.0
        tokens = copies * _micro_batch_tokens(policy, shape, rows)
    per_action = 0.0
    actions = int(_micro_batch_tokens(policy, shape, rows) * shape.actions_per_token)
    if not is_recomputed(actions, _head_rows(policy)):
        kept = LOGITS_KEPT if policy.entropy == "gradient" else 1
        per_action = kept * FLOAT32 * policy.rules.num_actions
    return int(tokens * (per_token + shape.actions_per_token * per_action))


def _head_rows(policy: TransformerPolicy) -> int:
    return int(policy.language_model.get_output_embeddings().weight.shape[0])


def _logits_bytes(policy: TransformerPolicy, shape: IterationShape) -> int:
    rows = _rows_of_a_prompt(policy, shape)
    actions = _micro_batch_tokens(policy, shape, rows) * shape.actions_per_token
    chunk = max(1, LOGITS_PER_CHUNK // _head_rows(policy))
    states = max(min(actions, chunk), shape.n_envs)
    return int(LOGITS_COPIES * FLOAT32 * states * policy.rules.num_actions)


def _kept_per_token(
    policy: TransformerPolicy, trunk: nn.Module, shape: IterationShape, rows: int
) -> float:
    """Bytes that autograd keeps of one token, counted on one sequence or on rows of one prompt."""
    weights = set(_storages(trunk))
    kept: dict[int, int] = {}

    def note(tensor: th.Tensor) -> th.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    is_half = policy.precision == "bfloat16"
    with (
        th.enable_grad(),
        th.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        th.autocast(policy.device.type, dtype=th.bfloat16, enabled=is_half),
    ):
        states, num_tokens = _probe(trunk, shape, rows, policy.device)
    del states
    return sum(kept.values()) / num_tokens


def _probe(
    trunk: nn.Module, shape: IterationShape, rows: int, device: th.device
) -> tuple[th.Tensor, int]:
    """Run a short forward as the update does; gives its states and the tokens of its segments."""
    if rows == 1:
        length = min(shape.width, LONGEST_PROBE)
        return hidden_states(trunk, th.zeros((1, length), dtype=th.int64, device=device)), length
    scale = min(1.0, LONGEST_PROBE / shape.width)
    prompt = max(2, round(scale * shape.prompt_tokens))
    length = prompt - 1 + max(1, round(scale * shape.response_tokens))
    place = th.arange(rows * (length - prompt + 1), device=device)
    nothing = th.zeros(rows, dtype=th.int64, device=device)
    states = states_after_prompts(
        trunk,
        th.zeros((rows, length), dtype=th.int64, device=device),
        place // (length - prompt + 1),
        prompt - 1 + place % (length - prompt + 1),
        SharedPrompts(lengths=nothing + prompt, owners=nothing, first=nothing[:1]),
    )
    return states, rows * length
