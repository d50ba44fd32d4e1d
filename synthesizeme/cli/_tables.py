"""How reports, users' results and estimates are shown: tables for people, plain values for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._output import print_json, terminal
from synthesizeme.plain_text import count, dollars, printable
from synthesizeme.progress import replies

if TYPE_CHECKING:
    from rich.table import Table

    from synthesizeme.backends import Model
    from synthesizeme.comparison.personalization_tax import TaxReport
    from synthesizeme.evaluation.report import Report, Row
    from synthesizeme.induction import UserResult
    from synthesizeme.induction.estimate import Estimate, UserEstimate
    from synthesizeme.lamp import LampReport
    from synthesizeme.types import Demonstration, Usage

Price = float | None
_LEGEND = (
    "Accuracy and its interval in %, gain in points with its interval; * resamples the pairs of a single "
    "user. NLL in nats; a coin has 0.693. --out DIR keeps every column."
)
_TO_LOOK_AT = ("failures", "caution", "note")


def _percent(share: float | None, sign: str = "") -> str:
    return "" if share is None else f"{100 * share:{sign}.1f}"


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None else f"{_percent(low)} – {_percent(high)}"


def _gain(row: Row) -> str:
    if row.gain is None or row.gain.value is None:
        return ""
    ends = f"{_percent(row.gain.low, '+')} to {_percent(row.gain.high, '+')}"
    return f"{_percent(row.gain.value, '+')} ({ends})"


def _pairs(row: Row) -> str:
    answered = _answered(row)
    return str(row.n_pairs) if answered == row.n_pairs else f"{answered} of {row.n_pairs}"


def _answered(row: Row) -> int:
    return round((row.coverage or 0.0) * row.n_pairs)


_COLUMNS: dict[str, tuple[int, Callable[[Row], str]]] = {
    "accuracy": (0, lambda row: _percent(row.micro)),
    "95 % interval": (0, lambda row: _ends(row.low, row.high) + ("*" if row.unit == "pair" else "")),
    "gain": (0, _gain),
    "wrong user": (0, lambda row: _percent(row.controls.get("wrong_user"))),
    "swapped": (0, lambda row: _percent(row.controls.get("swapped_labels"))),
    "NLL": (100, lambda row: "" if row.nll is None else f"{row.nll:.3f}"),
    "no answer beats chosen": (
        100, lambda row: "" if row.no_answers is None else _percent(row.no_answers.mean),
    ),
    "pairs": (0, _pairs),
    "ties": (80, lambda row: f"{row.ties}/{row.n_questions}"),
    "failures": (0, lambda row: ", ".join(f"{kind} {n}" for kind, n in row.failures.items()) or "0"),
    "consistent": (80, lambda row: _percent(row.order_consistency)),
}  # fmt: skip
"""Columns by heading: in how wide a terminal they are shown, and what stands in them."""
_OF_REPORTS = tuple(name for name in _COLUMNS if name not in ("pairs", "consistent"))
_TELLING = 10
"""Pairs of a user below which the rows of a table are not to be compared."""
_OF_RESULTS = ("accuracy", "95 % interval", "pairs", "ties", "failures", "consistent")


def _row_table(rows: Sequence[Row], headings: Iterable[str], width: int, first: str) -> Table:
    """The columns that have room; those that no row fills are left out."""
    from rich import box
    from rich.table import Table

    wanted = {name: _COLUMNS[name][1] for name in headings if width >= _COLUMNS[name][0]}
    shown = {name: cell for name, cell in wanted.items() if any(map(cell, rows))}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(first, overflow="fold")
    for heading in shown:
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        table.add_row(printable(row.name, 40), *(cell(row) or "–" for cell in shown.values()))
    return table


def show_report(report: Report | LampReport | TaxReport) -> None:
    """A compact table on a terminal; elsewhere, and of other reports than of accuracies, the whole one."""
    from rich.text import Text

    from synthesizeme.evaluation.intervals import FOR_THESE_USERS
    from synthesizeme.evaluation.report import Report

    if not sys.stdout.isatty() or not isinstance(report, Report):
        sys.stdout.write(report.to_markdown())
        return
    console = terminal()
    console.print(Text(printable(report.benchmark), style="bold"))
    console.print(Text(printable(report.protocol), style="dim"))
    console.print(_row_table(report.rows, _OF_REPORTS, console.width, "scorer"))
    console.print(Text(_LEGEND, style="dim"))
    if alone := [row for row in report.rows if row.for_these_users]:
        ends = "; ".join(
            f"{printable(row.name, 40)} {_ends(*(row.for_these_users or (None, None)))}" for row in alone
        )
        told = f"95 % intervals {FOR_THESE_USERS} alone, over pairs within them: {ends}."
        console.print(Text(told, style="dim"))
    if report.sycophancy:
        console.print(Text(report.sycophancy.to_markdown()))
    for name, reason in report.failed.items():
        console.print(Text(f"{printable(name)} failed: {printable(reason)}", style="red"))
    for note in report.notes:
        console.print(Text(printable(note), style="dim"))


def print_reports(reports: Sequence[Report | LampReport | TaxReport]) -> None:
    """One report for programs, or several under one name."""
    whole = [report.model_dump(mode="json") for report in reports]
    print_json(whole[0] if len(whole) == 1 else {"reports": whole})


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
    _show_rows(_rows([result]))
    console.print()


def show_pooled(results: Sequence[UserResult]) -> None:
    """Accuracy over all users, for people."""
    from rich.text import Text

    rows, users = _rows(results), count(len(results), "user")
    if rows:
        terminal().print(Text(f"All {users}", style="bold"))
        _show_rows(rows)
        return
    measured = any(result.outcomes for result in results)
    why = "people and simulations are not measured together" if measured else "nothing was evaluated"
    terminal().print(Text(f"{users}; {why}."))


def _show_rows(rows: Sequence[Row]) -> None:
    """Accuracies with a line on how to read them; a narrow terminal gets the columns that matter most."""
    from rich.text import Text

    if not rows:
        return
    console = terminal()
    console.print(_row_table(rows, _OF_RESULTS, console.width, "judge"))
    told = (
        "Accuracy in %, each pair asked in both orders; a tie counts half, a failure is neither right nor "
        "wrong."
    )
    if console.width >= _COLUMNS["consistent"][0]:
        told += " Consistent: the same choice in both orders, in %."
    pairs = count(rows[0].n_pairs, "pair")
    told += (
        f" The interval resamples the {rows[0].n_users} users."
        if rows[0].n_users > 1
        else f" * The interval resamples this user's {pairs}: it speaks for this user alone."
    )
    if rows[0].n_pairs < _TELLING:
        told += f" {pairs[0].upper()}{pairs[1:]} cannot tell one row from another."
    console.print(Text(told, style="dim"))


def _rows(results: Sequence[UserResult]) -> list[Row]:
    from synthesizeme.evaluation.report import row
    from synthesizeme.induction.one_user import pooled_outcomes

    return [row(name, outcome) for name, outcome in pooled_outcomes(results).items()]


def _persona(result: UserResult) -> Table:
    """Numbered sentences, each with its record and choices for and against it."""
    from rich.table import Column, Table
    from rich.text import Text

    from synthesizeme.personas.documents import behind

    lines = Table.grid(Column(), Column(overflow="fold"), padding=(0, 1))
    persona = result.profile.persona
    if persona is None:
        lines.add_row(Text("Nothing yet; the notes below say why, and what helps."))
        return lines
    for number, sentence in enumerate(persona.statements, 1):
        if number == len(persona.sentences) + 1:
            lines.add_row("", Text("like most people:"))
        body = Text(printable(sentence.text))
        for line in behind(sentence, result.profile.provenance):
            body.append(f"\n{printable(line)}", style="dim")
        lines.add_row(Text(f"{number}."), body)
    return lines


def _facts(result: UserResult, files: Mapping[str, Path], model: Model) -> list[tuple[str, str]]:
    """What else there is to say about a result: (name, text)."""
    parts = ", ".join(f"{number} {name}" for name, number in result.pairs.items())
    provenance = result.profile.provenance
    rule = f"; {printable(provenance.split_rule)}" if provenance else ""
    folder = printable(str(next(iter(files.values())).parent))
    facts = [
        ("model", f"{printable(model.name)}, a {model.kind}"),
        ("pairs", f"{sum(result.pairs.values())}: {parts}{rule}"),
        ("induction", _usage_line(result.usage, f" of at most {result.call_limit}")),
    ]
    if result.profile.persona is not None:
        facts.insert(2, ("examples", _examples(result.profile.demonstrations)))
    if (averaging := result.profile.averaging) is not None:
        facts.append(("judge", averaging.text))
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


def _ids(pair_ids: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(printable(pair_id, 30) for pair_id in pair_ids[:most])
    return f"{shown} and {len(pair_ids) - most} more" if len(pair_ids) > most else shown


def _usage_line(usage: Usage, limit: str = "") -> str:
    parts = [f"{count(usage.distinct_calls, 'call')}{limit}", f"{usage.cached_calls} from the cache"]
    parts.append(count(usage.prompt_tokens + usage.completion_tokens, "token"))
    if usage.retries:
        parts.append(f"{usage.retries} retried")
    if usage.follow_ups:
        parts.append(count(usage.follow_ups, "follow-up"))
    if usage.cost_usd:
        parts.append(dollars(usage.cost_usd))
    return ", ".join([*parts, *replies(usage)])


def show_estimate(
    users: Mapping[str, UserEstimate], prices: Sequence[tuple[Price, Price]], follow_ups: int, model: str
) -> None:
    """What a dry run found, for people; `follow_ups` are those that each call may take beside it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(f"Dry run with {printable(model)}: nothing is sent", style="bold")
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title=title, title_justify="left"
    )
    table.add_column("user", overflow="fold")
    table.add_column("part", no_wrap=True)
    for heading in ("calls", "prompt tokens", "reply tokens", "cost"):
        table.add_column(heading, justify="right", overflow="fold")

    def line(
        name: str, part: str, found: Sequence[Estimate], costs: Sequence[Price], style: str = ""
    ) -> None:
        known = [cost for cost in costs if cost is not None]
        least, most, *tokens = (
            sum(getattr(it, what) for it in found)
            for what in ("least_calls", "calls", "prompt_tokens", "completion_tokens")
        )
        calls = f"{most:,}" if least == most else f"{least:,} to {most:,}"
        cost = dollars(sum(known) if len(known) == len(costs) else None)
        table.add_row(Text(name), part, calls, *(f"{number:,}" for number in tokens), cost, style=style)

    parts = [(it.induction, it.evaluation) for it in users.values()]
    for user_id, both, price in zip(users, parts, prices, strict=True):
        line(printable(user_id, 30), "induction", both[:1], price[:1])
        line("", "evaluation", both[1:], price[1:])
    if len(users) > 1:
        table.add_section()
        line("all", "", [it for both in parts for it in both], [it for both in prices for it in both], "bold")
    console = terminal()
    console.print(table)
    for user_id, it in users.items():
        if it.note:
            console.print(Text(f"{printable(user_id, 30)}: {it.note}", style="yellow"))
    told = (
        "How many calls it takes shows on the way: whether there is a taste, how many statements are tried. "
        "Tokens and cost are of the most calls, estimated from the lengths of the texts; finished calls in "
        "the cache would not be made again."
    )
    if follow_ups:
        told += f" A call whose reply cannot be read takes up to {count(follow_ups, 'follow-up')} more."
    console.print(Text(told, style="dim"))


