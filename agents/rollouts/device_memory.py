"""Whether an iteration fits into memory, and which part of it did not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import torch as th

from textgym.agents.rollouts.memory_estimate import MemoryEstimate, amount

# What to turn where a part is too large; the first named helps most.
KNOBS = {
    "weights": "a smaller model, or dtype",
    "reference": "a smaller reference_model, or lora",
    "reward_model": "a smaller reward_model",
    "gradients": "a smaller model, or lora",
    "optimizer_state": "a smaller model, or lora",
    "kv_slots": "n_envs (num_envs), or max_prompt_tokens",
    "buffer": "n_steps, or n_envs (num_envs)",
    "activations": "gradient_checkpointing=True, with it micro_batch_tokens, or batch_size",
    "logits": "micro_batch_tokens, or n_envs (num_envs)",
}
PHASE_KNOBS = {
    "prefill": "n_envs (num_envs) or max_prompt_tokens",
    "decode": "n_envs (num_envs) or max_new_tokens",
    "environment": "n_envs (num_envs)",
    "settle": "n_steps or n_envs (num_envs)",
    "update": "batch_size or micro_batch_tokens, or set gradient_checkpointing=True",
}
# What PyTorch's CPU allocator says, on Linux and macOS and on Windows.
ALLOCATOR_MESSAGES = ("can't allocate memory", "not enough memory")


class OutOfMemory(MemoryError):
    """Memory ran out inside an iteration; the message names the phase, the sizes and a knob."""


def available_bytes(device: th.device) -> int | None:
    """Return what this process may fill in all on a device, None where nobody can tell.

    On a GPU that is what is free and what this process holds already; elsewhere the machine's
    memory, as what other processes hold may be given back.
    """
    if device.type == "cuda":
        return th.cuda.mem_get_info(device)[0] + th.cuda.memory_reserved(device)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return _psutil_total()


def _psutil_total() -> int | None:
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().total)


def require_memory(
    estimate: MemoryEstimate,
    device: th.device,
    available: Callable[[th.device], int | None] = available_bytes,
) -> None:
    """Check that an iteration fits.

    Raises:
        ValueError: It does not; the message holds the estimate, what there is, and what to turn.
    """
    there = available(device)
    if there is None or estimate.total <= there:
        return
    name, size = estimate.largest()[0]
    raise ValueError(
        f"an iteration takes about {amount(estimate.total)} GiB, expected at most the "
        f"{amount(there)} GiB of {device.type!r}; the largest part is {name.replace('_', ' ')} "
        f"with {amount(size)} GiB: change {KNOBS[name]}"
    )


@contextlib.contextmanager
def out_of_memory_named(phase: str, sizes: str) -> Iterator[None]:
    """Turn an out-of-memory error inside into one that says where it came from.

    Args:
        phase: One of `PHASE_KNOBS`.
        sizes: What the phase was at work on.

    Raises:
        OutOfMemory: Memory ran out.
    """
    try:
        yield
    except OutOfMemory:
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OutOfMemory(
            f"out of memory in {phase} ({sizes}): lower {PHASE_KNOBS[phase]}; {first}"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    if isinstance(error, (MemoryError, th.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(m in str(error) for m in ALLOCATOR_MESSAGES)
