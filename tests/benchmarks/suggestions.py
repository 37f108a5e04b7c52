"""Are suggestions always valid and within the budget, and do they use it?

    python tests/benchmarks/suggestions.py --n 10000

draws suggestions at random for several budgets. "ratio" is the share of the budget that is used over the share that was
asked for, its median; "all seen" says that every offered value of every choice was built. Exits with 1 where any
suggestion is invalid or over budget.
"""

import argparse
import statistics
import time
from collections.abc import Iterator

from search_space import Architecture, Budget, InputError, SearchSpace, cost_of
from search_space.choices import Choices
from search_space.choosers import RandomChooser

BUDGETS = ("15mflops", "20mflops", "41mflops", "140mflops", "300mflops", "591mflops", "2mparams", "140mflops,2mparams")


def values_of(architecture: Architecture) -> Iterator[tuple[str, object]]:
    """Choice and value, one by one; a v1 unit has no split."""
    yield "unit", architecture.unit
    yield "head", architecture.head
    yield "activation", architecture.activation
    for number, stage in enumerate(architecture.stages, start=2):
        for name in ("depth", "groups", "kernel", "se", "split"):
            if (value := getattr(stage, name)) is not None:
                yield f"{name}_{number}", value


def offered(choices: Choices) -> set[tuple[str, object]]:
    """Every value of every choice."""
    whole = {"unit": choices.units, "head": choices.heads, "activation": choices.activations}
    pairs: set[tuple[str, object]] = {(name, value) for name, values in whole.items() for value in values}
    for number, depths in enumerate(choices.depths, start=2):
        stage = {"depth": depths, "groups": choices.groups, "kernel": choices.kernels, "se": choices.se}
        for name, values in {**stage, "split": choices.splits}.items():
            pairs |= {(f"{name}_{number}", value) for value in values}
    return pairs


def row_of(text: str, seeds: range) -> tuple[str, bool]:
    """A row of the table, and whether none was invalid or over budget."""
    space = SearchSpace.default(Budget.parse(text))
    missing = offered(space.choices)
    over = invalid = 0
    ratios, seconds = [], 0.0
    for seed in seeds:
        chooser = RandomChooser(seed)
        start = time.perf_counter()
        try:
            architecture = space.suggest(chooser)
        except InputError as error:
            print(f"INVALID: {text} seed {seed}: {error}")
            invalid += 1
            continue
        seconds += time.perf_counter() - start
        invalid += Architecture.from_dict(architecture.to_dict()) != architecture
        cost = cost_of(architecture)
        bounds = ((cost.macs, space.budget.macs), (cost.params, space.budget.params))
        share = max(count / bound for count, bound in bounds if bound)
        if share > 1:
            print(f"OVER: {text} seed {seed}: {architecture.to_dict()}")
            over += 1
        ratios.append(share * 100 / chooser.params["fill_percent"])
        missing -= set(values_of(architecture))
    seen = "all seen" if not missing else "never: " + ", ".join(f"{n} {v}" for n, v in sorted(missing, key=str))
    ms = 1e3 * seconds / len(seeds)
    row = f"{text:20}{len(seeds):8}{over:6}{invalid:9}{statistics.median(ratios):8.3f}{ms:9.2f}  {seen}"
    return row, over == invalid == 0


def main() -> int:
    """The exit status: 1 where a suggestion is invalid or over budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000, help="suggestions for each budget (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow (default 0)")
    args = parser.parse_args()
    print(f"{'budget':20}{'n':>8}{'over':>6}{'invalid':>9}{'ratio':>8}{'ms each':>9}  values")
    fine = True
    for text in BUDGETS:
        row, is_fine = row_of(text, range(args.seed, args.seed + args.n))
        print(row, flush=True)
        fine = fine and is_fine
    return int(not fine)


if __name__ == "__main__":
    raise SystemExit(main())
