"""Tokenizers behind one small interface: Hugging Face folders and symbol tables for tiny MDPs.

Importing this module is cheap; `transformers` is imported when the first tokenizer is loaded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from textgym.models.model_source import cannot_load, is_local_only
from textgym.models.sentencepiece_training import train_sentencepiece
from textgym.symbol_tokenizer import SYMBOL_EOS, SYMBOLS_FILE, SymbolTokenizer

__all__ = [
    "SymbolTokenizer",
    "TextTokenizer",
    "Tokenizer",
    "end_token",
    "load_tokenizer",
    "train_sentencepiece",
]

SYMBOLS_PREFIX = "symbols:"
# What a folder must hold one of for AutoTokenizer to find a tokenizer in it.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
)

ChatMessages = Sequence[Mapping[str, str]]


class Tokenizer(Protocol):
    """What the environments need of a tokenizer.

    Attributes:
        vocab_size: Number of ids, added tokens included; ids lie in [0, vocab_size).
        eos_ids: Every id that ends a response, ascending, possibly none.
        fingerprint: Hex digest; equal for tokenizers that map every text to the same ids.
        hf: The Hugging Face tokenizer, None where there is none.
    """

    vocab_size: int
    eos_ids: tuple[int, ...]
    fingerprint: str
    hf: Any

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, no special tokens added."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return what `encode` gives for each text."""
        ...

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Return the text of `ids`."""
        ...

    def render_chat(self, messages: ChatMessages) -> str:
        """Render chat messages into the prompt that asks for the assistant's reply."""
        ...

    def save(self, folder: str | Path) -> None:
        """Write what `load_tokenizer(folder)` needs."""
        ...


class TextTokenizer:
    """A Hugging Face tokenizer from a local folder or a hub name; see `Tokenizer`.

    Special tokens written out in a text are read as such: chat templates rely on it.
    """

    def __init__(self, path: str | Path) -> None:
        """Load the tokenizer of a folder or hub name.

        Raises:
            ValueError: The folder has no tokenizer, or the name cannot be fetched.
        """
        self.path = str(path)
        self.hf: Any = _load_hugging_face(self.path)
        self._is_direct = _is_its_backend(self.hf)
        self.vocab_size: int = len(self.hf)
        self.eos_ids: tuple[int, ...] = _eos_ids(self.path, self.hf)
        self.fingerprint: str = _fingerprint(self.hf)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, no special tokens added, never truncated."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return what `encode` gives for each text."""
        if self._is_direct:
            return _encode_directly(self.hf, texts)
        return [_encode_one(self.hf, text) for text in texts]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Return the text of `ids`, spaces as they were."""
        decode = _decode_directly if self._is_direct else _decode_one
        return decode(self.hf, [int(i) for i in ids], skip_special_tokens)

    def render_chat(self, messages: ChatMessages) -> str:
        """Render messages (`role`, `content`) with the tokenizer's own chat template.

        Raises:
            ValueError: The tokenizer has no chat template.
        """
        if not self.hf.chat_template:
            raise ValueError(
                f"the tokenizer of {self.path!r} has no chat template, so chat messages cannot be "
                f"rendered; expected a plain text prompt, got {len(messages)} messages"
            )
        return self.hf.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
        )

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files, the SentencePiece model included where there is one."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        self.hf.save_pretrained(target)
        source = Path(self.path) / "tokenizer.model"
        if source.is_file() and source.resolve() != (target / "tokenizer.model").resolve():
            shutil.copyfile(source, target / "tokenizer.model")


_CACHE: dict[tuple[Any, ...], Tokenizer] = {}


def end_token(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return what stands behind a whole response: its own end token among several; maybe none."""
    own = None if tokenizer.hf is None else tokenizer.hf.eos_token_id
    return tokenizer.eos_ids[:1] if own is None else (int(own),)


def load_tokenizer(path_or_name: str | Path) -> Tokenizer:
    """Return the tokenizer of a folder, a hub name or a `"symbols:a b <eos>"` string.

    Loaded once per process; a folder whose files changed is loaded again.

    Raises:
        ValueError: No tokenizer there, or the name cannot be fetched.
    """
    name = str(path_or_name)
    # A long list of symbols is no path: asking the file system would fail.
    is_list = name.startswith(SYMBOLS_PREFIX)
    key = (name, () if is_list else _file_stamps(Path(name)))
    if key not in _CACHE:
        _CACHE[key] = _open(name)
    return _CACHE[key]


