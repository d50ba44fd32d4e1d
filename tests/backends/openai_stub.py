"""A real HTTP server on loopback that speaks OpenAI's chat protocol, faults included.

It runs in a thread of its own, records what it was asked, and answers as the test says:

    openai_stub.script(Reply(status=500), "First")   # these first, in order of arrival
    openai_stub.answer = lambda body: "Second"       # then this, for every further request
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

DEFAULT_TEXT = "First"


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    content: Any = DEFAULT_TEXT
    """Text of the message; None is JSON null."""
    status: int = 200
    """With another status than 200 the body is an error object."""
    error: Mapping[str, Any] = field(default_factory=lambda: {"message": "scripted fault"})
    """The error object, with another status than 200."""
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str | None = "stop"
    message: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the message, e.g. ``refusal``."""
    logprobs: Any = None
    body: bytes | None = None
    """Sent in place of all that."""
    delay_s: float = 0.0
    """Wait before anything is sent."""
    drop: Literal["never", "before", "midway"] = "never"
    """Reset the connection instead of a reply, or after half of it."""


class OpenAIStub:
    """The server; `start` and `stop` it, or use the fixture ``openai_stub``."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], Reply | str] = lambda body: DEFAULT_TEXT
        self.most_at_once = 0
        self.base_url = ""
        self._scripted: deque[Reply | str] = deque()
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def script(self, *replies: Reply | str) -> None:
        """The next requests get these, in order of arrival."""
        self._scripted.extend(replies)

    def start(self, port: int = 0) -> OpenAIStub:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(port), self._loop).result(10)
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self, port: int) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.base_url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"

    async def _end(self) -> None:
        await self._runner.cleanup()
        held = asyncio.all_tasks() - {asyncio.current_task()}
        for task in held:  # replies that were to come later
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self._scripted.popleft() if self._scripted else self.answer(body)
            return await self._send(request, body, Reply(reply) if isinstance(reply, str) else reply)
        finally:
            self._at_once -= 1

    async def _send(self, request: web.Request, body: dict[str, Any], reply: Reply) -> web.StreamResponse:
        await asyncio.sleep(reply.delay_s)
        if reply.drop == "before":
            request.transport.abort()
            return web.Response()
        made = web.json_response(_completion(body, reply) if reply.status == 200 else {"error": reply.error})
        payload = made.body if reply.body is None else reply.body
        if reply.drop == "midway":
            response = web.StreamResponse(headers={"Content-Length": str(len(payload))})
            await response.prepare(request)
            await response.write(payload[: len(payload) // 2])
            request.transport.close()
            return response
        return web.Response(
            body=payload, status=reply.status, headers=reply.headers, content_type="application/json"
        )


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    words = sum(len(message["content"].split()) for message in body["messages"])
    spoken = len(reply.content.split()) if isinstance(reply.content, str) else 0
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.content, **reply.message},
                "finish_reason": reply.finish_reason,
                "logprobs": reply.logprobs,
            }
        ],
        "usage": {"prompt_tokens": words, "completion_tokens": spoken, "total_tokens": words + spoken},
    }
