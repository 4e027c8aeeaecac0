"""Loading of language models and classifiers: devices, dtypes, one process-level cache.

Only safetensors are read and no code that comes with a model is ever run.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from textgym.models.model_source import cannot_load, is_local_only
from textgym.models.progress_bars import no_progress_bars
from textgym.tokenizer import Tokenizer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_CACHE: dict[tuple[Any, ...], nn.Module] = {}


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device of a name; "auto" is the first of cuda, mps, cpu that is there.

    Raises:
        ValueError: An unknown name, or a device that this machine does not have.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {device!r}"
        ) from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(resolved.type, False):
        there = [name for name, is_there in available.items() if is_there]
        raise ValueError(
            f"device {device!r} is not available here; expected 'auto' or one of {there}"
        )
    return resolved


def resolve_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Return the floating-point type of a name.

    Raises:
        ValueError: A name other than those of `DTYPES`.
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {sorted(DTYPES)}, got {dtype!r}")
    return DTYPES[dtype]


def check_dtype_on(dtype: torch.dtype, device: torch.device) -> None:
    """Check that a device computes in a floating-point type.

    Raises:
        ValueError: It does not; the message says what does.
    """
    is_lacking = dtype == torch.bfloat16 and device.type == "cuda"
    if is_lacking and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError(
            f"{torch.cuda.get_device_name(device)} ({device}) has no bfloat16 arithmetic, expected "
            f"dtype 'float32' there (or 'float16' for an environment's frozen models)"
        )


def load_causal_lm(
    path: str | Path, *, device: str | torch.device = "auto", dtype: str | torch.dtype = "float32"
) -> Any:
    """Return the frozen causal language model of a folder or hub name, shared in this process.

    Raises:
        ValueError: Nothing there that can be loaded, or an unknown device or dtype.
    """
    return _shared("causal language model", str(path), resolve_device(device), resolve_dtype(dtype))


def shared_causal_lm(path: str | Path, *, device: str | torch.device, dtype: torch.dtype) -> Any:
    """Return what `load_causal_lm` holds already, None where it would have to read files."""
    key = _key("causal language model", str(path), resolve_device(device), dtype)
    return _CACHE.get((*key, files_fingerprint(path)))


def load_sequence_classifier(
    path: str | Path, *, device: str | torch.device = "auto", dtype: str | torch.dtype = "float32"
) -> Any:
    """Return the frozen one-label sequence classifier of a folder or hub name, shared likewise.

    Raises:
        ValueError: As `load_causal_lm`; or the model has more than one label, or no trained head.
    """
    return _shared("reward model", str(path), resolve_device(device), resolve_dtype(dtype))


def copy_causal_lm(
    path: str | Path, *, device: str | torch.device = "auto", dtype: str | torch.dtype = "float32"
) -> Any:
    """Return a private copy to train: gradients on, every dropout 0.

    Raises:
        ValueError: As `load_causal_lm`.
    """
    model = _read("causal language model", str(path), resolve_dtype(dtype))
    return model.to(resolve_device(device)).requires_grad_(True)


def check_vocabulary(model: Any, tokenizer: Tokenizer) -> None:
    """Check that the model has a row for every id of the tokenizer; more rows are normal.

    Raises:
        ValueError: Too few rows of the embedding or of the output layer.
    """
    check_vocabulary_size(model, tokenizer.vocab_size)


def check_vocabulary_size(model: Any, num_ids: int) -> None:
    """Check that the model has a row for every id below `num_ids`; more rows are normal.

    Raises:
        ValueError: Too few rows of the embedding or of the output layer.
    """
    rows = {"embedding": model.get_input_embeddings().weight.shape[0]}
    head = model.get_output_embeddings()
    if head is not None:
        rows["output"] = head.weight.shape[0]
    for name, count in rows.items():
        if count < num_ids:
            raise ValueError(
                f"vocabulary mismatch: the {name} layer of {model.name_or_path!r} has {count} "
                f"rows, expected at least {num_ids}, one for each id of the tokenizer"
            )


def files_fingerprint(path: str | Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of change of a folder's weights and configs; () for a hub name."""
    folder = Path(path)
    if not folder.is_dir():
        return ()
    files = sorted(f for f in folder.iterdir() if f.suffix in (".safetensors", ".json"))
    return tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)


def _shared(what: str, path: str, device: torch.device, dtype: torch.dtype) -> Any:
    check_dtype_on(dtype, device)
    fingerprint = files_fingerprint(path)
    key = _key(what, path, device, dtype)
    held = _CACHE.get((*key, fingerprint))
    if held is None:
        # A folder that was written anew leaves nothing of its old weights in memory.
        for stale in [k for k in _CACHE if k[: len(key)] == key]:
            del _CACHE[stale]
        held = _read(what, path, dtype).to(device).requires_grad_(False)
        _CACHE[(*key, fingerprint)] = held
    return held


def _key(what: str, path: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, ...]:
    place = str(Path(path).resolve()) if Path(path).is_dir() else path
    index = torch.cuda.current_device() if device.type == "cuda" and device.index is None else 0
    return what, place, dtype, device.type, device.index or index


def _read(what: str, path: str, dtype: torch.dtype) -> Any:
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
    )

    local_only = is_local_only(path, what)
    is_classifier = what == "reward model"
    auto = AutoModelForSequenceClassification if is_classifier else AutoModelForCausalLM
    options = {"trust_remote_code": False, "local_files_only": local_only}
    try:
        config = AutoConfig.from_pretrained(path, **options)
        if is_classifier:
            _check_one_label(path, config)
        # A download keeps its bars: they tell how long it will be.
        with no_progress_bars() if local_only else nullcontext():
            model, report = auto.from_pretrained(  # type: ignore[misc]
                path,
                config=_without_dropout(config),
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except _Refused:
        raise
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise cannot_load(path, what, error) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(
            f"{path!r} is no {what}: its weights lack {', '.join(missing[:3])}; expected a folder "
            f"saved from a {type(model).__name__}"
        )
    return model.eval()


class _Refused(ValueError):
    """Our own refusal, passed on as it is."""


def _check_one_label(path: str, config: Any) -> None:
    if config.num_labels != 1:
        raise _Refused(
            f"the reward model {path!r} has {config.num_labels} labels, expected 1: train one with "
            f"num_labels=1"
        )


def _without_dropout(config: Any) -> Any:
    """Set every dropout probability of a config to 0, so that training equals acting."""
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    return config
