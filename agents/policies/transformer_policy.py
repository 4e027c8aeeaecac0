"""`TransformerPolicy`: a causal language model as an SB3 actor-critic policy.

Shape letters: N rows, L observation width, A actions, D model width, S segments, M packed actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.distributions import CategoricalDistribution

from textgym.agents.policies.adapters import merged, write_adapter
from textgym.agents.policies.packed_evaluation import evaluate_in_groups, single_action_segments
from textgym.agents.policies.policy_files import (
    ADAPTER,
    VALUE,
    read_arguments,
    read_value_head,
    write_arguments,
    write_networks,
)
from textgym.agents.policies.policy_forwards import LanguageModelPolicy
from textgym.agents.policies.slot_state import SlotState
from textgym.agents.storage.checkpoint import open_folder, save_folder
from textgym.models.loading import resolve_device
from textgym.models.sampling import log_probs_of
from textgym.tokenizer import Tokenizer


class TransformerPolicy(LanguageModelPolicy):
    """A causal language model with a value head; its KV caches are its recurrent state.

    It works with our algorithms, with SB3's own (every step then costs a full forward), and by
    hand through `predict`.

    Args:
        observation_space: `Box(0, V, (L,), int64)`; V marks an empty cell.
        action_space: `Discrete(A)`.
        lr_schedule: Progress remaining (1 to 0) to learning rate.
        model: Folder or hub name of a causal LM, or `scratch:layers=2,width=64,heads=2`.
        value: "shared" (a linear head on the policy's last hidden state) or "separate" (a model of
            its own). PPO and A2C also take "auto": separate, begun as the reward model, where a
            reward model that reads the policy's tokens gives the score; else shared.
        value_init: Of a separate value model: folder of a one-label classifier, its head included;
            None starts from the policy's weights and a zero head.
        dtype: "float32"; "bfloat16" for bfloat16 arithmetic on float32 weights; "bfloat16-weights"
            for weights in bfloat16, which suits `lora` (without it, small updates are rounded
            away). Logits, heads, log-probs, values and adapters are float32 in all three.
        decode: How a step computes: "eager", "graph" (replayed from CUDA graphs), "compile" (by
            `torch.compile`), "static" (their fixed shapes, run as they are) or "full" (every
            sequence anew, for models without one cache per row). "auto": graphs on CUDA, else
            eager; "full", with a warning, where slots cannot serve the model.
        lora: An adapter instead of training all weights: "r=8,alpha=16,targets=q_proj+v_proj",
            each part optional; by default on all linear layers but the output. The weights under
            it are those of the environment's reference, held once. Needs the `peft` extra.
        lora_init: Folder of a saved adapter to start from; None starts from one without effect.
        temperature: Divides the logits before the softmax, above 0.
        action_tokens: Token id of each action; None for the identity.
        eos_ids: End tokens, for the config of a fresh model.
        micro_batch_tokens: Padded tokens per forward of `evaluate_actions`; None: 3,072 on a CPU,
            16,384 elsewhere.
        gradient_checkpointing: Recompute each micro-batch in the backward pass: memory for one
            micro-batch's activations instead of all.
        entropy: "gradient" (exact, differentiable), "report" (exact, no gradient) or "none".
        seed: Seed of sampling and of fresh weights; None draws one.
        use_sde: SB3's argument, must be False.
        optimizer_class: As in SB3.
        optimizer_kwargs: As in SB3; Adam's eps is 1e-5 unless given.

    Raises:
        ValueError: A space, mode or number out of range, or a model that does not fit.
    """

    def forward(  # type: ignore[override]
        self,
        obs: np.ndarray | th.Tensor,
        state: SlotState | None = None,
        episode_starts: np.ndarray | None = None,
        deterministic: bool = False,
        prompt_lengths: np.ndarray | None = None,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Act on N observations without gradients, advancing the caches in place.

        Args:
            obs: (N, L) token ids.
            state: KV caches of N rows; None for fresh ones.
            episode_starts: SB3's hint; what starts anew is read off the observations instead, so a
                wrong hint can do no harm.
            deterministic: Take the most likely action.
            prompt_lengths: (N,) int64 where known; else read off the observations. Only masks
                look at them.

        Returns:
            actions (N,) int64, values (N, 1) float32 (NaN where the state keeps none),
            log-probabilities (N,) float32.
        """
        del episode_starts
        logits, value_hidden = self._advance(obs, state, prompt_lengths)
        actions = logits.argmax(dim=-1) if deterministic else self._sample(logits)
        with th.no_grad():
            return (
                actions,
                self._values_or_nan(value_hidden, actions),
                log_probs_of(logits, actions),
            )

    def _values_or_nan(self, value_hidden: th.Tensor | None, actions: th.Tensor) -> th.Tensor:
        if value_hidden is None:
            return th.full((len(actions), 1), th.nan, device=actions.device)
        return self._values(value_hidden)

    def predict(  # type: ignore[override]
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Choose actions; see SB3.

        Args:
            observation: (N, L) token ids, or (L,) for a single environment.
            state: What the last call returned (a `SlotState`), None at the beginning.
            episode_start: (N,) bool hint, may be wrong or None.
            deterministic: Take the most likely action.

        Returns:
            Actions (N,) int64 (a scalar array for a single observation), and the state.

        Raises:
            ValueError: The observation is no array of token ids of the right width, or the state
                belongs to another number of rows.
        """
        del episode_start
        self.set_training_mode(False)
        if not isinstance(observation, np.ndarray):
            raise ValueError(
                f"expected an array of token ids, got {type(observation).__name__}; Gymnasium's "
                "reset() returns (obs, info), of which predict() takes obs"
            )
        ids = observation[None] if observation.ndim == 1 else observation
        state = self.new_state(len(ids), with_values=False) if state is None else state
        logits, _ = self._advance(ids, state, None)
        actions = logits.argmax(dim=-1) if deterministic else self._sample(logits)
        chosen = self.fetch_actions(actions, state)
        return (chosen[0] if observation.ndim == 1 else chosen), state

    def evaluate_actions(  # type: ignore[override]
        self, obs: th.Tensor | Mapping[str, th.Tensor], actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Evaluate actions with gradients: one forward per sequence.

        Args:
            obs: Packed segments (`ids` (S, W) int64, `is_action` (S, W) bool, `prompt_lengths`
                (S,) int64), or plain observations (M, L), each a sequence of its own.
            actions: (M,) int64.

        Returns:
            Values, log-probabilities and entropies (None where `entropy` is "none"), (M,) float32.
        """
        if not isinstance(obs, Mapping) and self.mask_fn is not None:
            raise ValueError("plain observations do not say where responses begin; pack segments")
        packed = obs if isinstance(obs, Mapping) else single_action_segments(obs, self.vocab_size)
        log_probs, values, entropies = evaluate_in_groups(
            self._evaluate_group,
            ids=packed["ids"],
            is_action=packed["is_action"].bool(),
            prompt_lengths=packed["prompt_lengths"],
            actions=actions.long().flatten(),
            empty_id=self.vocab_size,
            token_budget=self.micro_batch_budget,
            can_share=self.can_share_prompts,
        )
        return values, log_probs, None if self.entropy == "none" else entropies

    def evaluate_values(self, obs: th.Tensor | Mapping[str, th.Tensor]) -> th.Tensor:
        """Give the values of packed segments by one forward of the value's trunk per sequence.

        Args:
            obs: Packed segments or plain observations; see `evaluate_actions`.

        Returns:
            Values (M,) float32 before each action, in the order of `is_action`, without gradients.
        """
        packed = obs if isinstance(obs, Mapping) else single_action_segments(obs, self.vocab_size)
        is_action = packed["is_action"].bool()
        with th.no_grad():
            (values,) = evaluate_in_groups(
                self._values_now,
                ids=packed["ids"],
                is_action=is_action,
                prompt_lengths=packed["prompt_lengths"],
                actions=th.zeros(int(is_action.sum()), dtype=th.int64, device=self.device),
                empty_id=self.vocab_size,
                token_budget=self.micro_batch_budget,
                can_share=self.can_share_prompts,
            )
        return values

    def get_distribution(self, obs: th.Tensor) -> CategoricalDistribution:  # type: ignore[override]
        """Give the action distribution of N observations, with gradients, without a cache."""
        hidden = self._full_forward(self._parts[0], obs)
        ids, lengths = self._rows(obs)
        logits = self.rules.logits(self._parts[1](hidden), ids, lengths, lengths)
        distribution = CategoricalDistribution(logits.shape[-1])
        return distribution.proba_distribution(action_logits=logits)

    def predict_values(  # type: ignore[override]
        self, obs: np.ndarray | th.Tensor, state: SlotState | None = None
    ) -> th.Tensor:
        """Give the values (N, 1) float32 of N observations, through the caches where there are."""
        if state is None or not state.has_values:
            return self._values(self._full_forward(self._critic_trunk, obs))
        with th.no_grad():
            _, value_hidden = self._advance_hidden(obs, state)
            assert value_hidden is not None
            return self._values(value_hidden)

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        return self.get_distribution(observation).get_actions(deterministic=deterministic)

    def extract_features(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: token ids must never become float features.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("a TransformerPolicy reads token ids; it has no feature extractor")

    def arguments(self) -> dict[str, Any]:
        """Give the constructor's arguments that do not name a model, as they are now."""
        return {
            "value": self.value,
            "dtype": self.precision,
            "decode": self.decode,
            "lora": self.lora,
            "temperature": self.temperature,
            "action_tokens": self.rules.action_tokens,
            "eos_ids": self.eos_ids,
            "micro_batch_tokens": self.micro_batch_tokens,
            "gradient_checkpointing": self.gradient_checkpointing,
            "entropy": self.entropy,
            "seed": self.seed,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def write(self, folder: Path, tokenizer: Tokenizer | None = None) -> None:
        """Write networks and arguments into an existing folder; see `policy_files`."""
        model = self.language_model if self.lora is None else merged(self.language_model)
        write_networks(
            folder,
            language_model=model,
            value_model=self.value_model,
            value_head=self.value_head,
            tokenizer=tokenizer,
        )
        arguments = self.arguments()
        if self.lora is not None:
            base = str(Path(self.model).resolve()) if Path(self.model).is_dir() else self.model
            write_adapter(folder / ADAPTER, self.language_model, self.adapter_config, base)
            arguments["base_model"] = base
        spaces_of = self.observation_space, self.action_space
        write_arguments(folder, *spaces_of, arguments)  # type: ignore[arg-type]

    def save(self, path: str | Path) -> None:
        """Save the policy alone as a folder; SB3's signature, no pickle."""
        save_folder(path, self.write)

    @classmethod
    def load(cls, path: str | Path, device: th.device | str = "auto") -> TransformerPolicy:  # type: ignore[override]
        """Load the policy of a folder that `save`, or an agent's `save`, wrote.

        The mask of the environment is not part of it: set `mask_fn` where there is one.
        """
        folder = open_folder(path)
        observation_space, action_space, arguments = read_arguments(folder)
        policy = cls(observation_space, action_space, lambda _: 0.0, **arguments)
        policy.value_head.load_state_dict(read_value_head(folder / VALUE))
        return policy.to(resolve_device(device))
