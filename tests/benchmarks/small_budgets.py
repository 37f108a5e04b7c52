"""Do suggestions use the share of a budget that they were asked for, down to the smallest budgets?

    python tests/benchmarks/small_budgets.py --n 1000

draws networks at random for each budget and prints how many use a share of it that is within 5, and within 10,
percentage points of `fill_percent`; the quartiles of the difference in points; and the milliseconds that a suggestion
takes. "over" counts networks over the budget, of which there must be none.
"""

import argparse
import statistics
import time

from search_space import Budget, InputError, SearchSpace, cost_of
from search_space.choosers import RandomChooser

BUDGETS = (
    *(f"{number}mflops" for number in (3, 5, 10, 15, 20, 30, 41, 80, 140, 300)),
    *("0.2mparams", "0.5mparams", "1mparams", "2mparams"),
    *("3mflops,0.2mparams", "10mflops,0.5mparams", "41mflops,1mparams"),
)


def row_of(text: str, seeds: range) -> str:
    """A row of the table."""
    try:
        space = SearchSpace.default(Budget.parse(text))
    except InputError as error:
        return f"{text:20} {error}"
    over, seconds = 0, 0.0
    off: list[float] = []
    for seed in seeds:
        chooser = RandomChooser(seed)
        start = time.process_time()
        architecture = space.suggest(chooser)
        seconds += time.process_time() - start
        cost = cost_of(architecture)
        share = space.budget.share(cost.macs, cost.params)
        over += share > 1
        off.append(100 * share - chooser.params["fill_percent"])
    within = [sum(abs(points) <= most for points in off) / len(off) for most in (5, 10)]
    quartiles = "".join(f"{points:8.2f}" for points in statistics.quantiles(off, n=4))
    return (
        f"{text:20}{over:6}{100 * within[0]:10.1f}{100 * within[1]:10.1f}{quartiles}{1e3 * seconds / len(seeds):9.2f}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000, help="draws for each budget (default 1000)")
    parser.add_argument("--budget", action="append", help="one of one's own in place of those; may be given again")
    args = parser.parse_args()
    print(f"{'budget':20}{'over':>6}{'within 5':>10}{'within 10':>10}   25 %    50 %    75 %   ms each")
    for text in args.budget or BUDGETS:
        print(row_of(text, range(args.n)), flush=True)


if __name__ == "__main__":
    main()
