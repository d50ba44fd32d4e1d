"""From an induced persona's words to a direction that steers the policy toward that user, without training.

Each user's persona is induced from their choices; a judge that knows only its words compares the policy's own
answers; the difference of mean activations between those it prefers and the others is the user's direction.

python experiments/rlhf_loop/toward.py                       about a minute a seed on one core
python experiments/rlhf_loop/toward.py --quick --out FOLDER
"""

from __future__ import annotations

import numpy as np
import reading
import tastes
from drift import every_seed
from policy import HELD_OUT, asked_in_training, from_scratch
from run import mean, rewards_of_people

from reward_models.persona_vectors import (
    PersonaVectors,
    Steering,
    choose_layer,
    difference_of_means,
    operating_point,
    random_like,
)
from reward_models.persona_vectors.steering import steering_strengths
from synthesizeme import (
    Comparison,
    Failure,
    LLMJudge,
    Message,
    Session,
    SynthesizeMe,
    assign_splits,
    open_model,
)
from synthesizeme.judges import both_orders
from synthesizeme.scoring import as_answers


class PersonaJudge:
    """Compares answers knowing a persona's words alone: no pairs, no demonstrations, no weights."""

    def __init__(self, session, user, profile):
        bare = profile.model_copy(update={"demonstrations": ()})
        self._judge, self._user = LLMJudge(session.ledger(), {user: bare}), user

    def prefers(self, questions, answers, others):
        """P(the answer is preferred to the other one), (n,): the mean over both orders."""
        rows = [
            Comparison(pair_id=str(i), user_id=self._user, prompt=(Message(role="user", content=question),),
                       first=answer.strip() or "-", second=other.strip() or "-")
            for i, (question, answer, other) in enumerate(zip(questions, answers, others, strict=True))
        ]  # fmt: skip
        both = both_orders(self._judge, rows)
        return np.array([0.5 if isinstance(found, Failure) else found.probability for found in both])


def induced(session, user, pairs, seed):
    """The user's profile from their pairs, and the judge that knows its words."""
    rng = np.random.default_rng([seed, 5])
    mine, _ = assign_splits(
        tastes.choices(rng, user, tastes.TASTES[user], pairs, tastes.prompts()), seed=seed
    )
    profile = SynthesizeMe(session).fit(mine)
    return profile, PersonaJudge(session, user, profile)


def direction(decoder, judge, settings, seed):
    """The user's direction: mean activation of answers the persona prefers less that of the others."""
    asked = [p for p in np.random.default_rng([seed, 6]).choice(asked_in_training(), settings["comparisons"])]
    prompts = [reading.asked(str(prompt)) for prompt in asked]
    pair = [decoder.generate(prompts, max_new_tokens=reading.LONGEST, seed=seed + side) for side in (0, 1)]
    states = [decoder.response_states(prompts, said) for said in pair]
    lead = judge.prefers([str(prompt) for prompt in asked], *pair) - 0.5
    sure = np.abs(lead) >= np.median(np.abs(lead))  # half of the comparisons: those the judge is surest of
    first, second = sure & (lead > 0), sure & (lead < 0)
    better = np.concatenate([states[0][first], states[1][second]])
    worse = np.concatenate([states[0][second], states[1][first]])
    vectors = PersonaVectors("persona", difference_of_means(better, worse), decoder.identity.document())
    options = steered(decoder, judge, settings, seed)
    return choose_layer(
        decoder, vectors, alpha=settings["alpha"], coherent=settings["coherent"], **options
    ), len(better)


def steered(decoder, judge, settings, seed):
    """Options of `steering_strengths` on training prompts: the persona's choice, beside the policy's own."""
    asked = asked_in_training()
    speak = decoder.speaker(max_new_tokens=reading.LONGEST, cut_mark=reading.CUT, seed=seed + 2)
    old = decoder.generate([reading.asked(p) for p in asked], max_new_tokens=reading.LONGEST, seed=seed + 3)
    return {
        "prompts": [reading.asked(p) for p in asked],
        "generate": speak,
        "score": lambda questions, answers: [100 * float(x) for x in judge.prefers(questions, answers, old)],
        "coherence": reading.coherence,
    }


