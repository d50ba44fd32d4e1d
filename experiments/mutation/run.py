"""How many of 150 random faults in our code the tests find.

python experiments/mutation/run.py [SEED ...]

Every mutant is made in a copy of the checkout and met by the tests that execute its line, those of the
cheapest file first, until one fails. Which tests execute which line is measured first and kept in
``out/mutation``.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from mutants import mutants_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KEPT = ROOT / "out" / "mutation" / "map.json"
CONFIG = tomllib.loads((HERE / "config.toml").read_text())
EQUIVALENT = {
    (row["file"], row["scope"], row["before"], row["after"]): row["why"]
    for row in tomllib.loads((HERE / "equivalent.toml").read_text()).get("mutant", [])
}
LOADED_ONCE = (
    "pytest", "numpy", "torch", "transformers", "dspy", "scipy.stats", "sklearn.linear_model", "fastapi",
    "uvicorn", "sqlalchemy", "alembic", "schemathesis", "hypothesis", "httpx", "aiohttp", "wordllama", "peft",
    "trl", "accelerate", "datasets", "bm25s", "optuna", "gepa", "pandas", "pyarrow", "typer", "rich.console",
    "safetensors.torch", "cryptography.fernet", "prometheus_client", "orjson", "tokenizers",
)  # fmt: skip
"""Libraries of others, imported before processes are forked, so that no mutant waits for them."""
QUIET = (
    "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-W", "ignore::pytest.PytestAssertRewriteWarning",
    "-W", "ignore::coverage.exceptions.CoverageWarning", "-m", "not slow",
)  # fmt: skip

SHOWN = ("file", "line", "before", "after", "killed_by")
NONE_OF_THAT_NAME = (4, 5)
"""Statuses of pytest where a test is not there; tests may be named after what a mutant changes."""

AT_ONCE = 6
"""Files of tests measured by one process; what it found is kept, should the next not end."""
WAIT = 60
"""Times the seconds of a process after which it is ended though it had not the processor for so long."""


class Noted:
    """A pytest plugin: seconds of the processor that each test takes, and the first that fails."""

    def __init__(self):
        self.seconds, self.failed, self.first = {}, set(), None

    def pytest_runtest_logstart(self, nodeid, location):
        self.seconds[nodeid] = -time.process_time()

    def pytest_runtest_logfinish(self, nodeid, location):
        self.seconds[nodeid] = round(self.seconds[nodeid] + time.process_time(), 3)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)
            self.first = self.first or report.nodeid

    def pytest_collectreport(self, report):
        if report.failed:
            self.first = self.first or f"import of {report.nodeid}"


def in_a_fork(tree, arguments, seconds):
    """What pytest finds in a process of its own, and what `Noted` noted; None when it took all its seconds.

    They are of the processor, so that a busy machine changes nothing; one that waits for ever is ended too.
    """
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
            _as_child(tree, arguments, Path(folder))
        ends = time.monotonic() + WAIT * seconds
        while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < ends:
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not done[0]:
            os.waitpid(child, 0)
        noted = Path(folder) / "noted.json"
        return json.loads(noted.read_text()) if noted.exists() else None


def _as_child(tree, arguments, folder):
    os.setsid()
    os.chdir(tree)
    out = os.open(folder / "log", os.O_CREAT | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ |= {"PYTHONPATH": str(tree), "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "examples")}
    sys.path[:0] = [str(tree)]
    noted = Noted()
    import pytest

    status = pytest.main([*QUIET, f"--basetemp={folder / 'base'}", *arguments], plugins=[noted])
    found = {
        "status": int(status),
        "seconds": noted.seconds,
        "failed": sorted(noted.failed),
        "first": noted.first,
    }
    (folder / "noted.partial").write_text(json.dumps(found))
    (folder / "noted.partial").rename(folder / "noted.json")
    shutil.copy(folder / "log", tree.parent / "log")
    os._exit(0)


def copied(folder):
    """The checkout as it stands, without what git ignores."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def test_files(tree):
    found = (path for folder in CONFIG["tests"] for path in (tree / "tests" / folder).rglob("test_*.py"))
    return sorted(path.relative_to(tree).as_posix() for path in found if path.name not in CONFIG["left_out"])


