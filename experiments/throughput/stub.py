"""An OpenAI-compatible endpoint that answers each call after the same time, and says how many it held.

python stub.py PORT LATENCY_MS SLOTS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib

import uvloop
from aiohttp import web

PERSONA = "\n".join(
    f"{n}. The user {how} [{n}]"
    for n, how in enumerate(
        ("prefers short answers.", "likes concrete examples.", "dislikes warnings.", "wants a direct tone."),
        1,
    )
)
WHY = "The user would take the more direct one of the two."


class Occupancy:
    """Calls held at each moment, integrated over time."""

    def __init__(self, most):
        self.most, self.held, self.calls = most, 0, 0
        self.area = 0.0
        self.changed = self.first = time.perf_counter()

    def change(self, by):
        now = time.perf_counter()
        if not self.calls:
            self.first = self.changed = now
        self.area += min(self.held, self.most) * (now - self.changed)
        self.changed, self.held = now, self.held + by
        self.calls += by > 0

    def read(self):
        found = {"slot_seconds": self.area, "seconds": self.changed - self.first, "calls": self.calls}
        self.__init__(self.most)
        return found


def reply(question):
    """A verdict, or a persona where pairs are numbered; the same question gets the same answer."""
    if "<pair number=" in question:
        return PERSONA
    side = "First" if zlib.crc32(question.encode()) % 3 else "Second"
    if "[[ ##" in question:  # as DSPy's chat adapter wants it
        return f"[[ ## reasoning ## ]]\n{WHY}\n\n[[ ## preference ## ]]\n{side}\n\n[[ ## completed ## ]]"
    return f"Reasoning: {WHY}\nPreference: {side}\nConfidence: 70"


def application(latency_s, most):
    occupancy = Occupancy(most)

    async def complete(request):
        occupancy.change(1)
        body = json.loads(await request.read())
        await asyncio.sleep(latency_s)
        last = body["messages"][-1]["content"]
        text = reply(last)
        sent = sum(len(message["content"]) for message in body["messages"]) // 4
        usage = {"prompt_tokens": sent, "completion_tokens": len(text) // 4}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        occupancy.change(-1)
        return web.json_response(
            {"id": "1", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice],
             "usage": usage}
        )  # fmt: skip

    async def read(request):
        return web.json_response(occupancy.read())

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/occupancy", read)
    return app


async def main(port, latency_ms, most):
    runner = web.AppRunner(application(latency_ms / 1000, most), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=512).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
