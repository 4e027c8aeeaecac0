"""Segments as safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from textgym.agents.storage.checkpoint import load_tensors, save_tensors
from textgym.feedback.responses import Segment

_FILE = "reference.safetensors"


def write_segments(folder: Path, segments: Sequence[Segment]) -> None:
    """Write at least one segment into an existing folder; the true rewards stay out."""
    save_tensors(
        folder / _FILE,
        {
            "observations": torch.tensor([o for s in segments for o in s.observations]),
            "actions": torch.tensor([a for s in segments for a in s.actions]),
            "lengths": torch.tensor([len(s.actions) for s in segments]),
            "terminated": torch.tensor([s.terminated for s in segments]),
        },
    )


def read_segments(folder: Path) -> list[Segment]:
    """Read what `write_segments` wrote."""
    found = {name: tensor.numpy() for name, tensor in load_tensors(folder / _FILE).items()}
    ends = np.cumsum(found["lengths"])[:-1]
    parts = zip(
        np.split(found["observations"], ends),
        np.split(found["actions"], ends),
        found["terminated"],
        strict=True,
    )
    return [
        Segment(
            observations=tuple(map(tuple, observations.tolist())),
            actions=tuple(a if actions.ndim == 1 else tuple(a) for a in actions.tolist()),
            terminated=bool(terminated),
        )
        for observations, actions, terminated in parts
    ]
