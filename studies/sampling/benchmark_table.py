"""A table of finished trainings: networks named by one character a choice, each with its cost and several seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search_space.budget import Budget
from search_space.choosers import Params
from search_space.errors import InputError
from search_space.reading import LARGE, Fields, read_json, shown
from search_space.space import Chooser
from studies.front import undominated
from studies.sampling.expected_improvement import hypervolume
from studies.sampling.objective_model import KnownObjectives
from studies.sampling.samplers import Ahead

MOST_TRAININGS, LONGEST_CODE = 1000, 100
ANY = Budget()
REFERENCE_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class BenchmarkEntry:
    """A network of the table: accuracies in [0, 1], one a training."""

    code: str
    accuracies: tuple[float, ...]
    macs: int
    params: int

    def key(self) -> str:
        """Its name in the table."""
        return self.code

    @property
    def accuracy(self) -> float:
        """The mean over the trainings."""
        return fmean(self.accuracies)

    def accuracy_of(self, seed: int) -> float:
        """That of one of the trainings, always the same one for a seed."""
        return random.Random(f"{seed} {self.code}").choice(self.accuracies)


@dataclass(frozen=True, slots=True)
class FinishedTable:
    """The entries by their codes, and the characters that each place of a code may hold.

    The file is a JSON object from code to `test_acc` (a list, in percent or in [0, 1]), `flops` and `params`.
    """

    entries: Mapping[str, BenchmarkEntry] = field(hash=False)
    alphabets: tuple[str, ...]

    @classmethod
    def from_file(cls, path: str | Path) -> FinishedTable:
        """The table that the file holds.

        Raises:
            InputError: it cannot be read, or is no such table; the message names the first entry that is wrong.
        """
        data = read_json(Path(path), "a table is a JSON file of finished trainings", LARGE)
        if not isinstance(data, dict) or len(data) < 2:
            raise InputError(f"a table is a JSON object of two networks or more, by code; {str(path)!r} is none")
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FinishedTable:
        """The table of such an object.

        Raises:
            InputError: as `from_file`.
        """
        length = len(next(iter(data)))
        if length > LONGEST_CODE:
            raise InputError(f"a table's code has at most {LONGEST_CODE} characters, and the first one has {length}")
        for code in data:
            if len(code) != length or not length:
                raise InputError(
                    f"all codes of a table must be as long as the first, {length} characters; got {shown(code)}"
                )
        raw = {code: _checked(code, row) for code, row in data.items()}
        # One number says it for the whole table: an accuracy above 1 is a percentage.
        scale = 100.0 if max(max(accuracies) for accuracies, _, _ in raw.values()) > 1 else 1.0
        entries = {
            code: BenchmarkEntry(code, tuple(accuracy / scale for accuracy in accuracies), macs, params)
            for code, (accuracies, macs, params) in raw.items()
        }
        alphabets = tuple("".join(sorted({code[place] for code in data})) for place in range(length))
        return cls(entries, alphabets)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every place of a code as a parameter: an int where its characters are consecutive digits, else a category."""
        return {name: _distribution(alphabet) for name, alphabet in zip(self._names(), self.alphabets, strict=True)}

    def suggest(self, chooser: Chooser) -> str:
        """The code that the chooser chooses; a table that lacks some combinations may not hold it."""
        code = ""
        for name, distribution in self.distributions().items():
            if isinstance(distribution, IntDistribution):
                code += str(chooser.suggest_int(name, distribution.low, distribution.high))
            elif isinstance(distribution, CategoricalDistribution):
                code += str(chooser.suggest_categorical(name, distribution.choices))
        return code

    def code_of(self, params: Params) -> str:
        """The code that the parameters of `distributions` mean."""
        return "".join(str(params[name]) for name in self._names())

    def front(self) -> list[str]:
        """The codes that no other beats by mean accuracy and FLOPs, the one of fewest FLOPs first."""
        front = undominated(self.entries.values(), lambda entry: entry.macs, lambda entry: entry.accuracy)
        return [entry.code for entry in front]

    def _names(self) -> list[str]:
        return [f"choice_{place}" for place in range(1, len(self.alphabets) + 1)]


def _distribution(alphabet: str) -> BaseDistribution:
    digits = all(character in "0123456789" for character in alphabet)
    if digits and int(alphabet[-1]) - int(alphabet[0]) == len(alphabet) - 1:
        return IntDistribution(int(alphabet[0]), int(alphabet[-1]))
    return CategoricalDistribution(tuple(alphabet))


def _checked(code: str, row: Any) -> tuple[list[float], int, int]:
    fields = Fields(row, f"the network {shown(code)} of a table")
    accuracies = fields.rows("test_acc", MOST_TRAININGS)
    if not accuracies or not all(type(each) in (int, float) and 0 <= each <= 100 for each in accuracies):
        raise InputError(
            f"test_acc is a list of accuracies from 0 to 100; that of {shown(code)} is {shown(row['test_acc'])}"
        )
    macs, params = (int(fields.number(name, least=0)) for name in ("flops", "params"))
    return [float(each) for each in accuracies], macs, params


@dataclass(frozen=True, slots=True)
class Price:
    """What a set of networks is worth: the hypervolume of mean error and FLOPs below a fixed reference point."""

    table: FinishedTable
    reference: tuple[float, float]
    best: float

    @classmethod
    def of_table(cls, table: FinishedTable) -> Price:
        """The price below the table's largest FLOPs and the 95th percentile of its errors."""
        entries = list(table.entries.values())
        errors = [1 - entry.accuracy for entry in entries]
        reference = float(max(entry.macs for entry in entries)), float(np.percentile(errors, REFERENCE_PERCENTILE))
        return cls(table, reference, cls(table, reference, 1.0).of(table.front()))

    def of(self, codes: Sequence[str]) -> float:
        """The share of the whole table's hypervolume that these networks dominate."""
        entries = [self.table.entries[code] for code in codes]
        macs = np.array([[float(entry.macs)] for entry in entries]).reshape(-1, 1)
        return hypervolume(macs, np.array([1 - entry.accuracy for entry in entries]), self.reference) / self.best


def ahead_of(table: FinishedTable, budget: Budget = ANY) -> Ahead:
    """What a sampler may know of the table in advance: FLOPs, of the networks that it holds and a budget allows."""

    def known_of(params: Params) -> KnownObjectives | None:
        entry = table.entries.get(table.code_of(params))
        if entry is None:
            return None
        features = (math.log(max(entry.params, 1)),)
        return KnownObjectives((float(entry.macs),), features, allowed=budget.allows(entry.macs, entry.params))

    return Ahead(known_of, table.distributions(), ideal=1.0)
