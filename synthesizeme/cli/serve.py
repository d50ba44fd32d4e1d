"""``serve``: a trained reward model behind HTTP, for training loops and products."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._options import FURTHER, CommonOptions
from synthesizeme.cli._output import print_json, say, stream
from synthesizeme.cli._pairs import ABOUT, read_about
from synthesizeme.cli._reward_options import CHECKPOINT, FloorOptions, ShapeOptions, say_shipped
from synthesizeme.errors import ConfigError

LIMITS_PANEL = "Limits"


@dataclass(frozen=True)
class ServeOptions:
    """What is served, and to whom."""

    reward_model: Path | None = CHECKPOINT()
    model: str | None = option(None, "A language model that rates responses, instead.", "NAME")
    api_base: str | None = option(None, "OpenAI-compatible server of --model.", "URL")
    concurrency: int | None = option(None, "Most calls of --model in flight.", "N", min=1)
    host: str = option(
        "127.0.0.1", "Address to listen on; one that other machines can reach needs --token-file.", "ADDRESS"
    )
    port: int = option(8000, "Port; 0 takes a free one.", "N", min=0, max=65535)
    token_file: Path | None = option(
        None,
        "Tokens that requests need: lines SCOPE TOKEN. Scopes: score, write (also adds pairs and "
        "words), admin (also exports and deletes users).",
        "FILE",
    )
    data: Path | None = option(
        None,
        "Pairs of users, whom the server fits and can then add to; rows of the test split are left out.",
        "PAIRS",
    )
    about: Path | None = ABOUT()
    store: str | None = option(
        None,
        "Store where the users' pairs and words are kept: a path, or "
        "postgresql://…; without it users live in memory. Users in it are fitted at the start.",
        "URL|PATH",
    )
    key_file: Path | None = option(None, "Key of an encrypted store.", "FILE", panel=FURTHER)
    unknown_user: Literal["refuse", "population"] = option(
        "refuse", "What a user gets that the model does not know: no reward, or the population's."
    )
    on_error: Literal["raise", "population"] = option(
        "population",
        "Whether a response that cannot be scored fails the request or gets the population's reward.",
    )
    processes: int = option(
        1,
        "Processes; with more than one, users can only be changed in a store that they share (--store).",
        "N",
        name="--workers",
        min=1,
    )

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

    deadline: float = option(
        10.0, "Seconds from a request to its answer, or to status 504.", "S", panel=LIMITS_PANEL, min=0.001
    )
    max_waiting: int = option(
        2048, "Rows that may wait; further requests get status 429.", "N", panel=LIMITS_PANEL, min=1
    )
    max_rows: int = option(256, "Rows of one request, and of one batch.", "N", panel=LIMITS_PANEL, min=1)
    max_body: int = option(4 * 2**20, "Bytes of one request.", "N", panel=LIMITS_PANEL, min=1)
    max_text: int = option(65_536, "Characters of one prompt or response.", "N", panel=LIMITS_PANEL, min=1)


@verb
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
    from synthesizeme.serving.workers import ServerOptions, run

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
        queue={"deadline": limits.deadline, "most_waiting": limits.max_waiting, "most_rows": limits.max_rows},
    )
    run(server, ready=_ready if common.json else say)


def _ready(line: str) -> None:
    """Tell programs once that requests are taken, and where."""
    place = re.search(r"https?://[^\s;]+", line)
    print_json({"ready": line, "url": place[0] if place else None})
    stream().flush()
