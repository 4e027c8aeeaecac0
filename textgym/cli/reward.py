r"""Train a reward model on comparisons of two responses to the same prompt.

The data is JSONL, JSONL.gz, anything that `datasets` reads, or hf:org/name. Recognised without
--columns: `prompt`, `chosen`, `rejected` (text or chat messages), and `chosen`, `rejected` alone,
each a whole dialogue or list of messages. The output folder gets `model/` (an ordinary Hugging
Face sequence classifier; its `textgym.json` makes scores of mean 0 and standard deviation 1),
`results.json` and `training/`; an interrupted run is continued by the same command.

`textgym reward learn` trains on feedback of all kinds, `textgym reward evaluate` judges models.

Examples:
  textgym reward hh.jsonl.gz --model runs/sft/model --reference-model runs/sft/model
  textgym reward arguments.jsonl --model runs/sft/model \
      --columns prompt=topic,first=a1,second=a2,label=label
"""

from __future__ import annotations

import argparse
from pathlib import Path

from textgym.agents.supervised.preference_data import load_preferences
from textgym.agents.supervised.reward_measures import RewardMeasures
from textgym.agents.supervised.reward_training import RewardTrainingConfig, train_reward_model
from textgym.cli.environment import load_quietly
from textgym.cli.flags import add_config_flags, config_from, with_newlines
from textgym.cli.sft import HELD_OUT_HELP, HELD_OUT_SPLITS, SPLITS, chat_renderer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym reward`."""
    parser.add_argument("data", help="file, folder of `datasets`, or hf:org/name[:split]")
    parser.add_argument("--held-out", help=HELD_OUT_HELP)
    parser.add_argument("--columns", help='for example "prompt=question,chosen=good,rejected=bad"')
    parser.add_argument("--template", help=r'text around the prompt: "{prompt}\n\nTL;DR:"')
    parser.add_argument("--keep-ties", action="store_true", help="train on ties as half a win")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/reward"),
        help="folder of the run; one that was interrupted goes on [default: runs/reward]",
    )
    add_config_flags(parser, RewardTrainingConfig)


def run(args: argparse.Namespace) -> int:
    """Train one reward model and print what was measured."""
    load_quietly()
    config = config_from(args, RewardTrainingConfig)
    reading = {
        "columns": args.columns,
        "template": with_newlines(args.template),
        "render_chat": chat_renderer(config.tokenizer or config.model),
    }
    is_split = args.held_out == SPLITS
    found = load_preferences(
        args.data, **reading, keep_ties=args.keep_ties, splits=["train"] if is_split else None
    )
    held_out = None
    if is_split:
        held_out = load_preferences(args.data, **reading, splits=HELD_OUT_SPLITS).pairs
    elif args.held_out:
        held_out = load_preferences(args.held_out, **reading).pairs
    result = train_reward_model(config, found.pairs, held_out, output=args.output, progress=True)
    print(f"{'comparisons':28} {result.n_train} trained on, {result.n_held_out} held out")
    print(f"{'left out':28} {found.n_ties} ties, {found.n_unusable} with an empty response")
    print(f"{'steps':28} {result.progress.step} in {result.progress.seconds / 60:.1f} minutes")
    print(measures_table(result.held_out))
    print(f"model: {result.folder}")
    return 0


def measures_table(measures: RewardMeasures) -> str:
    """One line per measure, intervals of 95 % in brackets."""
    rows = [
        ("held-out accuracy", str(measures.accuracy)),
        ('"pick the longer"', str(measures.longer_accuracy)),
        ("log loss", f"{measures.log_loss} (0.693 knows nothing)"),
        ("Brier score", str(measures.brier)),
        ("calibration error", f"{measures.calibration_error:.3f}"),
    ]
    rows += [
        (f"accuracy, margin {b.low:.2g}..{b.high:.2g}", str(b.accuracy)) for b in measures.by_margin
    ]
    return "\n".join(f"{name:28} {value}" for name, value in rows)
