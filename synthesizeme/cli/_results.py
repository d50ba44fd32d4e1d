"""What `induce-persona` prints for people: panels and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.cli._results_json import pooled_outcomes
from synthesizeme.cli._text import count, dollars, printable

if TYPE_CHECKING:
    from rich.table import Table

    from synthesizeme.backends import Model
    from synthesizeme.evaluation.harness import Outcome
    from synthesizeme.personas.estimate import Estimate
    from synthesizeme.personas.workflow import UserResult
    from synthesizeme.types import Demonstration, Usage

Price = float | None


def show_result(result: UserResult, files: Mapping[str, Path], model: Model) -> None:
    """A user's result for people."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    title = Text(f" Persona of {printable(result.user_id, 40)} ", style="bold")
    console.print(Panel(_persona(result), title=title, title_align="left"))
    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(result, files, model):
        facts.add_row(Text(name, style="dim"), Text(text, style="yellow" if name == "note" else ""))
    console.print(facts)
    if result.outcomes:
        console.print(_accuracy_table(result.outcomes))
        console.print(Text(_unit_line(result.outcomes), style="dim"))
    console.print()


def _persona(result: UserResult) -> Table:
    """Numbered sentences, each with the pairs behind it."""
    from rich.table import Table
    from rich.text import Text

    lines = Table.grid(padding=(0, 1))
    persona = result.profile.persona
    if persona is None:
        lines.add_row(Text("The pairs at hand support no statement; a judge answers as for anybody."))
        return lines
    for number, sentence in enumerate(persona.sentences, 1):
        body = Text(printable(sentence.text))
        if sentence.pair_ids:
            body.append(f"\n{_ids(sentence.pair_ids)}", style="dim")
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
    if result.outcomes:
        facts.append(("evaluation", _usage_line(result.evaluation_usage)))
    facts.append(("files", f"{folder}/: {', '.join(path.name for path in files.values())}"))
    return [*facts, *(("note", printable(note)) for note in result.notes)]


def _examples(demonstrations: Sequence[Demonstration]) -> str:
    """Which past choices the profile shows a judge."""
    if not demonstrations:
        return "no demonstrations: none of the sets tried is expected to help"
    shown = _ids([demonstration.comparison.pair_id for demonstration in demonstrations])
    return f"{count(len(demonstrations), 'demonstration')}: {shown}"


def show_pooled(results: Sequence[UserResult]) -> None:
    """Accuracy over all users, for people."""
    from rich.console import Console
    from rich.text import Text

    outcomes = pooled_outcomes(results)
    console = Console(highlight=False)
    if not outcomes:
        console.print(Text(f"{count(len(results), 'user')}; nothing was evaluated."))
        return
    console.print(Text(f"All {count(len(results), 'user')}", style="bold"))
    console.print(_accuracy_table(outcomes))
    console.print(Text(_unit_line(outcomes), style="dim"))


def show_estimate(
    user_ids: Sequence[str],
    found: Sequence[tuple[Estimate, Estimate]],
    prices: Sequence[tuple[Price, Price]],
    model: str,
) -> None:
    """What a dry run found, for people."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(f"Dry run with {printable(model)}: nothing is sent", style="bold"),
        title_justify="left",
    )
    for heading in ("user", "part", "calls at most", "prompt tokens", "reply tokens", "cost"):
        table.add_column(heading, justify="left" if heading in ("user", "part") else "right")
    for user_id, both, price in zip(user_ids, found, prices, strict=True):
        for part, estimate, cost in zip(("induction", "evaluation"), both, price, strict=True):
            table.add_row(
                Text(printable(user_id, 30) if part == "induction" else ""), part, f"{estimate.calls:,}",
                f"{estimate.prompt_tokens:,}", f"{estimate.completion_tokens:,}", dollars(cost),
            )  # fmt: skip
    if len(user_ids) > 1:
        whole = [estimate for both in found for estimate in both]
        costs = [cost for both in prices for cost in both]
        total = None if None in costs else sum(cost for cost in costs if cost is not None)
        table.add_section()
        table.add_row(
            "all", "", f"{sum(e.calls for e in whole):,}", f"{sum(e.prompt_tokens for e in whole):,}",
            f"{sum(e.completion_tokens for e in whole):,}", dollars(total), style="bold",
        )  # fmt: skip
    console = Console(highlight=False)
    console.print(table)
    console.print(
        Text(
            "Calls are an upper bound; tokens are estimated from the lengths of the texts; "
            "finished calls in the cache would not be made again.",
            style="dim",
        )
    )


def _accuracy_table(outcomes: Mapping[str, Outcome]) -> Table:
    from rich import box
    from rich.table import Table

    from synthesizeme.evaluation.intervals import accuracy_interval

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("judge", no_wrap=True)
    for heading in ("accuracy", "95 % interval", "pairs", "ties", "failures", "consistent"):
        table.add_column(heading, justify="right", no_wrap=heading != "failures")
    for name, outcome in outcomes.items():
        found = accuracy_interval(outcome)
        kinds = ", ".join(f"{kind} {number}" for kind, number in outcome.failures.items())
        table.add_row(
            name,
            _percent(found.value),
            f"{_percent(found.low)} – {_percent(found.high)}",
            str(outcome.n_pairs),
            f"{outcome.ties}/{outcome.n_questions}",
            kinds or "0",
            _percent(outcome.order_consistency),
        )
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _unit_line(outcomes: Mapping[str, Outcome]) -> str:
    outcome = next(iter(outcomes.values()))
    asked = (
        "Accuracy in %, each pair asked in both orders; a tie counts half, a failure is neither right nor "
        "wrong. Consistent: the same choice in both orders, in %."
    )
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
    if usage.cost_usd:
        parts.append(dollars(usage.cost_usd))
    return ", ".join(parts)
