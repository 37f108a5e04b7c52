"""A study's storage as optuna-dashboard shows it: with notes and drawings that are made when they are looked at.

Latencies that were taken anew stand in place of those that their trials ended with.

Nothing is written to the database: a search may be running on it, and what is made anew is never out of date.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Never

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard._note import note_str_key_prefix, note_ver_key
from optuna_dashboard.artifact._backend import DASHBOARD_ARTIFACTS_ATTR_PREFIX

from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.errors import InputError
from search_space.plan import plan_of
from studies.accuracy_scale import AccuracyScale
from studies.dashboard.notes import study_note, trial_note
from studies.facts import LatencyFacts, TrainingFacts
from studies.finalists import finalists_from, scale_of_finals
from studies.optuna_internals import FrozenStudy, id_of_study, id_of_trial
from studies.record import KEY, Record, record_of
from studies.report.study.drawing import Drawing
from studies.report.study.network_drawing import network_drawing, unit_drawing
from studies.report.study.training_curves import chart, losses_of
from studies.storage.database import engine_options, written
from studies.storage.retimed_latencies import retimed_in
from studies.storage.secrets import plain_without_secrets, without_secrets
from studies.storage.studies import CAUSE, FINALISTS, REFERENCES

Draw = Callable[[FrozenTrial], Drawing]


def _stages(trial: FrozenTrial) -> Drawing:
    architecture = Architecture.from_dict(trial.user_attrs["architecture"])
    return network_drawing(plan_of(architecture), cost_of(architecture).layers)


def _unit(trial: FrozenTrial) -> Drawing:
    """The most typical unit: the last one of the longest stage."""
    plan = plan_of(Architecture.from_dict(trial.user_attrs["architecture"]))
    return unit_drawing(max(plan.stages, key=len)[-1])


def _curves(trial: FrozenTrial) -> Drawing:
    return chart(losses_of(TrainingFacts(trial.user_attrs["training"])))


DRAWINGS: Mapping[str, Draw] = {"stages.svg": _stages, "unit.svg": _unit, "training.svg": _curves}
"""File name -> what draws it."""
ONNX = "untrained.onnx"
FILES = (*DRAWINGS, ONNX)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a trial that the dashboard may ask for."""

    trial_id: int
    file: str

    @property
    def id(self) -> str:
        """Its name in the dashboard's addresses, which are of hexadecimal digits and dashes."""
        return f"{self.trial_id:x}-{FILES.index(self.file):x}"

    @classmethod
    def of_id(cls, text: str) -> Artifact:
        """The artifact of such a name."""
        trial_id, _, place = text.partition("-")
        return cls(int(trial_id, 16), FILES[int(place, 16)])


