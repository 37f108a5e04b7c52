"""What a study's accuracies are: predictions of full training by a fit, and how far that fit may be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from nas.cli.left_out import tell_left_out
from nas.cli.storage import CALIBRATIONS
from nas.workers.setup import EvaluatorSetup
from search_space.task import CLASSIFICATION
from studies.accuracy_scale import AccuracyScale
from studies.calibration import store as calibrations
from studies.calibration.accuracy_fit import AccuracyFit, Example, best_fit
from studies.calibration.accuracy_prior import as_of_papers
from studies.calibration.four_feature_fit import FourFeatureFit
from studies.calibration.known_trainings import known_trainings, shipped_fit
from studies.calibration.results import FEWEST, PREDICTION, Calibration, verdict_of
from studies.checked_facts import check_finite, impossible
from studies.ledger.trainings import Evaluations, KeptTraining
from studies.record import Record
from studies.storage.database import file_of
from studies.storage.studies import ledger_to_read

SHORT = "short"
"""The recipe whose fit stands in for that of a recipe without one: what losses say is much the same."""
MANY_IMAGES = 50_000
"""What a recipe without a bound on them is taken to see, to tell which of two trains for longer."""

NO_BETTER_THAN_CHANCE = "the calibration of this data ranks no better than chance and is not used"
OF_A_BACKBONE = (
    "backbones are scored as classifiers of whole images, with a pool and a classifier on their last map, and no "
    "detector is trained"
)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a study's accuracy is had of a short training; `summary` says it in a sentence or two.

    Without a fit, as in studies of some time ago, it is the short training's own.
    """

    fit: AccuracyFit | FourFeatureFit | None
    summary: str

    @property
    def is_level_known(self) -> bool:
        """Whether accuracies are those of these data; if not, differences alone mean something."""
        return self.fit is None or self.fit.is_level_known

    def scale(self, records: Sequence[Record], references: Sequence[Record]) -> AccuracyScale:
        """How accuracies of these records and references are shown."""
        return AccuracyScale.of(self.is_level_known, self.fit.error if self.fit else None, records, references)

    @property
    def prior(self) -> AccuracyFit | None:
        """What knows of an architecture before it is trained; None where nothing does."""
        return self.fit if isinstance(self.fit, AccuracyFit) else None

    def predicted(self, record: Record) -> Record:
        """The record with the accuracy that its training stands for, and how far that may be off."""
        if self.fit is None:
            return record
        if isinstance(self.fit, FourFeatureFit):
            return replace(record, accuracy=self.fit.predict(record.architecture, record.training))
        score = self.fit.score(record.architecture, record.training)
        return replace(record, accuracy=self.fit.as_accuracy(score), accuracy_error=self.fit.as_error(score))

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        kept: dict[str, Any] = {"fit": self.fit.to_dict() if self.fit else None, "told": self.summary}
        if isinstance(self.fit, FourFeatureFit):
            kept |= {"resolution": self.fit.resolution, "classes": self.fit.classes}
        return kept

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Accuracy:
        """What `to_dict` wrote."""
        kept = data["fit"]
        if not kept:
            return cls(None, data["told"])
        if "prior" not in kept:
            return cls(FourFeatureFit.from_dict(kept, data["resolution"], data["classes"]), data["told"])
        return cls(AccuracyFit.from_dict(kept), data["told"])


def checked_accuracy(kept: Any) -> Accuracy:
    """The accuracy that a study keeps.

    Raises:
        ImpossibleFacts: its numbers cannot be.
    """
    with impossible():
        check_finite(kept, "the study's accuracy")
        return Accuracy.from_dict(kept)


def accuracy_for(setup: EvaluatorSetup, fingerprint: str) -> Accuracy:
    """By the newest calibration of this recipe on this data that ranks better than chance, else by the fit that ships.

    A backbone is scored as a classifier too, and that is said.
    """
    found = _accuracy_for(setup, fingerprint)
    return found if setup.task.name == CLASSIFICATION else replace(found, summary=f"{OF_A_BACKBONE}; {found.summary}")


