"""Which policy wrote a response: a digest of its weights."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_fingerprint(network: nn.Module) -> str:
    """Return 16 hexadecimal digits that tell weights apart."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()[:16]
