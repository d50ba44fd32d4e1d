"""Does it pay to ask a judge several times: samples of one model, and the personas of the nearest users.

OMP_NUM_THREADS=1 python experiments/personas/averaging.py --data-dir FOLDER [--only samples,neighbours]

Samples: the model is a stand-in. Of each question it knows the answer in a share of its samples that is drawn
from Beta(a, b) for that question, so that theory says what the mean of k samples is worth. The induction with
`--effort high` decides on 12 validation pairs; 40 further pairs of each user are judged once and as decided.

Neighbours: people, and the builtin reader, whose samples do not differ. Every fourth train row decides, the
validation rows are judged once, under the two nearest personas beside it for everybody, and as decided.
"""

from __future__ import annotations

import argparse
import json
from hashlib import sha256
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import beta, betabinom

from synthesizeme.backends import Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.datasets import by_user
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.judges import LLMJudge
from synthesizeme.personas import SynthesizeMe
from synthesizeme.personas.averaging import SAMPLES, nearest
from synthesizeme.personas.selection import draw_orders
from synthesizeme.profile import Averaging
from synthesizeme.types import Message, PreferencePair

HERE = Path(__file__).parent
USERS, TRAIN, VALIDATION, TEST = 40, 20, 12, 40
SHAPES = ((6, 4), (3, 1), (1.2, 0.8))
"""a and b: six in ten right; three in four; six in ten, but most questions always or never right."""


def uniform(*parts):
    """A number in [0, 1) that follows from nothing but its parts."""
    return int.from_bytes(sha256("\0".join(map(str, parts)).encode()).digest()[:6], "big") / 2**48


def model_of(a, b):
    """A model that prefers the answer with "Six feet" in the share of samples drawn for the question."""

    def script(request):
        text = request.messages[-1].text
        if "<statement>" in text or "<pair " in text:
            return "Nothing sets this user apart."
        question = text[text.rindex("<first_response>") :]
        skill = beta.ppf(uniform(question), a, b)
        right = uniform(question, request.config.seed) < skill
        first = "Six feet" in question[: question.index("<second_response>")]
        return f"Preference: {'First' if right == first else 'Second'}"

    return scripted_model(script)


def choices(user):
    """A user's choices: the answer in feet, always."""
    splits = ["train"] * TRAIN + ["validation"] * VALIDATION + ["test"] * TEST
    return [
        PreferencePair(
            pair_id=f"{user}-{n}", user_id=user, split=split,
            prompt=(Message(role="user", content=f"How deep is fathom {n} of {user}?"),),
            chosen=(Message(role="assistant", content=f"Six feet, sailor {n} of {user}."),),
            rejected=(Message(role="assistant", content=f"Fathom {n} of {user} is a unit of length."),),
        )
        for n, split in enumerate(splits)
    ]  # fmt: skip


def theory(a, b, samples):
    """How often the majority of so many samples is right."""
    return float(betabinom.sf(samples // 2, samples, a, b))


def measured(a, b):
    """What users of such a model gain on further pairs, and what it takes."""
    gains, calls, right = [], [], []
    with Session(model_of(a, b)) as session:
        method = SynthesizeMe(session, effort="high")
        for number in range(USERS):
            pairs = choices(f"u{number}")
            test = [pair for pair in pairs if pair.split == "test"]
            profile = method.fit(pairs)
            once = profile.model_copy(update={"averaging": None})
            single, decided = (
                evaluate(LLMJudge(session.ledger(), {it.user_id: it}), test).micro for it in (once, profile)
            )
            gains.append(decided - single)
            right.append(single)
            calls.append(profile.averaging.calls if profile.averaging else 1)
    return {
        "a": a, "b": b, "once": fmean(right), "gain": fmean(gains),
        "standard error": stdev(gains) / USERS**0.5, "calls": fmean(calls),
        "averaged": fmean(it > 1 for it in calls),
        "theory": {str(k): theory(a, b, k) for k in (1, *SAMPLES)},
    }  # fmt: skip


def history_of(pairs):
    """The train rows, every fourth for validation, and the validation rows as what is asked."""
    train = [pair for pair in pairs if pair.split == "train"]
    split = ["validation" if n % 4 == 3 else "train" for n in range(len(train))]
    known = [it.model_copy(update={"split": part}) for it, part in zip(train, split, strict=True)]
    return known, [pair for pair in pairs if pair.split == "validation"]


def people(name, most, data_dir):
    """What the nearest users' personas gain on people's choices."""
    users = {u: history_of(own) for u, own in by_user(load_benchmark(name, data_dir).pairs).items()}
    users = {u: (known, asked) for u, (known, asked) in users.items() if len(known) >= 12 and asked}
    drawn = list(users)[:: max(1, len(users) // most)][:most]
    found = {"once": [], "always": [], "decided": []}
    calls = []
    with Session(open_model("builtin")) as session:
        others = {user: SynthesizeMe(session).fit(users[user][0]) for user in drawn}
        for user in drawn:
            known, asked = users[user]
            profile = SynthesizeMe(session, effort="high").fit(known, others=others)
            orders = draw_orders(known, seed=0)
            train = [(pair, orders[pair.pair_id]) for pair in known if pair.split == "train"]
            near = nearest(others, user, train, seed=0)
            ways = {
                "once": profile.model_copy(update={"averaging": None}),
                "always": profile.model_copy(update={"averaging": Averaging(neighbours=near)}),
                "decided": profile,
            }
            for way, it in ways.items():
                found[way].append(evaluate(LLMJudge(session.ledger(), {user: it}), asked).micro)
            calls.append(profile.averaging.calls if profile.averaging else 1)
    row = {
        "data": name,
        "users": len(drawn),
        "calls": fmean(calls),
        "averaged": fmean(it > 1 for it in calls),
    }
    for way, right in found.items():
        gains = [it - once for it, once in zip(right, found["once"], strict=True)]
        row[way] = {
            "right": fmean(right),
            "gain": fmean(gains),
            "standard error": stdev(gains) / len(gains) ** 0.5,
        }
    return row


PEOPLE = {"llmfao/seen-prompts": 26, "polis/later-pairs": 50, "remesh/later-pairs": 50}
"""Users of each data set, spread over all of it."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", default="samples,neighbours")
    args = parser.parse_args()
    parts = {
        "samples": (measured(*shape) for shape in SHAPES),
        "neighbours": (people(name, most, args.data_dir) for name, most in PEOPLE.items()),
    }
    for part in args.only.split(","):
        found = []
        for row in parts[part]:
            found.append(row)
            print(json.dumps(row), flush=True)
        (HERE / "results" / f"{part}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
