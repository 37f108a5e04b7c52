"""What a study's accuracies are: predictions of full-recipe accuracy by a fit, and how far that fit may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from nas.calibration_settings import CALIBRATIONS
from nas.settings import Settings
from search_space.cost import cost_of
from search_space.task import CLASSIFICATION
from studies import calibrations
from studies.calibration import Calibration, verdict_of
from studies.database import engine_of
from studies.prediction import AccuracyFit
from studies.record import Record

ACCURACY = "accuracy"
"""The study's attribute that keeps how its accuracies are had."""

OF_A_BACKBONE = (
    "backbones are scored as classifiers of whole images, with a pool and a classifier on their last map, and no "
    "detector is trained"
)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a study's accuracy is had of a short training; `told` says it in a sentence or two.

    Without a fit it is the short training's own. The fit knows FLOPs at `resolution` and `classes`.
    """

    fit: AccuracyFit | None
    told: str
    resolution: int = 224
    classes: int = 1000

    def predicted(self, record: Record) -> Record:
        """The record with the accuracy that its training stands for."""
        if self.fit is None:
            return record
        macs = cost_of(record.architecture, self.resolution, self.classes).macs
        return replace(record, accuracy=self.fit.predict(record.training, macs))

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        fit = self.fit.to_dict() if self.fit else None
        return {"fit": fit, "told": self.told, "resolution": self.resolution, "classes": self.classes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Accuracy:
        """What `to_dict` wrote."""
        fit = AccuracyFit.from_dict(data["fit"]) if data["fit"] else None
        return cls(fit, data["told"], data["resolution"], data["classes"])


def accuracy_for(settings: Settings, fingerprint: str) -> Accuracy:
    """The newest calibration of this recipe on this data, else one that ships, else the short training's own.

    A backbone is scored as a classifier too, and that is said.
    """
    found = _accuracy_for(settings, fingerprint)
    return found if settings.task.name == CLASSIFICATION else replace(found, told=f"{OF_A_BACKBONE}; {found.told}")


def _accuracy_for(settings: Settings, fingerprint: str) -> Accuracy:
    recipe = settings.recipe
    found = _own(settings, fingerprint)
    if found is not None:
        return _of(found, recipe.name, f"calibrated on this data: {verdict_of(found, recipe.name)}")
    shipped = [calibrations.shipped(name) for name in calibrations.SHIPPED]
    trying = [
        each for each in shipped if each.made.recipes.get(recipe.name) == recipe.to_dict() and recipe.name in each.fits
    ]
    for each in trying:
        if each.made.fingerprint == fingerprint:
            told = f"by the calibration on {each.made.data} that ships: {verdict_of(each, recipe.name)}"
            return _of(each, recipe.name, told)
    cure = f"run python -m nas.calibrate --data {settings.data}"
    if trying:
        told = (
            f"no calibration was made on this data, so how well {recipe.name.upper()} ranks here is unknown. "
            f"Accuracies are predicted by the fit to {trying[0].made.data} that ships: they order networks, and "
            f"say little of what these reach; {cure}"
        )
        return _of(trying[0], recipe.name, told)
    return Accuracy(None, f"accuracies are recipe {recipe.name!r}'s own, and how well they rank is unknown; {cure}")


def _own(settings: Settings, fingerprint: str) -> Calibration | None:
    """The newest calibration in the study's database, or where calibrations are kept by default."""
    for url in (settings.storage, CALIBRATIONS):
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            continue
        found = calibrations.newest(engine_of(url), fingerprint, settings.recipe.to_dict())
        if found is not None and settings.recipe.name in found.fits:
            return found
    return None


def _of(calibration: Calibration, recipe: str, told: str) -> Accuracy:
    return Accuracy(calibration.fits[recipe], told, calibration.made.resolution, calibration.made.classes)
