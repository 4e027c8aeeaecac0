"""What is written of a trained model, and in which precision."""

import torch
from transformers import AutoModelForCausalLM

from textgym.agents.supervised.model_files import save_language_model
from textgym.tokenizer import load_tokenizer


def test_float16_on_disk_leaves_the_model_as_it_was(
    tmp_path, make_tiny_model, tiny_tokenizer_folder
):
    model = make_tiny_model("llama")
    save_language_model(model, load_tokenizer(tiny_tokenizer_folder), tmp_path, torch.float16)
    assert model.dtype == torch.float32
    stored = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert stored.dtype == torch.float16
    ours, theirs = model.state_dict(), stored.state_dict()
    assert all(torch.equal(ours[name].half(), theirs[name]) for name in ours)
