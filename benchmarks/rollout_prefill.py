"""What prefill costs by how prompts come: one by one, together, padded, shared by rows.

(a) Microseconds per prompt token when 1 to 64 rows begin in the same step: how much there is to
    gain from making resets come together.
(b) Prompts of spread lengths dealt into groups of similar length, over one padded batch.
(c) Groups of four rows with the same prompt, encoded once and copied, over each row by itself.
(d) Prefill and decoding of responses of equal length, by when rows begin: all in the same step, in
    eight even batches, or spread over all steps: what staggering the starts gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.report import (
    CLOCKS,
    median_ratio,
    paired_rates,
    parse_arguments,
    print_table,
    write_json,
)
from benchmarks.rollout_models import BUNDLED_TOKENIZER
from textgym.models.loading import load_causal_lm
from textgym.models.slot_decoder import SlotDecoder
from textgym.models.trunk import hidden_states, trunk_and_head

NUM_ROWS, WIDTH, GROUP = 64, 160, 4
BATCHES = (1, 2, 3, 8, 32, 64)
PROMPT_TOKENS, RESPONSE_TOKENS = 80, 48
# Into how many batches the starts of all rows are staggered.
STARTS = {"starts together": 1, "starts in 8 batches": 8, "starts spread": NUM_ROWS}


class Prompts:
    """Random tokens: what they say does not change what they cost.

    Attributes:
        ids: (N, L) int64.
        lengths: (N,) int64.
    """

    def __init__(self, lengths: np.ndarray, vocab_size: int) -> None:
        """Draw (N,) prompts of the given lengths."""
        self.lengths = lengths
        self.ids = np.random.default_rng(0).integers(4, vocab_size, (len(lengths), WIDTH))

    def shared(self, group: int) -> Prompts:
        """Return the same with each `group` neighbours given the first one's prompt."""
        first = np.arange(len(self.lengths)) // group * group
        copy = Prompts(self.lengths[first], 5)
        copy.ids = self.ids[first]
        return copy


class Prefill:
    """Empty slots that are filled again and again."""

    def __init__(self, device: str) -> None:
        """Load the bundled model."""
        self.model = load_causal_lm(BUNDLED_TOKENIZER, device=device, dtype="float32")
        self.vocab_size = int(self.model.config.vocab_size)
        self._trunk: Any = trunk_and_head(self.model)[0]
        self._decoder = SlotDecoder(self.model, NUM_ROWS, WIDTH)

    def fill(self, prompts: Prompts, rows_at_once: int) -> Callable[[], int]:
        """Return work that fills all slots, so many rows in each call, and gives the tokens."""
        rows = np.arange(len(prompts.lengths))
        parts = [rows[i : i + rows_at_once] for i in range(0, len(rows), rows_at_once)]

        def work() -> int:
            self._decoder.forget()
            for part in parts:
                self._decoder.advance(prompts.ids[part], prompts.lengths[part], rows=part)
            return int(prompts.lengths.sum())

        return work

    def padded(self, prompts: Prompts) -> Callable[[], int]:
        """Return work that runs one padded batch."""
        ids = torch.from_numpy(prompts.ids[:, : prompts.lengths.max()])
        ids = ids.to(next(self.model.parameters()).device)

        def work() -> int:
            with torch.no_grad():
                hidden_states(self._trunk, ids)
            return int(prompts.lengths.sum())

        return work


class StaggeredRows:
    """Rows that write responses of equal length for ever, begun in even batches."""

    def __init__(self, prefill: Prefill, num_batches: int) -> None:
        """Spread the starts of the batches evenly over one response."""
        self._decoder = SlotDecoder(prefill.model, NUM_ROWS, WIDTH)
        self._draw = np.random.default_rng(0)
        self._vocab_size = prefill.vocab_size
        self._ids = np.zeros((NUM_ROWS, WIDTH), dtype=np.int64)
        batch = np.arange(NUM_ROWS) * num_batches // NUM_ROWS
        self._first_steps = batch * RESPONSE_TOKENS // num_batches
        self._num_steps = 0
        self.play()  # from here on every row is in the middle of something

    def play(self) -> int:
        """Play as many steps as one response has tokens; returns the tokens."""
        for _ in range(RESPONSE_TOKENS):
            written = (self._num_steps - self._first_steps) % RESPONSE_TOKENS
            begins = (written == 0) | (self._num_steps == 0)
            shape = (int(begins.sum()), WIDTH)
            self._ids[begins] = self._draw.integers(4, self._vocab_size, shape)
            self._decoder.advance(self._ids, PROMPT_TOKENS + written)
            self._num_steps += 1
        return NUM_ROWS * RESPONSE_TOKENS


def contenders(prefill: Prefill) -> dict[str, Callable[[], int]]:
    """Return what is timed, by name."""
    even = Prompts(np.full(NUM_ROWS, PROMPT_TOKENS), prefill.vocab_size)
    spread = Prompts(np.linspace(16, 112, NUM_ROWS).astype(np.int64), prefill.vocab_size)
    works = {f"{size} at once": prefill.fill(even, size) for size in BATCHES}
    works["spread lengths, grouped"] = prefill.fill(spread, NUM_ROWS)
    works["spread lengths, padded"] = prefill.padded(spread)
    works[f"groups of {GROUP}, shared"] = prefill.fill(even.shared(GROUP), NUM_ROWS)
    return works | {name: StaggeredRows(prefill, k).play for name, k in STARTS.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    args = parse_arguments(__doc__ or "", argv)
    rates = paired_rates(contenders(Prefill(args.device)), args.repeats, CLOCKS[args.clock])
    ratios = {
        "prefill_8_over_1": median_ratio(rates, "8 at once", "1 at once"),
        "prefill_64_over_3": median_ratio(rates, "64 at once", "3 at once"),
        "prefill_grouped_over_padded": median_ratio(
            rates, "spread lengths, grouped", "spread lengths, padded"
        ),
        "prefill_shared_over_each": median_ratio(
            rates, f"groups of {GROUP}, shared", f"{NUM_ROWS} at once"
        ),
        "starts_8_batches_over_together": median_ratio(
            rates, "starts in 8 batches", "starts together"
        ),
        "starts_8_batches_over_spread": median_ratio(rates, "starts in 8 batches", "starts spread"),
    }
    costs = {name: 1e6 / median(found) for name, found in rates.items()}
    print_table(
        f"prefill of {NUM_ROWS} rows, bundled model",
        ("how", "microseconds per prompt token"),
        [(name, cost) for name, cost in costs.items() if name not in STARTS],
    )
    print_table(
        f"prefill and decoding, prompts of {PROMPT_TOKENS}, responses of {RESPONSE_TOKENS}",
        ("how", "microseconds per response token"),
        [(name, costs[name]) for name in STARTS],
    )
    print_table("ratios, median over rounds", ("ratio", "value"), list(ratios.items()))
    write_json(args.json, "rollout_prefill", ratios, {"clock": args.clock, "rates": rates})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
