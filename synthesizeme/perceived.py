"""Named features as a person perceives them: those of `stylometry`, three counted otherwise, and two more.

The reward models learn from `stylometry.FEATURES`, whose counts are few and fast. The test of taste and the
embedded reader, which put a taste into words, also see a warning, an opening or a source that is worded in
another way, and what somebody tells; and they call informal what is spoken, not every contraction.
"""

from __future__ import annotations

import re

from synthesizeme import stylometry
from synthesizeme.stylometry import CONTRACTION, FORMAL, OPENING, Feature, Pattern


def _any(words: str) -> str:
    return rf"(?:{'|'.join(words.split())})"


_EXPERT = _any(
    "doctor gp physician paediatrician pediatrician dermatologist cardiologist specialist pharmacist dentist "
    "vet veterinarian nurse therapist psychologist counsell?or lawyer solicitor attorney notary accountant "
    "advis[eo]r electrician plumber mechanic engineer technician professional expert ambulance helpline"
)
_RISKY = _any(
    "use take mix put try ignore lean drive eat drink sign exceed leave touch pour share combine attempt let"
)
_CAUTION = Pattern(
    r"\b(?:disclaimer|beware|caution|precaution|hazard|hazardous|poison|poisonous|toxic|fatal|lethal|risk|risky"
    r"|danger|dangerous|unsafe|warning|emergency|life-threatening|(?:be|very|extremely) (?:careful|cautious)"
    rf"|(?:never|do not|don't) {_RISKY}|please note|note that|keep in mind|results may vary"
    r"|every(?:one| situation) is different|do your own research|not (?:a substitute|\w+ advice)"
    r"|it(?:'s| is) (?:important|worth|crucial|essential|vital) to (?:note|remember|consult|understand)"
    r"|(?:see|call|ask|consult|hire|tell|visit|contact|phone|ring|seek|talk to|speak (?:to|with)|check with)"
    rf"(?: \w+){{0,3}}? {_EXPERT}|seek (?:\w+ )?(?:help|advice|care)|(?:an?|your) (?:\w+ )?{_EXPERT})s?\b"
)
_OPENING = re.compile(
    rf"^(?:{OPENING}"
    r"|(?:that's|that is|this is|what) an? (?:[\w-]+ ){0,2}(?:question|topic|point|idea|thing|choice|goal)"
    r"|(?:great|good|excellent|interesting|nice|lovely|fantastic) (?:question|topic|idea|choice|point)"
    r"|(?:i'm |i am )?(?:so |very )?(?:sorry to hear|glad you|glad to|happy to)|congratulations"
    r"|i (?:completely |totally |fully )?(?:understand|hear you|get it)|i can (?:see|imagine|understand)"
    r"|there (?:are|is|can be|could be) (?:several|many|various|lots|different|an? (?:few|number|lot|variety)"
    r"|no (?:single|right|one|simple))|it (?:really |all )?depends|when it comes to|let me |i'd love to"
    r"|(?:it's|it is|this is|that's) (?:always |quite |really )?an? (?:[\w-]+ )?"
    r"(?:tricky|tough|difficult|hard|complex|complicated|common|big|important|delicate)"
    r"|let's (?:dive|take a look|explore|break)|in today's|in the (?:world|realm) of"
    r"|(?:alright|all right|ok|so),)"
)
_KIN = _any(
    "sister brother mother father dad mum mom friend uncle aunt cousin grandmother grandfather grandma "
    "grandpa neighbou?r wife husband partner son daughter boss colleague teacher roommate flatmate"
)
_PAST = _any(
    "was were had went came got said told asked bought found met ran gave knew took left lost made kept "
    "threw saw thought felt began broke brought caught drove fell grew heard held learnt paid sat sold spent "
    "spoke stood swore taught wore won wrote woke (?!indeed|exceed|succeed|proceed)[a-z]{3,}ed"
)
_TOLD = Pattern(
    rf"\b(?:i|we|he|she|they|(?:my|our|a|his|her) (?:\w+ )?{_KIN})"
    rf"(?: (?:\w+ly|just|once|then|never|always|still|also|even))? {_PAST}\b"
    r"|\b(?:years|months|weeks|summers|winters) ago\b|\bwhen (?:i|we|he|she) was\b|\bthe other day\b"
    r"|\blast (?:year|week|month|night|spring|summer|autumn|winter)\b|\bonce upon a time\b|\bone day,"
)
_SOURCE = Pattern(
    r"\bet al\b|\baccording to\b|\bstudies\b|\b(?:an?|the|one|this|recent|\d{4}) (?:\w+ )?study\b"
    r"|\bsurveys?\b|\bmeta-analys[ei]s\b|\bresearch(?:ers)? (?:shows?|suggests?|found|finds|indicates?|has)\b"
    r"|\breport(?:s|ed)? (?:that|in|by|from)\b|\bguidelines?\b|\bcensus\b|\bjournal of\b|\bpublished\b"
    r"|\bsources?:|\([^()\n]*\b(?:1[89]|20)\d\d\b[^()\n]*\)|https?://|\bdoi\b|\[\d{1,2}\]"
)
_CONTRACTED = 0.2
"""What a contraction counts of a spoken word: careful prose has some too, and one must not decide alone."""
_SPOKEN = Pattern(
    r"\b(?:yeah|yep|yup|nah|nope|hey|hiya|gonna|wanna|gotta|kinda|sorta|dunno|gimme|lemme|ain't|y'all|dude|guys|folks"
    r"|mate|buddy|lol|haha\w*|btw|tbh|imo|super|totally|stuff|awesome|cool|ok|okay|wow|whoa|oops|yikes|ugh|aw+|duh"
    r"|crap|damn|heck|honestly|pretty much|a bunch|no worries|tons of|loads of|a bit of a|no big deal"
    r"|you know what)\b|\B'em\b|\B'cause\b"
)
_WIDER = {
    "formality": Feature(
        "formality", "formal, written wording", "informal, spoken wording", 1.1,
        lambda t: t.rate(FORMAL) - t.rate(_SPOKEN) - _CONTRACTED * t.rate(CONTRACTION),
    ),
    "disclaimers": Feature(
        "disclaimers", "warnings and disclaimers", "answers without disclaimers", 0.6,
        lambda t: t.count(_CAUTION),
    ),
    "preamble": Feature(
        "preamble", "an opening line before the answer", "answers that start at once", 0.5,
        lambda t: float(_OPENING.search(t.lower) is not None),
    ),
}  # fmt: skip

FEATURES: tuple[Feature, ...] = (
    *(_WIDER.get(it.name, it) for it in stylometry.FEATURES),
    Feature("stories", "stories about people and what happened to them", "answers without stories", 0.6,
            lambda t: t.count(_TOLD)),
    Feature("sources", "sources and studies by name", "answers without sources", 0.5,
            lambda t: t.count(_SOURCE)),
)  # fmt: skip
"""Every feature that is put into words, those of `stylometry` first and in their order."""
UNSPOKEN = frozenset({"vocabulary", "prompt_overlap", "word_length"})
"""Features that predict a choice and that nobody would name: they come along with others, such as the plain
words of whatever is informal, short or blunt, or are no property of an answer that a person perceives."""
