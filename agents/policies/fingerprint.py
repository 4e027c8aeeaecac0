"""Which policy wrote a response: a digest of its weights."""

from __future__ import annotations

import hashlib

from torch import nn

_VALUES = 64  # of each tensor, so that a large model costs no more than a small one


def weights_fingerprint(network: nn.Module) -> str:
    """Return 16 hexadecimal digits of evenly spaced values of every tensor.

    An optimiser's step moves all weights, so that some of them are enough to tell versions apart.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        values = tensor.detach().reshape(-1)
        chosen = values[:: max(1, len(values) // _VALUES)].double().cpu()
        digest.update(name.encode())
        digest.update(chosen.numpy().tobytes())
    return digest.hexdigest()[:16]
