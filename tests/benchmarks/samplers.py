"""How few trainings each sampler needs, replayed over a table of finished trainings.

`python tests/benchmarks/samplers.py --table FILE`: every sampler searches for the front of error against FLOPs; a
network's error is that of one of its trainings, chosen by the seed, and what was found is priced by the mean over all
of them. Printed: the hypervolume that the networks trained so far dominate, over that of the whole table, below the
largest FLOPs and the 95th percentile of error. A network that a sampler asks for again costs it no training.

FILE is a JSON object from a network's code, one character a choice, to `test_acc` (one a seed), `flops`, `params`.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import plotly.graph_objects as go

from studies.report.figures import BLUE, GREY, ORANGE, styled
from studies.sampling.benchmark_table import FinishedTable, Price, ahead_of
from studies.sampling.samplers import SAMPLERS, sampler_for

BUDGETS = (25, 50, 75, 100, 200)
MOST_ASKS = 20
"""A sampler that asks for so many times its budget is stuck: it is priced by what it has found."""
LINES = {"surrogate": (BLUE, "solid"), "gp": (ORANGE, "solid"), "tpe": (ORANGE, "dash"), "nsga2": (GREY, "dash")}


@dataclass(frozen=True, slots=True)
class Run:
    """One search: the share of the best hypervolume after each training, and seconds spent in the sampler."""

    sampler: str
    seed: int
    shares: list[float]
    asks: int
    seconds: float


@cache
def _table(path: str) -> FinishedTable:
    return FinishedTable.from_file(path)


def search(path: str, sampler: str, seed: int, trainings: int) -> Run:
    """A search of so many different networks."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table = _table(path)
    price, ahead = Price.of_table(table), ahead_of(table)
    study = optuna.create_study(directions=["maximize", "minimize"])
    found: dict[str, float] = {}
    seconds, asks = 0.0, 0
    while len(found) < min(trainings, len(table.entries)) and asks < MOST_ASKS * trainings:
        started = time.perf_counter()
        if asks == 0 or sampler == "surrogate":
            study.sampler = sampler_for(sampler, seed, asks, ahead)
        trial = study.ask()
        code = table.suggest(trial)
        seconds += time.perf_counter() - started
        asks += 1
        entry = table.entries.get(code)
        if entry is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        study.tell(trial, [entry.accuracy_of(seed), entry.macs])
        if code not in found:
            found[code] = price.of([*found, code])
    return Run(sampler, seed, list(found.values()), asks, seconds)


def shares_at(runs: Sequence[Run], budget: int) -> list[float]:
    """What each run had after so many trainings, or in its end."""
    return [run.shares[min(budget, len(run.shares)) - 1] for run in runs]


def table_of(runs: dict[str, list[Run]], budgets: Sequence[int]) -> str:
    """A row for each sampler: mean ± standard deviation over the seeds at each budget, and its own time."""
    lines = [f"{'sampler':12}" + "".join(f"{budget:>16}" for budget in budgets) + f"{'ms a proposal':>16}{'asked':>8}"]
    for name, each in runs.items():
        cells = "".join(
            f"{np.mean(shares):9.3f} ± {np.std(shares, ddof=1) if len(shares) > 1 else 0:.3f}"
            for shares in (shares_at(each, budget) for budget in budgets)
        )
        per_ask = 1000 * sum(run.seconds for run in each) / sum(run.asks for run in each)
        lines.append(f"{name:12}{cells}{per_ask:16.1f}{np.mean([run.asks for run in each]):8.0f}")
    return "\n".join(lines)


def picture(runs: dict[str, list[Run]], title: str) -> go.Figure:
    """Share of the best hypervolume against trainings: the mean over seeds of each sampler."""
    figure = go.Figure()
    for name, each in runs.items():
        longest = max(len(run.shares) for run in each)
        means = [float(np.mean(shares_at(each, budget))) for budget in range(1, longest + 1)]
        colour, dash = LINES.get(name, (GREY, "dot"))
        figure.add_scatter(x=list(range(1, longest + 1)), y=means, name=name, line={"color": colour, "dash": dash})
    figure.update_layout(title=title)
    return styled(figure, "trainings", "hypervolume over the best possible")


def main() -> None:
    """Prints the table, writes the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True)
    parser.add_argument("--samplers", default=",".join(SAMPLERS), help="names, by commas")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)), help="trainings, by commas")
    parser.add_argument("--json", type=Path, help="where every run is written")
    parser.add_argument("--out", type=Path, default=Path("samplers.html"), help="where the curves are drawn")
    parser.add_argument("--processes", type=int, default=2)
    flags = parser.parse_args()
    budgets = sorted({int(budget) for budget in flags.budgets.split(",")})
    names = flags.samplers.split(",")
    with ProcessPoolExecutor(flags.processes) as pool:
        # Seed by seed: samplers take turns, so that a busy hour does not fall on one of them.
        asked = [(flags.table, name, seed, budgets[-1]) for seed in range(flags.seeds) for name in names]
        done = list(pool.map(search, *zip(*asked, strict=True)))
    runs = {name: [run for run in done if run.sampler == name] for name in names}
    print(
        f"{Path(flags.table).name}: hypervolume over the best possible by trainings, mean ± sd of {flags.seeds} seeds"
    )
    print(table_of(runs, budgets))
    picture(runs, Path(flags.table).stem).write_html(flags.out)
    if flags.json:
        content = {"table": flags.table, "budgets": budgets, "runs": [asdict(run) for run in done]}
        flags.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
