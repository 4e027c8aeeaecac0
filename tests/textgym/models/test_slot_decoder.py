"""Cached decoding equals the full forward, whatever the rows do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textgym.models.slot_decoder import SlotDecoder
from textgym.models.trunk import hidden_states, trunk_and_head

NUM_ROWS, WIDTH, VOCAB = 6, 40, 320
ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma", "mistral", "opt")
ATOL = 1e-5


def full_logits(model, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
    """The library's own logits at `lengths - 1`, row by row, without padding or cache."""
    ids, lengths = np.asarray(ids), np.asarray(lengths)
    with torch.no_grad():
        rows = [
            model(torch.from_numpy(row[None, :length]), use_cache=False).logits[0, -1]
            for row, length in zip(ids, lengths, strict=True)
        ]
    return torch.stack(rows)


def assert_exact(decoder: SlotDecoder, model, ids, lengths, **kwargs) -> torch.Tensor:
    hidden = decoder.advance(ids, lengths, **kwargs)
    torch.testing.assert_close(
        decoder.logits(hidden), full_logits(model, ids, lengths), atol=ATOL, rtol=ATOL
    )
    return hidden


def ragged(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, VOCAB, (NUM_ROWS, WIDTH)), rng.integers(1, 15, NUM_ROWS), rng


