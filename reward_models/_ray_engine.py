"""Encoding and the states of many users on a Ray cluster, with the same bits as in one process.

Texts and pairs travel as JSON, models as the files of a checkpoint. A worker on another machine reads the
encoder by the same name or path, and keeps what it encodes in the cache of that machine.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import Annotated, Any, Self

import numpy as np
import ray
import ray.data
from pydantic import Field, TypeAdapter
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from reward_models._base import RewardModel
from reward_models._features import Columns, Encoded, open_features
from reward_models._methods import packed, unpacked
from reward_models._settings import method_parameters
from reward_models._types import SILENT, Encoder, Histories, Said, Sayings, Unit, UserState, Vector
from synthesizeme.errors import ConfigError, DataError, SynthesizeMeError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.types import PreferencePair

TEXTS_AT_ONCE, USERS_AT_ONCE = 64, 16
"""Rows that a worker gets at once."""
_JUDGEMENT: TypeAdapter[Judgement] = TypeAdapter(Annotated[Judgement, Field(discriminator="kind")])
_ray_logger = logging.getLogger("ray.data")


class RayEngine:
    """An engine on the Ray cluster of ``$RAY_ADDRESS``, or on one started here; use it as a context.

    A cluster that happens to run on this machine is left alone.

    Args:
        workers: Processes to use; by default one for each core of the cluster.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._level = _ray_logger.level
        _ray_logger.setLevel(logging.ERROR)
        self._own = not ray.is_initialized()
        if self._own:
            own = {"address": "local", "num_cpus": self.workers, "include_dashboard": False}
            _join({} if os.environ.get("RAY_ADDRESS") else own)
        settings = ray.data.DataContext.get_current()
        settings.enable_progress_bars, settings.raise_original_map_exception = False, True
        self.workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ray_logger.setLevel(self._level)
        if self._own:
            ray.shutdown()

    def encode(self, spec: str, identity: str, units: Sequence[Unit]) -> Iterator[Mapping[Unit, Vector]]:
        """Vectors of the encoder with this specification and identity, part by part, in any order.

        Raises:
            DataError: a worker has another encoder under this name, or cannot read it.
        """
        rows = [{"unit": json.dumps(unit)} for unit in units]
        arguments = {"spec": spec, "identity": identity}
        for part in self._spread(_Encode, arguments, rows, TEXTS_AT_ONCE):
            names = [tuple(json.loads(unit)) for unit in part["unit"]]
            vectors = [np.frombuffer(vector, dtype="<f4") for vector in part["vector"]]
            yield dict(zip(names, vectors, strict=True))

    def user_states(self, model: RewardModel, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        """What `model`, whose shared weights are learned, makes of each user's pairs and sayings.

        Raises:
            DataError: a worker cannot read the model or its features.
        """
        if not _travels(model):
            return {
                user: model._user_state(pairs, sayings.get(user, SILENT)) for user, pairs in histories.items()
            }
        rows = [
            {
                "user": user,
                "pairs": [pair.model_dump_json() for pair in pairs],
                "words": "" if said.words is None else said.words.model_dump_json(),
                "feedback": [it.model_dump_json() for it in said.feedback],
            }
            for user, pairs in histories.items()
            for said in (sayings.get(user, SILENT),)
        ]
        arguments = {"packed": ray.put(_packed(model)), "threads": _torch_threads()}
        found = {
            user: load_arrays(state)
            for part in self._spread(_UserStates, arguments, rows, USERS_AT_ONCE)
            for user, state in zip(part["user"], part["state"], strict=True)
        }
        return {user: found[user] for user in histories}

    def _spread(
        self, worker: type, arguments: dict[str, Any], rows: list[dict[str, Any]], rows_at_once: int
    ) -> Iterator[dict[str, list[Any]]]:
        """Results of `worker` for all rows, part by part; each process makes one worker and keeps it."""
        workers = min(self.workers or 1, -(-len(rows) // rows_at_once))
        data = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // rows_at_once)).map_batches(
            worker, batch_size=rows_at_once, compute=ray.data.ActorPoolStrategy(size=workers),
            fn_constructor_kwargs=arguments, batch_format="pyarrow",
        )  # fmt: skip
        try:
            for table in data.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield table.to_pydict()
        except ray.exceptions.RayError as error:
            raise _cause(error) from error


def _join(local: dict[str, Any]) -> None:
    """Join the cluster of ``$RAY_ADDRESS``, or start one with `local`, the arguments of ``ray.init``.

    Raises:
        ConfigError: it cannot be joined.
    """
    try:
        ray.init(log_to_driver=False, logging_level="error", **local)
    except Exception as error:  # of many kinds, some of them Ray's own
        place = f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}" if not local else "one started here"
        said = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ConfigError(
            f"the Ray cluster ({place}) cannot be joined: {said}. Cure: check the address, and that the "
            f"cluster runs Ray {ray.__version__}; since Ray 2.60 a cluster may ask for a token: set "
            "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's own"
        ) from error


class _Encode:
    """Encodes rows of ``unit`` (JSON) to ``vector`` (bytes)."""

    def __init__(self, spec: str, identity: str) -> None:
        self._spec, self._identity = spec, identity

    def __call__(self, table: Any) -> dict[str, list[Any]]:
        units = table["unit"].to_pylist()
        with _located():
            vectors = self._encoder.encode([tuple(json.loads(unit)) for unit in units])
        return {"unit": units, "vector": [vector.astype("<f4").tobytes() for vector in vectors]}

    @cached_property
    def _encoder(self) -> Encoder:
        # On first use: what a worker raises while it is made ends it without saying why.
        features = open_features(self._spec)
        features = features.whole if isinstance(features, Columns) else features
        assert isinstance(features, Encoded)
        if features.identity != self._identity:
            raise DataError(
                f"{self._spec!r} is {features.identity!r}, and {self._identity!r} where the engine started",
                cure="bring the same files to every machine of the cluster.",
            )
        return features.encoder


class _UserStates:
    """From ``user``, ``pairs``, ``words`` and ``feedback`` (JSON) to ``user`` and ``state`` (safetensors)."""

    def __init__(self, packed: Any, threads: int | None) -> None:
        self._packed, self._threads = packed, threads

    def __call__(self, table: Any) -> dict[str, list[Any]]:
        histories = [
            [PreferencePair.model_validate_json(text) for text in texts]
            for texts in table["pairs"].to_pylist()
        ]
        words = [UserWords.model_validate_json(text) if text else None for text in table["words"].to_pylist()]
        feedback = [
            [_JUDGEMENT.validate_json(text) for text in texts] for texts in table["feedback"].to_pylist()
        ]
        with _located():
            found = list(map(self._model._user_state, histories, map(Said, words, feedback)))
        plain = [{name: np.ascontiguousarray(array) for name, array in state.items()} for state in found]
        states = [save_arrays(state) for state in plain]
        return {"user": table["user"].to_pylist(), "state": states}

    @cached_property
    def _model(self) -> RewardModel:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)
        return unpacked(ray.get(self._packed))


@contextmanager
def _located() -> Iterator[None]:
    """Errors of a worker say where it ran, and are of a kind that travels."""
    try:
        yield
    except SynthesizeMeError as error:
        raise DataError(f"a worker on {socket.gethostname()}: {error}") from error


def _packed(model: RewardModel) -> bytes:
    """A model without its users."""
    shared = copy.copy(model)
    shared.users_ = {}
    return packed(shared)


def _travels(model: RewardModel) -> bool:
    """Whether a checkpoint holds all of a model: arguments that are not saved have their defaults."""
    parameters = method_parameters(type(model))
    return all(getattr(model, name) is parameters[name].default for name in model.unsaved)


def _torch_threads() -> int | None:
    """Threads that torch uses here, if it is loaded: sums in another number of them have other last bits."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _cause(error: BaseException) -> BaseException:
    """The error of this project that a worker met, or what Ray says."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, SynthesizeMeError):
        found = getattr(found, "cause", None) or found.__cause__
    return found or error
