"""What `induce-persona` prints for people: panels and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthesizeme.cli._results_json import pooled_outcomes
from synthesizeme.cli._text import terminal
from synthesizeme.plain_text import count, dollars, printable
from synthesizeme.progress import replies

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from synthesizeme.backends import Model
    from synthesizeme.evaluation.harness import Outcome
    from synthesizeme.personas.estimate import UserEstimate
    from synthesizeme.personas.workflow import UserResult
    from synthesizeme.types import Demonstration, Usage

Price = float | None
WIDE = 80
"""Columns of a terminal that shows the whole accuracy table."""
_TO_LOOK_AT = ("failures", "caution", "note")
_ACCURACY_COLUMNS = ("accuracy", "95 % interval", "pairs", "ties", "failures", "consistent")


def show_result(result: UserResult, files: Mapping[str, Path], model: Model) -> None:
    """A user's result for people."""
    from rich.panel import Panel
    from rich.table import Column, Table
    from rich.text import Text

    console = terminal()
    title = Text(f" Persona of {printable(result.user_id, 40)} ", style="bold")
    console.print(Panel(_persona(result), title=title, title_align="left"))
    facts = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for name, text in _facts(result, files, model):
        facts.add_row(Text(name, style="dim"), Text(text, style="yellow" if name in _TO_LOOK_AT else ""))
    console.print(facts)
    if result.outcomes:
        _print_accuracy(console, result.outcomes)
    console.print()


def _persona(result: UserResult) -> Table:
    """Numbered sentences, each with the pairs and the evidence behind it."""
    from rich.table import Column, Table
    from rich.text import Text

    from synthesizeme.personas.synthesis import cited

    lines = Table.grid(Column(), Column(overflow="fold"), padding=(0, 1))
    persona = result.profile.persona
    if persona is None:
        lines.add_row(Text("There is no persona; the notes below say why."))
        return lines
    for number, sentence in enumerate(persona.sentences, 1):
        body = Text(printable(sentence.text))
        ids = _ids(sentence.pair_ids) if sentence.pair_ids else ""
        items = ", ".join(printable(item, 60) for item in cited(sentence, result.profile.provenance))
        if support := "; ".join(filter(None, [ids, items and f"evidence: {items}"])):
            body.append(f"\n{support}", style="dim")
        lines.add_row(Text(f"{number}."), body)
    return lines


def _facts(result: UserResult, files: Mapping[str, Path], model: Model) -> list[tuple[str, str]]:
    """What else there is to say about a result: (name, text)."""
    parts = ", ".join(f"{number} {name}" for name, number in result.pairs.items())
    provenance = result.profile.provenance
    rule = f"; {printable(provenance.split_rule)}" if provenance else ""
    limit = f" of at most {result.call_limit}"
    folder = printable(str(next(iter(files.values())).parent))
    facts = [
        ("model", f"{printable(model.name)}, a {model.kind}"),
        ("pairs", f"{sum(result.pairs.values())}: {parts}{rule}"),
        ("induction", _usage_line(result.usage, limit)),
    ]
    if result.profile.persona is not None:
        facts.insert(2, ("examples", _examples(result.profile.demonstrations)))
    if provenance and provenance.evidence:
        source = printable(str(provenance.settings.get("evidence_model")), 120)
        items = (
            f"{count(len(provenance.evidence), 'item')}, difference from most people ± standard error in "
            "log-odds of a choice"
        )
        facts.append(("evidence", f"{items}; {source}"))
    if provenance and provenance.failures:
        kinds = ", ".join(f"{number} {kind}" for kind, number in provenance.failures.items())
        facts.append(("failures", kinds))
    if result.outcomes:
        facts.append(("evaluation", _usage_line(result.evaluation_usage)))
    facts.append(("files", f"{folder}/: {', '.join(path.name for path in files.values())}"))
    facts += [("caution", printable(caution.text)) for caution in result.profile.cautions]
    return [*facts, *(("note", printable(note)) for note in result.notes)]


def _examples(demonstrations: Sequence[Demonstration]) -> str:
    """Which past choices the profile shows a judge."""
    if not demonstrations:
        return "no demonstrations: none of the sets tried is expected to help"
    shown = _ids([demonstration.comparison.pair_id for demonstration in demonstrations])
    return f"{count(len(demonstrations), 'demonstration')}: {shown}"


def show_pooled(results: Sequence[UserResult]) -> None:
    """Accuracy over all users, for people."""
    from rich.text import Text

    outcomes = pooled_outcomes(results)
    console = terminal()
    if not outcomes:
        measured = any(result.outcomes for result in results)
        why = "people and simulations are not measured together" if measured else "nothing was evaluated"
        console.print(Text(f"{count(len(results), 'user')}; {why}."))
        return
    console.print(Text(f"All {count(len(results), 'user')}", style="bold"))
    _print_accuracy(console, outcomes)


