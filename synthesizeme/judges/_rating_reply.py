"""Reading a rating: the chance that a reply gives a response."""

from __future__ import annotations

from synthesizeme.backends import Answer
from synthesizeme.errors import JudgeError
from synthesizeme.judges._logprobs import mean_number
from synthesizeme.replies import UnclearError
from synthesizeme.replies import read_rating as stated_rating


def read_rating(answer: Answer) -> float:
    """The rating in a reply as a chance, in [0, 1], by the rules of `synthesizeme.replies.read_rating`.

    Where the model gave the alternatives of the token that holds the number, it is their mean, weighted by
    their probabilities and on the same scale; a number spread over several tokens is taken as it is written.

    Raises:
        JudgeError: the reply gives no number, or one on no scale that can be told.
    """
    try:
        said = stated_rating(answer.text, cut_off=answer.cut_off)
        text = "".join(token.text for token in answer.tokens)
        spoken = said if text in ("", answer.text) else stated_rating(text, cut_off=answer.cut_off)
    except UnclearError as error:
        raise JudgeError(
            f"no rating in the reply: {error}; expected a line 'Rating: ' with a number from 0 to 100",
            reply=answer.text,
        ) from None
    if spoken != said:
        return said.chance
    mean = mean_number(answer.tokens, spoken.start, spoken.end, spoken.most)
    return said.chance if mean is None else mean / spoken.most