def modules(tree):
    return sorted(path for folder in CONFIG["code"] for path in (tree / folder).rglob("*.py"))


def digest(paths):
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def measured(tree):
    """By test file: its digest, the seconds of its tests, and by module the lines that each executes.

    A file is measured again when it changed, and all are when the code did.
    """
    code = digest(modules(tree))
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    files = kept["files"] if kept.get("code") == code else {}
    marks = {name: digest([tree / name]) for name in test_files(tree)}
    stale = [name for name, mark in marks.items() if files.get(name, {}).get("mark") != mark]
    files = {name: files[name] for name in marks if name not in stale}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    for at in range(0, len(stale), AT_ONCE):
        print(f"measuring which lines tests execute: {at} of {len(stale)} files done", flush=True)
        lines = _lines_of(tree, stale[at : at + AT_ONCE])
        files |= {name: {"mark": marks[name], **found} for name, found in lines.items()}
        KEPT.write_text(json.dumps({"code": code, "files": files}))
    return files


def _lines_of(tree, names):
    from coverage import CoverageData

    data = tree.parent / "coverage"
    os.environ["COVERAGE_FILE"] = str(data)
    packages = [f"--cov={name}" for name in ("synthesizeme", "reward_models")]
    noted = in_a_fork(tree, [*packages, "--cov-context=test", "--cov-report=", *names], 1800)
    files = {name: {"seconds": {}, "lines": {}, "set_up": {}} for name in names}
    for test, seconds in noted["seconds"].items():
        if test not in noted["failed"]:
            files[test.partition("::")[0]]["seconds"][test] = seconds
    coverage = CoverageData(str(data))
    coverage.read()
    for path in modules(tree):
        module = path.relative_to(tree).as_posix()
        for line, contexts in coverage.contexts_by_lineno(str(path)).items():
            for context in filter(None, contexts):
                test, _, phase = context.rpartition("|")
                found = files[test.partition("::")[0]]
                if phase == "run":
                    found["lines"].setdefault(module, {}).setdefault(test, []).append(line)
                elif line not in (lines := found["set_up"].setdefault(module, [])):
                    lines.append(line)
    return files


class Reach:
    """Which tests meet a mutant, and in what order."""

    def __init__(self, files):
        self.files = files
        self.seconds = {test: s for found in files.values() for test, s in found["seconds"].items()}

    def tests(self, mutant):
        """By file, the cheapest for the lines of the module first; what is run at import is met by all."""
        executed = set(range(mutant.line, mutant.last + 1))
        chosen = {name: self._of_file(found, mutant.file, executed) for name, found in self.files.items()}
        if not any(chosen.values()) and not mutant.scope.rpartition(".")[2][:1].islower():
            chosen = {name: self._of_file(found, mutant.file, None) for name, found in self.files.items()}
        ranked = []
        for name, tests in chosen.items():
            if tests:
                lines = {
                    line
                    for test in tests
                    for line in self.files[name]["lines"].get(mutant.file, {}).get(test, ())
                }
                ranked.append((sum(self.seconds[test] for test in tests) / (1 + len(lines)), name))
        return [sorted(chosen[name], key=self.seconds.get) for _, name in sorted(ranked)]

    def _of_file(self, found, module, executed):
        """Tests of a file that execute one of some lines, or any of the module; what is set up is of all."""
        lines, set_up = found["lines"].get(module, {}), found["set_up"].get(module, ())
        tests = [test for test, own in lines.items() if executed is None or not executed.isdisjoint(own)]
        if executed is not None and not executed.isdisjoint(set_up):
            tests = list(found["seconds"])
        return [test for test in tests if self.seconds.get(test, 1e9) <= CONFIG["longest_test"]]

    def within(self, mutant, first):
        """As many tests as fit into the time for one mutant, at least one; `first` before all others."""
        chosen, left = [], CONFIG["seconds_a_mutant"]
        tests = [test for tests in self.tests(mutant) for test in tests]
        for test in sorted(tests, key=lambda test: test != first):
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        return chosen