def measured(decoder, model, user, settings, seed, old, steering=None):
    """What is true of fresh answers to held-out prompts; none of it comes from the persona."""
    asked = [p for p in tastes.prompts()[::HELD_OUT] for _ in range(settings["answers"])]
    prompts = [reading.asked(p) for p in asked]
    if steering is None:
        said = decoder.generate(prompts, max_new_tokens=reading.LONGEST, cut_mark=reading.CUT, seed=seed)
    else:
        with steering:
            said = decoder.generate(prompts, max_new_tokens=reading.LONGEST, cut_mark=reading.CUT, seed=seed)
    rewards = model.score(as_answers(prompts, said, [user] * len(said)))
    chosen = [tastes.chooses(tastes.TASTES[user], text, other) for text, other in zip(said, old, strict=True)]
    return {
        "reward": float(np.mean([one.value for one in rewards])),
        "true choices": float(np.mean(chosen)),
        "coherence": float(np.mean(reading.coherence(asked, said))),
        "words": float(np.mean([tastes.properties(text)[0] for text in said])),
        "exclaiming": float(np.mean([tastes.properties(text)[1] for text in said])),
    }


def one_seed(config, seed, folder):
    """Policy, reward model and personas afresh; each user's answers under every direction."""
    settings = config["toward"]
    model, _ = rewards_of_people(config["full"]["reward"], seed)
    from_scratch(config["full"]["policy"], seed, folder)
    decoder = reading.decoder_of(folder)
    held_out = [reading.asked(p) for p in tastes.prompts()[::HELD_OUT] for _ in range(settings["answers"])]
    old = decoder.generate(held_out, max_new_tokens=reading.LONGEST, seed=seed + 11)
    vectors, alphas, found = {}, {}, {"seed": seed, "users": {}}
    with Session(open_model("builtin")) as session:
        for user in tastes.TASTES:
            profile, judge = induced(session, user, settings["own_pairs"], seed)
            vectors[user], used = direction(decoder, judge, settings, seed)
            doses = steering_strengths(
                decoder, vectors[user].at(), layer=vectors[user].layer, alphas=settings["alphas"],
                **steered(decoder, judge, settings, seed),
            )  # fmt: skip
            best = operating_point(doses, coherent=settings["kept"] * doses[0].coherence)
            alphas[user] = best.alpha
            found["users"][user] = {
                "persona": profile.persona.text, "answers contrasted": used, "layer": vectors[user].layer,
                "alpha": alphas[user], "doses": [dose.model_dump() for dose in doses],
            }  # fmt: skip
    for user in tastes.TASTES:
        [other] = [name for name in tastes.TASTES if name != user]
        drawn = random_like(vectors[user], seed).at(vectors[user].layer)
        kinds = {
            "own": (vectors[user].at(), vectors[user].layer, alphas[user]),
            "wrong user": (vectors[other].at(), vectors[other].layer, alphas[other]),
            "random": (drawn, vectors[user].layer, alphas[user]),
        }
        found["users"][user]["unsteered"] = measured(decoder, model, user, settings, seed + 12, old)
        for kind, (vector, layer, alpha) in kinds.items():
            steering = Steering(decoder.model, vector, layer=layer, alpha=alpha)
            found["users"][user][kind] = measured(decoder, model, user, settings, seed + 12, old, steering)
    return found


KINDS = ("unsteered", "own", "wrong user", "random")


def report(seeds):
    """Means over the seeds, and the gain of each kind over none, paired by seed."""
    found = {}
    for user in tastes.TASTES:
        rows = {kind: [seed["users"][user][kind] for seed in seeds] for kind in KINDS}
        found[user] = {
            kind: {name: mean([row[name] for row in some]) for name in some[0]}
            | {"gain in reward": mean([row["reward"] - plain["reward"]
                                       for row, plain in zip(some, rows["unsteered"], strict=True)])}
            for kind, some in rows.items()
        }  # fmt: skip
    return found


def main():
    seeds = every_seed(
        "toward",
        one_seed,
        lambda config, seeds: {"config": config["toward"], "report": report(seeds), "seeds": seeds},
    )
    for user, kinds in report(seeds).items():
        for kind, row in kinds.items():
            print(
                f"{user:8}{kind:12}"
                + "".join(f"{name} {value['mean']:+.2f}  " for name, value in row.items())
            )


if __name__ == "__main__":
    main()