def estimate_json(
    users: Mapping[str, UserEstimate], prices: Sequence[tuple[Price, Price]], follow_ups: int
) -> dict[str, Any]:
    """The same for programs."""
    found = [
        {
            "user_id": user_id,
            "induction": {**it.induction.__dict__, "cost_usd": price[0]},
            "evaluation": {**it.evaluation.__dict__, "cost_usd": price[1]},
            **({"note": it.note} if it.note else {}),
        }
        for (user_id, it), price in zip(users.items(), prices, strict=True)
    ]
    return {"dry_run": True, "most_follow_ups_per_call": follow_ups, "users": found}


def result_json(result: UserResult, files: Mapping[str, Path]) -> dict[str, Any]:
    """One user's entry in the JSON output; what only some users have is there only for these."""
    persona, provenance = result.profile.persona, result.profile.provenance
    evidence, averaging = provenance.evidence if provenance else (), result.profile.averaging
    return {
        "user_id": result.user_id,
        "persona": None if persona is None else persona.text,
        "pairs": dict(result.pairs),
        "usage": result.usage.model_dump(),
        "evaluation_usage": result.evaluation_usage.model_dump(),
        "accuracy": accuracy_json([result]),
        "cautions": [caution.model_dump(mode="json") for caution in result.profile.cautions],
        "files": {name: str(path) for name, path in files.items()},
        **({"averaging": averaging.model_dump()} if averaging else {}),
        **({"evidence": [item.model_dump(mode="json") for item in evidence]} if evidence else {}),
        **({"evaluation_error": result.evaluation_error} if result.evaluation_error else {}),
    }


def accuracy_json(results: Sequence[UserResult]) -> dict[str, Any]:
    """Accuracy of each judge over these users."""
    return {
        it.name: {
            "micro": it.micro, "low": it.low, "high": it.high, "n": _answered(it), "ties": it.ties,
            "failures": sum(it.failures.values()),
        }
        for it in _rows(results)
    }  # fmt: skip
