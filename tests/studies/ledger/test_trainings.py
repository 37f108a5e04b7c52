"""Answers that calibration has had: kept at once, found by the question alone, never entered twice."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from proxies.training.recipes import RECIPES
from search_space import PRESETS
from studies.checked_facts import ImpossibleFacts
from studies.ledger.trainings import TABLES, Evaluations, Question

DATA = "0123456789abcdef"
RESULT = {
    **{"training_losses": [2.0, 1.5], "validation_losses": [1.75], "validation_accuracies": [0.25], "seconds": 12.5},
    "num_classes": 10,
}
KNOWN_DIGEST = "eff404248b4c7948e44ae0d93e8b4773"
MADE_BY = {"host": "here", "versions": {"torch": "2.9"}}


def question(**changes: Any) -> Question:
    return replace(Question(PRESETS["v2-0.5x"], RECIPES["short"].to_dict(), DATA, 0), **changes)


# What a question is


def test_a_digest_is_always_the_same() -> None:
    assert len(question().digest) == 32
    assert question().digest == question().digest
    turned = dict(reversed(question().method.items()))
    assert question(method=turned).digest == question().digest, "the order of a recipe's fields says nothing"


def test_a_digest_is_that_of_the_ledgers_that_there_are() -> None:
    # Taken when the first ledger was made: whoever changes it makes the answers in all of them unfindable.
    asked = question(method={"name": "zero-cost", "images": 64}, device="cuda")
    assert asked.digest == KNOWN_DIGEST


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": PRESETS["v2-1.0x"]},
        {"method": replace(RECIPES["short"], epochs=5).to_dict()},
        {"method": RECIPES["long"].to_dict()},
        {"data": "another"},
        {"seed": 1},
        {"device": "cuda"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_decides_the_answer_is_in_the_digest(changes: dict[str, Any]) -> None:
    assert question(**changes).digest != question().digest


# Keeping


def test_an_answer_comes_back_by_its_question(database: Engine) -> None:
    evaluations = Evaluations(database)
    assert evaluations.answers(DATA) == {}
    evaluations.add(question(), RESULT, MADE_BY, 1e9)
    evaluations.add(question(seed=1), {**RESULT, "seconds": 3.0}, MADE_BY, 1e9 + 1)
    assert Evaluations(database).answers(DATA) == {
        question().digest: RESULT,
        question(seed=1).digest: {**RESULT, "seconds": 3.0},
    }


def test_one_answer_is_found_by_its_question(database: Engine) -> None:
    evaluations = Evaluations(database)
    assert evaluations.find(question()) is None
    evaluations.add(question(), RESULT, MADE_BY, 1e9)
    assert evaluations.find(question()) == RESULT
    assert evaluations.find(question(method={**question().method, "name": "my own"})) == RESULT
    assert evaluations.find(question(seed=1)) is None


def test_answers_are_those_of_one_data_set(database: Engine) -> None:
    evaluations = Evaluations(database)
    evaluations.add(question(data="another"), RESULT, MADE_BY, 1e9)
    assert evaluations.answers(DATA) == {}
    assert list(evaluations.answers("another")) == [question(data="another").digest]


def test_a_second_answer_changes_nothing(database: Engine) -> None:
    evaluations = Evaluations(database)
    evaluations.add(question(), RESULT, MADE_BY, 1e9)
    evaluations.add(question(), {**RESULT, "seconds": 1.0}, MADE_BY, 2e9)
    assert evaluations.answers(DATA) == {question().digest: RESULT}


def test_scores_at_initialisation_are_kept_like_trainings(database: Engine) -> None:
    evaluations = Evaluations(database)
    asked = question(method={"name": "zero-cost", "images": 64, "image_scale": 0.5})
    result = {"scores": {"naswot": -12.5}, "score_seconds": {"naswot": 0.5}, "seconds": 0.75}
    evaluations.add(asked, result, MADE_BY, 1e9)
    assert evaluations.answers(DATA) == {asked.digest: result}


def test_processes_that_enter_the_same_at_once_leave_one(database: Engine) -> None:
    Evaluations(database)
    failed: list[Exception] = []

    def enter() -> None:
        try:
            for seed in range(20):
                Evaluations(database).add(question(seed=seed), RESULT, MADE_BY, 1e9)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(Evaluations(database).answers(DATA)) == 20


def test_what_cannot_be_kept_is_an_error_and_keeps_nothing(database: Engine) -> None:
    evaluations = Evaluations(database)
    with pytest.raises(ImpossibleFacts, match="'seconds' in a training must be a number"):
        evaluations.add(question(), {"seconds": None}, MADE_BY, 1e9)
    assert evaluations.answers(DATA) == {}
    assert TABLES == ("evaluations",)


def test_a_recipe_of_another_name_and_the_same_fields_asks_the_same() -> None:
    one, other = ({"name": name, "epochs": 4} for name in ("short", "my own"))
    assert question(method=one).digest == question(method=other).digest
    assert question(method=one).digest != question(method={**one, "epochs": 5}).digest


# In 8 bits

INT8 = {"accuracy": 0.24, "images": 200, "lost": 4, "gained": 2, "calibration_images": 256, "runtime_version": "1.32"}


def test_a_question_for_8_bits_is_not_answered_by_a_training_without_them_and_takes_its_place(database: Engine) -> None:
    evaluations, in_8_bits = Evaluations(database), question(in_int8=True)
    assert in_8_bits.digest == question().digest, "the training is the same"
    evaluations.add(question(), RESULT, MADE_BY, 1e9)
    assert in_8_bits.answer_in(evaluations.answers(DATA)) is None
    assert question().answer_in(evaluations.answers(DATA)) == RESULT
    evaluations.add(in_8_bits, {**RESULT, "int8": INT8}, MADE_BY, 1e9 + 1)
    for asked in (question(), in_8_bits):
        assert asked.answer_in(evaluations.answers(DATA)) == {**RESULT, "int8": INT8}
    evaluations.add(question(), {**RESULT, "seconds": 1.0}, MADE_BY, 1e9 + 2)
    assert in_8_bits.answer_in(Evaluations(database).answers(DATA)) == {**RESULT, "int8": INT8}
    assert len(evaluations.trainings(DATA)) == 1


def test_an_accuracy_in_8_bits_that_cannot_be_is_not_kept(database: Engine) -> None:
    for wrong in ({"accuracy": 1.2}, {"lost": 201}, {"lost": 150, "gained": 51}, {"images": 0}, {"gained": None}):
        with pytest.raises(ImpossibleFacts, match="in 8 bits"):
            Evaluations(database).add(question(in_int8=True), {**RESULT, "int8": INT8 | wrong}, MADE_BY, 1e9)
    with pytest.raises(ImpossibleFacts, match="in 8 bits"):
        Evaluations(database).add(question(in_int8=True), {**RESULT, "int8": 0.24}, MADE_BY, 1e9)
