"""`benchmarks.rollout`: both sides count real tokens only and compute what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import rollout, rollout_phases, rollout_prefill
from benchmarks.conventional import generate, generation_config, teacher_forced, values_and_score
from benchmarks.rollout_contenders import Conventional, LiteralLoop, UncachedLoop
from benchmarks.rollout_models import Subject, model_arguments

TOY = Subject(
    name="toy",
    num_rows=4,
    num_batches=2,
    config={"model_type": "gpt2", "vocab_size": 1536, "n_layer": 2, "n_embd": 32, "n_head": 2},
)
ROWS, T = 4, 6


@pytest.fixture(scope="module")
def env_kwargs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("toy")
    return {**model_arguments(TOY, folder), "max_new_tokens": T, "max_prompt_tokens": 40}


@pytest.fixture(scope="module")
def loop(env_kwargs: dict[str, Any]) -> LiteralLoop:
    return LiteralLoop(ROWS, "cpu", env_kwargs)


@pytest.fixture(scope="module")
def conventional(loop: LiteralLoop) -> Conventional:
    return Conventional(loop, "cpu", num_batches=2)


def test_the_loop_counts_the_tokens_that_it_is_paid_for(
    loop: LiteralLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[np.ndarray] = []
    settle = loop.env.settle_rewards
    monkeypatch.setattr(loop.env, "settle_rewards", lambda: paid.append(settle()))
    assert loop.rollout(2 * T + 3) == sum(map(np.count_nonzero, paid)) == (2 * T + 3) * ROWS
    # Settled as often as PPO does by default.
    assert [len(rewards) for rewards in paid] == [2 * T, 3]
    # Playing alone leaves nothing behind for the next settlement.
    assert loop.play(3) == 3 * ROWS
    assert settle().shape == (0, ROWS)


class Scripted(torch.nn.Module):
    """A model whose `generate()` appends what the test wrote."""

    def __init__(self, responses: list[list[int]]) -> None:
        """Take (B, T) ids."""
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.responses = torch.tensor(responses)

    def generate(self, input_ids: torch.Tensor, **others: Any) -> torch.Tensor:
        return torch.cat([input_ids, self.responses], dim=1)


def test_generated_tokens_count_up_to_the_first_end() -> None:
    end = 2
    model = Scripted([[5, end, end, end], [5, 6, 7, 8], [end, end, end, end], [5, end, 6, end]])
    prompts = [[9, 9], [9], [9, 9, 9], [9]]
    batch = generate(model, prompts, generation_config((end,), 4))  # type: ignore[arg-type]
    assert batch.num_tokens == 2 + 4 + 1 + 2
    assert batch.prompt_width == 3
    assert batch.attention_mask.sum(dim=1).tolist() == [2 + 2, 1 + 4, 3 + 1, 1 + 2]
    assert batch.attention_mask[0].tolist() == [0, 1, 1, 1, 1, 0, 0]


def test_generate_counts_and_padded_passes_equal_each_row_alone(conventional: Conventional) -> None:
    batch = conventional._generated()
    model = conventional.model
    log_probs = teacher_forced(model, batch)
    values = values_and_score(*conventional.value, batch)
    eos = torch.tensor(conventional.dynamic.eos_token_id)
    for row in range(ROWS):
        real = batch.ids[row][batch.attention_mask[row].bool()]
        length = int(batch.attention_mask[row, : batch.prompt_width].sum())
        ended = torch.isin(real[length:], eos)
        assert len(ended) == T or ended[-1]
        assert not ended[:-1].any()
        with torch.no_grad():
            states = conventional.value[0](real[None]).last_hidden_state[0]
            logits = model(real[None]).logits[0, length - 1 : -1]
        own = torch.log_softmax(logits, -1).gather(-1, real[length:, None])[:, 0]
        torch.testing.assert_close(log_probs[row, : len(own)], own, atol=1e-5, rtol=0)
        alone = conventional.value[1](states)[:, 0]
        place = batch.attention_mask[row].bool()
        torch.testing.assert_close(values[row][place], alone, atol=1e-5, rtol=0)
    # Random weights hardly ever end: what is counted lies at the cap, as in the loop.
    assert 0.9 * 2 * ROWS * T < conventional.sample() <= 2 * ROWS * T
    assert 0 < conventional.rollout() <= 2 * ROWS * T


def test_a_static_cache_is_asked_for(conventional: Conventional) -> None:
    assert conventional.static.cache_implementation == "static"
    assert conventional.dynamic.cache_implementation is None
    assert 0 < conventional.sample_static() <= 2 * ROWS * T


def test_contenders_get_the_same_prompts_and_weights(
    loop: LiteralLoop, conventional: Conventional
) -> None:
    own = dict(loop.policy.language_model.named_parameters())
    for name, weight in conventional.model.named_parameters():
        assert torch.equal(weight, own[name])
    batch = next(conventional._batches(loop.env, ROWS))
    ids = np.random.default_rng(0).integers(0, len(loop.env.task.prompts), ROWS)
    limit = loop.env.max_prompt_tokens
    for row, prompt_id in enumerate(ids.tolist()):
        obs, _ = loop.envs.reset(options={"prompt_id": prompt_id})
        length = int(loop.env.prompt_lengths[0])
        assert obs[0, :length].tolist() == batch[row] and len(batch[row]) <= limit
    loop.obs = obs


def test_the_loop_without_a_cache_plays_the_same_tokens(env_kwargs: dict[str, Any]) -> None:
    uncached = UncachedLoop(2, "cpu", env_kwargs)
    cached = LiteralLoop(2, "cpu", env_kwargs)
    assert uncached.play(2) == 4
    cached.play(T // 2 + 2)
    assert np.array_equal(cached.obs, uncached.obs)


def test_ratios_are_medians_of_rounds_and_named_by_model() -> None:
    rates = {
        rollout.LOOP: [3.0, 4.0, 9.0],
        rollout.GENERATE: [2.0, 4.0, 3.0],
        rollout.STATIC: [1.0, 1.0, 1.0],
        rollout.UNCACHED: [0.5, 0.5, 0.5],
        rollout.SETTLED: [2.0, 2.0, 2.0],
        rollout.CONVENTIONAL: [1.0, 4.0, 0.5],
    }
    assert rollout.ratios_of(rates, "_toy") == {
        "loop_over_generate_toy": 1.5,
        "settled_over_conventional_toy": 2.0,
        "loop_over_static_generate_toy": 4.0,
        "loop_over_uncached_toy": 8.0,
    }


def test_each_second_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Worker:
        def outer(self) -> None:
            now[0] += 1
            self.inner()
            now[0] += 2

        def inner(self) -> None:
            now[0] += 4

    phases = ((Worker, "outer", "copies"), (Worker, "inner", "decode"))
    monkeypatch.setattr(rollout_phases, "PHASES", phases)
    breakdown = rollout_phases.Breakdown(lambda: now[0])
    with breakdown.open():
        now[0] += 3
        Worker().outer()
    assert dict(breakdown.seconds) == {"loop": 3.0, "copies": 3.0, "decode": 4.0}
    assert list(breakdown.shares().items())[0] == ("decode", 0.4)
    Worker().outer()
    assert sum(breakdown.seconds.values()) == 10.0


def test_the_whole_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(rollout.SUBJECTS, "toy", TOY)
    argv = ["--model", "toy", "--rows", "2", "--quick", "--json", str(tmp_path / "r.json")]
    assert rollout.main(argv) == 0
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert len(content["ratios"]) == 4
    assert all(name.endswith("_toy") and v > 0 for name, v in content["ratios"].items())
    shares = content["details"]["shares"]
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) >= {"prefill", "decode", "sampling", "environment", "copies"}
    assert set(shares) >= {"reward model", "reference"}
    assert "tokens per second" in capsys.readouterr().out


def test_prefill_fills_every_slot_however_prompts_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_prefill, "NUM_ROWS", 8)
    prefill = rollout_prefill.Prefill("cpu")
    prompts = rollout_prefill.Prompts(np.linspace(5, 30, 8).astype(np.int64), prefill.vocab_size)
    found = []
    for rows_at_once in (1, 3, 8):
        assert prefill.fill(prompts, rows_at_once)() == int(prompts.lengths.sum())
        found.append(prefill._decoder.advance(prompts.ids, prompts.lengths).clone())
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[0], found[2], atol=1e-4, rtol=1e-4)
    shared = prompts.shared(4)
    assert [len(set(map(tuple, shared.ids[g : g + 4].tolist()))) for g in (0, 4)] == [1, 1]
    assert prefill.padded(prompts)() == int(prompts.lengths.sum())


def test_staggered_rows_begin_in_even_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_prefill, "NUM_ROWS", 8)
    monkeypatch.setattr(rollout_prefill, "RESPONSE_TOKENS", 6)
    monkeypatch.setattr(rollout_prefill, "PROMPT_TOKENS", 5)
    prefill = rollout_prefill.Prefill("cpu")
    for num_batches, sizes in ((1, [8]), (2, [4, 4]), (8, [2, 1, 1, 2, 1, 1])):
        rows = rollout_prefill.StaggeredRows(prefill, num_batches)
        begun: list[int] = []
        advance = rows._decoder.advance

        def counting(
            ids: Any, lengths: Any, begun: list[int] = begun, advance: Any = advance
        ) -> Any:
            begun.append(int((lengths == 5).sum()))
            return advance(ids, lengths)

        rows._decoder.advance = counting  # type: ignore[method-assign]
        assert rows.play() == 8 * 6
        assert [count for count in begun if count] == sizes
