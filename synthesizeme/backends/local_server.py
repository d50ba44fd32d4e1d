"""Any server that speaks OpenAI's chat protocol: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`, ...

Chosen by an address (``--api-base``), not by a name: the model's name is sent exactly as given. The key is
``ModelSettings.api_key`` or ``$SYNTHESIZEME_API_KEY``; no provider's key is ever sent to a server by itself.
Connections are kept open between calls; how many there are is the session's `concurrency`. ``$HTTP_PROXY``,
``$HTTPS_PROXY`` and ``$NO_PROXY`` are honoured.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from synthesizeme.backends._base import ModelSettings
from synthesizeme.backends._chat_bodies import KEY_VARIABLE, read_error
from synthesizeme.backends._chat_protocol import read_reply, request_body
from synthesizeme.backends._threads import LoopThread
from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    import aiohttp
    import dspy
    from dspy.lm15 import Request, Response

PREFIXES: tuple[str, ...] = ()
KIND = "language model behind an OpenAI-compatible server"
ASYNCHRONOUS = True
SAMPLES = True
WAYS = ("json", "continue", "mend")
TAKES = ("extra_body", "headers")

MAX_REPLY_BYTES = 32 * 1024 * 1024
"""Longest reply that is read; a longer one is an error of the server."""
CONNECT_TIMEOUT_S = 10.0
"""Longest wait for a connection, unless the whole attempt has less."""
KEEP_ALIVE_S = 60.0
"""How long an idle connection is kept."""
_CONTEXT_FIELDS = ("max_model_len", "n_ctx", "context_length", "max_context_length", "n_ctx_train")


class ServerEngine:
    """Asks one server, without blocking. Works from several event loops, each with its own connections.

    Args:
        address: Base address, e.g. ``http://127.0.0.1:8000/v1``.
        key: Sent as a bearer token; None sends none.
        timeout_s: Seconds one attempt may take.
        headers: Further headers; they win over those that are sent anyway.
    """

    def __init__(
        self, address: str, *, key: str | None, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = address.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._headers = ({"Authorization": f"Bearer {key}"} if key else {}) | dict(headers or {})
        self._proxy = proxy_of(self.url)
        self._timeout_s = timeout_s
        self._clients: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    async def complete(self, request: Request) -> Response:
        """One attempt.

        Raises:
            lm15.LM15Error: the canonical error for whatever went wrong.
        """
        import aiohttp
        from dspy import lm15

        try:
            status, headers, payload = await self._post(request)
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise lm15.TransportError(f"{self.url}: no connection in time") from error
            raise lm15.TimeoutError(f"no reply within {self._timeout_s:g} s") from error
        except aiohttp.ClientPayloadError as error:
            raise lm15.ServerError(f"the reply was cut short: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise lm15.TransportError(f"{self.url}: {error or type(error).__name__}") from error
        if status != 200:
            raise read_error(status, headers, payload)
        return read_reply(payload, request)

    async def described(self, path: str) -> Any:
        """What the server tells of itself at a path beside the endpoint, e.g. ``/models``, or None."""
        import aiohttp

        try:
            address = self.url.removesuffix("/chat/completions") + path
            async with self._client().get(address, proxy=self._proxy) as response:
                return await response.json(content_type=None) if response.status == 200 else None
        except (aiohttp.ClientError, OSError, ValueError):
            return None

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _post(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        from dspy import lm15

        call = self._client().post(
            self.url, json=request_body(request), allow_redirects=False, proxy=self._proxy
        )
        async with call as response:
            payload = bytearray()
            async for chunk in response.content.iter_any():
                payload += chunk
                if len(payload) > MAX_REPLY_BYTES:
                    raise lm15.ServerError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
            headers = {name.title(): value for name, value in response.headers.items()}
            return response.status, headers, bytes(payload)

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            connect = min(CONNECT_TIMEOUT_S, self._timeout_s)
            self._clients[loop] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=connect),
                headers=self._headers,
            )
        return self._clients[loop]


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address; None where it is asked directly."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def context_in(described: Any, name: str) -> int | None:
    """Tokens of a model's context, in what a server lists of its models (vLLM, llama.cpp, gateways)."""
    listed = described.get("data") if isinstance(described, dict) else None
    models = [it for it in listed or () if isinstance(it, dict)]
    for model in [it for it in models if it.get("id") == name] or models[:1]:
        inner = model.get("meta")
        for place in (model, inner if isinstance(inner, dict) else {}):
            for field in _CONTEXT_FIELDS:
                if isinstance(found := place.get(field), int) and found > 0:
                    return found
    return None


class BlockingEngine:
    """The same for code that calls without awaiting, e.g. DSPy's optimizers."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self._loop = LoopThread()

    def complete(self, request: Request) -> Response:
        """One attempt; raises as `ServerEngine.complete`."""
        return self._loop.run(self._engine.complete(request))

    def context(self, name: str) -> int | None:
        """Tokens of the context of model `name`, where the server tells; connections are closed again."""
        try:
            return context_in(self._loop.run(self._engine.described("/models")), name)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._loop.running:
            self._loop.run(self._engine.aclose())
            self._loop.close()


def open_lm(name: str, settings: ModelSettings) -> dspy.LM:
    """The model `name` at ``settings.api_base``. Nothing is sent yet.

    Raises:
        ConfigError: the address or the name cannot be right.
    """
    import dspy

    address = settings.api_base or ""
    _check(name, address)
    key = settings.api_key or os.environ.get(KEY_VARIABLE, "").strip() or None
    engine = ServerEngine(address, key=key, timeout_s=settings.timeout_s, headers=settings.headers)
    return dspy.LM(name, engine=BlockingEngine(engine), async_engine=engine, cache=False, num_retries=0)


def _check(name: str, address: str) -> None:
    problems = []
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        problems.append(f"api_base is {address!r}; expected an address like http://127.0.0.1:8000/v1")
    if name in ("", "builtin"):
        problems.append(
            f"api_base names a server, but the model is {name!r}; name the model that the server offers"
        )
    elif name.endswith("/"):
        problems.append(f"the model is {name!r}; expected a name that does not end in '/'")
    if problems:
        raise ConfigError(problems)
