#!/usr/bin/env bash
# The whole road on public human data: supervised fine-tuning, a reward model, PPO, evaluation.
# docs/real-data.md explains each step and gives the figures. A step whose result is there already
# is skipped, so an interrupted run goes on. Each step says how many minutes it took.
#
#   bash examples/real_data.sh            all roads: scratch, gpt2, qwen2, papers, tuned_papers
#   bash examples/real_data.sh gpt2       one of them
set -euo pipefail
cd "$(dirname "$0")/.."
HH=../shared/data/hh_rlhf_helpful_base.train.jsonl.gz
PAPERS=../shared/data/scitldr_a.train.jsonl.gz
RUNS=runs/real-data
export LC_NUMERIC=C TIMEFORMAT='%R %U %S'

step() { # step RESULT COMMAND...; RESULT may be a pattern
  local result=$1
  shift
  if compgen -G "$result" >/dev/null; then
    printf '== there already: %s\n' "$result"
    return
  fi
  printf '\n== %s\n' "$*"
  { time "$@" 2>&3; } 3>&2 2>"$RUNS/seconds-$$.txt"
  awk -v result="$result" '{ printf "== %s: %.1f minutes, %.1f of processor time\n", result,
    $1 / 60, ($2 + $3) / 60 }' "$RUNS/seconds-$$.txt" | tee -a $RUNS/minutes.txt
}

scratch() {
  step $RUNS/scratch/sft/results.json textgym sft $HH --held-out splits \
    --model "scratch:llama,layers=4,width=160,heads=5" --tokenizer train:2000 --loss-on all \
    --max-prompt-tokens 192 --max-response-tokens 128 --batch-tokens 2048 --learning-rate 2e-3 \
    --epochs 5 --output $RUNS/scratch/sft
  step $RUNS/scratch/reward/results.json textgym reward $HH --held-out splits \
    --model $RUNS/scratch/sft/model --reference-model $RUNS/scratch/sft/model \
    --max-prompt-tokens 192 --max-response-tokens 128 --batch-tokens 4096 --epochs 1 \
    --n-normalisation 256 --output $RUNS/scratch/reward
  step "$RUNS/scratch/ppo/*/result.json" textgym train RLHF-Helpful-v0 --env-kwarg dataset=$HH \
    --env-kwarg reference_model=$RUNS/scratch/sft/model \
    --env-kwarg reward_model=$RUNS/scratch/reward/model \
    --steps 61440 --n-steps 96 --n-epochs 4 --batch-size 1536 --learning-rate 1e-4 \
    --value shared --eval-prompts 0 --output $RUNS/scratch/ppo
  step $RUNS/scratch/evaluation.json textgym evaluate $RUNS/scratch/ppo/* --samples 3 \
    --judge metric:rouge --json $RUNS/scratch/evaluation.json
}

random_weights() { # a shorter road from a folder of random weights: gpt2 or qwen2
  local kind=$1
  step $RUNS/$kind/fresh/config.json python examples/random_weights.py $kind $HH \
    --output $RUNS/$kind/fresh
  step $RUNS/$kind/sft/results.json textgym sft $HH --held-out splits --model $RUNS/$kind/fresh \
    --loss-on all --max-prompt-tokens 128 --max-response-tokens 64 --batch-tokens 2048 --epochs 2 \
    --output $RUNS/$kind/sft
  step $RUNS/$kind/reward/results.json textgym reward $HH --held-out splits \
    --model $RUNS/$kind/sft/model --reference-model $RUNS/$kind/sft/model \
    --max-prompt-tokens 128 --max-response-tokens 64 --batch-tokens 4096 --epochs 1 \
    --n-normalisation 128 --output $RUNS/$kind/reward
  step "$RUNS/$kind/ppo/*/result.json" textgym train RLHF-Helpful-v0 --env-kwarg dataset=$HH \
    --env-kwarg reference_model=$RUNS/$kind/sft/model \
    --env-kwarg reward_model=$RUNS/$kind/reward/model \
    --env-kwarg max_prompt_tokens=128 --env-kwarg max_new_tokens=48 \
    --steps 30000 --n-steps 64 --n-epochs 4 --batch-size 1536 --learning-rate 1e-4 \
    --value shared --eval-prompts 0 --output $RUNS/$kind/ppo
  step $RUNS/$kind/evaluation.json textgym evaluate $RUNS/$kind/ppo/* --samples 3 \
    --judge metric:rouge --json $RUNS/$kind/evaluation.json
}

papers() {
  step "$RUNS/papers/ppo/*/result.json" textgym train RLHF-Summarize-v0 --env-kwarg dataset=$PAPERS \
    --env-kwarg dataset_columns=prompt=source,reference=target \
    --env-kwarg "prompt_template={prompt}\n\nTL;DR:" --env-kwarg reward=rouge \
    --env-kwarg max_prompt_tokens=192 --steps 36864 --kl-coef 0.005 --eval-prompts 0 \
    --output $RUNS/papers/ppo
  step $RUNS/papers/evaluation.json textgym evaluate $RUNS/papers/ppo/* --samples 3 \
    --judge metric:rouge --json $RUNS/papers/evaluation.json
}

tuned_papers() { # the same from a reference model that has read papers
  step $RUNS/tuned-papers/sft/results.json textgym sft $PAPERS --held-out splits \
    --columns prompt=source,response=target --template "{prompt}\n\nTL;DR:" \
    --model envs_registry/assets/summarize-v0/reference_model --loss-on all \
    --max-prompt-tokens 192 --max-response-tokens 64 --batch-tokens 2048 --epochs 2 \
    --output $RUNS/tuned-papers/sft
  step "$RUNS/tuned-papers/ppo/*/result.json" textgym train RLHF-Summarize-v0 \
    --env-kwarg dataset=$PAPERS --env-kwarg dataset_columns=prompt=source,reference=target \
    --env-kwarg "prompt_template={prompt}\n\nTL;DR:" --env-kwarg reward=rouge \
    --env-kwarg reference_model=$RUNS/tuned-papers/sft/model \
    --env-kwarg max_prompt_tokens=192 --env-kwarg max_new_tokens=64 --steps 40960 --n-steps 64 \
    --n-epochs 4 --batch-size 1536 --learning-rate 1e-4 --kl-coef 0.005 --eval-prompts 0 \
    --output $RUNS/tuned-papers/ppo
  step $RUNS/tuned-papers/evaluation.json textgym evaluate $RUNS/tuned-papers/ppo/* --samples 3 \
    --judge metric:rouge --json $RUNS/tuned-papers/evaluation.json
}

mkdir -p $RUNS
for road in "${@:-scratch gpt2 qwen2 papers tuned_papers}"; do
  for name in $road; do
    case $name in
      gpt2 | qwen2) random_weights "$name" ;;
      scratch | papers | tuned_papers) "$name" ;;
      *) printf 'unknown road %s; expected scratch, gpt2, qwen2, papers or tuned_papers\n' "$name" >&2
        exit 2 ;;
    esac
  done
done
