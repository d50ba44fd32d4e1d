"""What planted users read: topics, and texts in which a reader can see every level of an attribute.

A point is one neutral sentence; ``{a while|45 minutes}`` gives its vague and its exact wording. Points begin
with a word that may be lower-cased and end with a full stop, so that the renderer can put words around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Literal, NamedTuple


class Topic(NamedTuple):
    """A subject with enough material for many different answers."""

    name: str
    """Short name, kept in the metadata of a pair."""
    kind: str
    """One of `KINDS`; taste may differ between kinds."""
    questions: tuple[tuple[str, str], ...]
    """What users ask, each with its answer in one sentence."""
    points: tuple[str, ...]
    """Things that any answer may contain, in any order; one more than the longest answer needs."""
    examples: tuple[str, ...]
    """Concrete cases, told in one sentence."""
    returns: tuple[str, ...]
    """What an assistant may ask back."""


KINDS = ("practical", "personal", "knowledge")

TOPICS = (
    Topic("bread", "practical", (
        ("Why does my bread come out so dense?", "the dough needs more time to rise"),
        ("What makes a crust really crisp?", "bake it hotter and with steam"),
        ("Can I bake a good loaf without a machine?", "yes, time does the work of kneading"),
    ), (
        "Let the dough rest for {a while|45 minutes} before you shape it.",
        "Use strong flour, {the kind with plenty of protein|with at least 12 % protein}.",
        "Weigh the water; {a fairly wet dough|70 g of water for 100 g of flour} gives an open crumb.",
        "Heat the oven {well in advance|to 240 °C for 30 minutes} so that the stone is hot.",
        "Fold the dough {a few times|4 times, every 20 minutes} instead of kneading it.",
        "Add the salt late, because {too much of it|more than 2 % of it} slows the yeast.",
        "Bake with a lid {at first|for the first 25 minutes} to keep the steam in.",
        "Wait until the loaf has cooled {completely|for 2 hours} before you cut it.",
    ), (
        "a colleague of mine left the dough in the fridge overnight and got the best loaf of her life",
        "my aunt bakes in a cast iron pot with the lid on, and her crust crackles when it cools",
        "one baker I read about changed only the flour and his loaves rose to double the height",
    ), (
        "Which flour do you have at home?", "How long do you usually let it rise?",
        "Do you bake on a stone or on a tray?",
    )),
    Topic("tomatoes", "practical", (
        ("How do I get more tomatoes from my plants?", "give them more sun and even watering"),
        ("My tomato leaves are turning yellow, why?", "the lower leaves are short of nitrogen"),
        ("Can tomatoes grow on a balcony?", "yes, in large pots in full sun"),
    ), (
        "Water the soil and not the leaves, {regularly|with 2 litres every second day}.",
        "Pick a spot with {plenty of sun|at least 6 hours of sun}.",
        "Remove the side shoots {while they are small|before they reach 3 cm}.",
        "Feed the plants {now and then|every 14 days} once the first fruits show.",
        "Plant them deep, {up to the first leaves|about 10 cm deeper than they stood}.",
        "Leave {enough room|60 cm} between two plants so that the air can move.",
        "Cover the ground with {some straw|5 cm of straw} to keep it moist.",
        "Shake the flowers around noon {on warm days|when it is above 18 °C} to help them set fruit.",
    ), (
        "my neighbour put three pots against a white wall and picked tomatoes until the first frost",
        "a friend watered hers every evening at the same hour and the split fruits stopped",
        "one family on our street grows a single plant in a bucket and eats from it all summer",
    ), (
        "How much sun does the place get?", "Are they in pots or in the ground?",
        "Which variety did you plant?",
    )),
    Topic("laptop", "practical", (
        ("Which laptop should I get for my studies?", "a light one with a good keyboard"),
        ("Is my old laptop still worth repairing?", "yes, if a new battery and disk are all it needs"),
        ("Why has my laptop become so slow?", "too many programs start with it"),
    ), (
        "Look for {plenty of memory|16 GB of memory}, because it cannot be added later in most models.",
        "Choose a solid state disk with {room to spare|at least 512 GB}.",
        "Check the weight; {a light machine|anything below 1.4 kg} is the one you will carry.",
        "Try the keyboard in a shop for {a moment|10 minutes} before you decide.",
        "Compare the battery in tests, where {a full day|9 hours} of real work is a good result.",
        "Buy a used business model if the budget is tight; {many|about 8 in 10} are in fine shape.",
        "Avoid a dim screen, since {a bright one|one with 400 nits} is easier on the eyes outdoors.",
        "Ask about the warranty, which should cover {a few years|3 years}.",
    ), (
        "my cousin bought a refurbished office machine and has used it for five years without trouble",
        "a student I know chose the biggest screen and now leaves the thing at home",
        "one of my friends only replaced the disk and thought somebody had given her a new computer",
    ), (
        "What is your budget?", "Which programs do you use most?", "Will you carry it every day?",
    )),
    Topic("python", "practical", (
        ("How can I make my Python script faster?", "measure first, then fix the slowest loop"),
        ("My script runs out of memory on a large file, why?", "it reads the whole file at once"),
        ("How should I test a small script?", "put the logic into functions and call them from tests"),
    ), (
        "Run the profiler on {a typical input|an input of 10,000 rows} before you change anything.",
        "Replace the list with a set, which makes a lookup {much faster|about 100 times faster}.",
        "Read the file line by line so that memory stays {low|below 50 MB}.",
        "Move the invariant work out of the loop, where it runs {again and again|1,000,000 times}.",
        "Cache the results of {expensive functions|functions that take over 200 ms} with a decorator.",
        "Write {a few|3 to 5} tests for the edge cases, for instance the empty input.",
        "Use an array library for numbers, because it is {far quicker|30 to 60 times quicker}.",
        "Split the job over {several|4} processes if the parts do not depend on each other.",
    ), (
        "a team I know replaced one nested loop with a dictionary and the nightly job ended before dawn",
        "one student found that half of the running time went into printing progress messages",
        "my former colleague moved a regular expression out of a loop and saved an hour a day",
    ), (
        "How large is the input?", "Which version of Python do you run?",
        "What does the profiler say so far?",
    )),
    Topic("sleep", "personal", (
        ("I lie awake every night, what can I do?", "get up at the same time every day"),
        ("How do I stop waking up at four?", "move dinner and wine to an earlier hour"),
        ("Are naps making my sleep worse?", "only long ones or late ones are a problem"),
    ), (
        "Get up at the same hour {every day|every day, within 30 minutes}, even after a bad night.",
        "Keep the bedroom {cool|at 17 to 18 °C} and dark.",
        "Stop drinking coffee {early in the day|8 hours before bedtime}.",
        "Put the phone away {well before bed|60 minutes before bed}.",
        "Leave the bed if you are awake for {some time|20 minutes} and read something dull.",
        "Go outside in the morning, since {some|15 minutes of} daylight sets the inner clock.",
        "Move your body {most days|for 30 minutes on 4 days a week}, but not late in the evening.",
        "Write down what worries you {before bed|for 5 minutes at 9 pm} and close the notebook.",
    ), (
        "a friend of mine left her phone in the kitchen for a week and slept like a child",
        "my uncle began to walk round the block at dusk and stopped counting sheep",
        "one nurse I know wears sunglasses on the way home and sleeps through the morning",
    ), (
        "When do you usually go to bed?", "What goes through your mind at night?",
        "Do you drink coffee in the afternoon?",
    )),
    Topic("quarrel", "personal", (
        ("I had a fight with my best friend, should I call?", "yes, call and listen before you explain"),
        ("How do I apologise without making it worse?", "name what you did and leave out the excuses"),
        ("My friend never answers my messages, what now?", "ask once, openly, and then give her room"),
    ), (
        "Wait until you are calm, {a little|24 hours}, and then make the first move.",
        "Say what hurt you in {plain words|2 or 3 plain sentences}, without blaming anybody.",
        "Listen {for a good while|for 10 minutes} before you tell your own side.",
        "Meet in person, because {many|at least half of all} quarrels grow in written messages.",
        "Name your own part in it {early|in the first 2 minutes}.",
        "Leave others out of it; {two|2} people can settle things, a crowd cannot.",
        "Take a walk together, {side by side|for 3 or 4 km}, since it makes talking easier.",
        "Give your friend time to answer, {some days|up to 7 days}, before you write again.",
    ), (
        "two sisters I know sent each other one postcard a week until they could laugh about it again",
        "my colleague brought soup to the friend she had quarrelled with and nobody needed a speech",
        "one old couple in our house agreed never to argue standing up, and it seems to work",
    ), (
        "What was the quarrel about?", "How did you leave it the last time you spoke?",
        "What would you like to hear from your friend?",
    )),
    Topic("interview", "personal", (
        ("I am nervous about a job interview, how do I prepare?", "practise three stories out loud"),
        ("What do I say about the gap in my CV?", "name it in one sentence and move on"),
        ("Should I ask for more money right away?", "yes, once there is an offer and not before"),
    ), (
        "Prepare {a few|3} stories about your work and practise them out loud.",
        "Read about the company for {a while|40 minutes} and note what surprises you.",
        "Arrive {early|15 minutes early} and walk once around the building.",
        "Answer in {short turns|turns of 90 seconds} and let them ask for more.",
        "Bring {some|4} questions of your own, and write them down.",
        "Name the result of your work {clearly|with 1 figure per story}.",
        "Rehearse with a friend {more than once|2 times} and ask for honest remarks.",
        "Send a note of thanks {soon afterwards|within 24 hours}.",
    ), (
        "a friend of mine told them how she had saved a lost order, and they forgot her missing degree",
        "my brother practised in front of the mirror until his own jokes bored him, and got the job",
        "one applicant asked what the last person had struggled with and was hired the same day",
    ), (
        "What kind of position is it?", "Which question do you fear most?",
        "How much time is left until the day?",
    )),
    Topic("rome", "knowledge", (
        ("Why did the Roman Empire fall?", "it could no longer pay for its own defence"),
        ("What did ordinary Romans eat?", "mostly bread, porridge, beans and olives"),
        ("How did the Romans build such roads?", "with soldiers, layers of stone and good drainage"),
    ), (
        "Taxes rose {again and again|by about half in 100 years} to pay for the army.",
        "The frontier was {very long|some 7,500 km long} and hard to defend.",
        "Grain for the capital came {from far away|from Egypt, 2,000 km away} by ship.",
        "Emperors followed each other {quickly|every 2 years} in the third century.",
        "Silver coins lost {most of their value|95 % of their silver} over time.",
        "Aqueducts carried {plenty of water|up to 1,000 litres a day per head} into the city.",
        "Plagues killed {a great many people|about 5 million people} and left fields untilled.",
        "Citizenship was extended {late|in the year 212} to nearly all free inhabitants.",
    ), (
        "a baker in Pompeii stamped his loaves, and one was found in the oven with the stamp on it",
        "one soldier on the northern wall wrote home to ask for warm socks, and the letter has survived",
        "a tombstone in the south praises a dog that guarded the wagons and never barked without reason",
    ), (
        "Is this for school or out of curiosity?", "Which period interests you most?",
        "Have you seen any of the ruins?",
    )),
    Topic("percentages", "knowledge", (
        ("How do percentages work?", "a percentage is a fraction of one hundred"),
        ("Why is 20 % off and then 20 % on not the same?", "the second step starts from a smaller number"),
        ("How do I work out a discount in my head?", "find one tenth and build on it"),
    ), (
        "Think of a percentage as a share of {a hundred parts|100 parts, so that 7 % means 7 of them}.",
        "Find one tenth {by moving the point|(of 80 that is 8)} and build the rest from it.",
        "Ask what the whole is, because {the share depends on it|10 % is 5 of 50 but 20 of 200}.",
        "Add a tax by one multiplication, {with a single factor|with 1.19 for 19 %}.",
        "Draw a bar and cut it into {equal pieces|10 equal pieces} to see the share.",
        "Remember that a rise and an equal fall {do not cancel|of 20 % leave you at 96 %}.",
        "Swap the numbers if that is easier, {since the result is the same|as 4 % of 75 is 75 % of 4}.",
        "Round first and correct later, {which is close enough|which costs less than 2 %}.",
    ), (
        "a pupil of mine learnt it by tipping waiters in her head, and never used a formula again",
        "my grandfather cut a cake into ten slices and let us argue about the halves",
        "one shop raised its prices before a sale, and only the girl with the pencil noticed",
    ), (
        "Is it for school or for shopping?", "Where exactly do you get stuck?", "Would a drawing help you?",
    )),
)  # fmt: skip


Defect = Literal["none", "repeats", "cut off", "off topic"]

POINTS = (2, 4, 7)
"""Number of points at length level 0, 1 and 2."""

_EXCLAMATIONS = (0, 1, 3)
_EMOJI = ("🎉", "😊", "🙌", "✨", "👍")
_HEDGES = (
    ", though this may vary", ", although it probably depends on the case", ", at least in most cases",
    ", or so it seems to me", ", as far as I can tell", ", which might not suit everybody",
)  # fmt: skip
_DETOURS = (
    "There are several sides to this, and it is worth looking at them in turn.",
    "Before we come to that, a few words about the background are in order.",
    "That is a question which people have answered in very different ways.",
    "To see what matters here, let us first look at the whole picture.",
)
_VERDICTS = ("In short: {}.", "The answer is simple: {}.", "Short answer: {}.", "Bottom line first: {}.")
_WARM_OPENINGS = (
    "What a lovely thing to ask about, and I am glad that you did.",
    "I can hear how much this matters to you.",
    "It is kind of you to trust me with this.",
    "That must be on your mind a lot, and I feel with you.",
    "How nice to hear from you about this.",
)
_WARM_CLOSINGS = (
    "You are doing better than you think, and I am rooting for you.",
    "Be gentle with yourself, you are on a good path.",
    "I hope with all my heart that it goes well for you.",
    "You are not alone with this, and I am happy to walk along.",
)
_DISCLAIMERS = (
    "Please note that this is general information and no professional advice.",
    "As an AI model, I cannot judge your own situation.",
    "Please consult a qualified expert before you act on any of this.",
    "No guarantee can be given for these statements.",
)
_APOLOGIES = (
    "I am sorry, but I cannot help with that, so here is something else.",
    "Unfortunately I am unable to answer this question. Instead, a few other remarks.",
    "I cannot say anything about that, but the following is of interest.",
)
_EXAMPLE_OPENINGS = ("For example, {}.", "For instance, {}.", "To give an example, {}.")
_CASUAL_OPENERS = ("Honestly, {}", "Oh, and {}", "So yeah, {}", "Basically, {}", "Plus, {}")
_FORMAL_OPENERS = (
    "Furthermore, {}", "Moreover, {}", "In addition, {}", "Accordingly, {}", "Additionally, {}",
)  # fmt: skip
_CASUAL_WORDS = {
    "do not": "don't", "does not": "doesn't", "cannot": "can't", "it is": "it's", "that is": "that's",
    "you are": "you're", "they are": "they're", "I am": "I'm", "is not": "isn't", "are not": "aren't",
    "very": "super", "a few": "a couple of", "plenty of": "loads of", "children": "kids",
}  # fmt: skip
_FORMAL_WORDS = {
    "use": "employ", "buy": "purchase", "enough": "sufficient", "a few": "several", "need": "require",
    "plenty of": "a considerable amount of", "so that": "in order that",
}  # fmt: skip
_CHOICE = re.compile(r"\{([^|}]*)\|([^}]*)\}")


def render(topic: Topic, answer: str, levels: Mapping[str, int], defect: Defect, rng: Random) -> str:
    """Write one response.

    Args:
        topic: What it is about.
        answer: The answer to the user's question in a few words.
        levels: Level of every attribute, 0, 1 or 2.
        defect: What is wrong with the response, if anything.
        rng: Chooses among wordings; the same state gives the same text.
    """
    formality = levels["formality"]
    if defect == "off topic":
        topic = rng.choice([other for other in TOPICS if other.name != topic.name])
        answer = rng.choice(topic.questions)[1]
    *points, spare = rng.sample(topic.points, POINTS[levels["length"]] + 1)
    body = _decorate(points, levels, rng)
    if defect == "repeats":
        again = max(1, len(body) // 3)
        body[-again:] = body[:again]
    opening = [_in_register(sentence, formality) for sentence in _opening(answer, levels, rng)]
    if defect == "off topic":
        opening.insert(0, rng.choice(_APOLOGIES))
    examples = [
        rng.choice(_EXAMPLE_OPENINGS).format(text) for text in rng.sample(topic.examples, levels["examples"])
    ]
    closing = [_in_register(sentence, formality) for sentence in _closing(topic, levels, rng)]
    if defect == "cut off":
        closing.append(" ".join(spare[: spare.index("{")].split()[:5]).rstrip(",;"))
    return _lay_out(opening, body, examples, closing, levels)


def _decorate(points: list[str], levels: Mapping[str, int], rng: Random) -> list[str]:
    """The points in their wording: exact or vague, formal or casual, hedged, exclaimed."""
    count, formality = len(points), levels["formality"]
    exact = (count * levels["figures"] + 1) // 2
    body = [_in_register(_worded(text, place < exact), formality) for place, text in enumerate(points)]
    rng.shuffle(body)
    if formality != 1:
        openers = _CASUAL_OPENERS if formality == 0 else _FORMAL_OPENERS
        for place, opener in zip(range(1, count, 2), rng.sample(openers, count // 2), strict=True):
            body[place] = opener.format(_lowered(body[place]))
    for place, hedge in enumerate(rng.sample(_HEDGES, levels["hedging"]), start=1):
        body[-place] = body[-place][:-1] + hedge + "."
    excited = min(count, _EXCLAMATIONS[levels["enthusiasm"]])
    body[:excited] = [sentence[:-1] + "!" for sentence in body[:excited]]
    if levels["enthusiasm"] == 2:
        body[-1] += f" {rng.choice(_EMOJI)}"
    return body


def _opening(answer: str, levels: Mapping[str, int], rng: Random) -> list[str]:
    sentences = [rng.choice(_WARM_OPENINGS)] if levels["warmth"] else []
    if levels["directness"] == 0:
        sentences.append(rng.choice(_DETOURS))
    elif levels["directness"] == 2:
        sentences.append(rng.choice(_VERDICTS).format(answer))
    return sentences


def _closing(topic: Topic, levels: Mapping[str, int], rng: Random) -> list[str]:
    sentences = rng.sample(_DISCLAIMERS, levels["disclaimers"])
    if levels["warmth"] == 2:
        sentences.append(rng.choice(_WARM_CLOSINGS))
    return sentences + rng.sample(topic.returns, levels["questions"])


def _lay_out(
    opening: list[str], body: list[str], examples: list[str], closing: list[str], levels: Mapping[str, int]
) -> str:
    if levels["bullets"]:
        middle = "\n".join(f"- {sentence}" for sentence in body)
    elif levels["numbered"]:
        middle = "\n".join(f"{place}. {sentence}" for place, sentence in enumerate(body, start=1))
    else:
        middle = " ".join(body)
    blocks = (" ".join(opening), middle, " ".join(examples), " ".join(closing))
    return "\n\n".join(block for block in blocks if block)


@cache
def _worded(point: str, exact: bool) -> str:
    return _CHOICE.sub(r"\2" if exact else r"\1", point)


@cache
def _in_register(sentence: str, formality: int) -> str:
    """The sentence with casual words (level 0) or formal ones (level 2)."""
    if formality == 1:
        return sentence
    words = _CASUAL_WORDS if formality == 0 else _FORMAL_WORDS
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)
    return pattern.sub(_keeping_case(words), sentence)


def _keeping_case(words: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def swap(match: re.Match[str]) -> str:
        found = match[0]
        word = words.get(found) or words[found.lower()]
        return word[0].upper() + word[1:] if found[0].isupper() else word

    return swap


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
