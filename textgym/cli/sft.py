r"""Fine-tune a causal language model on prompts with responses.

The data is JSONL, JSONL.gz, anything that `datasets` reads, or hf:org/name. Recognised without
--columns: `prompt` and `response` (or `completion`), `messages`, and whole dialogues in `chosen`
("\n\nHuman: … \n\nAssistant: …", cut behind the last "Assistant:"). The output folder gets
`model/` (an ordinary Hugging Face folder), `results.json` and `training/`; an interrupted run is
continued by the same command.

Examples:
  textgym sft hh.jsonl.gz --model "scratch:llama,layers=4,width=256" --tokenizer train:4000
  textgym sft papers.jsonl --columns prompt=source,response=target \
      --template "{prompt}\n\nTL;DR:" --model gpt2 --learning-rate 1e-5
"""

from __future__ import annotations

import argparse
from pathlib import Path

from textgym.agents.supervised.fresh_models import is_scratch
from textgym.agents.supervised.sft import TRAIN_TOKENIZER, SFTConfig, train_sft
from textgym.agents.supervised.text_data import TextPair, load_text_pairs
from textgym.cli.environment import load_quietly
from textgym.cli.flags import add_config_flags, config_from, with_newlines
from textgym.dialogues import RenderChat
from textgym.tokenizer import load_tokenizer

SPLITS = "splits"
HELD_OUT_SPLITS = ("validation", "test")
HELD_OUT_HELP = (
    "data to evaluate on; `splits`: the prompts that an environment with this data set keeps for "
    "its validation and test splits [default: split off by prompt]"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym sft`."""
    parser.add_argument("data", help="file, folder of `datasets`, or hf:org/name[:split]")
    parser.add_argument("--held-out", help=HELD_OUT_HELP)
    parser.add_argument("--columns", help='for example "prompt=source,response=target"')
    parser.add_argument("--template", help=r'text around the prompt: "{prompt}\n\nTL;DR:"')
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/sft"),
        help="folder of the run; one that was interrupted goes on [default: runs/sft]",
    )
    add_config_flags(parser, SFTConfig)


def run(args: argparse.Namespace) -> int:
    """Train one model and print what was measured."""
    load_quietly()
    config = config_from(args, SFTConfig)
    reading = {
        "columns": args.columns,
        "template": with_newlines(args.template),
        "render_chat": chat_renderer(config.tokenizer or config.model),
    }
    held_out: list[TextPair] | None
    if args.held_out == SPLITS:
        pairs = load_text_pairs(args.data, **reading, splits=["train"])
        held_out = load_text_pairs(args.data, **reading, splits=HELD_OUT_SPLITS)
    else:
        pairs = load_text_pairs(args.data, **reading)
        held_out = load_text_pairs(args.held_out, **reading) if args.held_out else None
    result = train_sft(config, pairs, held_out, output=args.output, progress=True)
    print(f"{'parameters':24} {result.n_parameters:,}")
    print(f"{'pairs':24} {result.n_train} trained on, {result.n_held_out} held out")
    print(f"{'steps':24} {result.progress.step} in {result.progress.seconds / 60:.1f} minutes")
    print(f"{'held-out loss':24} {result.held_out_loss} nats per token")
    print(f"{'perplexity':24} {result.perplexity}")
    print(f"model: {result.folder}")
    return 0


def chat_renderer(tokenizer: str) -> RenderChat | None:
    """The tokenizer's own chat template; None (the plain Human/Assistant form) without one."""
    if is_scratch(tokenizer) or tokenizer.startswith(TRAIN_TOKENIZER):
        return None
    loaded = load_tokenizer(tokenizer)
    has_template = loaded.hf is not None and bool(loaded.hf.chat_template)
    return loaded.render_chat if has_template else None
