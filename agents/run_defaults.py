"""What a run on a known environment gets where nothing else is said: a budget and a preset.

`textgym train`, `textgym benchmark` and `benchmarks/probes.py` all ask here; where an environment
is paid by feedback alone, only the benchmark does.
"""

from __future__ import annotations

from collections.abc import Mapping

# Tokens. RLHF-Summarize-v0 must stay within 8 minutes on two CPU cores, the other tasks within 10;
# a probe's budget is what it is solved in by each of three seeds (docs/plug-in.md).
STEPS: Mapping[str, int] = {
    "RLHF-Summarize-v0": 180_000,
    "RLHF-Dialogue-v0": 131_072,
    "RLHF-QA-v0": 98_304,
    "RLHF-NER-v0": 131_072,
    "RLHF-Recommend-v0": 131_072,
    "RLHF-Monitor-v0": 262_144,
    "RLHF-MultiObjective-v0": 131_072,
    "Probe-Constant-v0": 8_192,
    "Probe-Copy-v0": 24_576,
    "Probe-Parity-v0": 16_384,
    "Probe-DelayedCredit-v0": 24_576,
    "Probe-IncreasingNumbers-v0": 49_152,
    "Probe-ValueOnly-v0": 8_192,
    "Probe-ExactKL-v0": 49_152,
    "PromptBandit-v0": 24_576,
}
FALLBACK_STEPS = 300_000

# PPO's, for environments without a model to begin with, or with very short responses.
PRESETS: Mapping[str, str] = {
    "RLHF-QA-v0": "short-responses",
    "Probe-Constant-v0": "probe",
    "Probe-Copy-v0": "probe",
    "Probe-Parity-v0": "probe-parity",
    "Probe-DelayedCredit-v0": "probe",
    "Probe-IncreasingNumbers-v0": "probe-increasing",
    "Probe-ValueOnly-v0": "probe",
    "Probe-ExactKL-v0": "probe-exact-kl",
    "PromptBandit-v0": "bandit",
}
FALLBACK_PRESET = "textgym"

# Of `textgym feedback-loop`: what a benchmark asks for, which stays what it is when that command's
# own defaults change.
LOOP_FLAGS: Mapping[str, str] = {
    "RLHF-CartPole-v0": "--budget 200",
    "RLHF-LunarLander-v0": "--budget 4000 --rounds 10 --segment-length 25",
}


def default_steps(env_id: str) -> int:
    """Return the tokens that a run on an environment trains on."""
    return STEPS.get(env_id, FALLBACK_STEPS)


def default_preset(env_id: str, algo: str = "ppo") -> str:
    """Return the preset of an algorithm ("ppo", "a2c") on an environment."""
    return PRESETS.get(env_id, FALLBACK_PRESET) if algo == "ppo" else FALLBACK_PRESET


def default_loop_flags(env_id: str) -> list[str]:
    """Return the flags of `textgym feedback-loop` on an environment that is paid by feedback."""
    return LOOP_FLAGS.get(env_id, "").split()
