"""A tokenizer of a fixed table of words, for MDPs small enough to enumerate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SYMBOLS_FILE = "symbols.json"
SYMBOL_EOS = "<eos>"


class SymbolTokenizer:
    """Words of a fixed table, separated by spaces: for MDPs small enough to enumerate."""

    hf: Any = None

    def __init__(self, symbols: Sequence[str], eos: str | None = SYMBOL_EOS) -> None:
        """Number the symbols in the given order.

        Args:
            symbols: Distinct words without white space.
            eos: The symbol that ends a response; None for no such symbol.

        Raises:
            ValueError: No symbols, a repeated one, one with white space, or an unknown `eos`.
        """
        self.symbols = tuple(symbols)
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"symbols must be distinct and at least one, got {list(symbols)!r}")
        if any(len(symbol.split()) != 1 or symbol.split()[0] != symbol for symbol in self.symbols):
            raise ValueError(f"symbols must be words without white space, got {list(symbols)!r}")
        if eos is not None and eos not in self.symbols:
            raise ValueError(f"eos must be one of the symbols {list(symbols)!r}, got {eos!r}")
        self.eos = eos
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        self.vocab_size = len(self.symbols)
        self.eos_ids: tuple[int, ...] = () if eos is None else (self._ids[eos],)
        table = json.dumps([self.symbols, eos])
        self.fingerprint = hashlib.sha256(table.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Return the ids of the words of `text`.

        Raises:
            ValueError: A word that is no symbol.
        """
        words = text.split()
        try:
            return [self._ids[word] for word in words]
        except KeyError as error:
            raise ValueError(
                f"expected symbols among {list(self.symbols)!r}, got {error.args[0]!r}"
            ) from None

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return what `encode` gives for each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Return the symbols of `ids` joined by spaces, `eos` left out where asked."""
        words = [self.symbols[int(i)] for i in ids]
        return " ".join(w for w in words if not (skip_special_tokens and w == self.eos))

    def render_chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Refuse: symbols have no chat template."""
        raise ValueError(
            f"a symbol tokenizer has no chat template; expected a plain text prompt, "
            f"got {len(messages)} messages"
        )

    def save(self, folder: str | Path) -> None:
        """Write the table as `symbols.json`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        table = {"symbols": self.symbols, "eos": self.eos}
        (Path(folder) / SYMBOLS_FILE).write_text(json.dumps(table), encoding="utf-8")
