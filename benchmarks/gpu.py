"""Everything that is measured on a GPU, one after the other, into one JSON; see `gpu.sh`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import parse_arguments, print_table, write_json

# Name in the JSON to module and its own flags; each runs in a process of its own.
PARTS: dict[str, tuple[str, ...]] = {
    "gpu_decode": ("benchmarks.gpu_decode",),
    "gpu_options": ("benchmarks.gpu_options",),
    "rollout_gpt2": ("benchmarks.rollout", "--model", "gpt2", "--rows", "64"),
    "rollout_bundled": ("benchmarks.rollout", "--model", "bundled"),
    "update": ("benchmarks.update",),
    "growth": ("benchmarks.growth",),
    "memory": ("benchmarks.memory",),
    "env_step": ("benchmarks.env_step",),
}
# What a toy run on a CPU is worth waiting for.
TOY_PARTS = ("gpu_decode", "gpu_options")


def run_part(name: str, flags: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run one benchmark; returns its JSON, or what went wrong."""
    file = folder / f"{name}.json"
    started = time.perf_counter()
    command = [sys.executable, "-m", *PARTS[name], *flags, "--json", str(file)]
    print(f"\n== {name}: {' '.join(command[1:])}", flush=True)
    status = subprocess.run(command, check=False).returncode
    seconds = time.perf_counter() - started
    if status or not file.is_file():
        return {"error": f"ended with status {status}", "seconds": seconds}
    return {**json.loads(file.read_text(encoding="utf-8")), "seconds": seconds}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and write what they found; the status is 1 if any of them failed."""
    args = parse_arguments(__doc__ or "", argv, repeats=None)
    flags = ["--device", args.device, *(["--quick"] if args.quick else [])]
    names = TOY_PARTS if args.quick and args.device == "cpu" else tuple(PARTS)
    with tempfile.TemporaryDirectory() as folder:
        found = {name: run_part(name, flags, Path(folder)) for name in names}
    ratios: dict[str, float] = {}
    for name, part in found.items():
        prefix = "" if name.startswith("gpu_") else f"{name}_"
        ratios.update({prefix + key: value for key, value in part.get("ratios", {}).items()})
    print_table("all figures", ("figure", "value"), list(ratios.items()))
    failed = [name for name, part in found.items() if "error" in part]
    print_table(
        "parts", ("part", "result"), [(n, p.get("error", "done")) for n, p in found.items()]
    )
    write_json(args.json, "gpu", ratios, found)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