def _accuracy_for(setup: EvaluatorSetup, fingerprint: str) -> Accuracy:
    recipe, not_used = setup.recipe.name, ""
    found = next(_own(setup, fingerprint), None)
    if found is not None:
        if beats_chance(found, recipe):
            fit = replace(found.fits[recipe], resolution=setup.task.resolution)
            return Accuracy(
                fit, f"{what_it_is(fit)}; calibrated on this data ({fit.source}): {verdict_of(found, recipe)}"
            )
        not_used = f"{NO_BETTER_THAN_CHANCE}: {verdict_of(found, recipe)}; "
    fit, of_recipe = _shipped(setup)
    examples, trained_by = level_from(setup, fingerprint)
    fit = best_fit(examples, known_trainings(), SHORT)[0] if len(examples) >= FEWEST else fit.at_level(examples)
    cure = f"python -m nas.calibrate --data {setup.data.name} measures how well it ranks here"
    fit = replace(fit, resolution=setup.task.resolution)
    summary = f"{not_used}{what_it_is(fit, trained_by)}; prior and fit: {fit.source}{of_recipe}; {cure}"
    return Accuracy(fit, summary)


def what_it_is(fit: AccuracyFit, trained_by: str = "the full recipe") -> str:
    """In words what the accuracy of a fit is."""
    if fit.is_level_known:
        return f"predicted for training by {trained_by}, ±{100 * fit.error:.1f} points"
    return (
        f"predicted, in points above or below a reference, ±{100 * fit.error:.1f}; a percentage needs networks "
        "that were trained on these data by a longer recipe"
    )


def beats_chance(calibration: Calibration, recipe: str) -> bool:
    """Whether the default score ranks the calibration's networks better than chance in one of its sets at least."""
    rankings = calibration.row(PREDICTION, recipe).rankings
    return any(ranking.tau.low > 0 for ranking in rankings.values())


def _shipped(setup: EvaluatorSetup) -> tuple[AccuracyFit, str]:
    """The fit that ships for the recipe, and a word where it is another recipe's."""
    recipe = setup.recipe
    calibrated = calibrations.shipped(calibrations.SHIPPED[0]).made.recipes
    if calibrated.get(recipe.name) == recipe.to_dict():
        return shipped_fit(recipe.name), ""
    return shipped_fit(SHORT), f", which know recipe {SHORT!r} and not {recipe.name!r}"


def level_from(setup: EvaluatorSetup, fingerprint: str) -> tuple[list[Example], str]:
    """Networks that the ledger has trained on these data by this recipe and a longer one, and the latter's name.

    Of several longer recipes the longest counts.
    """
    kept = [each for engine in _engines(setup) for each in Evaluations(engine, to_read=True).trainings(fingerprint)]
    own, resolution = setup.recipe, setup.task.resolution

    def is_own(each: KeptTraining) -> bool:
        return _without_name(each.recipe) == _without_name(own.of(each.architecture, resolution).to_dict())

    kept = [each for each in kept if _is_for(each, resolution)]
    short = {each.architecture.key(): each.training for each in kept if is_own(each)}
    work = _work(own.to_dict())
    longer = [each for each in kept if _work(each.recipe) > work and each.architecture.key() in short]
    if not longer:
        return [], ""
    longest = max((each.recipe for each in longer), key=_work)
    of_longest = [each for each in longer if _work(each.recipe) == _work(longest)]
    examples = [
        Example(
            as_of_papers(each.architecture, resolution),
            short[each.architecture.key()],
            (each.training.accuracy,),
            setup.data.name,
        )
        for each in of_longest
    ]
    return examples, f"recipe {longest['name']!r}"


def _is_for(kept: KeptTraining, resolution: int) -> bool:
    """Whether it trained a network as a task at this resolution does."""
    own = kept.architecture.resolution
    return own is None or (own <= resolution and kept.recipe.get("resolution_share", 1.0) == own / resolution)


def _without_name(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name != "name"}


def _work(recipe: Mapping[str, Any]) -> float:
    """How long a recipe trains, in a unit of its own."""
    return float(recipe["epochs"] * (recipe["max_images"] or MANY_IMAGES) * recipe["image_scale"] ** 2)


def _own(setup: EvaluatorSetup, fingerprint: str) -> Iterator[Calibration]:
    """The newest calibrations in the study's database, and where calibrations are kept by default."""
    for engine in _engines(setup):
        tell_left_out("calibrations", calibrations.flaws(engine, fingerprint))
        found = calibrations.newest(engine, fingerprint, setup.recipe.to_dict())
        if found is not None and setup.recipe.name in found.fits:
            yield found


def _engines(setup: EvaluatorSetup) -> Iterator[Engine]:
    own, usual = (file_of(url) for url in (setup.storage, CALIBRATIONS))
    if own is None or own.is_file():
        yield ledger_to_read(setup.storage)
    # Nothing counts twice where both are one, however each is written.
    if usual is not None and usual.is_file() and (own is None or own.resolve() != usual.resolve()):
        yield ledger_to_read(CALIBRATIONS)
