"""``judge``: one comparison, as the user of a profile would decide it, asked in both orders."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import JUDGE_PROMPT, KEY_FILE, PROFILES, CommonOptions
from synthesizeme.cli._output import print_json, terminal
from synthesizeme.cli._pairs import read
from synthesizeme.cli._reward_options import MAX_ERROR
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.evaluation.selective import SelectiveRule
    from synthesizeme.judges.llm_judge import OneComparison
    from synthesizeme.profile import UserProfile
    from synthesizeme.types import Comparison, PreferencePair


@dataclass(frozen=True)
class AskedOptions:
    """The comparison, in flags or in a file."""

    prompt: str | None = option(None, "What the user asked.")
    first: str | None = option(None, "One response.")
    second: str | None = option(None, "The other response.")
    comparison: str | None = option(
        None,
        'JSON with "prompt" (text or messages), "first" and "second"; - reads standard input.',
        "FILE.json|-",
    )


@verb
def judge(
    asked: AskedOptions,
    model: ModelOptions,
    common: CommonOptions,
    store: str | None = PROFILES(),
    key_file: Path | None = KEY_FILE(),
    user: str | None = option(None, "Whose profile.", "ID"),
    judge_prompt: str = JUDGE_PROMPT(),
    max_error: float | None = MAX_ERROR(),
    history: Path | None = option(
        None,
        "With --max-error: pairs of the user, of which those of the split validation say from which "
        "confidence on is answered; pairs that the profile was made from are refused.",
        "PAIRS",
    ),
) -> None:
    """Say which of two responses the user of a profile prefers: verdict, probability, reasoning.

    Both orders are asked; the probability is their mean. With --max-error the validation pairs of --history
    are judged first, and where the judge is not sure enough it abstains.
    """
    from synthesizeme.cli._model_options import open_session
    from synthesizeme.errors import ConfigError
    from synthesizeme.evaluation.harness import evaluate
    from synthesizeme.evaluation.selective import rule_of
    from synthesizeme.judges.llm_judge import LLMJudge, judge_both_orders
    from synthesizeme.personas.judging_profile import load_profile
    from synthesizeme.progress import ProgressDisplay
    from synthesizeme.prompts import load_prompt

    if (max_error is None) != (history is None):
        raise ConfigError("--max-error ALPHA and --history PAIRS go together; give both, or neither")
    if store is None:
        raise ConfigError("--store is missing: where the profile is, e.g. --store out")
    known = load_profile(store, user, key_file=key_file)
    comparison = _comparison(known.user_id, asked)
    validation = [] if history is None or max_error is None else _validation(known, history, max_error)
    with ProgressDisplay() as display, open_session(model, display) as session:
        display.label(known.user_id, 1, 1)
        ledger, prompt = session.ledger(), load_prompt(judge_prompt)
        rule = None
        if max_error is not None:
            judge = LLMJudge(ledger, {known.user_id: known}, prompt=prompt, name="validating")
            said = evaluate(judge, validation, both_orders=True)
            rule = rule_of(said.pairs, max_error, source=str(history))
        found = judge_both_orders(ledger, known, comparison, prompt=prompt)
    if common.json:
        told = found.as_dict() if rule is None else found.as_dict() | _decided(found, rule)
        cautions = [caution.model_dump(mode="json") for caution in known.cautions]
        print_json(
            {"user_id": known.user_id, **told, "cautions": cautions, "usage": ledger.usage.model_dump()}
        )
    else:
        _show(known, found, rule)


def _decided(found: OneComparison, rule: SelectiveRule) -> dict[str, Any]:
    """What is said of an answer that is promised, or in place of one."""
    answered = rule.accepts(found.combined.probability)
    return {
        "preference": found.combined.preference if answered else None,
        "status": "judged" if answered else "abstained",
        "promised_error": rule.max_error,
        "threshold": rule.threshold,
        "validation": {"pairs": rule.pairs, "answered": rule.answered, "wrong": rule.errors},
    }


def _validation(profile: UserProfile, history: Path, max_error: float) -> list[PreferencePair]:
    """The user's validation pairs that the profile was not made from.

    Raises:
        DataError: it was made from some of them, they are too few, or the file cannot be read.
        ConfigError: `max_error` is not within (0, 1).
    """
    from synthesizeme.errors import DataError
    from synthesizeme.evaluation.selective import require_pairs

    rows = read(history, user_id=profile.user_id).pairs
    pairs = [it for it in rows if it.user_id == profile.user_id and it.split == "validation"]
    require_pairs(len(pairs), max_error, source=str(history))
    made_from = profile.provenance.splits if profile.provenance is not None else {}
    seen = [it.pair_id for it in pairs if made_from.get(it.pair_id) in ("train", "validation")]
    if seen:
        raise DataError(
            f"the profile was made from {len(seen)} of the {len(pairs)} validation pairs, the first is "
            f"{seen[0][:60]!r}",
            source=str(history),
            field="split",
            cure="give pairs that the profile has not seen.",
        )
    return pairs


def _comparison(user_id: str, asked: AskedOptions) -> Comparison:
    from synthesizeme.datasets.rows import asked_comparison
    from synthesizeme.errors import ConfigError

    source = asked.comparison
    texts = {"prompt": asked.prompt, "first": asked.first, "second": asked.second}
    given = [f"--{name}" for name, text in texts.items() if text is not None]
    if source is not None and given:
        raise ConfigError(f"--comparison and {', '.join(given)} exclude each other")
    if source is None and len(given) < len(texts):
        raise ConfigError("give --prompt, --first and --second, or --comparison FILE.json")
    fields = texts if source is None else _read(source)
    return asked_comparison(user_id, **fields, source=source or "command line")


def _read(source: str) -> dict[str, Any]:
    import json

    from synthesizeme.errors import DataError

    cure = 'give {"prompt": ..., "first": ..., "second": ...}'
    name = "standard input" if source == "-" else source
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        fields = json.loads(raw.decode("utf-8"))
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}", source=name, cure="check the path"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON in UTF-8: {error}", source=name, cure=cure) from None
    wanted = ("prompt", "first", "second")
    if not isinstance(fields, dict):
        raise DataError(f"holds a {type(fields).__name__}; expected an object", source=name, cure=cure)
    if missing := [field for field in wanted if field not in fields]:
        raise DataError("is missing", source=name, field=missing[0], cure=cure)
    return {field: fields[field] for field in wanted}


def _show(profile: UserProfile, found: OneComparison, rule: SelectiveRule | None) -> None:
    from rich.text import Text

    console = terminal()
    verdict = found.combined
    name = printable(profile.user_id, 40)
    if rule is not None and not rule.accepts(verdict.probability):
        headline = f"{name}: abstained"
    elif verdict.preference == "tie":
        headline = f"{name}: no preference"
    else:
        p = verdict.probability if verdict.preference == "first" else 1 - verdict.probability
        headline = f"{name} prefers the {verdict.preference} response (probability {p:.2f})"
    console.print(Text(headline, style="bold"))
    if verdict.reasoning:
        console.print(Text(printable(verdict.reasoning)))
    orders = "is the same in both orders" if found.consistent else "depends on the order"
    console.print(
        Text(
            f"The verdict {orders}: P(first) = {found.shown.probability:.2f} as given, "
            f"{1 - found.swapped.probability:.2f} with the responses exchanged.",
            style="dim",
        )
    )
    for caution in profile.cautions:
        console.print(Text(f"Caution: {printable(caution.text)}.", style="yellow"))
    if rule is not None:
        console.print(Text(rule.in_words(), style="dim"))