def disturb(ids: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> None:
    """Let each row grow, jump, go back, restart, change in the middle or stay."""
    for row in range(NUM_ROWS):
        kind = rng.random()
        if lengths[row] >= WIDTH or kind < 0.1:
            ids[row], lengths[row] = rng.integers(0, VOCAB, WIDTH), rng.integers(1, 15)
        elif kind < 0.2:
            lengths[row] = min(WIDTH, lengths[row] + rng.integers(2, 6))
        elif kind < 0.3:
            lengths[row] = max(1, lengths[row] - 2)
        elif kind < 0.35:
            middle = rng.integers(0, lengths[row])
            ids[row, middle:] = rng.integers(0, VOCAB, WIDTH - middle)
        elif kind > 0.4:
            lengths[row] += 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cached_equals_full_forward_under_arbitrary_changes(architecture: str, make_tiny_model):
    model = make_tiny_model(architecture)
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, rng = ragged()
    for _ in range(20):
        assert_exact(decoder, model, ids, lengths)
        disturb(ids, lengths, rng)


def test_a_weights_version_refills_every_slot(make_tiny_model):
    model = make_tiny_model()
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, _ = ragged()
    before = assert_exact(decoder, model, ids, lengths, weights_version=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    assert torch.equal(decoder.advance(ids, lengths, weights_version=0), before)
    after = assert_exact(decoder, model, ids, lengths, weights_version=1)
    assert not torch.allclose(after, before, atol=1e-3)
    lengths += 1
    assert_exact(decoder, model, ids, lengths, weights_version=1)


def count_tokens(decoder: SlotDecoder) -> list[int]:
    """Make the trunk record how many tokens each of its forwards gets."""
    seen: list[int] = []
    decoder._trunk.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    return seen


def test_only_what_is_new_is_computed(make_tiny_model):
    decoder = SlotDecoder(make_tiny_model(), NUM_ROWS, WIDTH)
    ids, lengths, _ = ragged()
    lengths[:] = 10
    decoder.advance(ids, lengths)
    seen = count_tokens(decoder)
    decoder.advance(ids, lengths)
    assert seen == []
    decoder.advance(ids, lengths + 1)
    assert seen == [NUM_ROWS]
    seen.clear()
    jumps = lengths + 1
    jumps[2] += 4
    decoder.advance(ids, jumps)
    assert seen == [4]


def test_rows_that_ask_for_the_same_ids_are_computed_once(make_tiny_model):
    model = make_tiny_model()
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, rng = ragged()
    ids[1:4] = ids[0]
    lengths[:] = 9
    seen = count_tokens(decoder)
    decoder.advance(ids, lengths)
    assert seen == [3 * 9]
    assert_exact(decoder, model, ids, lengths)
    ids[:, 9] = rng.integers(0, VOCAB, NUM_ROWS)
    assert_exact(decoder, model, ids, lengths + 1)


def test_a_subset_of_rows_leaves_the_others_alone(make_tiny_model):
    model = make_tiny_model()
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, rng = ragged()
    assert_exact(decoder, model, ids, lengths)
    for rows in (np.array([4, 1]), np.array([5, 0, 3, 2])):
        lengths[rows] += 1
        hidden = decoder.advance(ids[rows], lengths[rows], rows=rows)
        expected = full_logits(model, ids[rows], lengths[rows])
        torch.testing.assert_close(decoder.logits(hidden), expected, atol=ATOL, rtol=ATOL)
    assert_exact(decoder, model, ids, lengths)


def test_prompt_lengths_follow_where_slots_stop_being_extended(make_tiny_model):
    decoder = SlotDecoder(make_tiny_model(), 2, WIDTH)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, VOCAB, (2, WIDTH))
    for lengths in ([5, 8], [6, 9], [6, 12]):
        decoder.advance(ids, np.array(lengths))
    assert decoder.prompt_lengths.tolist() == [5, 8]
    ids[0] = rng.integers(0, VOCAB, WIDTH)
    decoder.advance(ids, np.array([4, 13]), weights_version=1)
    assert decoder.prompt_lengths.tolist() == [4, 8]


def test_slots_filled_in_inference_mode_stay_writable(make_tiny_model):
    model = make_tiny_model()
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, _ = ragged()
    with torch.inference_mode():
        decoder.advance(ids, lengths)
    assert_exact(decoder, model, torch.from_numpy(ids), torch.from_numpy(lengths + 1))


def test_what_was_returned_is_never_overwritten(make_tiny_model):
    decoder = SlotDecoder(make_tiny_model(), NUM_ROWS, WIDTH)
    ids, lengths, _ = ragged()
    first = decoder.advance(ids, lengths)
    kept = first.clone()
    decoder.advance(ids, lengths + 1)
    assert torch.equal(first, kept)


def test_a_failed_forward_leaves_slots_that_are_still_exact(make_tiny_model):
    model = make_tiny_model()
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, rng = ragged()
    assert_exact(decoder, model, ids, lengths)
    hook = model.base_model.norm.register_forward_hook(lambda *_: 1 / 0)
    other = rng.integers(0, VOCAB, ids.shape)
    with pytest.raises(ZeroDivisionError):
        decoder.advance(other, lengths)
    hook.remove()
    assert_exact(decoder, model, ids, lengths + 1)


def test_autocast_gives_nearly_the_same_states(make_tiny_model):
    model = make_tiny_model()
    ids, lengths, _ = ragged()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
        decoder.advance(ids, lengths)
        hidden = decoder.advance(ids, lengths + 1)
    expected = full_logits(model, ids, lengths + 1)
    assert (decoder.logits(hidden) - expected).abs().max() < 0.1 * expected.abs().max()


def test_bfloat16_models_decode(make_tiny_model):
    model = make_tiny_model().bfloat16()
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, _ = ragged()
    decoder.advance(ids, lengths)
    logits = decoder.logits(decoder.advance(ids, lengths + 1))
    expected = full_logits(model, ids, lengths + 1).float()
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("lengths", [[0, 3], [3, WIDTH + 1]])
def test_lengths_outside_are_refused(make_tiny_model, lengths):
    decoder = SlotDecoder(make_tiny_model(), 2, WIDTH)
    with pytest.raises(ValueError, match=r"lengths must be in \[1, 40\]"):
        decoder.advance(np.zeros((2, WIDTH + 5), int), np.array(lengths))
    with pytest.raises(ValueError, match="expected ids and lengths of 2 rows"):
        decoder.advance(np.zeros((3, WIDTH), int), np.array([1, 1, 1]))


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("mistral", {"sliding_window": 8}, "MistralForCausalLM.*sliding-window layers of 8"),
        ("llama", {"max_position_embeddings": 16}, "LlamaForCausalLM.*16 positions"),
        ("gpt2", {"n_positions": 16}, "GPT2LMHeadModel.*16 positions"),
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "Qwen2ForCausalLM.*sliding-window",
        ),
    ],
)
def test_models_that_cannot_be_decoded_so_are_named(
    make_tiny_model, architecture, changes, message
):
    model = make_tiny_model(architecture, **changes)
    with pytest.raises(ValueError, match=message):
        SlotDecoder(model, 2, WIDTH)


def test_a_window_that_does_not_bind_is_fine(make_tiny_model):
    model = make_tiny_model("mistral", sliding_window=WIDTH)
    decoder = SlotDecoder(model, NUM_ROWS, WIDTH)
    ids, lengths, _ = ragged()
    assert_exact(decoder, model, ids, lengths)


def test_recurrent_models_are_named(make_tiny_model):
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, state_size=4)
    with pytest.raises(ValueError, match="MambaForCausalLM.*recurrent"):
        SlotDecoder(MambaForCausalLM(config), 2, 8)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_trunk_and_head_make_the_models_own_logits(architecture: str, make_tiny_model):
    model = make_tiny_model(architecture)
    trunk, head = trunk_and_head(model)
    ids = torch.randint(0, VOCAB, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(head(hidden_states(trunk, ids)), model(ids).logits)


def test_capped_logits_are_refused():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.01,
    )
    with pytest.raises(ValueError, match="Gemma2ForCausalLM.*capped or scaled"):
        trunk_and_head(Gemma2ForCausalLM(config).eval())
