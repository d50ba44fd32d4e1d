"""Small reports with what stands behind them, and a reader of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser

from synthesizeme.evaluation.harness import OrderResult, Outcome, PairOutcome
from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.evaluation.report import Report, row
from synthesizeme.report_pages.measured import Part
from synthesizeme.types import Failure, Message, PreferencePair, Verdict

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a reader of the file finds: tags with their attributes, the text, and tables by caption."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.inside: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self.feed(text)

    @property
    def text(self) -> str:
        return "".join(self.said)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        if tag not in VOID and tag not in ("td", "tr"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("td", "tr"):
            assert self.inside.pop() == tag

    def handle_data(self, data):
        if self.inside and self.inside[-1] in ("style", "script"):
            return
        self.said.append(data)
        if "caption" in self.inside:
            self.tables[-1] = (self.tables[-1][0] + data, self.tables[-1][1])
        elif "table" in self.inside and self.tables[-1][1]:
            cells = self.tables[-1][1][-1]
            if cells:
                cells[-1] += data

    def table(self, caption: str) -> list[list[str]]:
        (found,) = [
            [[cell.strip() for cell in row] for row in rows] for name, rows in self.tables if name == caption
        ]
        return found


def pair(pair_id: str, user: str = "ann", *, prompt="Hello?", chosen="good", rejected="bad", **more):
    return PreferencePair(
        pair_id=pair_id,
        user_id=user,
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        **more,
    )


def outcome(name: str, pairs: Sequence[PreferencePair], p_chosen: Sequence[float | None]) -> Outcome:
    """An outcome with these probabilities of the chosen response, None failing, asked in one order."""

    def result(p: float | None) -> Verdict | Failure:
        if p is None:
            return Failure(kind="parse", detail="unreadable")
        side = "tie" if p == 0.5 else "first" if p > 0.5 else "second"
        return Verdict(preference=side, probability=p, probability_source="model")

    return Outcome(
        scorer=name,
        pairs=tuple(
            PairOutcome(
                pair_id=it.pair_id, user_id=it.user_id,
                results=(OrderResult(order="chosen_first", result=result(p)),),
            )
            for it, p in zip(pairs, p_chosen, strict=True)
        ),
    )  # fmt: skip


def part(
    pairs: Sequence[PreferencePair],
    scorers: Mapping[str, Sequence[Sequence[float | None]]],
    name: str = "toy",
    **fields,
) -> Part:
    """A report of scorers, each given by its probabilities and those without the user, and what is behind it."""
    found = []
    for scorer, (own, *without) in scorers.items():
        controls = {"no_user": outcome(scorer, pairs, without[0])} if without else {}
        own = outcome(scorer, pairs, own)
        found.append(Measurement(name=scorer, kind="reward model", own=own, controls=controls))
    rows = tuple(
        row(it.name, it.own, against=it.controls.get("no_user"), controls=it.controls) for it in found
    )
    report = Report(benchmark=name, protocol="One order.", rows=rows, environment={}, **fields)
    return report, tuple(found), tuple(pairs)
