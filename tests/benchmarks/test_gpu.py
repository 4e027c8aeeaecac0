"""The GPU's benchmarks run through on a CPU, at toy sizes; nothing here looks at a time."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_decode, gpu_options
from benchmarks.rollout_models import model_arguments

ROOT = Path(gpu.__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return model_arguments(gpu_decode.TOY, tmp_path_factory.mktemp("toy"))


def test_decode_finds_every_figure(paths: dict[str, str]) -> None:
    plan = gpu_decode.Plan(
        device=torch.device("cpu"),
        rows=(3,),
        env_kwargs={**paths, "device": "cpu", "dtype": "bfloat16", "max_new_tokens": 4},
        kinds=("eager", "static"),
        repeats=1,
        num_steps=4,
    )
    found = gpu_decode.measure_rows(plan, 3, bandwidth=1e9)
    assert {len(rates) for rates in found["tokens_per_second"].values()} == {1}
    assert set(found["step_milliseconds"]) == {"eager", "static"}
    ratios = gpu_decode.ratios_of(found, 3)
    assert len(ratios) == 4 and all(value > 0 for value in ratios.values())
    # Two layers of keys and values of 64 numbers, 2 bytes each, for 10 tokens of 3 rows.
    loop = gpu_decode.BfloatLoop(plan, 3, "auto")
    assert {p.dtype for p in loop.policy.language_model.parameters()} == {torch.bfloat16}
    weights = 2 * sum(p.numel() for p in loop.policy.language_model.parameters())
    floor = gpu_decode.floor_seconds(plan, 3, 10.0, bandwidth=1.0)
    assert floor == weights + 3 * 10 * 2 * 2 * 64 * 2


def test_options_compute_the_same(paths: dict[str, str]) -> None:
    setting = gpu_options.Setting(
        device=torch.device("cpu"),
        env_kwargs={**paths, "device": "cpu", "max_new_tokens": 4},
        num_rows=2,
        num_steps=4,
    )
    assert max(gpu_options.decoding_differences(setting).values()) < 1e-5
    assert set(gpu_options.scoring(setting, "bfloat16", True)) == {"seconds", "held"}
    assert set(gpu_options.iteration(setting, dtype="bfloat16")) == {"held", "peak", "seconds"}
    pytest.importorskip("peft")
    assert gpu_options.adapter_difference(setting) < 1e-5


def test_a_part_that_fails_is_reported_and_the_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "TOY_PARTS", ("good", "bad"))
    good = "import sys, json; json.dump({'ratios': {'x': 2.0}}, open(sys.argv[-1], 'w'))"
    (tmp_path / "good_part.py").write_text(good)
    (tmp_path / "bad_part.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(gpu, "PARTS", {"good": ("good_part",), "bad": ("bad_part",)})
    status = gpu.main(["--quick", "--device", "cpu", "--json", str(tmp_path / "all.json")])
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert status == 1 and content["ratios"] == {"good_x": 2.0}
    assert content["details"]["bad"]["error"] == "ended with status 3"


def test_parts_are_modules_that_exist() -> None:
    for module, *_ in gpu.PARTS.values():
        assert importlib.util.find_spec(module) is not None
    assert set(gpu.TOY_PARTS) <= set(gpu.PARTS)


@pytest.mark.skipif(shutil.which("sh") is None, reason="no POSIX shell")
def test_the_script_is_well_formed() -> None:
    subprocess.run(["sh", "-n", "benchmarks/gpu.sh"], cwd=ROOT, check=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sh") is None, reason="no POSIX shell")
def test_the_script_runs_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", sys.executable)
    command = ["sh", "benchmarks/gpu.sh", str(tmp_path / "gpu.json"), "--quick", "--device", "cpu"]
    subprocess.run(command, cwd=ROOT, check=True)
    content = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert content["ratios"] and not any("error" in part for part in content["details"].values())
