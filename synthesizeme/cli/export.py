"""``export``: a trained reward model in a form that other programs load."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._options import FORCE, CommonOptions, folder
from synthesizeme.cli._output import check_replaceable, check_writable, tell
from synthesizeme.errors import ConfigError
from synthesizeme.hub import CARD_FRONT, upload
from synthesizeme.plain_text import printable

BACKBONE = "backbone"
IMPERSONAL = ("bradley-terry",)
IN_WORDS = ("persona-prompted",)
"""Methods whose backbone knows the user by words before the prompt."""
DTYPE = "float32"
"""Numbers in which rewards are computed here; vLLM would take float16."""
_README = """{front}
# A reward model: one logit, no activation

The reward of a conversation that ends with the response is the logit of this sequence classifier
({method}), on the text of its own chat template.{persona} It reads {window} tokens; what is
longer has to be shortened first. Special tokens are in the template, so the tokenizer adds none.

    {command}

    POST /classify
    {request}

The reward is the only number of `probs`. With transformers: `pipeline("text-classification", model="{out}",
function_to_apply="none")` on the text of `tokenizer.apply_chat_template(messages, tokenize=False)`.
"""
_PERSONA = " The persona of the user is the system turn; without one it answers for nobody."


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, how and where to."""

    out: Path = option(..., "Folder to write.", "DIR", parser=folder)
    reward_model: Path = option(..., "Checkpoint folder of `synthesizeme train`.", "DIR")
    to: Literal["hf"] = option(
        "hf", "hf: a one-label sequence classifier for transformers and vLLM; the logit is the reward."
    )
    push: str | None = option(
        None, "Repository of the Hugging Face hub to bring the folder to; made, private, if there is none.",
        "OWNER/NAME",
    )  # fmt: skip
    force: bool = FORCE()


@verb
def export(options: ExportOptions, common: CommonOptions) -> None:
    """Export a reward model whose backbone stands alone: a folder that transformers and vLLM load.

    The folder's README.md has the command and the request for vLLM. The reward is the logit: switch
    activations off (function_to_apply="none", or use_activation false). It is taste alone, without the floor
    on which the model stands here.
    """
    from reward_models import load

    model: Any = load(options.reward_model)
    if model.name not in (*IMPERSONAL, *IN_WORDS):
        raise ConfigError(
            f"--reward-model {options.reward_model}: {model.name} is no sequence classifier by itself; these "
            f"can be exported: {', '.join((*IMPERSONAL, *IN_WORDS))}. Serve it with `synthesizeme serve`"
        )
    check_writable(options.out)
    check_replaceable(options.out, force=options.force)
    shutil.copytree(options.reward_model / BACKBONE, options.out, dirs_exist_ok=True)
    window = model.renderer_.max_length
    _alone(options.out, model.tokenizer_, window)
    out = str(options.out)
    facts = {
        "method": model.name, "to": options.to, "out": out, "window": window, "dtype": DTYPE,
        "address": None, "command": f"vllm serve {shlex.quote(out)} --dtype {DTYPE}",
        "request": {
            "model": out, "messages": _messages(model.name), "use_activation": False,
            "add_generation_prompt": False,
        },
    }  # fmt: skip
    written = _README.format(
        front=CARD_FRONT,
        **facts | {"request": json.dumps(facts["request"])},
        persona=_PERSONA if model.name in IN_WORDS else "",
    )
    (options.out / "README.md").write_text(written, encoding="utf-8")
    if options.push:
        facts["address"] = upload(options.out, options.push)
    lines = [
        f"{model.name} written to {printable(out)}: a window of {window:,} tokens, {DTYPE}.",
        f"Serve it: {printable(str(facts['command']))}",
        f"Ask it: POST /classify {printable(json.dumps(facts['request']))}",
    ]
    if model.name in IN_WORDS:
        lines.append("It knows a user by the persona before the prompt; without one it answers for nobody.")
    if options.push:
        lines.append(f"On the hub: {printable(str(facts['address']))}")
    tell(common.json, facts, lines)


def _messages(method: str) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": "PROMPT"}, {"role": "assistant", "content": "RESPONSE"}]
    return [{"role": "system", "content": "PERSONA"}, *turns] if method in IN_WORDS else turns


def _alone(out: Path, tokenizer: Any, window: int) -> None:
    """Write into an exported folder what this program knows beside it.

    The window; that rewards are computed in float32 and are no probabilities; and that the chat template has
    all special tokens, so that a rendered text gets none a second time.
    """
    _set(out / "config.json", dtype=DTYPE, problem_type="regression")
    kept = {"chat_template": tokenizer.chat_template} if not (out / "chat_template.jinja").exists() else {}
    _set(
        out / "tokenizer_config.json",
        model_max_length=window, tokenizer_class="PreTrainedTokenizerFast", add_bos_token=False,
        add_eos_token=False, **kept,
    )  # fmt: skip
    _set(out / "tokenizer.json", post_processor=None, truncation=None, padding=None)


def _set(path: Path, **values: Any) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
