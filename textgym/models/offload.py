"""Frozen models that visit an accelerator only while they are used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def on_device(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Have a frozen model's weights and constants on a device inside, and where they were after.

    The weights at home are kept, so nothing is copied back; memory on the device is free again
    afterwards, also after an error. No-op where the model is there already.
    """
    tensors = [*model.parameters(), *model.buffers()]
    homes = [tensor.data for tensor in tensors]
    try:
        # Ordinary tensors even inside inference mode, like those that they stand for.
        with torch.inference_mode(False), torch.no_grad():
            for tensor, home in zip(tensors, homes, strict=True):
                tensor.data = home.to(device)
        yield
    finally:
        for tensor, home in zip(tensors, homes, strict=True):
            tensor.data = home
