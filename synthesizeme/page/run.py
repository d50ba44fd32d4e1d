"""Opens a page: its model, its store, its pool; and serves it until told to stop."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.errors import ConfigError, MissingExtraError
from synthesizeme.induction import InductionJob
from synthesizeme.plain_text import count
from synthesizeme.serving.access import read_tokens, refuse_strangers

if TYPE_CHECKING:
    from fastapi import FastAPI

    from synthesizeme.page.next_turn import Order

STORE = "choices.db"
"""Name of the store, where none is named."""
READS_HERE = ("builtin", "hf:")
"""How the names of models begin that run in this process, and send nothing anywhere."""
_DEADLINE_S = 20.0


@dataclass(frozen=True)
class PageOptions:
    """What is asked, of whom, and where it is kept."""

    job: InductionJob
    """The language model and how profiles are made; its store is that of the page."""
    reward_model: str
    """Checkpoint folder of the reward model."""
    user_id: str = "me"
    pool: Path | None = None
    """By default that of the project, else the sample that is shipped."""
    project: Path | None = None
    """Folder of a project."""
    order: Order = "telling"
    host: str = "127.0.0.1"
    port: int = 8040
    """0 takes any free port."""
    token_file: Path | None = None
    opens: bool = True
    """Whether a browser is opened."""

    def check(self) -> None:
        """Find what is wrong before anything is opened.

        Raises:
            ConfigError: others than this machine can reach the host and there are no tokens, or the user's id
                is blank.
        """
        problems = refuse_strangers(self.host, self.token_file)
        if not self.user_id.strip():
            problems.append("--user is blank; expected the id of a user")
        if problems:
            raise ConfigError(problems)


def default_store(project: Path | None) -> str:
    """Where choices are kept unless that is said: with the project, else with the user's data."""
    if project is not None:
        return str(project / STORE)
    root = os.environ.get("XDG_DATA_HOME")
    return str((Path(root) if root else Path.home() / ".local" / "share") / "synthesizeme" / STORE)


def kept_in(store: str) -> str:
    """Where choices are kept, in Markdown for people; of a database elsewhere no address is told."""
    return "a database of the team" if "://" in store else f"the file `{store}` on this computer"


@contextmanager
def opened_page(options: PageOptions) -> Iterator[FastAPI]:
    """The application of a page, its store and session closed at the end.

    Raises:
        ConfigError: an option is wrong, or prompts without answers need a model that can write.
        DataError: the pool or the checkpoint cannot be read.
        StoreError: the store cannot be opened.
        MissingExtraError: what a server needs is not installed.
    """
    options.check()
    try:
        from synthesizeme.page.app import build_page
        from synthesizeme.page.site import Page, PageSettings
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the page (found no module {error.name})", "serve") from None
    from synthesizeme.page.beliefs import Beliefs
    from synthesizeme.page.pool import read_items, sample_pool, with_gold
    from synthesizeme.page.project import Invitations, Project, read_project
    from synthesizeme.profiles import open_store
    from synthesizeme.serving.opening import open_rewards
    from synthesizeme.serving.rewards import ScalarRewards
    from synthesizeme.serving.settings import Settings

    project = Project() if options.project is None else read_project(options.project)
    items = read_items(options.pool or project.pool or sample_pool())
    if project.gold is not None:
        items = with_gold(items, read_items(project.gold, gold=True))
    job, here = options.job, options.job.model.startswith(READS_HERE)
    writes = job.model != "builtin"
    if (bare := sum(not it.responses for it in items)) and not writes:
        raise ConfigError(f"{count(bare, 'prompt')} of the pool have no answers; give a --model that writes")
    access = None if options.token_file is None else read_tokens(options.token_file)
    settings = PageSettings(
        user_id=options.user_id, order=options.order, kept_in=kept_in(job.store),
        reader=None if here else job.model, writes=writes,
    )  # fmt: skip
    with ExitStack() as stack:
        Path(job.store).parent.mkdir(parents=True, exist_ok=True) if "://" not in job.store else None
        store = stack.enter_context(open_store(job.store, key_file=job.key_file, create=True))
        session = stack.enter_context(job.open_session())
        rewards = ScalarRewards(open_rewards(options.reward_model), Settings(unknown_user="population"))
        page = Page(
            settings, rewards, store, Beliefs(store, session, job), items, project,
            Invitations(options.project), access,
        )  # fmt: skip
        yield build_page(page)


def run(options: PageOptions, ready: Callable[[str, str], None] = lambda line, place: None) -> None:
    """Show the page until the process is told to stop.

    Args:
        options: What is asked, of whom, and where it is kept.
        ready: Called with a line for people and the address once requests are taken.

    Raises:
        SynthesizeMeError: as `opened_page`; or the address cannot be bound.
    """
    with opened_page(options) as app:
        from synthesizeme.serving.workers import bound, serve_here

        with bound(options.host, options.port) as (listening, place):

            def tell() -> None:
                ready(f"The page is at {place}; what is said there is kept in {options.job.store}.", place)
                if options.opens:
                    webbrowser.open(place)

            serve_here(app, listening, _DEADLINE_S, tell)