class AnnotatedStorage(RDBStorage):
    """The storage at the URL; studies and finished trials have notes and artifacts beside what is kept of them."""

    def __init__(self, url: str) -> None:
        super().__init__(written(url), engine_kwargs=engine_options(url, to_read=True), skip_table_creation=True)
        self._annotated: dict[int, dict[str, Any]] = {}
        self._counted: dict[int, tuple[int, ...]] = {}

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The study's user attributes, without a password that some command line kept."""
        attributes: dict[str, Any] = plain_without_secrets(super().get_study_user_attrs(study_id))
        return attributes

    def _refuse(self, *arguments: object, **options: object) -> Never:
        """Never comes back.

        Raises:
            InputError: the storage is to be read.
        """
        raise InputError("a study is shown here and not changed: its search, or Optuna itself, changes it")

    create_new_study = delete_study = set_study_user_attr = set_study_system_attr = _refuse
    create_new_trial = set_trial_param = set_trial_state_values = set_trial_intermediate_value = _refuse
    set_trial_user_attr = set_trial_system_attr = record_heartbeat = upgrade = _refuse

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The study's own system attributes and, in the form of the dashboard's own, its notes and artifacts."""
        return self._annotated_attributes(study_id, super().get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        """All studies, their system attributes as `get_study_system_attrs` gives them."""
        studies = super().get_all_studies()
        for study in studies:
            study.system_attrs = self._annotated_attributes(id_of_study(study), study.system_attrs)
            study.user_attrs = plain_without_secrets(study.user_attrs)
        return studies

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The study's trials, as they were last timed."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        retimed = retimed_in(self.get_study_user_attrs(study_id))
        return [_as_retimed(_as_told(trial), retimed.get(trial.user_attrs.get(KEY, ""))) for trial in trials]

    def drawing(self, artifact: Artifact) -> str:
        """An SVG file of a trial."""
        return DRAWINGS[artifact.file](self.get_trial(artifact.trial_id)).standalone()

    def _annotated_attributes(self, study_id: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A study's attributes with what is made here; files that others gave it lie elsewhere, and are not shown."""
        kept = {
            name: value for name, value in attributes.items() if not name.startswith(DASHBOARD_ARTIFACTS_ATTR_PREFIX)
        }
        return {**kept, **self._annotations(study_id)}

    def _annotations(self, study_id: int) -> dict[str, Any]:
        finished = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        trials = self.get_all_trials(study_id, deepcopy=False, states=finished)
        attributes = self.get_study_user_attrs(study_id)
        retimed = retimed_in(attributes)
        references = self._records_of(self._search_of(study_id) + REFERENCES)
        counted = len(trials), len(retimed), len(references)
        if self._counted.get(study_id) != counted:
            found, scale = _noted(None, study_note(attributes)), self._scale(study_id, trials, references)
            for trial in trials:
                found |= _noted(id_of_trial(trial), trial_note(trial, retimed, scale))
                found |= _artifacts(trial)
            self._annotated[study_id], self._counted[study_id] = found, counted
        return self._annotated[study_id]

    def _search_of(self, study_id: int) -> str:
        """The name of the search that a study is, or whose references or finalists it holds."""
        return self.get_study_name_from_id(study_id).removesuffix(REFERENCES).removesuffix(FINALISTS)

    def _records_of(self, name: str) -> list[Record]:
        """The records of the study of that name; none where there is no such study."""
        try:
            study_id = self.get_study_id_from_name(name)
        except KeyError:
            return []
        return _records(self.get_all_trials(study_id, deepcopy=False, states=(TrialState.COMPLETE,)))

    def _scale(self, study_id: int, trials: Sequence[FrozenTrial], references: Sequence[Record]) -> AccuracyScale:
        """How the accuracies of a study's trials are shown: by what its search keeps of how they are had."""
        search = self._search_of(study_id)
        try:
            attributes = self.get_study_user_attrs(self.get_study_id_from_name(search))
        except KeyError:
            attributes = {}
        if self.get_study_name_from_id(study_id) == search + FINALISTS:
            return scale_of_finals(finalists_from(trials), AccuracyScale.of_study(attributes, (), references))
        return AccuracyScale.of_study(attributes, _records(trials), references)


def _records(trials: Sequence[FrozenTrial]) -> list[Record]:
    """The records of the trials that are networks of ours: a search over a table keeps others."""
    found = (record_of(trial) for trial in trials if "architecture" in trial.user_attrs)
    return [record for record in found if record is not None]


def _as_told(trial: FrozenTrial) -> FrozenTrial:
    """The trial, the cause of its failure without a password that a library may have quoted."""
    cause = trial.user_attrs.get(CAUSE)
    if cause is None or (shown := without_secrets(str(cause))) == cause:
        return trial
    anew = copy(trial)
    anew.user_attrs = {**trial.user_attrs, CAUSE: shown}
    return anew


def _as_retimed(trial: FrozenTrial, latency: LatencyFacts | None) -> FrozenTrial:
    if latency is None or trial.state is not TrialState.COMPLETE:
        return trial
    anew = copy(trial)
    anew.values = [trial.values[0], latency.latency_ms]
    return anew


def _noted(trial_id: int | None, body: str) -> dict[str, Any]:
    return {note_ver_key(trial_id): 1, f"{note_str_key_prefix(trial_id)}0": body} if body else {}


def _artifacts(trial: FrozenTrial) -> dict[str, str]:
    files: list[str] = []
    if record_of(trial) is not None:
        files += ["stages.svg", "unit.svg", ONNX]
        files += ["training.svg"] if losses_of(TrainingFacts(trial.user_attrs["training"])) else []
    found = {}
    for file in files:
        artifact = Artifact(id_of_trial(trial), file)
        kind = "application/octet-stream" if file == ONNX else "image/svg+xml"
        meta = {"artifact_id": artifact.id, "filename": file, "mimetype": kind, "encoding": None}
        found[f"{DASHBOARD_ARTIFACTS_ATTR_PREFIX}{artifact.trial_id}:{artifact.id}"] = json.dumps(meta)
    return found
