"""The words that invented authors write with: subjects, styles of a title, sentences."""

from __future__ import annotations

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
    "old",
    "new",
    "hidden",
    "broken",
    "famous",
    "silent",
    "rented",
    "painted",
    "borrowed",
    "northern",
)
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
