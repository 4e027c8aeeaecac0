"""Today's ratios beside those of `benchmarks/baseline.json`; status 1 where one fell.

Runs the benchmarks one after another, or reads the files that they wrote with `--json`. A figure
counts as worse when it lies more than the tolerance on the bad side of the baseline's. Figures that
depend on the machine's speed (microseconds) are shown and never fail.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import CLOCKS, print_table

ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path(__file__).with_name("baseline.json")
# Module and its own flags; every module takes those of `report.parse_arguments`.
RUNS: tuple[tuple[str, ...], ...] = (
    ("rollout",),
    ("rollout", "--model", "llama-14m"),
    ("rollout", "--model", "gpt2"),
    ("update",),
    ("env_step",),
    ("memory",),
    ("growth",),
    ("end_to_end",),
)
HIGHER, LOWER, SPEED = "higher", "lower", "machine"


@dataclass(frozen=True, kw_only=True)
class Known:
    """A figure of the baseline.

    Attributes:
        value: What it was.
        better: "higher" or "lower"; "machine" where it depends on the machine's speed.
    """

    value: float
    better: str = HIGHER

    def __post_init__(self) -> None:
        """Reject another direction."""
        if self.better not in (HIGHER, LOWER, SPEED):
            raise ValueError(f"better must be one of {(HIGHER, LOWER, SPEED)}, got {self.better!r}")

    def verdict(self, today: float | None, tolerance: float) -> str:
        """Return "ok", "worse", "better", "shown" or "not measured"."""
        if today is None:
            return "not measured"
        if self.better == SPEED:
            return "shown"
        change = today / self.value if self.better == HIGHER else self.value / today
        if change < 1 - tolerance:
            return "worse"
        return "better" if change > 1 + tolerance else "ok"


def read_baseline(path: Path) -> dict[str, Known]:
    """Return the baseline's figures by name."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: Known(**entry) for name, entry in content["ratios"].items()}


def write_baseline(
    path: Path, today: Mapping[str, float], known: Mapping[str, Known], machine: Mapping[str, Any]
) -> None:
    """Write today's figures; names that were not measured keep theirs, directions are kept."""
    ratios = {name: {"value": k.value, "better": k.better} for name, k in known.items()}
    for name, value in today.items():
        better = known[name].better if name in known else HIGHER
        ratios[name] = {"value": float(f"{value:.4g}"), "better": better}
    content = {"machine": dict(machine), "ratios": dict(sorted(ratios.items()))}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_results(files: Iterable[Path]) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the ratios of several results, and the machine of the last."""
    ratios: dict[str, float] = {}
    machine: dict[str, Any] = {}
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        ratios |= content["ratios"]
        machine = content["machine"]
    return ratios, machine


def run_all(names: Sequence[str], folder: Path, flags: Sequence[str]) -> list[Path]:
    """Run benchmarks, each in a process of its own; returns what they wrote.

    Raises:
        ValueError: An unknown name.
    """
    unknown = sorted(set(names) - {run[0] for run in RUNS})
    if unknown:
        known = sorted({run[0] for run in RUNS})
        raise ValueError(f"a benchmark must be one of {known}, got {unknown[0]!r}")
    files = []
    for index, (name, *own) in enumerate(RUNS):
        if names and name not in names:
            continue
        file = folder / f"{index}-{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *own, *flags, "--json", str(file)]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status or not file.is_file():
            print(f"benchmarks.{name} ended with status {status} and no figures", file=sys.stderr)
        else:
            files.append(file)
    return files


def compared(
    today: Mapping[str, float], known: Mapping[str, Known], tolerance: float
) -> list[tuple[str, float | str, float | str, str]]:
    """Return rows of name, baseline, today and verdict; a name that is new says so."""
    rows: list[tuple[str, float | str, float | str, str]] = [
        (name, entry.value, today.get(name, "-"), entry.verdict(today.get(name), tolerance))
        for name, entry in sorted(known.items())
    ]
    rows += [(name, "-", today[name], "new") for name in sorted(set(today) - set(known))]
    return rows


def parse_flags(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse this command's flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="results to read instead of running")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="run only these")
    parser.add_argument("--full", action="store_true", help="without --quick")
    parser.add_argument("--device", default="cpu", help="passed on")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="passed on")
    parser.add_argument(
        "--tolerance", type=float, default=0.15, help="share that a figure may be worse (0.15)"
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="figures to compare with")
    parser.add_argument("--write", action="store_true", help="make today's the baseline")
    args = parser.parse_args(argv)
    if not 0 <= args.tolerance < 1:
        parser.error(f"--tolerance must be in [0, 1), got {args.tolerance}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Print today's ratios beside the baseline's; 1 where one is worse or nothing was measured."""
    args = parse_flags(argv)
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--device", args.device, "--clock", args.clock]
        flags += [] if args.full else ["--quick"]
        files = args.files or run_all(args.only, Path(folder), flags)
        today, machine = read_results(files)
    known = read_baseline(args.baseline) if args.baseline.is_file() else {}
    rows = compared(today, known, args.tolerance)
    print_table("ratios", ("name", "baseline", "today", f"within {args.tolerance:.0%}"), rows)
    if args.write:
        write_baseline(args.baseline, today, known, machine)
    is_worse = any(verdict == "worse" for *_, verdict in rows)
    return int(not today or (is_worse and not args.write))


if __name__ == "__main__":
    raise SystemExit(main())
