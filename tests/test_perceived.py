"""What a person perceives is counted however it is worded, and a user who wants it is told so first."""

from __future__ import annotations

import pytest

from synthesizeme import SynthesizeMe, stylometry
from synthesizeme.perceived import FEATURES, UNSPOKEN
from synthesizeme.stylometry import measure

NAMES = [it.name for it in FEATURES]
SAYS = {
    "disclaimers": [
        "Turn the mains off first, and have an electrician look at it if the cable is warm.",
        "Don't mix it with bleach.",
        "If it lasts more than a week, talk to your dentist.",
        "Pregnant women should check with their midwife or a pharmacist.",
        "Mushrooms that look like this one can be deadly; the risk is not worth it.",
        "Never leave the pan alone.",
    ],
    "preamble": [
        "That's a really good question! Seven.",
        "There are many ways to look at this. Seven.",
        "It really depends. Seven.",
        "I'm so sorry to hear that. Seven.",
        "Congratulations on the new job! Seven.",
        "When it comes to numbers, seven.",
    ],
    "stories": [
        "My sister moved to Bergen and hated every minute of the rain.",
        "I sold my car last year, and I still miss it.",
        "Two winters ago the pipes froze in our house.",
        "She asked for half the price and he laughed.",
    ],
    "sources": [
        "A 2019 study of nine thousand nurses found no effect.",
        "According to the city's register there are 412.",
        "Researchers found the opposite (Lind and Ekman, 2008).",
        "See https://example.org/a.",
    ],
}
SAYS_NONE = {
    "disclaimers": ["Don't worry, it is easy.", "Never mind.", "The risotto takes twenty minutes."],
    "preamble": ["Seven.", "Take the bus at nine.", "Sell it, then buy bonds."],
    "stories": ["You need two eggs.", "Indeed they succeed.", "It is baked for an hour."],
    "sources": ["You can study at home.", "Three of four (twelve in all) are red."],
}


def value(name, text):
    return measure(text, "", FEATURES)[NAMES.index(name)]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SAYS.items() for text in texts])
def test_it_is_seen_however_it_is_worded(name, text):
    assert value(name, text) > 0


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in SAYS_NONE.items() for text in texts]
)
def test_what_only_looks_like_it_is_not(name, text):
    assert value(name, text) == 0


def test_the_others_are_those_of_the_reward_models():
    text = "Well, I think you may like it: 3 eggs!"
    plain = dict(zip([it.name for it in stylometry.FEATURES], measure(text), strict=True))
    seen = dict(zip(NAMES, measure(text, "", FEATURES), strict=True))
    assert set(seen) - set(plain) == {"stories", "sources"}
    assert all(
        seen[name] == plain[name] for name in plain if name not in ("disclaimers", "preamble", "formality")
    )


TASTES = {
    "warnings": SAYS["disclaimers"],
    "start at once": ["Seven, and no more.", "By train, at nine.", "Sell the bonds.", "Twice a week.", "With rice.", "In May."],
    "stories": SAYS["stories"],
    "sources": SAYS["sources"],
}  # fmt: skip
PLAIN = [
    "Plant them in May and water them every second day.",
    "Oak is harder than pine and costs more.",
    "The train is quicker, the bus is cheaper.",
    "A flat pan works best on this kind of stove.",
]


@pytest.mark.parametrize("said", TASTES)
def test_a_user_who_wants_it_is_told_so_first(said):
    opened = said == "start at once"
    rows = [
        {
            "prompt": f"Question {n} about {('paint', 'rice', 'trains', 'pears')[n % 4]}?",
            "chosen": f"{PLAIN[n % 4]} {TASTES[said][n % len(TASTES[said])]}",
            "rejected": f"{SAYS['preamble'][n % 6].split('Seven')[0] if opened else ''}{PLAIN[(n + 1) % 4]}"
            f" {PLAIN[(n + 2) % 4]}",
        }
        for n in range(16)
    ]
    persona = SynthesizeMe("builtin").fit(rows, user="u").persona
    assert persona is not None
    assert said in persona.sentences[0].text


def test_nobody_is_told_of_what_nobody_perceives():
    assert set(NAMES) >= UNSPOKEN
    rows = [
        {
            "prompt": f"What of the red kite number {n} over the long blue harbour?",
            "chosen": f"The red kite number {n} flies over the long blue harbour {'again ' * 6}.",
            "rejected": f"Some bird {n} or other may be found somewhere near the coast this evening.",
        }
        for n in range(16)
    ]
    persona = SynthesizeMe("builtin").fit(rows, user="u").persona
    said = " ".join(it.text for it in (*persona.sentences, *persona.common)) if persona else ""
    assert "vocabulary" not in said
    assert "question" not in said
