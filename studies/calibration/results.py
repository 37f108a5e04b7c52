"""What a calibration found: how every score ranks against full training, and the fit of the default score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any

from search_space.architecture import Architecture
from studies.calibration.accuracy_fit import NOTHING_KNOWN, AccuracyFit, Example, KnownTrainings, best_fit
from studies.calibration.accuracy_prior import Label, as_of_papers, fit_prior, left_out_estimates
from studies.calibration.scores import AT_INITIALISATION, BASELINES, SHORT_TRAINING, Evidence, pooled_scores
from studies.facts import TrainingFacts
from studies.ranking import Interval, Ranking, advantage_of, ceiling_of, ranking_of

PREDICTION, POOLED, PRIOR = "prediction", "pooled", "prior"
RIVALS = ("flops", "params", "naswot")
"""What costs next to nothing: a score that does not beat the best of these is worse than none."""
OWN = "own"
"""What examples call a calibration's own data, beside those that are known from elsewhere."""
FEWEST = 4
"""Architectures without which there is nothing to rank."""
TOO_FEW = "too few architectures were fully trained to rank by"

Key = tuple[str, str]
"""A score's name, and the recipe whose training it reads ("" for none)."""


@dataclass(frozen=True, slots=True)
class Trained:
    """An architecture of a calibration, with all that it was asked.

    `accuracies` are those of full trainings, in [0, 1], one a seed: none where it was trained short only. `trainings`
    are the short ones by recipe; `zero_cost` scores at initialisation, `zero_cost_seconds` their price.
    """

    architecture: Architecture
    macs: int
    params: int
    sets: tuple[str, ...]
    zero_cost: Mapping[str, float] = field(hash=False)
    zero_cost_seconds: Mapping[str, float] = field(hash=False)
    trainings: Mapping[str, TrainingFacts] = field(hash=False)
    accuracies: tuple[float, ...]

    def evidence(self, recipe: str) -> Evidence:
        """What is known of it before it is fully trained."""
        return Evidence(self.architecture, self.macs, self.params, self.zero_cost, self.trainings[recipe])

    def to_dict(self) -> dict[str, Any]:
        """The network as plain JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        trainings = {name: dict(training.plain) for name, training in self.trainings.items()}
        return {**values, "architecture": self.architecture.to_dict(), "trainings": trainings}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trained:
        """The network that `to_dict` wrote."""
        tuples = {name: tuple(data[name]) for name in ("sets", "accuracies")}
        trainings = {name: TrainingFacts(training) for name, training in data["trainings"].items()}
        architecture = Architecture.from_dict(data["architecture"])
        return cls(**{**data, **tuples, "architecture": architecture, "trainings": trainings})


@dataclass(frozen=True, slots=True)
class Row:
    """How one score ranks, by set of architectures; `advantages` are over the best of `RIVALS` in each set.

    `seconds` is the median price for one architecture.
    """

    score: str
    recipe: str
    seconds: float
    rankings: Mapping[str, Ranking] = field(hash=False)
    advantages: Mapping[str, Interval] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Made:
    """Of what a calibration was made: `recipes` holds the fields of each, `full` names the one held against."""

    data: str
    fingerprint: str
    budget: str
    resolution: int
    classes: int
    full: str
    recipes: Mapping[str, Mapping[str, Any]] = field(hash=False)
    seeds: tuple[int, ...]
    device: str
    made_at: float
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration: the networks, the rows, the seed ceiling by set, and a fit of the default score by recipe.

    Without fits, and without a set in the rows' rankings, where fewer than `FEWEST` networks were fully trained.
    """

    made: Made
    networks: tuple[Trained, ...]
    rows: tuple[Row, ...]
    ceilings: Mapping[str, Interval] = field(hash=False)
    fits: Mapping[str, AccuracyFit] = field(hash=False)

    def row(self, score: str, recipe: str = "") -> Row:
        """The row of a score."""
        return next(row for row in self.rows if (row.score, row.recipe) == (score, recipe))

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets with enough fully trained networks to rank."""
        return tuple(self.rows[0].rankings) if self.rows else ()

    def accuracy_range(self, name: str) -> tuple[float, float]:
        """The lowest and the highest mean full accuracy of a set."""
        means = [sum(each.accuracies) / len(each.accuracies) for each in members_of(self.networks, name)]
        return min(means), max(means)


def members_of(networks: Sequence[Trained], name: str) -> list[Trained]:
    """The fully trained networks of a set."""
    return [network for network in networks if name in network.sets and network.accuracies]


def scores_of(
    networks: Sequence[Trained], recipes: Sequence[str], known: KnownTrainings = NOTHING_KNOWN
) -> tuple[dict[Key, dict[str, float]], dict[str, AccuracyFit]]:
    """By score, by architecture's key, how it scores; and by recipe the fit of the default score.

    What a network's default score is, a fit says that had not seen it; without enough networks for a fit there is none.
    """
    scores: dict[Key, dict[str, float]] = {}
    for name, row in {**BASELINES, **AT_INITIALISATION}.items():
        if name in BASELINES or all(name in each.zero_cost for each in networks):
            scores[name, ""] = _by_key(networks, [row.of(each.evidence(recipes[0])) for each in networks])
    scores[PRIOR, ""] = priors_of(networks, recipes[0], known)
    fits = {}
    for recipe in recipes:
        evidences = [network.evidence(recipe) for network in networks]
        for name, row in SHORT_TRAINING.items():
            scores[name, recipe] = _by_key(networks, [row.of(evidence) for evidence in evidences])
        if sum(bool(network.accuracies) for network in networks) >= FEWEST:
            fits[recipe], scores[PREDICTION, recipe] = predictions_of(networks, recipe, known)
            predicted = list(scores[PREDICTION, recipe].values())
            scores[POOLED, recipe] = _by_key(networks, pooled_scores(predicted, evidences))
    return scores, fits


def priors_of(networks: Sequence[Trained], recipe: str, known: KnownTrainings = NOTHING_KNOWN) -> dict[str, float]:
    """By architecture's key what the architecture alone lets expect, by a prior that had not seen it."""
    own = [Label(each.architecture, fmean(each.accuracies), OWN) for each in networks if each.accuracies]
    before = [*known.labels, *(example.label for example in known.examples.get(recipe, ()))]
    places = range(len(own))
    labelled = [label.architecture.key() for label in own]
    unseen = dict(zip(labelled, left_out_estimates([*own, *before], places), strict=True))
    prior = fit_prior([*own, *before])
    keys = {each.architecture.key(): each.architecture for each in networks}
    return {key: (unseen.get(key) or prior.predict(each)).log_odds for key, each in keys.items()}


