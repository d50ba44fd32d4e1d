"""The page of what `induce-persona` found: personas with their evidence, how well they predict, the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.evaluation.report import row
from synthesizeme.evaluation.tables import ABSENT, percent, sheets
from synthesizeme.induction.one_user import UserResult, pooled_outcomes
from synthesizeme.personas.documents import behind
from synthesizeme.plain_text import count
from synthesizeme.profile import Candidate, PersonaSentence, Provenance
from synthesizeme.report_pages.charts import shares
from synthesizeme.report_pages.document import (
    Html,
    bullets,
    document,
    element,
    folded,
    joined,
    left_out,
    note,
    section,
    table,
)
from synthesizeme.report_pages.measured import ROOM, ROOM_FOR_TEXTS, accuracy_figure, sheet_html
from synthesizeme.report_pages.pair_rows import pairs_table, texts
from synthesizeme.types import PreferencePair, Usage


def persona_page(
    results: Sequence[UserResult],
    *,
    mark: str,
    test: Sequence[PreferencePair] = (),
    seed: int = 0,
    failed: Sequence[tuple[str, str]] = (),
) -> str:
    """The page of one user or several.

    Args:
        results: Of the users.
        mark: See `document.document`.
        test: Pairs whose texts are shown; none by default.
        seed: Seed of the bootstrap.
        failed: Users that have no profile, and why.
    """
    alone = len(results) == 1 and not failed
    holds = "texts of the test pairs, " if test else ""
    about = note(
        f"This page holds personas, {holds}and beginnings of what the users asked, chose and did not choose: "
        "give it to nobody who may not know that. It loads nothing; columns are sorted by their headings."
    )
    lost = bullets([f"{user} failed: {why}" for user, why in failed], class_="warn")
    users = _users(results, test, seed, alone)
    several = [] if alone else [_pooled(results, seed), _list(results, len(users))]
    title = f"Persona of {results[0].user_id}" if alone else f"Personas of {count(len(results), 'user')}"
    return document(
        title, about, lost, *several, *users, left_out(len(users), len(results), "user"), mark=mark
    )


def _users(
    results: Sequence[UserResult], test: Sequence[PreferencePair], seed: int, alone: bool
) -> list[Html]:
    """What is found of each user, as many as there is room for."""
    left, texts_left = ROOM if alone else ROOM // 2, ROOM_FOR_TEXTS
    drawn: list[Html] = []
    for number, result in enumerate(results):
        own = [pair for pair in test if pair.user_id == result.user_id]
        where, said = texts(own, texts_left // (len(results) - number), f"u{number}p")
        found = _user(result, where, seed, max(left, 0) // (len(results) - number))
        left -= len(joined(found).encode())
        if left < 0 and drawn:
            break
        texts_left -= len(said.encode())
        drawn.append(
            joined([*found, said]) if alone else section(result.user_id, *found, said, id=f"u{number}")
        )
    return drawn


def _user(result: UserResult, where: Mapping[str, str], seed: int, room: int) -> list[Html]:
    """The sections about one user.

    Args:
        result: What was found.
        where: Where the texts of test pairs stand in the page.
        seed: Seed of the bootstrap.
        room: Most bytes of the table of pairs.
    """
    profile, made = result.profile, result.profile.provenance
    cautions = bullets([f"Caution: {it.text}" for it in profile.cautions], class_="warn")
    measured = _measurements([result])
    found = [cautions, _persona(result)]
    if measured:
        caption = (
            "Accuracy on this user's test pairs, each asked in both orders; the interval resamples these "
            "pairs and speaks for this user alone. The judge called default knows nothing of the user."
        )
        found.append(
            section(
                "How well it predicts",
                accuracy_figure(measured, caption),
                *(sheet_html(it, level=4) for it in result.report(seed=seed).sheets()),
                pairs_table({it.name: it.own for it in measured}, room, linked=where),
                level=3,
            )
        )
    if made is not None:
        found += [_tried(made.candidates), section("How it was made", *_made(result, made), level=3)]
    return [*found, bullets([f"Note: {text}" for text in result.notes], class_="facts")]


def _persona(result: UserResult) -> Html:
    persona, made = result.profile.persona, result.profile.provenance
    if persona is None:
        return element("p", "Nothing yet; the notes below say why, and what helps.")
    own = element("ol", *(_sentence(it, made) for it in persona.sentences), class_="persona")
    start = str(1 + len(persona.sentences))
    common = element("ol", *(_sentence(it, made) for it in persona.common), class_="persona", start=start)
    heading = element("p", "Like most people:")
    bars = note("Bars: choices in which a sentence held, was contradicted, or said nothing.")
    return joined([bars, own if persona.sentences else "", *([heading, common] if persona.common else [])])


def _sentence(sentence: PersonaSentence, made: Provenance | None) -> Html:
    """A statement, how it fared as a bar and in words, choices for and against it, and all pairs by id."""
    parts: list[str] = [element("p", sentence.text, class_="said", dir="auto")]
    if sentence.silent is not None:
        held = {"held": len(sentence.pair_ids), "against": len(sentence.against), "silent": sentence.silent}
        parts.append(shares(held))
    parts.append(bullets(behind(sentence, made), class_="facts"))
    ids = {
        "held in" if sentence.silent is not None else "cited": sentence.pair_ids,
        "against": sentence.against,
    }
    known = [f"{name}: {', '.join(pairs)}" for name, pairs in ids.items() if pairs]
    return element("li", *parts, folded("All pairs behind it", bullets(known)) if known else "")


def _tried(candidates: Sequence[Candidate]) -> Html:
    cells = [["configuration", "gain", "standard error", "agreed", "judged", "no verdict", "chosen"]]
    cells += [
        [
            it.name, percent(it.shrunken_gain, "+") or ABSENT, percent(it.standard_error) or ABSENT,
            f"{it.correct:g}", str(it.judged), str(it.failures), "yes" if it.selected else "",
        ]
        for it in candidates
    ]  # fmt: skip
    caption = "Configurations that were tried on past choices; gains are shrunken, in points of accuracy"
    return folded("What was tried", table(cells, caption)) if candidates else Html()


def _made(result: UserResult, made: Provenance) -> list[Html]:
    parts = ", ".join(f"{number} {name}" for name, number in result.pairs.items())
    facts = [
        f"model {made.model}, a {made.model_kind}",
        f"{parts} pairs; split {made.split_rule}",
        f"search {made.search}, effort {made.effort}, seed {made.seed}",
        f"at most {count(result.call_limit, 'call')} of the induction",
        *([f"the judge is {result.profile.averaging.text}"] if result.profile.averaging else ()),
        *(f"{number} failed calls: {kind}" for kind, number in made.failures.items()),
    ]
    calls = [["part", "calls", "from the cache", "follow-ups", "tokens sent", "tokens received", "US$"]]
    calls += [_usage("induction", result.usage), _usage("evaluation", result.evaluation_usage)]
    splits = [["pair", "split"], *([pair_id, split] for pair_id, split in made.splits.items())]
    pairs = table(splits, "The split of every pair", texts=(0, 1), room=ROOM // 10, noun="pair")
    return [
        bullets(facts, class_="facts"),
        table(calls, "Calls of the model; every question is counted once"),
        folded("Which pair was in which split", pairs),
    ]


def _usage(part: str, usage: Usage) -> list[str]:
    numbers = (usage.distinct_calls, usage.cached_calls, usage.follow_ups)
    tokens = (usage.prompt_tokens, usage.completion_tokens)
    return [
        part,
        *(f"{it:,}" for it in (*numbers, *tokens)),
        f"{usage.cost_usd:.2f}" if usage.cost_usd else ABSENT,
    ]


def _measurements(results: Sequence[UserResult]) -> list[Measurement]:
    """Outcomes of the users joined, for each judge."""
    return [
        Measurement(name=name, kind="judge", own=outcome)
        for name, outcome in pooled_outcomes(results).items()
    ]


def _pooled(results: Sequence[UserResult], seed: int) -> Html:
    """Accuracy over all users; nothing where nothing was measured, or people and simulations are mixed."""
    measured = _measurements(results)
    if not measured:
        return Html()
    caption = "Accuracy on the test pairs of all users, with its 95 % interval over users"
    found = map(sheet_html, sheets([row(it.name, it.own, seed=seed) for it in measured]))
    return section("All users", accuracy_figure(measured, caption), *found)


def _list(results: Sequence[UserResult], drawn: int) -> Html:
    """A row for each user, with a link to those of whom the page has more."""
    judges = list(dict.fromkeys(name for it in results for name in it.outcomes))
    cells = [["user", "pairs", "sentences", *judges, "calls", "cautions"]]
    for number, it in enumerate(results):
        persona = it.profile.persona
        name = element("a", it.user_id, href=f"#u{number}") if number < drawn else it.user_id
        shares = [it.outcomes[judge].micro if judge in it.outcomes else None for judge in judges]
        cells.append(
            [
                name, str(sum(it.pairs.values())), str(len(persona.statements) if persona else 0),
                *(percent(share) or ABSENT for share in shares),
                f"{it.usage.distinct_calls:,}", str(len(it.profile.cautions)),
            ]
        )  # fmt: skip
    caption = "Every user; accuracies in % are of the judges by name"
    return section("Users", table(cells, caption, texts=(0,), room=ROOM // 4, noun="user"))
