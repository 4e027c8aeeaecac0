"""Folders that are saved all or nothing and verified when opened: safetensors and JSON, no pickle.

A save goes into a temporary sibling, gets a manifest of SHA-256 sums, is flushed to the disk and
only then takes the place of the previous folder. Where directories cannot be swapped in one step
(POSIX has no portable way, Windows has none) the previous folder waits as `<name>.old` for the one
moment in between; `open_folder` puts it back if that moment was the last one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

MANIFEST = "manifest.json"
FORMAT = "textgym-folder"
FORMAT_VERSION = 1

_CHUNK = 1 << 20  # bytes hashed at a time


class CheckpointError(ValueError):
    """A folder is not a checkpoint of TextGym, or is damaged, or is from a newer version."""


def save_folder(path: str | Path, write: Callable[[Path], None]) -> Path:
    """Save a folder so that `path` holds either all of the new one or all of the previous one.

    Args:
        path: Where the folder shall stand. A folder that this function saved earlier is replaced.
        write: Called once with an empty folder to write files into (sub-folders are fine).

    Returns:
        `path`.

    Raises:
        CheckpointError: `path` holds something that this function did not save.
        OSError: Writing failed (a full disk, no permission); the previous folder is whole.
    """
    path = Path(path)
    _recover(path)
    _refuse_foreign_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)  # what a killed save left
    try:
        fresh.mkdir()
        write(fresh)
        _write_manifest(fresh)
        _swap(fresh, path)
    except OSError as error:
        reason = f"could not save {str(path)!r}: {error.strerror or error}"
        kept = "; the previous one is whole" if path.exists() else ""
        raise OSError(error.errno, reason + kept) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return path


def open_folder(path: str | Path) -> Path:
    """Return `path` after checking every file of it against the manifest.

    Files that the manifest does not name (notes, `.DS_Store`) are left alone.

    Raises:
        FileNotFoundError: There is no such folder.
        CheckpointError: The folder has no manifest of TextGym, comes from a newer version, or a
            file is missing or changed (the message names it).
    """
    path = Path(path)
    _recover(path)
    if not path.is_dir():
        raise FileNotFoundError(f"expected a saved folder, got {str(path)!r}, which does not exist")
    for name, entry in _read_manifest(path).items():
        _verify(path, name, entry)
    return path


def is_saved_folder(path: str | Path) -> bool:
    """Whether `path` (or the `.old` that an interrupted save left) has a manifest of TextGym."""
    path = Path(path)
    return (path / MANIFEST).is_file() or (_old(path) / MANIFEST).is_file()


def save_tensors(path: str | Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors to one safetensors file; views and tied tensors are stored as full copies."""
    save_file({name: _own_storage(tensor) for name, tensor in tensors.items()}, Path(path))


def load_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read what `save_tensors` wrote, on the CPU.

    Raises:
        CheckpointError: The file is not a whole safetensors file.
    """
    try:
        return load_file(Path(path), device="cpu")
    except SafetensorError as error:
        raise CheckpointError(f"expected a safetensors file, got {str(path)!r}: {error}") from error


def save_json(path: str | Path, value: Any) -> None:
    """Write JSON (UTF-8, indented) in one step: a reader sees the old file or the new one.

    Raises:
        ValueError: `value` holds NaN or infinity, which JSON cannot say.
    """
    path = Path(path)
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        fresh.write_text(text + "\n", encoding="utf-8")
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def load_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        CheckpointError: The file is not JSON (the message names it and the place).
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"expected JSON in {str(path)!r}: {error}") from error


def _own_storage(tensor: torch.Tensor) -> torch.Tensor:
    # safetensors refuses tensors that share memory.
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".old")


def _recover(path: Path) -> None:
    """Finish or undo a swap that was interrupted."""
    old = _old(path)
    if not (old / MANIFEST).is_file():
        return
    if not path.exists():
        os.rename(old, path)
    elif (path / MANIFEST).is_file():
        shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign_target(path: Path) -> None:
    if path.is_file():
        raise CheckpointError(f"expected a folder to save into, got the file {str(path)!r}")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise CheckpointError(
            f"expected an empty or earlier saved folder, got {str(path)!r}, which holds other "
            "files; they would be lost"
        )


def _swap(fresh: Path, path: Path) -> None:
    old = _old(path)
    had_previous = path.exists()
    if had_previous:
        os.rename(path, old)
    try:
        os.rename(fresh, path)
    except OSError:
        if had_previous:
            os.rename(old, path)
        raise
    _sync(path.parent)
    if had_previous:
        shutil.rmtree(old, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    entries = {file.relative_to(folder).as_posix(): _entry(file) for file in files}
    save_json(folder / MANIFEST, {"format": FORMAT, "version": FORMAT_VERSION, "files": entries})
    for file in (*files, folder / MANIFEST):
        _sync(file)
    for directory in (folder, *(d for d in folder.rglob("*") if d.is_dir())):
        _sync(directory)


def _entry(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return {"sha256": digest.hexdigest(), "size": file.stat().st_size}


def _sync(path: Path) -> None:
    """Flush a file or a directory entry to the disk; directories cannot be opened on Windows."""
    if path.is_dir():
        with contextlib.suppress(OSError):
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    file = path / MANIFEST
    if not file.is_file():
        raise CheckpointError(
            f"expected a folder saved by TextGym, got {str(path)!r}, which has no {MANIFEST}"
        )
    manifest = load_json(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"expected a manifest of TextGym, got a foreign one in {str(file)!r}")
    version = manifest.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(
            f"expected format version {FORMAT_VERSION} or lower, got {version!r} in {str(file)!r}; "
            "a newer textgym wrote it"
        )
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise CheckpointError(f"expected a table of files in {str(file)!r}, got {files!r}")
    return files


def _verify(folder: Path, name: str, entry: Any) -> None:
    file = folder / name
    if not isinstance(entry, dict) or not file.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"the manifest of {str(folder)!r} has a bad entry {name!r}")
    if not file.is_file():
        raise CheckpointError(f"{str(folder)!r} is damaged: {name!r} is missing")
    if file.stat().st_size != entry.get("size"):
        raise CheckpointError(
            f"{str(folder)!r} is damaged: {name!r} has {file.stat().st_size} bytes, "
            f"expected {entry.get('size')}"
        )
    if _entry(file)["sha256"] != entry.get("sha256"):
        raise CheckpointError(f"{str(folder)!r} is damaged: {name!r} has a wrong SHA-256 sum")
