"""Soft tokens of a user's history against text, words and classical fits, on users never seen before.

python experiments/soft_personas/run.py                         the table `gpu` or `cpu` of config.toml
python experiments/soft_personas/run.py --jobs 16               so many processes, with one thread each
python experiments/soft_personas/run.py --seeds 0,1 --out DIR   some seeds; those already in DIR are merged
python experiments/soft_personas/run.py --quick --out DIR       one tiny seed
python experiments/soft_personas/run.py --draw DIR              table and figure of a folder of results again
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import tomllib
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # runs from a checkout that is not installed


def quietly():
    """One thread, and no word from the libraries."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("SYNTHESIZEME_NO_CACHE", "1")
    warnings.filterwarnings("ignore")
    for name in ("trl", "transformers", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()


def task(settings, seed, folder, name):
    """One reader of one seed, or, without a name, the backbone that the readers of this seed begin with."""
    from readers import Study

    started, study = time.monotonic(), Study(settings, seed, folder)
    rows = study.measured(name) if name else study.prepare() or []
    print(f"seed {seed}, {name or 'backbone'}: {time.monotonic() - started:.0f} s", flush=True)
    return rows


def every_seed(settings, seeds, root, jobs):
    """Rows of one reader of one seed at a time, with the seed and the reader, as they are done.

    Backbones come first, then all readers of all seeds, the long ones first.
    """
    folders = {seed: str(root / f"seed-{seed}") for seed in seeds}
    first = [(settings, seed, folder, None) for seed, folder in folders.items()]
    then = [(settings, seed, folder, name) for name in readers(settings) for seed, folder in folders.items()]
    if jobs == 1:
        for one in first:
            task(*one)
        for one in then:
            yield one[1], one[3], task(*one)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=quietly) as pool:
        list(pool.map(task, *zip(*first, strict=True)))
        running = {pool.submit(task, *one): one for one in then}
        for done in as_completed(running):
            yield running[done][1], running[done][3], done.result()


def readers(settings):
    from readers import READERS

    return settings.get("readers", READERS)


def kept(settings, rows, file):
    """Write what a seed has so far, in the order of the readers, so that a run that is cut off leaves it."""
    ordered = [row for name in readers(settings) for row in rows.get(name, [])]
    file.write_text(json.dumps({"config": settings, "rows": ordered}) + "\n")


def machine():
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.processor() or platform.machine()}, processes of one thread"


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", help="table of config.toml; by default that of the device")
    parser.add_argument("--seeds", help="such as 0,1; by default all of the table")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="one tiny seed")
    parser.add_argument("--out", type=Path, help="folder of the results; by default results/TABLE")
    parser.add_argument("--draw", type=Path, help="read a folder of results and do nothing else")
    return parser.parse_args()


def main():
    arguments = parsed()
    if arguments.draw:
        return report(arguments.draw)
    quietly()
    import torch
    from costs import fitting_costs

    table = arguments.table or ("quick" if arguments.quick else "gpu" if torch.cuda.is_available() else "cpu")
    settings = tomllib.loads((HERE / "config.toml").read_text())[table]
    seeds = [int(seed) for seed in arguments.seeds.split(",")] if arguments.seeds else settings["seeds"]
    out = arguments.out or HERE / "results" / table
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        found = {seed: {} for seed in seeds}
        for seed, name, rows in every_seed(settings, seeds, Path(root), arguments.jobs):
            found[seed][name] = rows
            kept(settings, found[seed], out / f"seed-{seed}.json")
        costs = fitting_costs(settings, seeds[0], Path(root) / f"seed-{seeds[0]}")
    run = {"machine": machine(), "jobs": arguments.jobs, "seconds": time.monotonic() - began, "costs": costs}
    (out / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    report(out)


def report(out):
    """Summarise the seeds in a folder: ``results.json``, the tables (also in README), and the figure."""
    from summary import summarised, written

    results = summarised(out)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    tables = written(results)
    print(tables)
    if out.resolve().parent == HERE / "results":  # the README shows each run that is kept
        begin, end = f"<!-- tables of {out.name} -->", f"<!-- end of {out.name} -->"
        page = (HERE / "README.md").read_text()
        before, _, rest = page.partition(begin)
        (HERE / "README.md").write_text(f"{before}{begin}\n{tables}\n{end}{rest.partition(end)[2]}")
    try:
        import figure
    except ImportError:
        print("no figure: matplotlib is not installed; `--draw` makes it elsewhere")
        return
    (out / "figure.png").write_bytes(figure.draw(results))


if __name__ == "__main__":
    main()
