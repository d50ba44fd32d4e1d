"""Which kinds of text each expert learns from."""

TAUGHT = {
    "copying": ("echo", "echo twice", "echo as a question", "keywords"),
    "repetition": ("first sentence repeated", "doubled", "many times", "echo twice"),
    "form": ("json", "html", "code", "table"),
    "capitals": ("capitals",),
    "script": ("another language",),
    "order": ("words shuffled", "words reversed", "keywords", "characters shuffled"),
    "junk": (
        "lorem ipsum", "random letters", "base64", "hex", "characters shuffled", "spaces removed",
        "junk inside", "white space marks",
    ),
    "relevance": (
        "another prompt's answer", "lorem ipsum", "instruction to the rater", "empty opening",
        "random letters", "refusal", "another language", "code",
    ),
    "size": ("one character", "one word", "only emoji", "white space marks", "empty opening"),
    "brevity": ("one character", "one word", "short phrase", "only emoji", "empty opening"),
    "stance": ("refusal", "empty opening", "instruction to the rater"),
    "content": ("empty talk",),
    "ending": ("cut in a sentence", "cut in a word"),
}  # fmt: skip
