"""The public package `synthesizeme` on the pairs of some users; runs in an environment of its own.

python theirs.py USERS.json API_BASE OUT.json, where USERS.json is {user: {train, validation, test}} and each
row {context, chosen, rejected, flip}.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import urllib.request

import dspy
from synthesizeme.personalrm.synthesizeme import SynthesizeMe
from synthesizeme.utils.format_conv import format_conversation


def right(program, row):
    """Of a test pair, shown in both orders: how many verdicts were the user's, 0 to 2."""
    found = 0
    for first in ("chosen", "rejected"):
        second = "rejected" if first == "chosen" else "chosen"
        said = program(
            conversation=format_conversation(row["context"]),
            completion_one=format_conversation(row[first]), completion_two=format_conversation(row[second]),
        )  # fmt: skip
        found += said.preference == ("First" if first == "chosen" else "Second")
    return found


def measure(user, rows, lm, take):
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        model = SynthesizeMe(user_id="user", lm=lm, output_dir=f"{scratch}/")
        model.fit(rows["train"], rows["validation"])
        cost = take()
        verdicts = [right(model.program, row) for row in rows["test"]]
    take()
    return {
        "user": user, **cost, "right": verdicts,
        "persona": bool(model.persona), "demonstrations": len(model.program.judge_persona.predict.demos),
    }  # fmt: skip


def main(users, api_base, out):
    lm = dspy.LM("openai/model", api_base=api_base, api_key="none", cache=False)
    dspy.configure(lm=lm)

    def take():
        with urllib.request.urlopen(api_base.removesuffix("/v1") + "/take") as reply:
            return json.load(reply)

    take()
    with open(users, encoding="utf-8") as stream:
        everyone = json.load(stream)
    found = []
    for user, rows in everyone.items():
        found.append(measure(user, rows, lm, take))
        with open(out, "w", encoding="utf-8") as stream:
            json.dump({"dspy": dspy.__version__, "users": found}, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
