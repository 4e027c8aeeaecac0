"""The one gate from host arrays to a device: nothing here waits for work that the device has."""

from __future__ import annotations

import numpy as np
import torch


def send(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on a device; on the CPU it may share the array's memory.

    A plain `.to("cuda")` waits until the device has caught up. Through page-locked memory the copy
    is only queued, behind what the device still has to do.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
