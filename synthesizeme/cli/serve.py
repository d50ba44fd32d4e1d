"""``serve``: a trained reward model behind HTTP, for training loops and products."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from synthesizeme.cli._about import About, read_about
from synthesizeme.cli._checkpoint import Checkpoint, say_shipped
from synthesizeme.cli._floor_options import FloorOptions
from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions
from synthesizeme.cli._shape_options import ShapeOptions
from synthesizeme.cli._text import say
from synthesizeme.errors import ConfigError

LIMITS_PANEL = "Limits"


@dataclass(frozen=True)
class ServeOptions:
    """What is served, and to whom."""

    reward_model: Checkpoint = None
    model: Annotated[
        str | None,
        typer.Option("--model", help="A language model that rates responses, instead.", metavar="NAME"),
    ] = None
    api_base: Annotated[
        str | None,
        typer.Option("--api-base", help="OpenAI-compatible server of --model.", metavar="URL"),
    ] = None
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", help="Most calls of --model in flight.", min=1, metavar="N"),
    ] = None
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="Address to listen on; one that other machines can reach needs --token-file.",
            metavar="ADDRESS",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option("--port", help="Port; 0 takes a free one.", min=0, max=65535, metavar="N")
    ] = 8000
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="Lines SCOPE TOKEN, or JSON; scopes: score, write (also adds pairs and words), admin (also "
            "exports and deletes users).",
            metavar="FILE",
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Pairs of users, whom the server fits and can then add to; rows of the test split are "
            "left out.",
            metavar="PAIRS",
        ),
    ] = None
    about: About = None
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            help="Store where the users' pairs and words are kept, as of `synthesizeme profiles`: a path, or "
            "postgresql://…; without it users live in memory. Users in it are fitted at the start.",
            metavar="URL|PATH",
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="Key of an encrypted store.", metavar="FILE"),
    ] = None
    unknown_user: Annotated[
        Literal["refuse", "population"],
        typer.Option(
            "--unknown-user",
            help="What a user gets that the model does not know: no reward, or the population's.",
        ),
    ] = "refuse"
    on_error: Annotated[
        Literal["raise", "population"],
        typer.Option(
            "--on-error",
            help="A response that cannot be scored: the request fails, or it gets the population's reward.",
        ),
    ] = "population"
    processes: Annotated[
        int,
        typer.Option(
            "--workers",
            help="Processes; with more than one, users can only be changed in a store that they share "
            "(--store).",
            min=1,
            metavar="N",
        ),
    ] = 1

    @property
    def served(self) -> str | None:
        """What gives the rewards, as the server calls it; None is the population that is shipped.

        Raises:
            ConfigError: the flags name two, or a server of none.
        """
        if self.model is None:
            if self.api_base is not None:
                raise ConfigError("--api-base is the server of --model NAME; give that too")
            return None if self.reward_model is None else str(self.reward_model)
        if self.reward_model is not None:
            raise ConfigError("--reward-model DIR and --model NAME both give rewards; give one of them")
        place = "" if self.api_base is None else f"@{self.api_base}"
        most = "" if self.concurrency is None else f"?concurrency={self.concurrency}"
        return f"judge:{self.model}{place}{most}"


@dataclass(frozen=True)
class LimitOptions:
    """How much a server takes on."""

    deadline: Annotated[
        float,
        typer.Option(
            "--deadline",
            help="Seconds from a request to its answer, or to status 504.",
            min=0.001,
            metavar="S",
            rich_help_panel=LIMITS_PANEL,
        ),
    ] = 10.0
    max_waiting: Annotated[
        int,
        typer.Option(
            "--max-waiting",
            help="Rows that may wait; further requests get status 429.",
            min=1,
            metavar="N",
            rich_help_panel=LIMITS_PANEL,
        ),
    ] = 2048
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows",
            help="Rows of one request, and of one batch.",
            min=1,
            metavar="N",
            rich_help_panel=LIMITS_PANEL,
        ),
    ] = 256
    max_body: Annotated[
        int,
        typer.Option(
            "--max-body", help="Bytes of one request.", min=1, metavar="N", rich_help_panel=LIMITS_PANEL
        ),
    ] = 4 * 2**20
    max_text: Annotated[
        int,
        typer.Option(
            "--max-text",
            help="Characters of one prompt or response.",
            min=1,
            metavar="N",
            rich_help_panel=LIMITS_PANEL,
        ),
    ] = 65_536


@spread
def serve(
    options: ServeOptions,
    shape: ShapeOptions,
    floor: FloorOptions,
    limits: LimitOptions,
    common: CommonOptions,
) -> None:
    """Serve the rewards of a trained model over HTTP until it is stopped; needs the extra `serve`.

    POST /v1/score, /v1/compare and /get_reward (OpenRLHF) answer rewards; /v1/users/ID/pairs adds choices of
    a user and refits at once, PUT /v1/users/ID/words takes what they said beside choices; GET and DELETE
    /v1/users/ID export and forget one. /docs says it all, /metrics is for Prometheus.
    """
    from reward_models import POPULATION
    from synthesizeme.serving.app import ServerOptions
    from synthesizeme.serving.server import run

    read_about(options.about)
    if options.model is None and options.reward_model is None:
        say_shipped()
    server = ServerOptions(
        model=options.served or str(POPULATION),
        host=options.host,
        port=options.port,
        token_file=None if options.token_file is None else str(options.token_file),
        pairs=None if options.data is None else str(options.data),
        about=None if options.about is None else str(options.about),
        profiles=options.store,
        key_file=None if options.key_file is None else str(options.key_file),
        workers=options.processes,
        unknown_user=options.unknown_user,
        on_error=options.on_error,
        shape={**shape.settings(), "floor": floor.name},
        sizes={"body": limits.max_body, "rows": limits.max_rows, "text": limits.max_text},
        queue={
            "deadline": limits.deadline,
            "most_waiting": limits.max_waiting,
            "most_rows": limits.max_rows,
        },
    )
    run(server, ready=say)