def show_estimate(
    user_ids: Sequence[str],
    found: Sequence[UserEstimate],
    prices: Sequence[tuple[Price, Price]],
    follow_ups: int,
    model: str,
) -> None:
    """What a dry run found, for people; `follow_ups` are those that each call may take beside it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=Text(f"Dry run with {printable(model)}: nothing is sent", style="bold"),
        title_justify="left",
    )
    for heading in ("user", "part", "calls at most", "prompt tokens", "reply tokens", "cost"):
        side: Literal["left", "right"] = "left" if heading in ("user", "part") else "right"
        table.add_column(heading, justify=side, no_wrap=heading == "part", overflow="fold")
    parts = [(it.induction, it.evaluation) for it in found]
    for user_id, both, price in zip(user_ids, parts, prices, strict=True):
        for part, estimate, cost in zip(("induction", "evaluation"), both, price, strict=True):
            table.add_row(
                Text(printable(user_id, 30) if part == "induction" else ""), part, f"{estimate.calls:,}",
                f"{estimate.prompt_tokens:,}", f"{estimate.completion_tokens:,}", dollars(cost),
            )  # fmt: skip
    if len(user_ids) > 1:
        whole = [estimate for both in parts for estimate in both]
        costs = [cost for both in prices for cost in both]
        total = None if None in costs else sum(cost for cost in costs if cost is not None)
        table.add_section()
        table.add_row(
            "all", "", f"{sum(e.calls for e in whole):,}", f"{sum(e.prompt_tokens for e in whole):,}",
            f"{sum(e.completion_tokens for e in whole):,}", dollars(total), style="bold",
        )  # fmt: skip
    console = terminal()
    console.print(table)
    for user_id, it in zip(user_ids, found, strict=True):
        if it.note:
            console.print(Text(f"{printable(user_id, 30)}: {it.note}", style="yellow"))
    told = (
        "Calls are an upper bound; tokens are estimated from the lengths of the texts; finished calls in the "
        "cache would not be made again."
    )
    if follow_ups:
        told += f" A call whose reply cannot be read takes up to {count(follow_ups, 'follow-up')} more."
    console.print(Text(told, style="dim"))


def _print_accuracy(console: Console, outcomes: Mapping[str, Outcome]) -> None:
    """The accuracies with a line on how to read them; a narrow terminal gets the columns that matter most."""
    from rich.text import Text

    wide = console.width >= WIDE
    console.print(_accuracy_table(outcomes, wide=wide))
    console.print(Text(_unit_line(outcomes, wide=wide), style="dim"))


def _accuracy_table(outcomes: Mapping[str, Outcome], *, wide: bool) -> Table:
    from rich import box
    from rich.table import Table

    from synthesizeme.evaluation.intervals import accuracy_interval

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("judge", no_wrap=True)
    shown = {"accuracy", "95 % interval", "pairs", "failures"} | ({"ties", "consistent"} if wide else set())
    headings = [name for name in _ACCURACY_COLUMNS if name in shown]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=heading != "failures", overflow="fold")
    for name, outcome in outcomes.items():
        found = accuracy_interval(outcome)
        kinds = ", ".join(f"{kind} {number}" for kind, number in outcome.failures.items())
        answered, asked = len(outcome.answered), outcome.n_pairs
        cells = (
            _percent(found.value),
            f"{_percent(found.low)} – {_percent(found.high)}",
            str(asked) if answered == asked else f"{answered} of {asked}",
            f"{outcome.ties}/{outcome.n_questions}",
            kinds or "0",
            _percent(outcome.order_consistency),
        )
        by_heading = dict(zip(_ACCURACY_COLUMNS, cells, strict=True))
        table.add_row(name, *(by_heading[heading] for heading in headings))
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _unit_line(outcomes: Mapping[str, Outcome], *, wide: bool) -> str:
    outcome = next(iter(outcomes.values()))
    asked = (
        "Accuracy in %, each pair asked in both orders; a tie counts half, a failure is neither right nor "
        "wrong."
    ) + (" Consistent: the same choice in both orders, in %." if wide else "")
    if outcome.n_users > 1:
        return f"{asked} The interval resamples the {outcome.n_users} users."
    pairs = count(outcome.n_pairs, "pair")
    return f"{asked} The interval resamples this user's {pairs}: it speaks for this user alone."


def _ids(pair_ids: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(printable(pair_id, 30) for pair_id in pair_ids[:most])
    return f"{shown} and {len(pair_ids) - most} more" if len(pair_ids) > most else shown


def _usage_line(usage: Usage, limit: str = "") -> str:
    tokens = usage.prompt_tokens + usage.completion_tokens
    parts = [f"{count(usage.distinct_calls, 'call')}{limit}", f"{usage.cached_calls} from the cache"]
    parts.append(count(tokens, "token"))
    if usage.retries:
        parts.append(f"{usage.retries} retried")
    if usage.follow_ups:
        parts.append(count(usage.follow_ups, "follow-up"))
    if usage.cost_usd:
        parts.append(dollars(usage.cost_usd))
    return ", ".join([*parts, *replies(usage)])
