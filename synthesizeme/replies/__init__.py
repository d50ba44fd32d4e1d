"""Reading replies of free form: what a model chose, how it rates, and what it only thought.

Nothing is asked of a model here and nothing is guessed: what a person would call unclear is unclear.
"""

from synthesizeme.replies._options import UnclearError
from synthesizeme.replies._page import without_thoughts
from synthesizeme.replies._words import folded
from synthesizeme.replies.choice import StatedChoice, read_choice, refuses
from synthesizeme.replies.rating import SMALL_NUMBERS, StatedRating, number_in, read_rating

__all__ = [
    "SMALL_NUMBERS",
    "StatedChoice",
    "StatedRating",
    "UnclearError",
    "folded",
    "number_in",
    "read_choice",
    "read_rating",
    "refuses",
    "without_thoughts",
]
