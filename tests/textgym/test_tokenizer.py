"""Tokenizers: exact round trips, agreement with SentencePiece, end tokens, chat, errors."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import textgym.tokenizer as tokenizer_module
from textgym.tokenizer import (
    SymbolTokenizer,
    TextTokenizer,
    end_token,
    load_tokenizer,
    train_sentencepiece,
)

HARD_TEXTS = (
    "",
    " ",
    "  two  spaces ",
    "\n",
    "\n\n a\n",
    "héllo wörld 你好 🎉 \t tab\r\n",
    "nnnnaaaaa  \n   x",
    "<0x41> A",
    "e\u0301 ﬁ ½ \x00",
)


def random_texts(count: int) -> list[str]:
    rng = random.Random(1)
    return ["".join(rng.choices("aehot dsrui \n.,01é", k=rng.randint(1, 40))) for _ in range(count)]


def test_any_text_round_trips_and_agrees_with_sentencepiece(tiny_tokenizer_folder: Path):
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(
        model_file=str(tiny_tokenizer_folder / "tokenizer.model")
    )
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    for text in (*HARD_TEXTS, *random_texts(500)):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert ids == pieces.encode(text)
        assert pieces.decode(ids) == text


def test_a_batch_is_encoded_as_each_text_by_hugging_face(tiny_tokenizer_folder: Path):
    texts = [*HARD_TEXTS, "the</s> dog<s>", *random_texts(100)]
    tokenizer = TextTokenizer(tiny_tokenizer_folder)
    assert tokenizer._is_direct
    expected = [tokenizer.hf.encode(t, add_special_tokens=False) for t in texts]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(t) for t in texts] == expected
    # Few texts take another road than many.
    assert tokenizer.encode_batch(texts[:5]) == expected[:5]
    assert tokenizer.encode_batch([]) == []
    for ids in expected:
        for skip in (True, False):
            assert tokenizer.decode(ids, skip) == tokenizer.hf.decode(ids, skip_special_tokens=skip)
    # Someone who shares the Hugging Face tokenizer leaves settings behind.
    tokenizer.hf(texts, truncation=True, max_length=3, padding="max_length")
    tokenizer.hf(["the</s>"], split_special_tokens=True)
    assert tokenizer.encode_batch(texts) == expected


def test_a_tokenizer_that_does_more_than_its_backend_is_asked_itself(
    tiny_tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    load = tokenizer_module._load_hugging_face

    def marking(path: str) -> Any:
        hf = load(path)
        plain = hf.encode
        hf.encode = lambda text, **kwargs: [7, *plain(text, **kwargs)]
        return hf

    monkeypatch.setattr(tokenizer_module, "_load_hugging_face", marking)
    tokenizer = TextTokenizer(tiny_tokenizer_folder)
    assert not tokenizer._is_direct
    assert tokenizer.encode("the dog")[0] == 7
    assert tokenizer.encode_batch(["the dog"]) == [tokenizer.encode("the dog")]


def test_ids_of_prompt_and_response_decode_to_their_concatenation(tiny_tokenizer_folder: Path):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    prompt, response = "my friend said.\n\nTL;DR:", " the dog  was nice"
    ids = tokenizer.encode(prompt) + tokenizer.encode(response)
    assert tokenizer.decode(ids) == prompt + response
    assert tokenizer.decode([*ids, 2]) == prompt + response
    assert tokenizer.decode([*ids, 2], skip_special_tokens=False) == prompt + response + "</s>"


def test_a_text_is_never_encoded_to_nothing(tiny_model_folder: Path):
    tokenizer = load_tokenizer(tiny_model_folder)
    assert len(tokenizer.encode("the dog went home")) >= 4
    assert tokenizer.vocab_size == 320 and tokenizer.eos_ids == (2,)


def test_fingerprint_survives_saving_and_tells_tokenizers_apart(
    tiny_tokenizer_folder: Path, tmp_path: Path
):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    tokenizer.save(tmp_path / "copy")
    again = load_tokenizer(tmp_path / "copy")
    assert again is not tokenizer and again.fingerprint == tokenizer.fingerprint
    assert (tmp_path / "copy" / "tokenizer.model").is_file()
    train_sentencepiece(random_texts(200), tmp_path / "other", 300)
    assert load_tokenizer(tmp_path / "other").fingerprint != tokenizer.fingerprint


def test_loading_twice_gives_the_same_object(tiny_tokenizer_folder: Path):
    assert load_tokenizer(tiny_tokenizer_folder) is load_tokenizer(str(tiny_tokenizer_folder))


def test_a_tokenizer_that_decodes_by_rules_of_its_own_is_asked_itself(
    tiny_tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    load = tokenizer_module._load_hugging_face

    def shouting(path: str) -> Any:
        hf = load(path)
        plain = hf.decode
        hf.decode = lambda ids, **kwargs: plain(ids, **kwargs).upper()
        return hf

    monkeypatch.setattr(tokenizer_module, "_load_hugging_face", shouting)
    tokenizer = TextTokenizer(tiny_tokenizer_folder)
    assert tokenizer.decode(tokenizer.encode("the dog")) == "THE DOG"


@pytest.mark.parametrize(("eos", "expected"), [(7, (2, 7)), ([7, 9, 2], (2, 7, 9))])
def test_end_ids_join_generation_config_and_tokenizer(
    tiny_tokenizer_folder: Path, tmp_path: Path, eos, expected
):
    folder = tmp_path / "model"
    shutil.copytree(tiny_tokenizer_folder, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))
    assert load_tokenizer(folder).eos_ids == expected


def test_chat_is_rendered_by_the_tokenizers_template(tiny_tokenizer_folder: Path, tmp_path: Path):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    messages = [{"role": "user", "content": "go home"}]
    with pytest.raises(ValueError, match="no chat template"):
        tokenizer.render_chat(messages)
    shutil.copytree(tiny_tokenizer_folder, tmp_path / "chat")
    (tmp_path / "chat" / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    assert load_tokenizer(tmp_path / "chat").render_chat(messages) == "user: go home\nassistant:"


def test_missing_tokenizers_are_named(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="no tokenizer in the folder") as error:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(error.value)
    with pytest.raises(ValueError, match="no-such/tokenizer.*folder"):
        load_tokenizer("no-such/tokenizer")
    with pytest.raises(ValueError, match="no such folder"):
        load_tokenizer(tmp_path / "absent")


def test_training_errors_name_the_size(tmp_path: Path):
    with pytest.raises(ValueError, match="vocab_size 50"):
        train_sentencepiece(["some text"], tmp_path, 50)
    with pytest.raises(ValueError, match="vocab_size 5000"):
        train_sentencepiece(["some text"], tmp_path, 5000)


def test_symbols_are_numbered_in_order(tmp_path: Path):
    tokenizer = load_tokenizer("symbols:a b c <eos>")
    assert tokenizer.vocab_size == 4 and tokenizer.eos_ids == (3,)
    assert tokenizer.encode("b a <eos>") == [1, 0, 3]
    assert tokenizer.decode([1, 0, 3]) == "b a"
    assert tokenizer.decode([1, 0, 3], skip_special_tokens=False) == "b a <eos>"
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path).fingerprint == tokenizer.fingerprint
    assert load_tokenizer("symbols:a b").eos_ids == ()
    longer_than_a_file_name = "symbols:" + " ".join(f"word{index}" for index in range(5_000))
    assert load_tokenizer(longer_than_a_file_name).vocab_size == 5_000


def test_symbol_errors_name_the_symbol():
    with pytest.raises(ValueError, match="got 'z'"):
        SymbolTokenizer(["a", "<eos>"]).encode("a z")
    with pytest.raises(ValueError, match="distinct"):
        SymbolTokenizer(["a", "a", "<eos>"])
    with pytest.raises(ValueError, match="eos must be one of"):
        SymbolTokenizer(["a"], eos="stop")
    with pytest.raises(ValueError, match="no chat template"):
        SymbolTokenizer(["a"], eos=None).render_chat([])


def test_importing_the_module_loads_no_torch():
    code = "import sys, textgym.tokenizer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_symbols_are_one_token_each_wherever_they_stand(tmp_path: Path) -> None:
    import sentencepiece

    symbols = ("<B-person>", "[Alibi]")
    texts = [f"{text}<B-person> so[Alibi]" for text in random_texts(200)]
    train_sentencepiece(texts, tmp_path, 340, symbols)
    tokenizer = load_tokenizer(tmp_path)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    marks = [tokenizer.encode(symbol) for symbol in symbols]
    assert [len(ids) for ids in marks] == [1, 1]
    text = "the dog<B-person> and[Alibi][Alibi] you"
    ids = tokenizer.encode(text)
    assert ids == pieces.encode(text)
    assert (ids.count(marks[0][0]), ids.count(marks[1][0])) == (1, 2)
    assert tokenizer.decode(ids) == text
    # What stands between them is the same said in one piece or apart.
    assert tokenizer.encode(" so[Alibi]") == tokenizer.encode(" so") + tokenizer.encode("[Alibi]")


def test_end_token_prefers_the_tokenizers_own() -> None:
    class Own:
        eos_ids, hf = (3, 9), type("Hf", (), {"eos_token_id": 9})()

    class None_:
        eos_ids, hf = (3, 9), None

    own: Any = Own()
    none: Any = None_()
    assert end_token(own) == (9,)
    assert end_token(none) == (3,)
