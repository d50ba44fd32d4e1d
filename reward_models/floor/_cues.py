"""What a prompt asks for in so many words: signs that an odd-looking answer would be rightful."""

from __future__ import annotations

import re

_LANGUAGES = [
    "english",
    "french",
    "german",
    "spanish",
    "italian",
    "portuguese",
    "dutch",
    "polish",
    "russian",
    "ukrainian",
    "greek",
    "turkish",
    "arabic",
    "hebrew",
    "persian",
    "farsi",
    "hindi",
    "bengali",
    "urdu",
    "tamil",
    "chinese",
    "mandarin",
    "japanese",
    "korean",
    "vietnamese",
    "thai",
    "indonesian",
    "malay",
    "swahili",
    "swedish",
    "norwegian",
    "danish",
    "finnish",
    "hungarian",
    "czech",
    "slovak",
    "romanian",
    "bulgarian",
    "serbian",
    "croatian",
    "catalan",
    "latin",
    "esperanto",
    "welsh",
    "irish",
    "icelandic",
    "afrikaans",
    "tagalog",
    "klingon",
]
_CUES = {
    "code": r"code|function|script|program\w*|python|java\w*|typescript|c\+\+|c#|in c|rust|golang|haskell|lisp|ruby|"
    r"php|swift|kotlin|perl|prolog|assembly|sql|query|regex\w*|regular expression|html|css|bash|shell|terminal|"
    r"command|one-liner|makefile|dockerfile|latex|tex|formula|loop|compile\w*|endpoint|struct|"
    r"js|ts|ruby|perl|env|\.env|cron\w*|powershell|awk|sed|array|excel|spreadsheet|git|linux|macro|svg|graphviz|gcode|g-code|config\w*|snippet|stdout",
    "markup": r"json|xml|html|csv|tsv|yaml|yml|toml|ini|markdown|table|columns?|rows?|bibtex|latex|diff|tags?|"
    r"key-value|schema|dictionary|format\w*|template|subtitles?|srt|"
    r"grid|chart|diagram|ascii|drawing|draw|board|chords?|tabs?|notation",
    "list": r"list|bullets?|bullet-point\w*|points?|steps?|items?|names?|ideas|examples|keywords?|hashtags?|tags?|"
    r"ingredients|comma|separated|order|sort\w*|alphabet\w*|rank\w*|anagrams?|synonyms?|colou?rs|titles?|options",
    "copy": r"repeat|copy|proof\w*|correct\w*|fix|edit|rewrite|rephrase|reword|paraphrase|spell\w*|grammar|quote|quotation|"
    r"extract|sort|order|arrange|reorder|format|reformat|convert|echo|exact\w*|verbatim|word for word|summari[sz]e|"
    r"summary|continue|complete|fill|choose|pick|which|classify|restate|return|say|type|write back|give back|"
    r"punctuat\w*|capitali[sz]e|underline|highlight|mark|mistakes?|typos?|clean up|polish|tidy|shorten|improve",
    "language": "|".join(_LANGUAGES) + r"|translat\w*|language|bilingual|accent|dialect|phrasebook|"
    r"traduc\w*|traduz\w*|tradui\w*|übersetz\w*|vertaal|vertaling|oversæt|översätt\w*|oversett|käännä|przetłumacz|"
    r"перевед\w*|переклад\w*|przełóż|çevir\w*|terjemah\w*|dịch|tafsiri|fordíts\w*|tradu\w*|prelož\w*|přelož\w*",
    "capitals": r"telegram|sign|caps|capitals?|capitali[sz]e|uppercase|upper case|upper-case|shout\w*|acronym\w*|initials",
    "repetition": r"times|repeat\w*|again and again|chorus|refrain|song|lyrics|lines|over and over|chant|poem|lullaby|"
    r"mantra|rows? of|pattern|punishment|verse|rhyme|villanelle|drum|count|tongue twister",
    "junk": r"random\w*|password\w*|passphrase|lorem|ipsum|dummy|placeholder|filler|base64|hex\w*|binary|morse|cipher|"
    r"rot13|encod\w*|decod\w*|encrypt\w*|ids?|uuid|token|serial|hash|nonsense|gibberish|backwards?|revers\w*|"
    r"scrambl\w*|anagram\w*|shuffl\w*|mix up|alphabetical\w*|sort\w*|sound|noise|onomatopoe\w*|spaces|leet|braille|"
    r"beatbox|ellipsis|dots|dashes|keyboard|voucher|codes?|fen|pgn|ipa|pronunciation|phonetic|nato|pig latin|vowels|consonants|keysmash|letters|consonant|characters|roman|chess|"
    r"moves?|knit\w*|alien|made-up|invent\w*|mask",
    "short": r"one word|single word|one-word|a word|just the|only the|only a|just a|one number|yes or no|true or false|"
    r"in a word|name only|reply with only|answer only|only answer|just say|number only|nothing else|no explanation|"
    r"how many|how much|what year|who|capital of|emoji|emoticon|how old|what time|what day|positive or negative|"
    r"equals?|plus|minus|divided|multiplied|percent",
    "emoji": r"kaomoji|emojis?|emoticons?|smil\w+|symbols?|pictograms?|icons?|faces?",
    "harm": r"kill\w*|murder|bomb\w*|explosiv\w*|weapons?|guns?|poison\w*|drugs?|meth|hack\w*|steal\w*|stolen|password|"
    r"phish\w*|scam|malware|virus|ransomware|suicid\w*|self-harm|racist|hate\w*|illegal\w*|break into|fake|forg\w*|"
    r"counterfeit|launder\w*|stalk\w*|spy|track (?:my|her|his|someone)|without (?:her|his|their|them) knowing|cheat\w*|"
    r"credit card|social security|blackmail\w*|revenge|hurt|harass\w*|exam answers|prescription|dosage|plagiari\w*|"
    r"bypass|address of|phone number|private|undress\w*|nude|porn\w*|sexual\w*|attack\w*|sabotage|smuggl\w*|evade|"
    r"jailbreak|secretly|pick (?:the|a) lock|lockpick\w*|shoplift\w*|bribe\w*|defam\w*|impersonat\w*|predict|lottery|"
    r"future|tomorrow|remind|wake|call|book|order|order me|send|weather|stock|right now|today|live|my (?:name|age|birthday)|"
    r"see|photo|image|picture|video|voice|hear|remember|you feel|are you|your",
}
CUES = tuple(_CUES)
_FINDERS = [re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) for pattern in _CUES.values()]
_YES_NO = re.compile(
    r"(?:^|[.?!\n,]\s*)(?:is|are|am|was|were|do|does|did|can|could|will|would|should|shall|may|might|has|have|had|"
    r"isn't|aren't|don't|doesn't|didn't|can't|won't|shouldn't|ok if|any)\b[^.?!]*(?:\?|$)",
    re.IGNORECASE,
)


def cues(prompt: str) -> dict[str, float]:
    """1 or 0 for each of `CUES`, and for ``yes_no``, a question that yes or no would answer."""
    found = {name: float(bool(finder.search(prompt))) for name, finder in zip(CUES, _FINDERS, strict=True)}
    found["yes_no"] = float(bool(_YES_NO.search(prompt)))
    return found
