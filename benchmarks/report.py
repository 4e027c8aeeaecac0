"""What every benchmark shares: arguments, paired timing, the printed table and the JSON."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def parse_arguments(
    description: str,
    argv: Sequence[str] | None = None,
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None,
    repeats: tuple[int, int] | None = (5, 2),
) -> argparse.Namespace:
    """Parse the flags that all benchmarks take.

    Args:
        description: Shown by `--help`.
        argv: The command line, None for the process's own.
        add_arguments: Adds a benchmark's own flags.
        repeats: Repetitions where the user says nothing, full and quick; None leaves None.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="a run of about a minute")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    defaults = "" if repeats is None else f" (default: {repeats[0]}, quick: {repeats[1]})"
    parser.add_argument("--repeats", type=int, help=f"paired repetitions{defaults}")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: this process's own time instead, for a machine with other jobs on it; "
        "set OMP_NUM_THREADS=1 then, as a thread that waits for another counts as work",
    )
    if add_arguments is not None:
        add_arguments(parser)
    args = parser.parse_args(argv)
    if args.repeats is None and repeats is not None:
        args.repeats = repeats[1] if args.quick else repeats[0]
    return args


def paired_rates(
    contenders: Mapping[str, Callable[[], int]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time contenders in turn, so that a slow minute of the machine meets all of them.

    Args:
        contenders: Name to a function that does the work and returns how many tokens it made.
        repeats: Measured rounds, after one unmeasured round.
        clock: One of `CLOCKS`.

    Returns:
        Name to tokens per second in each round.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_index in range(repeats + 1):
        for name, work in contenders.items():
            start = clock()
            tokens = work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_index:
                rates[name].append(tokens / (clock() - start))
    return rates


def median_ratio(rates: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """Median over rounds of the ratio of two contenders' rates in the same round."""
    pairs = zip(rates[name], rates[base], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print an aligned table; floats get three significant digits."""
    cells = [[_cell(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for index, row in enumerate(cells):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        if index == 0:
            print("  " + "  ".join("-" * width for width in widths))


def print_markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as a page of the docs has it."""
    print()
    for cells in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(cells)} |")


def _cell(value: Any) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else (f"{value:,.0f}" if isinstance(value, float) else str(value))
    )


def write_json(path: Path | None, name: str, ratios: Mapping[str, float], details: Any) -> None:
    """Write `{"benchmark", "ratios", "details", "machine"}` where a path was given."""
    if path is None:
        return
    machine = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }
    content = {"benchmark": name, "ratios": dict(ratios), "details": details, "machine": machine}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
