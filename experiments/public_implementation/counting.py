"""A server between a client and a model's that counts what passes: calls, different questions, tokens."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Counts:
    """What passed since the last `take`."""

    def __init__(self):
        self._lock = threading.Lock()
        self._clear()

    def _clear(self):
        self.calls, self.questions = 0, set()
        self.prompt_tokens = self.completion_tokens = 0

    def add(self, question, usage):
        with self._lock:
            self.calls += 1
            self.questions.add(question)
            self.prompt_tokens += usage.get("prompt_tokens", 0)
            self.completion_tokens += usage.get("completion_tokens", 0)

    def take(self):
        with self._lock:
            found = {
                "calls": self.calls, "distinct_calls": len(self.questions),
                "prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens,
            }  # fmt: skip
            self._clear()
            return found


@contextmanager
def counting(api_base):
    """Base URL of a server on loopback that hands requests on to `api_base`, and its `Counts`.

    Two questions are the same if their messages are: temperature and the like do not count. ``GET /take``
    gives the counts since the last one.
    """
    counts = Counts()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            self._answer(200, json.dumps(counts.take()).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            address = api_base.removesuffix("/") + self.path.removeprefix("/v1")
            request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as reply:
                status, answer = reply.status, reply.read()
            messages = json.dumps(json.loads(body)["messages"]).encode()
            counts.add(hashlib.sha256(messages).digest(), json.loads(answer).get("usage") or {})
            self._answer(status, answer)

        def _answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", counts
    finally:
        server.shutdown()
        server.server_close()