def predictions_of(
    networks: Sequence[Trained], recipe: str, known: KnownTrainings = NOTHING_KNOWN
) -> tuple[AccuracyFit, dict[str, float]]:
    """The fit of the default score, and by architecture's key what a fit that had not seen it predicts."""
    labelled = [network for network in networks if network.accuracies]
    examples = [Example(each.architecture, each.trainings[recipe], each.accuracies, OWN) for each in labelled]
    fit, left_out = best_fit(examples, known, recipe)
    unseen = _by_key(labelled, left_out)
    return fit, {
        key: unseen[key] if key in unseen else fit.predict(each.architecture, each.trainings[recipe])
        for key, each in ((each.architecture.key(), each) for each in networks)
    }


def calibration_of(
    made: Made, networks: Sequence[Trained], recipes: Sequence[str], known: KnownTrainings = NOTHING_KNOWN
) -> Calibration:
    """The calibration that these trainings amount to; `recipes` are the short ones, the default first.

    `known` are full trainings of other data, which the fit of the default score is made of as well.
    """
    if not networks:
        return Calibration(made, (), (), {}, {})
    kept = tuple(networks)
    networks = [replace(each, architecture=as_of_papers(each.architecture, made.resolution)) for each in networks]
    scores, fits = scores_of(networks, recipes, known)
    names = sorted({name for network in networks for name in network.sets}, reverse=True)
    members = {name: members_of(networks, name) for name in names}
    members = {name: found for name, found in members.items() if len(found) >= FEWEST}
    labels = {name: _by_seed(found) for name, found in members.items()}
    rankings = {
        key: {name: ranking_of(_in(values, members[name]), labels[name]) for name in members}
        for key, values in scores.items()
    }
    there = [name for name in RIVALS if (name, "") in rankings]
    rivals = {name: max(there, key=lambda each: rankings[each, ""][name].tau.order) for name in members}
    rows = []
    for (score, recipe), values in scores.items():
        advantages = {
            name: advantage_of(_in(values, found), _in(scores[rivals[name], ""], found), labels[name])
            for name, found in members.items()
        }
        rows.append(Row(score, recipe, _seconds(networks, score, recipe), rankings[score, recipe], advantages))
    ceilings = {name: ceiling for name in members if (ceiling := ceiling_of(labels[name])) is not None}
    return Calibration(made, kept, tuple(rows), ceilings, fits)


def verdict_of(calibration: Calibration, recipe: str) -> str:
    """In one line, how far a recipe's scores may be believed."""
    parts = []
    if recipe not in calibration.fits or not calibration.sets:
        return f"{recipe.upper()}: {TOO_FEW}"
    for name, ranking in calibration.row(PREDICTION, recipe).rankings.items():
        ceiling = calibration.ceilings.get(name)
        low, high = calibration.accuracy_range(name)
        there = [row.score for row in calibration.rows if row.score in (PRIOR, *RIVALS)]
        others = ", ".join(f"{each} {calibration.row(each).rankings[name].tau.estimate}" for each in there)
        parts.append(
            f"{SETS[name]} with tau {ranking.tau} (seed ceiling {ceiling.estimate if ceiling else 'unknown'}; "
            f"{others}; {ranking.architectures} networks of {100 * low:.1f} to {100 * high:.1f} %)"
        )
    return f"{recipe.upper()} ranks {'; '.join(parts)}"


SETS = {"stratified": "over the budget's range", "equal": "at equal FLOPs"}
"""What the sets of architectures are called."""


def _by_key(networks: Sequence[Trained], values: Sequence[float]) -> dict[str, float]:
    return {network.architecture.key(): value for network, value in zip(networks, values, strict=True)}


def _in(values: Mapping[str, float], members: Sequence[Trained]) -> list[float]:
    return [values[member.architecture.key()] for member in members]


def _by_seed(members: Sequence[Trained]) -> list[list[float]]:
    return [list(row) for row in zip(*(member.accuracies for member in members), strict=True)]


def _seconds(networks: Sequence[Trained], score: str, recipe: str) -> float:
    if recipe:
        return median(network.trainings[recipe].seconds for network in networks)
    return median(network.zero_cost_seconds.get(score, 0.0) for network in networks)
