"""The page under twenty simulated annotators: how long a choice takes beside a bare echo; is one lost?

OMP_NUM_THREADS=1 python experiments/page/run.py [config.toml]
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from synthesizeme.profiles import open_store
from synthesizeme.version import __version__

HERE = Path(__file__).parent
SECRET = re.compile(r'name="secret" value="([^"]+)"')
TEXT = re.compile(r'aria-label="Text of answer \d">(.*?)</div>', re.DOTALL)
TASTES = {
    "short": lambda text: -len(text), "long": len, "lists": lambda text: text.count("<li>"),
    "calm": lambda text: -text.count("!"), "code": lambda text: text.count("<code>"),
}  # fmt: skip


@contextmanager
def server(command, ready, cwd=HERE):
    """A server process; gives the address that it tells on standard error, or the one that is known."""
    process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if found := re.search(ready, line):
                yield found[1], process.pid
                break
        else:
            raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait(40)


def page(store, project, cwd=HERE):
    flags = ["--no-open", "--port", "0", "--store", str(store), "--project", str(project)]
    return server(
        [sys.executable, "-m", "synthesizeme.cli", "page", *flags], r"The page is at (http\S+);", cwd
    )


def echo():
    code = (
        "import uvicorn\nfrom fastapi import FastAPI, Request, Response\napp = FastAPI()\n"
        "@app.post('/echo')\nasync def echo(request: Request):\n"
        "    return Response(await request.body())\n"
        "uvicorn.run(app, port=0, access_log=False)\n"
    )
    return server([sys.executable, "-c", code], r"running on (http\S+)")


def spread(seconds):
    """Median, 95th percentile and largest, in milliseconds."""
    ordered = sorted(seconds)
    at = lambda share: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)  # noqa: E731
    return {"n": len(ordered), "median_ms": at(0.5), "p95_ms": at(0.95), "max_ms": at(1.0)}


async def timed(asked):
    started = time.perf_counter()
    async with asked as response:
        text = await response.text()
    return time.perf_counter() - started, response, text


class Annotator:
    """One simulated person with a taste, in a browser of their own."""

    def __init__(self, number, link, config):
        self.taste = list(TASTES.values())[number % len(TASTES)]
        self.link, self.config, self.random = link, config, random.Random(number)
        self.posts, self.pages, self.personas, self.echoes, self.sent = [], [], [], [], 0

    async def work(self, url, echo_url):
        async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            _, response, text = await timed(session.get(self.link))
            secret = SECRET.search(text)[1]
            _, response, text = await timed(session.post("/agree", data={"secret": secret}))
            async with aiohttp.ClientSession(echo_url) as bare:
                for number in range(self.config["choices"]):
                    await self._choose(session, bare, response, text, number)
                    if self.config["think_s"]:
                        await asyncio.sleep(self.random.expovariate(1 / self.config["think_s"]))
                    seconds, response, text = await timed(session.get("/"))
                    self.pages.append(seconds)
                    if number % 10 == 9:
                        await self._look(session, secret, number)

    async def _choose(self, session, bare, response, text, number):
        first, second = (html.unescape(it) for it in TEXT.findall(text))
        choice = "first" if self.taste(first) >= self.taste(second) else "second"
        body = {"secret": SECRET.search(text)[1], "choice": choice, "reason": ""}
        asked = lambda: timed(session.post(response.url.path, data=body, allow_redirects=False))  # noqa: E731
        if number % 7 == 3:  # a double click
            (seconds, one, _), (_, other, _) = await asyncio.gather(asked(), asked())
            assert one.status == other.status == 303
        else:
            seconds, one, _ = await asked()
            assert one.status == 303, one.status
        self.posts.append(seconds)
        self.sent += 1
        self.echoes.append((await timed(bare.post("/echo", data=body)))[0])

    async def _look(self, session, secret, number):
        if number == 9:
            form = {"secret": secret, "change": "add", "text": "I like short answers.", "version": "0"}
            await timed(session.post("/persona", data=form))
        seconds, response, text = await timed(session.get("/persona"))
        assert response.status == 200
        assert "held in" in text
        self.personas.append(seconds)


async def first_page(url, number):
    """Seconds and bytes of the first page with all that it loads, in a browser that was never here."""
    seconds = []
    for _ in range(number):
        async with aiohttp.ClientSession(url) as session:
            took, _, text = await timed(session.get("/"))
            seconds.append(took)
            loaded = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
            sizes = [len((await timed(session.get(path)))[2].encode()) for path in loaded]
    return {**spread(seconds), "bytes": len(text.encode()) + sum(sizes), "files": 1 + len(sizes)}


async def invited(url, number):
    """Links for so many annotators, made as the team makes them."""
    links = []
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        _, _, text = await timed(session.get("/team"))
        for name in range(number):
            form = {"secret": SECRET.search(text)[1], "name": f"simulated:{name}"}
            _, _, text = await timed(session.post("/team/invite", data=form))
            links.append(re.search(r"/join/[\w-]+", text)[0])
    return links


def cpu_seconds(pid):
    """What a process has used of processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counted(store, annotators):
    """How many answers are stored, lost and doubled."""
    lost = doubled = stored = 0
    with open_store(store, create=False) as opened:
        for number, annotator in enumerate(annotators):
            name = f"simulated:{number}"
            ids = [it.pair_id for it in opened.pairs(name)] + [it.feedback_id for it in opened.feedback(name)]
            stored += len(ids)
            lost += max(annotator.sent - len(set(ids)), 0)
            doubled += len(ids) - len(set(ids)) + max(len(set(ids)) - annotator.sent, 0)
    return {"sent": sum(it.sent for it in annotators), "stored": stored, "lost": lost, "doubled": doubled}


