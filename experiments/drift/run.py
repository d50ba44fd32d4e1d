"""How often the check for drift flags planted users whose taste changed, and users whose taste did not.

OMP_NUM_THREADS=1 python experiments/drift/run.py [config.toml]
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from statistics import fmean

from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.induction import InductionJob, drift, run
from synthesizeme.induction.one_user import InductionSettings
from synthesizeme.profiles import open_store
from synthesizeme.profiles.store import Track

HERE = Path(__file__).parent
CHANGES = ("none", "another user's taste", "the opposite taste")
ACCURACIES, BASES, RECENT = (0.6, 0.7, 0.8, 0.9), (4, 8, 20), (4, 10, 20)


def later(users, change, first):
    """The pairs after the first profile, by user."""
    ids = list(users)
    for place, user in enumerate(ids):
        whose = ids[(place + 1) % len(ids)] if change == CHANGES[1] else user
        pairs = [
            pair.model_copy(update={"user_id": user, "pair_id": f"later-{number:03d}"})
            for number, pair in enumerate(users[whose][first:])
        ]
        yield user, [pair.swapped_labels() for pair in pairs] if change == CHANGES[2] else pairs


def flagged(job, users, change, looks, first):
    """Which users were flagged in any look, and the mean loss that the first look estimated."""
    found, losses, start = set(), [], 0
    new = dict(later(users, change, first))
    for number, size in enumerate(looks):
        with open_store(job.store) as store:
            for user, pairs in new.items():
                store.add_pairs(user, pairs[start : start + size])
        start += size
        summary = run(job)
        assert summary.done == len(users), summary
        with open_store(job.store) as store:
            records = {user: store.induction(user) for user in users}
        found |= {user for user, record in records.items() if record.drifted}
        if number == 0:
            losses = [record.drift.loss for record in records.values() if record.drift]
    share = len(found) / len(users)
    error = math.sqrt(share * (1 - share) / len(users))
    return {"flagged": share, "standard_error": error, "loss": fmean(losses) if losses else None}


def binomial(n, p):
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def by_calculation(p, later_p, n, m):
    """P(flag) if every score were an independent coin: right with `p` before and with `later_p` since."""
    total = 0.0
    for k, before in enumerate(binomial(n, p)):
        for j, since in enumerate(binomial(m, later_p)):
            track = Track(base_pairs=n, base_correct=k, recent=(1.0,) * j + (0.0,) * (m - j))
            checked = drift.check(track)
            total += before * since * (checked is not None and checked.drifted)
    return total


def main(config_path=HERE / "config.toml"):
    config = tomllib.loads(Path(config_path).read_text())
    first, most = config["first"], max(map(sum, config["looks"].values()))
    users = planted_population(
        config["users"], first + most, seed=config["seed"], noise=config["noise"]
    ).by_user
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder) / "first.db"
        with open_store(begun) as store:
            for user, pairs in users.items():
                store.add_pairs(user, pairs[:first])
        settings = InductionSettings(seed=config["seed"])
        summary = run(InductionJob(str(begun), model=config["model"], settings=settings))
        accuracy = summary.accuracy["both"].correct / summary.accuracy["both"].pairs
        for name, looks in config["looks"].items():
            for change in CHANGES:
                place = Path(folder) / "now.db"
                shutil.copy(begun, place)
                job = InductionJob(str(place), model=config["model"], settings=settings)
                rows.setdefault(name, {})[change] = flagged(job, users, change, looks, first)
                print(row_line(name, change, rows[name][change]), flush=True)
                for left in Path(folder).glob("now.db*"):
                    left.unlink()
    exact = [
        {"accuracy": p, "base": n, "recent": m, "false_alarms": by_calculation(p, p, n, m),
         "found_at_one_minus_accuracy": by_calculation(p, 1 - p, n, m)}
        for p in ACCURACIES for n in BASES for m in RECENT
    ]  # fmt: skip
    result = {"config": config, "accuracy": accuracy, "rows": rows, "by_calculation": exact}
    worst = max(exact, key=lambda row: row["false_alarms"])
    print(f"  accuracy of the profiles on test pairs: {accuracy:.3f}")
    print(
        f"  by calculation, independent coins, one look: at most {100 * worst['false_alarms']:.1f} % false "
        f"alarms (accuracy {worst['accuracy']}, base {worst['base']}, recent {worst['recent']})"
    )
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(result, indent=2) + "\n")


def row_line(name, change, row):
    share, error = 100 * row["flagged"], 100 * row["standard_error"]
    return f"  {name}, change: {change}: {share:.1f} ± {error:.1f} % flagged, mean loss {row['loss']:+.3f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
