"""The optimisers of the offline loop: AdamW alone, or Muon for the matrices of the blocks.

Muon makes each matrix's update (nearly) orthogonal, so that directions which few items ask for
move as fast as the common ones (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).
Small models that must learn to copy from their prompt get there from fewer items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

OPTIMIZERS = ("adamw", "muon")
_MUON_SINCE = "2.9"


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights follow from gradients.

    Attributes:
        optimizer: "adamw", or "muon": Muon for the matrices of the numbered blocks, AdamW for
            embeddings, heads and vectors; needs torch 2.9. One learning rate serves both, as
            Muon's updates are made as large as AdamW's.
        learning_rate: Highest rate, after the warm-up.
        weight_decay: Decoupled decay of matrices; vectors (norms, biases) have none.
        adam_beta2: Decay of AdamW's second moment, in (0, 1).
    """

    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    adam_beta2: float = 0.99

    def check_optimizer(self) -> None:
        """Reject a name that is none, and Muon where torch has it not.

        Raises:
            ValueError: Naming the value and what was expected.
        """
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {OPTIMIZERS}, got {self.optimizer!r}")
        if self.optimizer == "muon" and not hasattr(torch.optim, "Muon"):
            raise ValueError(
                f"optimizer='muon' needs torch {_MUON_SINCE} or newer, got {torch.__version__}; "
                "expected 'adamw'"
            )


class Optimizers:
    """One or two optimisers that step together, with one state."""

    def __init__(
        self,
        named: Mapping[str, torch.nn.Parameter],
        config: OptimizerConfig,
        device: torch.device,
    ) -> None:
        """Take the parameters by name; `config` says which optimiser serves which."""
        blocks = [p for name, p in named.items() if _is_block_matrix(name, p)]
        is_muon = config.optimizer == "muon" and bool(blocks)
        taken = {id(p) for p in blocks} if is_muon else set()
        rest = [p for p in named.values() if id(p) not in taken]
        self.members: list[torch.optim.Optimizer] = [_adamw(rest, config, device)] if rest else []
        if is_muon:
            self.members.append(
                torch.optim.Muon(
                    blocks,
                    lr=config.learning_rate,
                    weight_decay=config.weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, learning_rate: float) -> None:
        """Step at a rate, and forget the gradients."""
        for member in self.members:
            for group in member.param_groups:
                group["lr"] = learning_rate
            member.step()
            member.zero_grad(set_to_none=True)

    def state(self) -> dict[str, torch.Tensor]:
        """Return all tensors of the state, by a name that `restore` knows."""
        return {
            f"{number}.{row}.{key}": value
            for number, member in enumerate(self.members)
            for row, kept in member.state_dict()["state"].items()
            for key, value in kept.items()
        }

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` returned."""
        states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in self.members]
        for name, tensor in tensors.items():
            number, row, key = name.split(".", 2)
            states[int(number)].setdefault(int(row), {})[key] = tensor
        for member, state in zip(self.members, states, strict=True):
            groups = member.state_dict()["param_groups"]
            member.load_state_dict({"state": state, "param_groups": groups})


def _is_block_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    """Whether a parameter is a matrix of one of the numbered blocks ("layers.3.mlp.weight")."""
    return parameter.ndim == 2 and any(part.isdigit() for part in name.split("."))


def _adamw(
    parameters: Sequence[torch.nn.Parameter], config: OptimizerConfig, device: torch.device
) -> torch.optim.AdamW:
    groups: Sequence[dict[str, Any]] = (
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    )
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=(0.9, config.adam_beta2),
        eps=1e-8,
        fused=device.type in ("cpu", "cuda"),
    )