def _open(name: str) -> Tokenizer:
    if name.startswith(SYMBOLS_PREFIX):
        symbols = name[len(SYMBOLS_PREFIX) :].split()
        return SymbolTokenizer(symbols, SYMBOL_EOS if SYMBOL_EOS in symbols else None)
    table = Path(name) / SYMBOLS_FILE
    if table.is_file():
        content = json.loads(table.read_text(encoding="utf-8"))
        return SymbolTokenizer(content["symbols"], content["eos"])
    return TextTokenizer(name)


def _file_stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    names = (*TOKENIZER_FILES, SYMBOLS_FILE, "generation_config.json")
    files = [folder / name for name in names if (folder / name).is_file()]
    return tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)


def _load_hugging_face(path: str) -> Any:
    from transformers import AutoTokenizer

    local_only = is_local_only(path, "tokenizer")
    if Path(path).is_dir() and not any((Path(path) / name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(
            f"no tokenizer in the folder {path!r}: expected one of {', '.join(TOKENIZER_FILES)}; "
            f"pass tokenizer=... where it lies elsewhere"
        )
    try:
        return AutoTokenizer.from_pretrained(
            path, trust_remote_code=False, local_files_only=local_only
        )
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(path, "tokenizer", error) from error


# The backend's threads want the cores that PyTorch's still hold after a forward: few texts, as in a
# step, go one by one without them.
THREADS_FROM = 32

# What a tokenizer does besides its backend shows on these: spaces, marks, scripts, breaks.
_PROBES = (
    "Two words.",
    " lead, trail ",
    "a\n\nTL;DR:",
    "\u00e9t\u00e9 \u4f60\u597d \U0001f600",
    "",
)


def _encode_one(hf: Any, text: str) -> list[int]:
    return list(hf.encode(text, add_special_tokens=False, verbose=False))


def _encode_directly(hf: Any, texts: Sequence[str]) -> list[list[int]]:
    """Encode by the backend, which without offsets and the dicts around it takes half the time."""
    backend = hf.backend_tokenizer
    # Whoever shares the tokenizer may have left these behind.
    if backend.truncation is not None:
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    if backend.encode_special_tokens != hf.split_special_tokens:
        backend.encode_special_tokens = hf.split_special_tokens
    size = 1 if len(texts) < THREADS_FROM else len(texts)
    batches = [list(texts[i : i + size]) for i in range(0, len(texts), size)]
    found = [backend.encode_batch_fast(batch, add_special_tokens=False) for batch in batches]
    return [encoding.ids for batch in found for encoding in batch]


def _decode_one(hf: Any, ids: list[int], skip_special_tokens: bool) -> str:
    return hf.decode(
        ids, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False
    )


def _decode_directly(hf: Any, ids: list[int], skip_special_tokens: bool) -> str:
    return hf.backend_tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)


def _is_its_backend(hf: Any) -> bool:
    """Return whether the tokenizer is its backend and nothing more, tried on a few texts."""
    if not hf.is_fast:
        return False
    probes = [*_PROBES, f"x{hf.eos_token or ''} y"]
    encoded = [_encode_one(hf, probe) for probe in probes]
    return _encode_directly(hf, probes) == encoded and all(
        _decode_directly(hf, ids, skip) == _decode_one(hf, ids, skip)
        for ids in encoded
        for skip in (True, False)
    )


def _eos_ids(path: str, hf: Any) -> tuple[int, ...]:
    """Return the tokenizer's end token and those of the model's generation config."""
    from transformers import GenerationConfig

    found: set[int] = set() if hf.eos_token_id is None else {int(hf.eos_token_id)}
    try:
        local_only = is_local_only(path, "generation config")
        eos = GenerationConfig.from_pretrained(path, local_files_only=local_only).eos_token_id
    except OSError:  # a tokenizer alone, without a model beside it
        eos = None
    if eos is not None:
        found.update(int(i) for i in (eos if isinstance(eos, (list, tuple)) else [eos]))
    return tuple(sorted(i for i in found if 0 <= i < len(hf)))


def _fingerprint(hf: Any) -> str:
    digest = hashlib.sha256(json.dumps(sorted(hf.get_vocab().items())).encode())
    if hf.is_fast:
        digest.update(hf.backend_tokenizer.to_str().encode())
    return digest.hexdigest()