def drawn(tree, reach, seed):
    """Mutants in lines that tests execute, at most one a line.

    Their order is that of a hash of the seed and of what is changed, so that the draw stays what it was where
    other code changes.
    """
    found = [
        mutant
        for path in modules(tree)
        for mutant in mutants_of(path.relative_to(tree).as_posix(), path.read_text(encoding="utf-8"))
    ]
    found.sort(key=lambda mutant: hashlib.sha256(f"{seed}|{mutant.name}".encode()).digest())
    chosen, lines = [], set()
    for mutant in found:
        if (mutant.file, mutant.line) not in lines and reach.tests(mutant):
            with contextlib.suppress(SyntaxError):
                compile(mutant.source((tree / mutant.file).read_text(encoding="utf-8")), mutant.file, "exec")
                chosen.append(mutant)
                lines.add((mutant.file, mutant.line))
        if len(chosen) == CONFIG["mutants"]:
            break
    return chosen


def met(tree, mutant, tests, seconds):
    """Which test a mutant fails first, ``"time"`` where it never ends, or None."""
    path = tree / mutant.file
    kept, times = path.read_bytes(), path.stat()
    path.write_text(mutant.source(kept.decode()), encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    try:
        found = in_a_fork(tree, ["-x", *tests], seconds)
        if found and found["status"] in NONE_OF_THAT_NAME:
            found = in_a_fork(
                tree, ["-x", *dict.fromkeys(test.partition("::")[0] for test in tests)], seconds
            )
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if found is None:  # unless the tests take that long anyway
        return "time" if in_a_fork(tree, tests, seconds) else None
    return None if found["status"] == 0 else found["first"] or "import"


def key(row):
    return row["file"], row["scope"], row["before"], row["after"]


def found_before(seed):
    """By mutant, the test that found it when the sample was last run: it is tried first."""
    path = HERE / "results" / f"{seed}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {key(row): row["killed_by"] for row in rows}


def written(seed, rows):
    killed = sum(row["killed_by"] is not None for row in rows)
    same = sum("equivalent" in row for row in rows)
    found = {"seed": seed, "mutants": len(rows), "killed": killed, "equivalent": same, "rows": rows}
    (HERE / "results").mkdir(exist_ok=True)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (HERE / "results" / f"{seed}.json").write_text(text + "\n", encoding="utf-8")
    return f"seed {seed}: {killed} of {len(rows)} killed; {same} others change nothing"


def sampled(tree, reach, seed):
    """One sample, row by row."""
    before = found_before(seed)
    for mutant in drawn(tree, reach, seed):
        row = {name: getattr(mutant, name) for name in ("file", "line", "scope", "before", "after")}
        tests = reach.within(mutant, before.get(key(row)))
        expected = sum(reach.seconds[test] for test in tests)
        row |= {"tests": len(tests), "killed_by": met(tree, mutant, tests, 30 + 4 * expected)}
        if row["killed_by"] is None and (why := EQUIVALENT.get(key(row))):
            row["equivalent"] = why
        yield row


def confirmed(tree, rows):
    """The rows without the kills by tests that fail where nothing is changed."""
    killers = sorted({row["killed_by"] for row in rows if "::" in (row["killed_by"] or "")})
    failed = set(in_a_fork(tree, killers, 1800)["failed"])
    return [row | {"killed_by": None} if row["killed_by"] in failed else row for row in rows]


def main():
    seeds = [int(seed) for seed in sys.argv[1:]] or CONFIG["seeds"]
    for name in LOADED_ONCE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder) / "tree")
        reach = Reach(measured(tree))
        for package in ("synthesizeme", "reward_models"):
            compileall.compile_dir(tree / package, quiet=1)
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        for seed in seeds:
            rows = []
            for row in sampled(tree, reach, seed):
                rows.append(row)
                written(seed, rows)
                print(len(rows), *(row[name] for name in SHOWN), flush=True)
            print(written(seed, confirmed(tree, rows)), flush=True)


if __name__ == "__main__":
    main()
