"""Training of SentencePiece tokenizers that Hugging Face's AutoTokenizer reads offline.

The same pieces are written twice: as `tokenizer.model` and, merges made explicit, as
`tokenizer.json`. Both map every text to the same ids.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SPACE = "\u2581"  # how SentencePiece writes a space inside a piece
SPECIAL_TOKENS = ("<unk>", "<s>", "</s>", "<pad>")  # ids 0, 1, 2, 3
MAX_SENTENCE_BYTES = 1 << 20


def train_sentencepiece(
    texts: Iterable[str], folder: str | Path, vocab_size: int, symbols: Sequence[str] = ()
) -> None:
    r"""Train a byte-pair tokenizer with byte fallback and write it into `folder`.

    Any text round-trips (only the character U+2581 comes back as a space): unknown characters
    become bytes, nothing is normalised, no space is put in front, and "\n" is one token of its own.

    Args:
        texts: Training texts, prompts and responses alike.
        folder: Gets `tokenizer.model`, `tokenizer.json` and `tokenizer_config.json`.
        vocab_size: Number of ids, specials and the 256 bytes included; at least about 300.
        symbols: Texts that are one token each wherever they stand, such as "<B-person>".

    Raises:
        ValueError: No text, or a `vocab_size` that the texts cannot fill.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    whole = ["\n", *symbols]
    model_bytes = _train(texts, vocab_size, whole)
    (target / "tokenizer.model").write_bytes(model_bytes)
    (target / "tokenizer.json").write_text(_tokenizer_json(model_bytes, whole), encoding="utf-8")
    unk, bos, eos, pad = SPECIAL_TOKENS
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unk,
        "bos_token": bos,
        "eos_token": eos,
        "pad_token": pad,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1 << 30,
    }
    text = json.dumps(config, indent=2) + "\n"
    (target / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _train(texts: Iterable[str], vocab_size: int, whole: Sequence[str]) -> bytes:
    import sentencepiece

    buffer = io.BytesIO()
    unk, bos, eos, pad = SPECIAL_TOKENS
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=buffer,
            model_type="bpe",
            vocab_size=vocab_size,
            byte_fallback=True,
            split_digits=True,
            character_coverage=0.9995,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            user_defined_symbols=list(whole),
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=3,
            unk_piece=unk,
            bos_piece=bos,
            eos_piece=eos,
            pad_piece=pad,
            max_sentence_length=MAX_SENTENCE_BYTES,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"cannot train a tokenizer with vocab_size {vocab_size!r} on these texts ({reason}); "
            f"expected at least 261 plus the number of distinct characters, and enough text"
        ) from error
    return buffer.getvalue()


def _tokenizer_json(model_bytes: bytes, whole: Sequence[str]) -> str:
    import sentencepiece
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    pieces = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    vocab = {pieces.id_to_piece(i): i for i in range(pieces.vocab_size())}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=_merges(pieces, vocab, whole),
            unk_token=SPECIAL_TOKENS[0],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        replacement=SPACE, prepend_scheme="never", split=False
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in whole])
    return tokenizer.to_str(pretty=True)


def _merges(pieces: Any, vocab: dict[str, int], whole: Sequence[str]) -> list[tuple[str, str]]:
    """Return every pair of pieces that joins into a piece, in SentencePiece's order of joining."""
    normal = [
        i
        for i in range(pieces.vocab_size())
        if not (pieces.is_control(i) or pieces.is_byte(i) or pieces.is_unknown(i))
        and pieces.id_to_piece(i) not in whole
    ]
    known = {pieces.id_to_piece(i) for i in normal}
    ranked: list[tuple[float, int, str, str]] = []
    for i in normal:
        piece = pieces.id_to_piece(i)
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in known and right in known:
                ranked.append((-pieces.get_score(i), vocab[left], left, right))
    return [(left, right) for _, _, left, right in sorted(ranked)]