def measured(config, folder):
    project = Path(folder) / f"project-{config['think_s']}"
    project.mkdir()
    (project / "project.toml").write_text('title = "Measured"\n', encoding="utf-8")
    store = project / "choices.db"

    async def work(url, echo_url, pid):
        opening = await first_page(url, config["openings"])
        links = await invited(url, config["annotators"])
        annotators = [Annotator(number, link, config) for number, link in enumerate(links)]
        started, before = time.perf_counter(), cpu_seconds(pid)
        await asyncio.gather(*(it.work(url, echo_url) for it in annotators))
        return opening, annotators, time.perf_counter() - started, cpu_seconds(pid) - before

    with page(store, project) as (url, pid), echo() as (echo_url, _):
        opening, annotators, seconds, used = asyncio.run(work(url, echo_url, pid))
    every = lambda name: [it for annotator in annotators for it in getattr(annotator, name)]  # noqa: E731
    rate = sum(it.sent for it in annotators) / seconds
    return {
        "think_s": config["think_s"], "annotators": config["annotators"], "first_page": opening,
        "choice_stored": spread(every("posts")), "bare_echo": spread(every("echoes")),
        "next_question": spread(every("pages")), "persona_with_counts": spread(every("personas")),
        "choices_a_second": round(rate, 1),
        "server_cpu_ms_a_choice": round(1000 * used / sum(it.sent for it in annotators), 1),
        "load_of_the_machine": round(os.getloadavg()[0], 1), "answers": counted(store, annotators),
    }  # fmt: skip


def main():
    config = tomllib.loads(
        Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "config.toml").read_text(encoding="utf-8")
    )
    with tempfile.TemporaryDirectory() as folder:
        runs = [measured({**config, "think_s": think}, folder) for think in config["think_s"]]
    found = {"version": __version__, "runs": runs}
    (HERE / "results" / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for run in runs:
        print(json.dumps(run))
    print("median choices a second:", statistics.median(run["choices_a_second"] for run in runs))


if __name__ == "__main__":
    main()
