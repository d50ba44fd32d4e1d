"""Invented authors in LaMP's format: what each would answer depends on the author and on the subject.

An author writes about two places and has, for each, a style of title, a film tag and a leniency. So the
author's own past items on the place at hand tell the answer, those on the other place mislead, and another
author's items tell nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from synthesizeme.datasets._lamp_files import TAGS, LampTask, Separation, lamp_task
from synthesizeme.files import write_whole

NOISE = 0.1
"""Share of past items that are not as their author otherwise makes them."""
HELD_BACK = 2
"""Adjectives whose things are in no profile."""
_BEGINNING = date(2020, 1, 6)


@dataclass(frozen=True)
class _Taste:
    """What an author makes of one place."""

    place: str
    style: str
    tag: str
    score: int


@dataclass(frozen=True)
class _Thing:
    """Something to write about, once an author."""

    place: str
    name: str

    @property
    def what(self) -> str:
        return f"{self.name} of the {self.place}"

    def text(self, rng: Random) -> str:
        """Two sentences about it."""
        chosen = rng.sample(SENTENCES, 2)
        return " ".join(it.format(place=self.place, thing=self.name) for it in chosen)


def planted_lamp(
    name: str | int,
    *,
    users: int,
    items: int,
    questions: int = 1,
    separation: Separation = "user",
    seed: int = 0,
) -> dict[str, Any]:
    """The documents of one split: ``questions``, ``outputs``, and ``candidates`` for tasks that write text.

    Args:
        name: A task, see `lamp_task`.
        users: Number of authors.
        items: Past items of each; with ``time``, of the last question.
        questions: Questions about each author; with ``time`` every one comes later, with a longer profile.
        separation: ``user`` or ``time``.
        seed: Seed of everything.

    Raises:
        UnknownNameError: there is no such task.
    """
    task = lamp_task(name)
    rows, golds, candidates = [], [], []
    for number in range(users):
        rng = Random(f"{seed}\0{number}\0{separation}\0planted LaMP")
        tastes = _tastes(rng)
        past = list(_past(task, tastes, items, rng, prefix=f"{task.number}{number:02}"))
        for turn in range(questions):
            key = f"{task.number}{number:02}{turn}"
            taste = rng.choice(tastes)
            thing = _things(taste.place, rng, asked=True)[0]
            told = past
            if separation == "time":
                told = past[: items * (turn + 2) // (questions + 1)]
            text, gold, offered = _question(task, taste, thing, rng)
            profile = [item if separation == "time" else _undated(item) for item in told]
            rows.append({"id": key, "user_id": f"author-{number:02}", "input": text, "profile": profile})
            golds.append({"id": key, "output": gold})
            candidates.append({"id": key, "outputs": offered})
    made: dict[str, Any] = {"questions": rows, "outputs": {"task": task.name, "golds": golds}}
    if task.kind == "text":
        made["candidates"] = {"task": task.name, "candidates": candidates}
    return made


def write_planted(folder: Path, name: str | int, *, separation: Separation = "user", **sizes: int) -> Path:
    """Write `planted_lamp` as the dev split into ``FOLDER/lamp/{user,time}/LaMP_N``; gives that folder.

    Raises:
        DataError: the place cannot be written.
    """
    place = folder / "lamp" / separation / lamp_task(name).name
    for what, document in planted_lamp(name, separation=separation, **sizes).items():
        write_whole(place / f"dev_{what}.json", json.dumps(document, indent=0) + "\n")
    return place


def _tastes(rng: Random) -> list[_Taste]:
    places, styles, tags = rng.sample(list(SUBJECTS), 2), rng.sample(list(STYLES), 2), rng.sample(TAGS, 2)
    scores = rng.sample([rng.choice((1, 2)), rng.choice((4, 5))], 2)
    return [_Taste(*it) for it in zip(places, styles, tags, scores, strict=True)]


def _things(place: str, rng: Random, *, asked: bool) -> list[_Thing]:
    """Things of a place in an order by chance: those of the last two adjectives are only asked about."""
    words = ADJECTIVES[-HELD_BACK:] if asked else ADJECTIVES[:-HELD_BACK]
    every = [_Thing(place, f"{word} {thing}") for word in words for thing in SUBJECTS[place]]
    return rng.sample(every, len(every))


def _past(
    task: LampTask, tastes: list[_Taste], items: int, rng: Random, *, prefix: str
) -> Iterator[dict[str, str]]:
    """Past items in the order of time; no thing twice, and none that will be asked about."""
    unused = {taste.place: _things(taste.place, rng, asked=False) for taste in tastes}
    for number in range(items):
        taste = rng.choice(tastes)
        habit = taste if rng.random() >= NOISE else _Taste(taste.place, *_elsewhere(taste, rng))
        thing = unused[taste.place].pop()
        when = _BEGINNING + timedelta(days=7 * number)
        yield {"id": f"{prefix}{number:03}", **_item(task, habit, thing, rng), "date": when.isoformat()}


def _elsewhere(taste: _Taste, rng: Random) -> tuple[str, str, int]:
    style = rng.choice([it for it in STYLES if it != taste.style])
    return style, rng.choice([it for it in TAGS if it != taste.tag]), rng.randint(1, 5)


def _undated(item: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in item.items() if key != "date"}


def _item(task: LampTask, taste: _Taste, thing: _Thing, rng: Random) -> dict[str, str]:
    title, text = _title(taste.style, thing, 0), thing.text(rng)
    made = {
        1: {"title": title, "abstract": text},
        2: {"description": text, "tag": taste.tag},
        3: {"text": f"{text} {rng.choice(OPINIONS)}", "score": str(taste.score)},
        7: {"text": title},
    }
    titled = {"title": title, "abstract" if task.number == 5 else "text": text}
    return made.get(task.number, titled)


def _title(style: str, thing: _Thing, wording: int) -> str:
    return STYLES[style][wording].format(what=thing.what)


def _question(task: LampTask, taste: _Taste, thing: _Thing, rng: Random) -> tuple[str, str, list[str]]:
    """Input, gold, and candidates: one in every style, in the other wording than the gold."""
    text = thing.text(rng)
    if task.number == 1:
        return (*_references(taste, thing, rng), [])
    ask = {
        2: f"Which tag does this film get? tags: [{', '.join(TAGS)}] description: {text}",
        3: f"What is the score of this review, from 1 to 5? review: {text} {rng.choice(OPINIONS)}",
        4: f"Write a headline for the following article: {text}",
        5: f"Write a title for the abstract of the following paper: {text}",
        6: f"Write a subject for the following email: {text}",
        7: f"Write the following in the words of this user: I saw the {thing.what} today.",
    }[task.number]
    gold = {2: taste.tag, 3: str(taste.score)}.get(task.number) or _title(taste.style, thing, 0)
    return ask, gold, [_title(style, thing, 1) for style in rng.sample(list(STYLES), len(STYLES))]


def _references(taste: _Taste, thing: _Thing, rng: Random) -> tuple[str, str]:
    """Two papers on the same place, one of them in the style that the author has for it."""
    style = rng.choice([it for it in STYLES if it != taste.style])
    right, wrong = (_title(it, thing, 0) for it in (taste.style, style))
    first = rng.random() < 0.5
    one, two = (right, wrong) if first else (wrong, right)
    asked = (
        f'For the author of the paper "{thing.place.capitalize()} papers", which reference belongs into it?'
    )
    return f'{asked} Answer with [1] or [2] alone. [1]: "{one}" [2]: "{two}"', "[1]" if first else "[2]"


SUBJECTS = {
    "harbour": ("crane", "lighthouse", "ferry", "pier", "trawler", "lock gate", "tide table", "pilot boat"),
    "orchard": ("cider press", "pear tree", "beehive", "ladder", "harvest", "apple store", "hedge", "graft"),
    "railway": ("signal box", "night train", "platform clock", "viaduct", "timetable", "dining car", "tunnel",
                "points"),
    "observatory": ("dome", "comet", "mirror", "star chart", "meteor shower", "eclipse", "lens", "nebula"),
    "theatre": ("curtain", "understudy", "prompt book", "costume store", "matinee", "trapdoor", "chorus",
                "stage door"),
    "bakery": ("oven", "sourdough", "rye loaf", "flour mill", "pastry", "proving basket", "bread queue",
               "recipe book"),
}  # fmt: skip
"""Things of each place."""
ADJECTIVES = (
    "old", "new", "hidden", "broken", "famous", "silent", "rented", "painted", "borrowed", "northern",
)  # fmt: skip
"""What they can be; shared by all places."""
SENTENCES = (
    "People who live near the {place} have talked of the {thing} since spring.",
    "The keeper of the {place} showed the {thing} to a class of visitors.",
    "A committee will decide on the {thing} when the {place} opens again.",
    "Without the {thing} the {place} would not be what it is.",
    "Money for the {thing} comes from those who love the {place}.",
)
"""What is said about a thing of a place."""
STYLES = {
    "plain": ("The {what}", "On the {what}"),
    "question": ("What do we know about the {what}?", "Why do we care about the {what}?"),
    "lively": ("Hurrah for the {what}! Wow!", "Look at the {what}! Amazing!"),
    "figures": ("7 facts and 3 dates: the {what}", "5 facts and 2 dates: the {what}"),
    "learned": (
        "Preliminary considerations regarding the institutional significance of the {what}",
        "Methodological considerations concerning the historical significance of the {what}",
    ),
}
"""Styles of a title, each in two wordings: what a user wrote, and what somebody else would write in it."""
OPINIONS = ("I used it for a month.", "It came on a Monday.", "My sister has one too.", "The box was blue.")
"""What a review says besides its subject; it does not tell the score."""
