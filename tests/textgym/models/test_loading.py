"""Loading: exact weights, one frozen copy per process, private copies, errors with the value."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from textgym.models.loading import (
    check_dtype_on,
    check_vocabulary,
    copy_causal_lm,
    load_causal_lm,
    load_sequence_classifier,
    resolve_device,
    resolve_dtype,
)
from textgym.tokenizer import load_tokenizer


def test_frozen_models_are_shared_per_path_dtype_and_files(tiny_model_folder: Path, tmp_path: Path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    first = load_causal_lm(folder, device="cpu")
    assert load_causal_lm(str(folder), device="cpu", dtype="float32") is first
    assert not first.training and not any(p.requires_grad for p in first.parameters())
    assert load_causal_lm(folder, device="cpu", dtype="bfloat16").dtype == torch.bfloat16
    with torch.no_grad():
        changed = copy_causal_lm(folder, device="cpu")
        changed.get_input_embeddings().weight.add_(1.0)
        changed.save_pretrained(folder)
    again = load_causal_lm(folder, device="cpu")
    assert again is not first
    assert torch.equal(again.get_input_embeddings().weight, changed.get_input_embeddings().weight)


def test_dtype_is_what_was_asked_for_whatever_the_file_holds(tiny_model_folder: Path, tmp_path):
    copy_causal_lm(tiny_model_folder, device="cpu", dtype="float16").save_pretrained(tmp_path)
    assert load_causal_lm(tmp_path, device="cpu").dtype == torch.float32


@pytest.mark.parametrize("architecture", ["gpt2", "opt"])
def test_copies_are_private_trainable_and_without_dropout(make_model_folder, architecture: str):
    folder = make_model_folder(architecture)
    model = copy_causal_lm(folder, device="cpu")
    assert model is not copy_causal_lm(folder, device="cpu")
    assert all(parameter.requires_grad for parameter in model.parameters())
    ids = torch.arange(12).unsqueeze(0)
    acting = model.eval()(ids).logits
    assert torch.equal(model.train()(ids).logits, acting)


def test_padded_vocabularies_are_normal_and_short_ones_are_not(make_model_folder, make_tiny_model):
    tokenizer = load_tokenizer(make_model_folder())
    check_vocabulary(make_tiny_model(vocab_size=384), tokenizer)
    with pytest.raises(ValueError, match="vocabulary mismatch.* 300 rows.*320"):
        check_vocabulary(make_tiny_model(vocab_size=300), tokenizer)


def test_two_labels_are_refused(make_reward_folder):
    with pytest.raises(ValueError, match="has 2 labels, expected 1"):
        load_sequence_classifier(make_reward_folder(num_labels=2), device="cpu")


def test_a_language_model_is_no_reward_model(make_model_folder, tmp_path: Path):
    folder = tmp_path / "model"
    shutil.copytree(make_model_folder(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "LABEL_0"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"weights lack score\.weight"):
        load_sequence_classifier(folder, device="cpu")


def test_missing_models_are_named(tmp_path: Path, tiny_model_folder: Path):
    with pytest.raises(ValueError, match="no such folder"):
        load_causal_lm(tmp_path / "absent", device="cpu")
    with pytest.raises(ValueError, match="no-such/model.*local folder.*network"):
        load_causal_lm("no-such/model", device="cpu")
    with pytest.raises(ValueError, match="causal language model"):
        load_causal_lm(tmp_path, device="cpu")
    shutil.copytree(tiny_model_folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(ValueError, match="damaged"):
        load_causal_lm(tmp_path / "damaged", device="cpu")


def test_pickled_weights_are_never_read(tiny_model_folder: Path, tmp_path: Path):
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_model_folder, folder)
    (folder / "model.safetensors").unlink()
    weights = load_causal_lm(tiny_model_folder, device="cpu").state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickled"):
        load_causal_lm(folder, device="cpu")


def test_devices_and_dtypes_are_named_in_errors(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="'cuda' is not available.*cpu"):
        resolve_device("cuda")
    with pytest.raises(ValueError, match="got 'gpu'"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    with pytest.raises(ValueError, match="float32.*got 'float64'"):
        resolve_dtype("float64")
    assert resolve_dtype("bfloat16") is torch.bfloat16


def test_bfloat16_on_a_card_without_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla P100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(ValueError, match="Tesla P100 .cuda. has no bfloat16.*'float32'"):
        load_causal_lm(tiny_model_folder, device="cuda", dtype="bfloat16")
    check_dtype_on(torch.float16, torch.device("cuda"))
    check_dtype_on(torch.bfloat16, torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    check_dtype_on(torch.bfloat16, torch.device("cuda"))


def test_local_models_load_without_bars(
    tiny_model_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    shutil.copytree(tiny_model_folder, tmp_path / "model")
    load_causal_lm(tmp_path / "model", device="cpu")
    assert "Loading weights" not in capfd.readouterr().err
