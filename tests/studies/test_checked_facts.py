"""Latencies and trainings that cannot be, whoever measured them, are refused with the fact that is wrong."""

from typing import Any

import pytest

from studies.checked_facts import (
    LEARNED,
    ImpossibleFacts,
    check_finite,
    checked_latency,
    checked_scores,
    checked_training,
    left_out,
)

LATENCY = {
    **{"latency_ms": 2.5, "reference_ms": 4.0, "ratio": 0.625, "p10_ms": 2.6, "median_ms": 2.7, "p90_ms": 3.0},
    **{"reference_p10_ms": 4.1, "spread": 0.02, "noisy": False, "processes": 2, "rounds": 40, "taken_at": 1.8e9},
    **{"runtime": "onnxruntime", "seconds": 2.0, "steal_share": None, "load_average": 0.5, "batch_size": 1},
}
TRAINING = {
    **{"training_losses": [2.0, 1.5], "validation_losses": [1.2], "validation_accuracies": [0.5]},
    **{"validated_epochs": [2], "num_classes": 10, "seconds": 3.0},
}
NAN, INF = float("nan"), float("inf")
WRONG: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ("latency_ms", "p10_ms", "reference_ms", "ratio"), (NAN, INF, 0, -1.0, 1e-300, "2", True, [], 10**400)
    ),
    "spread": (NAN, INF, -0.1, 50.0, None, "0"),
    "noisy": (0, "no", None),
    "processes": (0, -1, 2.5, True, 2**40),
    "taken_at": (NAN, -1.0, 1e12, "now"),
    "steal_share": (NAN, 1.5),
    "runtime": (7, "x" * 1000, "a\nb", "\x1b[2J"),
    "seconds": (NAN, -1.0, INF),
}


def test_what_can_be_is_given_back_as_it_was() -> None:
    assert checked_latency(LATENCY).plain == LATENCY
    assert checked_training(TRAINING, LEARNED).plain == TRAINING
    # Without a fixed reference the latency is the network's own p10, and its ratio a mean over processes.
    own = {**LATENCY, "latency_ms": 2.6, "reference_ms": 4.1, "ratio": 0.7}
    assert checked_latency(own).latency_ms == 2.6


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_fact_that_cannot_be_is_named(name: str, value: Any) -> None:
    with pytest.raises(ImpossibleFacts, match=name):
        checked_latency({**LATENCY, name: value})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latency_ms": 5.0}, "its ratio times its reference_ms"),
        ({"median_ms": 2.5}, "p10_ms must not exceed its median_ms"),
        ({"p90_ms": 2.6}, "median_ms must not exceed its p90_ms"),
        ({"ratio": 2.5, "latency_ms": 10.0}, "ratio must be that of its two p10"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ImpossibleFacts, match=words):
        checked_latency({**LATENCY, **changes})


@pytest.mark.parametrize("plain", [None, [], 7, "x", {}, {"latency_ms": 1.0}])
def test_what_says_too_little_is_refused(plain: Any) -> None:
    for check in (checked_latency, checked_training, checked_scores):
        with pytest.raises(ImpossibleFacts):
            check(plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"validation_losses": [NAN]},
        {"training_losses": [2.0, INF]},
        {"training_losses": []},
        {"validation_accuracies": [1.5]},
        {"validation_accuracies": []},
        {"validated_epochs": [3]},
        {"validated_epochs": [True]},
        {"validation_losses": [1.0, 1.0]},
        {"num_classes": 1},
        {"seconds": NAN},
        {"validation_losses": "1.2"},
    ],
    ids=str,
)
def test_a_training_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ImpossibleFacts):
        checked_training({**TRAINING, **changes}, LEARNED)


def test_scores_are_finite() -> None:
    scores = {"scores": {"naswot": -12.5}, "score_seconds": {"naswot": 0.5}, "seconds": 0.75}
    assert checked_scores(scores) == scores
    with pytest.raises(ImpossibleFacts, match="naswot"):
        checked_scores({**scores, "scores": {"naswot": NAN}})


def test_no_number_in_the_depths_is_infinite() -> None:
    check_finite({"a": [1.0, {"b": (2, "x", None)}]}, "it")
    with pytest.raises(ImpossibleFacts, match="it must hold finite numbers alone, got nan"):
        check_finite({"a": [1.0, {"b": (2, NAN)}]}, "it")


def test_what_is_left_out_is_told_in_a_line() -> None:
    assert left_out("trials", []) == ""
    assert left_out("trials", ["a", "b"]) == "left out, for they cannot be: 2 trials: a; b"
    assert left_out("trials", list("abcde")) == "left out, for they cannot be: 5 trials: a; b; c; and 2 more"
