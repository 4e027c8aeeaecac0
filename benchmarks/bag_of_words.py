"""A linear model of words, the least that a learned reward must beat. Shape letters: N texts."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

_FEATURES = 2**13
_WORD = re.compile(r"\w+|[^\w\s]")


def word_features(texts: Sequence[str]) -> np.ndarray:
    """Return (N, 8192) float32: log(1 + count) of hashed words and marks."""
    counts = np.zeros((len(texts), _FEATURES), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in _WORD.findall(text.lower()):
            counts[row, zlib.crc32(word.encode()) % _FEATURES] += 1.0
    return np.log1p(counts)


def fit_linear(features: np.ndarray, targets: np.ndarray, ridge: float = 30.0) -> np.ndarray:
    """Return the (8192,) weights of ridge regression without a constant.

    Args:
        features: (N, 8192); of pairs, the difference of the two sides.
        targets: (N,) centred; of pairs 1, -1, or 0 for a tie.
        ridge: Weight of the penalty.
    """
    kernel = features @ features.T  # fewer texts than words: the dual is the smaller problem
    kernel[np.diag_indices_from(kernel)] += ridge
    return np.asarray(features.T @ np.linalg.solve(kernel, targets.astype(np.float32)))
