"""The scores of an architecture, a row each: what may stand in for a full training, and where it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from search_space.architecture import Architecture
from studies.calibration.accuracy_fit import last_epochs
from studies.calibration.smoothing import pooled
from studies.facts import TrainingFacts


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an architecture before it is fully trained.

    `zero_cost` holds scores at initialisation by name, `training` is a short training.
    """

    architecture: Architecture
    macs: int
    params: int
    zero_cost: Mapping[str, float] = field(hash=False)
    training: TrainingFacts


@dataclass(frozen=True, slots=True)
class Score:
    """One way to rank architectures, higher being better; `source` says whose it is."""

    name: str
    source: str
    of: Callable[[Evidence], float]


def _zero_cost(name: str) -> Callable[[Evidence], float]:
    return lambda evidence: evidence.zero_cost[name]


BASELINES: dict[str, Score] = {
    score.name: score
    for score in (
        Score("flops", "multiply-adds: what every score must beat", lambda evidence: float(evidence.macs)),
        Score("params", "parameters: what every score must beat", lambda evidence: float(evidence.params)),
    )
}
AT_INITIALISATION: dict[str, Score] = {
    name: Score(name, source, _zero_cost(name))
    for name, source in (
        ("naswot", "Mellor et al. 2021, arXiv 2006.04647"),
        ("synflow", "Tanaka et al. 2020, arXiv 2006.05467"),
        ("gradnorm", "Abdelfattah et al. 2021, arXiv 2101.08134"),
        ("zico", "Li et al. 2023, arXiv 2301.11300"),
        ("snip", "Lee et al. 2019, arXiv 1810.02340"),
        ("jacob_cov", "Mellor et al. 2020, arXiv 2006.04647v1"),
    )
}
SHORT_TRAINING: dict[str, Score] = {
    score.name: score
    for score in (
        Score("accuracy", "last validation accuracy", lambda evidence: evidence.training.accuracy),
        Score("loss", "last validation loss, negated", lambda evidence: -evidence.training.loss),
        Score("tse", "summed training loss, negated; Ru et al. 2021, arXiv 2006.04492", lambda e: -_summed(e.training)),
        Score("tse_last", "the same over the last epochs", lambda e: -_summed(e.training, last=True)),
    )
}


def pooled_scores(scores: Sequence[float], evidences: Sequence[Evidence]) -> list[float]:
    """Scores with the noise taken out that a regression over all of these architectures does not explain."""
    return pooled([(each.architecture, each.macs, each.params) for each in evidences], scores)


def _summed(training: TrainingFacts, *, last: bool = False) -> float:
    losses = training.training_losses
    return float(sum(losses[-last_epochs(len(losses)) :] if last else losses))
