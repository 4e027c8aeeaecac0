"""Models from scratch: sizes, seeds, errors."""

import pytest
import torch

from textgym.agents.supervised.fresh_models import fresh_causal_lm


def make(spec, seed=0):
    return fresh_causal_lm(spec, vocab_size=50, eos_ids=(2,), pad_id=3, seed=seed)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_kinds_give_logits_and_tied_weights(kind):
    model = make(f"scratch:{kind},layers=2,width=16,heads=2")
    assert model.config.num_hidden_layers == 2
    assert model(torch.tensor([[4, 5]])).logits.shape == (1, 2, 50)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.config.eos_token_id == 2


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    spec = "scratch:llama,layers=1,width=16,heads=2"
    before = torch.random.get_rng_state()
    one, same, other = make(spec), make(spec), make(spec, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    weight = one.get_input_embeddings().weight
    assert torch.equal(weight, same.get_input_embeddings().weight)
    assert not torch.equal(weight, other.get_input_embeddings().weight)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("scratch:bert", "one of .* got 'bert'"),
        ("scratch:llama,depth=3", "got 'depth=3'"),
        ("scratch:llama,layers=x", "got 'layers=x'"),
        ("scratch:llama,width=10,heads=4", "multiple of heads"),
    ],
)
def test_bad_descriptions(spec, message):
    with pytest.raises(ValueError, match=message):
        make(spec)
