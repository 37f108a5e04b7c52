"""What a study's finalists are chosen among, and how long they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.study import Study
from sqlalchemy.engine import Engine

from nas.finalists.flags import MOST, SEEDS
from nas.finalists.plan import ExpectedSeconds
from nas.finalists.settings import FinalistsSettings, settings_from
from nas.finalists.training import question, smoothed
from nas.search.outputs import PROVENANCE
from nas.search.settings import Settings
from proxies.training.recipes import Recipe
from studies.finalists import Choice, choose
from studies.ledger.trainings import Evaluations
from studies.record import Record
from studies.storage.studies import records_of


@dataclass(frozen=True, slots=True)
class Candidates:
    """The records of a study among which its finalists are chosen, and its references.

    `data` are the images as the last run of the study met them; None where it has not said.
    """

    settings: FinalistsSettings
    records: tuple[Record, ...]
    references: tuple[Record, ...]
    data: Mapping[str, Any] | None

    def choice(self, most: int = MOST) -> Choice:
        """The front without the noise of one training, and what is near it: so many, but all of the front."""
        return choose(self.records, *smoothed(self.records, self.settings.error), most)

    def expected(
        self, engine: Engine | None = None, is_timed: Callable[[Record], bool] = lambda record: False
    ) -> ExpectedSeconds:
        """How long finalists take.

        With an engine, what its ledger has is left out; `is_timed` are those that are not timed again.
        """
        settings, data = self.settings, self.data
        assert data is not None
        answers = Evaluations(engine).answers(settings.fingerprint) if engine else {}

        def is_trained(record: Record, recipe: Recipe, number: int) -> bool:
            asked = question(replace(settings, recipe=recipe), record, settings.seeds[number])
            return asked.answer_in(answers) is not None

        return ExpectedSeconds(
            own=settings.search.recipe,
            images=data["training_images"],
            image_size=data["image_size"],
            classes=len(data["classes"]),
            workers=settings.search.workers,
            is_trained=is_trained,
            is_timed=is_timed,
            resolution=settings.search.task.resolution,
        )


def candidates_of(study: Study, references: Study, search: Settings) -> Candidates | None:
    """What finalists are chosen among of a study that has just been searched with these settings; None of nothing."""
    records = tuple(records_of(study))
    if not records:
        return None
    settings = settings_from(study, search, search.recipe, SEEDS)
    return Candidates(settings, records, tuple(records_of(references)), study.user_attrs[PROVENANCE]["data"])
