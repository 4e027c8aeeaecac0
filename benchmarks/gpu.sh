#!/bin/sh
# Measures the GPU path on a machine with one NVIDIA GPU and Python 3.10 or newer: makes an
# environment (or takes the Python named by PYTHON where its torch sees the card), runs the GPU
# tests and every benchmark of benchmarks/gpu.py, and writes one JSON.
#
#   sh benchmarks/gpu.sh [RESULT.json] [flags of benchmarks.gpu, such as --quick or --device cpu]
set -eu
cd "$(dirname "$0")/.."
result=gpu.json
case "${1:-}" in
"" | --*) ;;
*)
    result=$1
    shift
    ;;
esac
device=cuda
case " $* " in *" --device "*) device="" ;; esac

python=${PYTHON:-python3}
sees_card='import sys, torch; sys.exit(not torch.cuda.is_available())'
can_run='import gymnasium, stable_baselines3, torch, transformers, textgym'
if [ -n "$device" ] && ! "$python" -c "$sees_card" 2>/dev/null || ! "$python" -c "$can_run" 2>/dev/null; then
    "$python" -m venv .venv-gpu
    python=.venv-gpu/bin/python
    "$python" -m pip install --quiet --upgrade pip
    "$python" -m pip install --quiet torch
    "$python" -m pip install --quiet -e ".[test,peft]"
fi

export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
if [ -n "$device" ]; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv
    "$python" -c "$sees_card" || {
        echo "torch sees no CUDA device here" >&2
        exit 2
    }
    "$python" -m pytest -q -m gpu tests || echo "GPU tests failed; measuring all the same" >&2
fi
exec "$python" -m benchmarks.gpu ${device:+--device "$device"} --json "$result" "$@"
