"""Pages to be tested: in a thread of this process, or in one of their own that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import uvicorn
from person import Person

import reward_models
from synthesizeme.induction import InductionJob
from synthesizeme.page.run import PageOptions, opened_page
from synthesizeme.serving.workers import bound, uvicorn_settings


class Served:
    """A page in a thread of this process, on a free port."""

    def __init__(self, store, **options):
        job = options.pop("job", None) or InductionJob(store=str(store))
        self.options = PageOptions(
            job=job, reward_model=str(reward_models.POPULATION), opens=False, port=0, **options
        )
        self._context = opened_page(self.options)
        self.app = self._context.__enter__()
        self.page, self.people = self.app.state.page, []
        self._bound = bound(self.options.host, 0)
        listening, self.url = self._bound.__enter__()
        self.server = uvicorn.Server(uvicorn.Config(self.app, **uvicorn_settings(5)))
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        until(lambda: self.server.started)

    def person(self, **settings):
        self.people.append(Person(self.url, **settings))
        return self.people[-1]

    def close(self):
        for person in self.people:
            person.close()
        self.server.should_exit = True
        self._thread.join(20)
        self._bound.__exit__(None, None, None)
        self._context.__exit__(None, None, None)


class Process:
    """A page in a process of its own, which can be killed."""

    def __init__(self, store, *flags, port=0):
        command = [
            sys.executable,
            "-m",
            "synthesizeme.cli",
            "page",
            "--no-open",
            "--store",
            str(store),
        ]
        self.process = subprocess.Popen(
            [*command, "--port", str(port), *flags], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        line = self.process.stderr.readline()
        assert line.startswith("The page is at http"), line + self.process.stderr.read()
        self.url = line.split()[4].rstrip(";")

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self._close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        said = self.process.stderr.read()
        self._close()
        return said

    def _close(self):
        self.process.stderr.close()


def until(true, seconds=60):
    """Wait for something that must come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
