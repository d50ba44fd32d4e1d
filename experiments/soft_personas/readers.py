"""The methods of the study, each trained on one population and asked about users it has never seen."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import backbone
import histories
import planted
import references

import reward_models

UEM = {"uem": {"layers": 2}, "uem, 1 layer": {"layers": 1}, "uem, 3 layers": {"layers": 3}}
PPLUG = {
    "pplug": {},
    "pplug, uniform weights": {"input_aware": False},
    "pplug, temperature 0.1": {"temperature": 0.1},
    "pplug + words": {"words": True},
}
REFERENCES = ("references", "hierarchical-stylometric")
READERS = (*UEM, "text history", *PPLUG, "persona-prompted", *REFERENCES)
"""What is measured unless a table names others, what takes longest first."""
CONDITIONS = ("own", "nobody", "another user", "labels swapped")


class Study:
    """One seed: people to learn from, people to be asked, and a folder with what was trained before."""

    def __init__(self, settings, seed, folder):
        self.settings, self.seed, self.folder = settings, seed, Path(folder)
        self.shared = {"precision": "float32", "seed": seed, **settings["shared"]}

    def population(self, kind, number, pairs, name):
        tastes = planted.people(number, self.settings["tastes"], [self.seed, kind])
        return planted.choices(tastes, pairs, [self.seed, kind, 1], name)

    @cached_property
    def train(self):
        sizes = self.settings["train"]
        return self.population(0, sizes["users"], sizes["pairs"], "u")

    @cached_property
    def new(self):
        """Past pairs and pairs to be asked, by user."""
        sizes = self.settings["new"]
        past, number = max(self.settings["lengths"]), sizes["users"]
        pairs = self.population(1, number, past + sizes["asked"], "new")
        each = [pairs[i : i + past + sizes["asked"]] for i in range(0, len(pairs), past + sizes["asked"])]
        return {own[0].user_id: (own[:past], own[past:]) for own in each}

    def prepare(self):
        """Train the backbone to read a user in words; the soft prompts begin with it."""
        model = reward_models.method("persona-prompted")(
            backbone=self.bare(),
            profiler=histories.Words(self.train),
            **self.shared,
            **self.settings["words"],
        )
        model.fit(self.train).save(self.folder / "warm")

    def bare(self):
        """Folder of the backbone before any training: a given one, or one with random weights made here."""
        settings = self.settings["backbone"]
        if "folder" in settings:
            return settings["folder"]
        texts = [t for p in self.train for t in (p.prompt[0].content, p.chosen_text, p.rejected_text)]
        return backbone.fresh(self.folder / "fresh", [*histories.all_words(), *texts], settings, self.seed)

    def fitted(self, name):
        """A model by its name in `READERS`."""
        if name == "hierarchical-stylometric":
            return reward_models.method(name)(seed=self.seed).fit(self.train)
        warm = str(self.folder / "warm")
        if name == "persona-prompted":
            model = reward_models.load(Path(warm))
            model.profiler = histories.Words(self.train)
            return model
        if name == "text history":
            return self._text_reader(warm)
        if name == "bradley-terry":
            settings = {**self.shared, **self.settings["words"]}
            return reward_models.method(name)(backbone=self.bare(), **settings).fit(self.train)
        own, method = (UEM[name], "uem") if name in UEM else (PPLUG[name], "pplug")
        settings = {**self.shared, **self.settings[method], **own, "warm_start": warm}
        profiler = histories.Words(self.train)
        model = reward_models.method(method)(features="stylometric", profiler=profiler, **settings)
        return model.fit(self.train)

    def _text_reader(self, warm):
        """Persona-prompted, but what stands in front of the prompt are the past pairs themselves."""
        model = reward_models.method("persona-prompted")(
            backbone=f"{warm}/backbone", **self.shared, **self.settings["text"]
        )
        tokenizer = reward_models.load(Path(warm)).tokenizer_
        most = self.budget(max(self.settings["lengths"]))
        model.profiler = histories.PastPairs(tokenizer, most, seed=self.seed)
        model.fit(self.train)
        model.profiler = histories.PastPairs(tokenizer, most)
        return model

    def budget(self, length):
        """Tokens that the user embedding model spends on so many past pairs."""
        return length + self.settings["uem"]["task_tokens"]

    def measured(self, name):
        """Rows of one reader: for each condition and length, the share of right answers of every user."""
        if name == "references":
            return self._references()
        model, rows = self.fitted(name), []
        if name in ("uem", "pplug"):
            model.save(self.folder / name)
        for length in self.settings["lengths"]:
            full = length == self.settings["history"]
            if not full and name in PPLUG:
                continue
            if name == "text history":
                model.profiler.budget = self.budget(length)
            for condition in CONDITIONS if full else CONDITIONS[:1]:
                self._give(model, condition, length)
                rows.append(self._row(name, condition, length, self._ask(model)))
        return rows

    def _give(self, model, condition, length):
        users = list(self.new)
        shown = {user: past[-length:] for user, (past, _) in self.new.items()}
        if condition == "nobody":
            shown = {user: [] for user in users}
        if condition == "another user":
            turned = dict(zip(users, [*users[1:], users[0]], strict=True))
            shown = {
                user: [pair.model_copy(update={"user_id": user}) for pair in shown[turned[user]]]
                for user in users
            }
        if condition == "labels swapped":
            shown = {user: [pair.swapped_labels() for pair in pairs] for user, pairs in shown.items()}
        model.fit_users(shown)

    def _ask(self, model):
        asked = [pair for _, pairs in self.new.values() for pair in pairs]
        verdicts = model.compare([pair.compare("chosen_first") for pair in asked])
        return [{"first": 1.0, "tie": 0.5, "second": 0.0}[verdict.preference] for verdict in verdicts]

    def _row(self, name, condition, length, right):
        each, row = self.settings["new"]["asked"], {"reader": name, "condition": condition, "history": length}
        users = {user: sum(right[i * each : (i + 1) * each]) / each for i, user in enumerate(self.new)}
        return {**row, "users": users}

    def _references(self):
        told = [p for _, asked in self.new.values() for p in asked]
        full = self.settings["history"]
        rows = [self._row("oracle", "own", full, references.oracle(told))]
        for name, read in (
            ("logistic on the true attributes", references.logistic),
            ("counting", references.counting),
        ):
            for length in self.settings["lengths"]:
                right = [x for past, asked in self.new.values() for x in read(past[-length:], asked)]
                rows.append(self._row(name, "own", length, right))
            swapped = [
                x
                for past, asked in self.new.values()
                for x in read([pair.swapped_labels() for pair in past[-full:]], asked)
            ]
            rows.append(self._row(name, "labels swapped", full, swapped))
        return rows
