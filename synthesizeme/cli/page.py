"""``page``: a page in the browser where people choose, and see and correct what is believed of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._model_options import ModelOptions, session_settings
from synthesizeme.cli._options import FURTHER, KEY_FILE, SEED, CommonOptions
from synthesizeme.cli._output import print_json, say, stream
from synthesizeme.cli._reward_options import CHECKPOINT


@dataclass(frozen=True)
class PageFlags:
    """What is asked, of whom, and where it is kept."""

    user: str = option("me", "Who you are: under this id your choices are kept.", "ID")
    pool: Path | None = option(
        None,
        "What is asked about; by default 60 invented questions. Rows of every format that is known, "
        "their labels not read; or rows with prompt, and responses, first and second, response, or none.",
        "POOL",
    )
    store: str | None = option(
        None,
        "Store of choices and profiles; by default one in your data folder, or in that of the project. A "
        "path, or postgresql://…",
        "URL|PATH",
    )
    key_file: Path | None = KEY_FILE()
    project: Path | None = option(
        None,
        "Folder of a project for several annotators: project.toml with title, pool, guidelines, "
        "agreement, gold, licence; links of invitation are made on the page.",
        "DIR",
    )
    reward_model: Path | None = CHECKPOINT()
    order: Literal["telling", "file"] = option(
        "telling", "Next question: the one that tells most about you, or that of the file."
    )
    host: str = option(
        "127.0.0.1", "Address to listen on; one that other machines can reach needs --token-file.", "ADDRESS"
    )
    port: int = option(8040, "Port; 0 takes a free one.", "N", min=0, max=65535)
    token_file: Path | None = option(
        None,
        "Tokens: lines SCOPE TOKEN. With write somebody may choose, with admin see the team's page.",
        "FILE",
    )
    no_open: bool = option(False, "Open no browser.")
    seed: int = SEED()
    effort: Literal["low", "medium", "high"] = option(
        "medium", "How many calls a profile may take.", panel=FURTHER
    )


@verb
def page(flags: PageFlags, model: ModelOptions, common: CommonOptions) -> None:
    """Open a page where you choose between answers, and see and correct what is believed of you.

    Needs the extra `serve`. Everything stays in the store, which the other verbs read too: `persona`,
    `profiles`, `score`, `serve`. Several people take part by links of invitation (--project).
    """
    from reward_models import POPULATION
    from synthesizeme.induction import InductionJob, InductionSettings
    from synthesizeme.page.run import PageOptions, default_store, run

    job = InductionJob(
        **vars(session_settings(model)),
        store=flags.store or default_store(flags.project),
        key_file=flags.key_file,
        settings=InductionSettings(seed=flags.seed, effort=flags.effort),
    )
    options = PageOptions(
        job=job, reward_model=str(flags.reward_model or POPULATION), user_id=flags.user, pool=flags.pool,
        project=flags.project, order=flags.order, host=flags.host, port=flags.port,
        token_file=flags.token_file, opens=not flags.no_open,
    )  # fmt: skip

    def ready(line: str, place: str) -> None:
        if common.json:
            print_json({"ready": line, "url": place})
            stream().flush()
        else:
            say(line)

    run(options, ready)
