"""Models that slots cannot serve are refused or read anew each step, and never silently wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

from textgym.models.decoding import FullDecoder, open_decoder
from textgym.models.slot_decoder import SlotDecoder
from textgym.models.trunk import CannotKeepSlots

NUM_ROWS, WIDTH, VOCAB = 3, 40, 320
LLAMA_LIKE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
GPT_NEO = {
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
}
RECURRENT = {"hidden_size": 32, "num_hidden_layers": 2}
JAMBA = {
    **LLAMA_LIKE,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "use_mamba_kernels": False,
    "num_experts": 2,
}
CANNOT: dict[str, tuple[str, dict[str, Any], str]] = {
    "mistral": ("mistral", {**LLAMA_LIKE, "sliding_window": 8}, "Mistral.*layers of 8 tokens"),
    "gemma2": (
        "gemma2",
        {**LLAMA_LIKE, "sliding_window": 8, "final_logit_softcapping": None},
        "Gemma2.*sliding-window layers of 8",
    ),
    "gemma3": ("gemma3_text", {**LLAMA_LIKE, "sliding_window": 8}, "Gemma3.*layers of 8 tokens"),
    "gpt_neo": ("gpt_neo", {**GPT_NEO, "window_size": 8}, "GPTNeo.*layers of 8 tokens"),
    "mamba": ("mamba", {**RECURRENT, "state_size": 4}, "Mamba.*recurrent"),
    "rwkv": ("rwkv", {**RECURRENT, "attention_hidden_size": 32, "context_length": 64}, "Rwkv.*rec"),
    "jamba": ("jamba", JAMBA, "Jamba.*cannot be read with one cache slot per row"),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, "Bloom.*one cache slot"),
}


def make(kind: str, settings: dict[str, Any]) -> Any:
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, vocab_size=VOCAB, **special, **settings)
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def assert_exact(decoder: SlotDecoder, model: Any) -> None:
    """Rows grow past any window and one begins anew."""
    rng = np.random.default_rng(0)
    ids, lengths = rng.integers(4, VOCAB, (NUM_ROWS, WIDTH)), np.array([5, 20, 30])
    for step in range(5):
        seen = np.where(np.arange(WIDTH) < lengths[:, None], ids, VOCAB)  # the empty marker
        logits = decoder.logits(decoder.advance(seen, lengths))
        for row in range(NUM_ROWS):
            with torch.no_grad():
                alone = model(torch.from_numpy(ids[row : row + 1, : lengths[row]]), use_cache=False)
            torch.testing.assert_close(logits[row], alone.logits[0, -1], atol=2e-5, rtol=2e-5)
        lengths = lengths + 1
        if step == 2:
            ids[1], lengths[1] = rng.integers(4, VOCAB, WIDTH), 9


@pytest.fixture(autouse=True)
def _quiet_library():
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(level)


@pytest.mark.parametrize("name", CANNOT)
def test_what_slots_cannot_serve_is_named_or_read_anew(name: str):
    kind, settings, message = CANNOT[name]
    model = make(kind, settings)
    with pytest.raises(CannotKeepSlots, match=message):
        open_decoder(model, NUM_ROWS, WIDTH, "eager")
    with pytest.warns(RuntimeWarning, match="reads whole sequences instead, which is slower"):
        decoder = open_decoder(model, NUM_ROWS, WIDTH)
    assert isinstance(decoder, FullDecoder)
    assert_exact(decoder, model)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("gemma3_text", {**LLAMA_LIKE, "sliding_window": WIDTH}),
        ("gpt_neo", {**GPT_NEO, "window_size": WIDTH}),
        ("mistral", {**LLAMA_LIKE, "sliding_window": None}),
    ],
)
def test_windows_that_do_not_bind_keep_slots(kind: str, settings: dict[str, Any]):
    model = make(kind, settings)
    decoder = open_decoder(model, NUM_ROWS, WIDTH)
    assert not isinstance(decoder, FullDecoder)
    assert_exact(decoder, model)


def test_full_equals_slots_and_computes_only_what_changed(make_tiny_model):
    model = make_tiny_model()
    full = open_decoder(model, NUM_ROWS, WIDTH, "full")
    assert_exact(full, model)
    ids, lengths = np.arange(NUM_ROWS * WIDTH).reshape(NUM_ROWS, WIDTH), np.array([4, 5, 6])
    full.advance(ids, lengths)
    seen: list[int] = []
    full._trunk.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    full.advance(ids, lengths)
    lengths[1] += 1
    full.advance(ids, lengths)
    assert seen == [6]


def test_a_model_that_looks_ahead_is_refused(make_tiny_model):
    model = make_tiny_model()
    for layer in model.base_model.layers:
        layer.self_attn.is_causal = False
    model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: (
            args,
            {**kwargs, "attention_mask": torch.zeros(1, 1, 1, 1)},
        ),
        with_kwargs=True,
    )
    with pytest.raises(ValueError, match="LlamaForCausalLM.*not causal"):
        open_decoder(model, NUM_ROWS, WIDTH, "full")


def test_too_few_positions_are_an_error_on_every_road(make_tiny_model):
    model = make_tiny_model("llama", max_position_embeddings=16)
    for decode in ("auto", "full"):
        with pytest.raises(ValueError, match="16 positions"):
            open_decoder(model, NUM_ROWS, WIDTH, decode)
    with pytest.raises(ValueError, match="decode must be one of .*got 'fast'"):
        open_decoder(model, NUM_ROWS, WIDTH, "fast")


@pytest.mark.parametrize("decode", ["auto", "full"])
@pytest.mark.parametrize("vocab_size", [2, 3])
@pytest.mark.filterwarnings("error")
def test_a_vocabulary_of_two_or_three_is_served_too(
    decode: str, vocab_size: int, make_tiny_model
) -> None:
    """The checks of a decoder use ids of their own, which must exist."""
    decoder = open_decoder(make_tiny_model(vocab_size=vocab_size, pad_token_id=None), 2, 4, decode)
    assert type(decoder) is (FullDecoder if decode == "full" else SlotDecoder)
    ids = np.array([[0, 1, 1, 0], [1, 0, 0, 1]])
    assert decoder.advance(ids, np.array([2, 4])).shape[0] == 2
