"""An output layer whose logits are float32 where its weights are not.

Shape letters: D width of the hidden states, V rows of the output layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Float32Head(nn.Module):
    """A linear layer with bfloat16 or float16 weights, multiplied and summed up in float32.

    Logits rounded to bfloat16 are off by up to 2^-9 of their size, several per cent of a
    probability.
    """

    def __init__(self, head: nn.Linear) -> None:
        """Share the layer's weights."""
        super().__init__()
        self.weight, self.bias = head.weight, head.bias
        self._has_mixed_product = True

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits, (…, D) to (…, V) float32."""
        logits = self._mixed_product(hidden)
        if logits is None:
            return functional.linear(
                hidden.float(),
                self.weight.float(),
                None if self.bias is None else self.bias.float(),
            )
        return logits if self.bias is None else logits + self.bias.float()

    def _mixed_product(self, hidden: torch.Tensor) -> torch.Tensor | None:
        """Multiply without a float32 copy of the weights, where the device can and none learns."""
        is_exact = hidden.dtype == self.weight.dtype
        if not (hidden.is_cuda and is_exact and self._has_mixed_product) or torch.is_grad_enabled():
            return None
        flat = hidden.reshape(-1, hidden.shape[-1])
        try:
            product = torch.mm(flat, self.weight.t(), out_dtype=torch.float32)
        except (TypeError, RuntimeError):  # an older torch, or a card without it
            self._has_mixed_product = False
            return None
        return product.reshape(*hidden.shape[:-1], -1)


def float32_head(head: nn.Module) -> nn.Module:
    """Return the head itself where its logits are float32 already, else one whose are."""
    if type(head) is not nn.Linear or head.weight.dtype in (torch.float32, torch.float64):
        return head
    return Float32Head(head)


def store_in(model: nn.Module, dtype: torch.dtype) -> None:
    """Change the type of a model's weights in place; its constants, as of rotations, stay exact."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
