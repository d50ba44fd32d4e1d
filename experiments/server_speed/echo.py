"""The rivals: FastAPI endpoints that give back what they get."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/echo")
async def echo(body: dict[str, Any]) -> dict[str, Any]:
    return body


@app.post("/bytes")
async def echo_bytes(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")
