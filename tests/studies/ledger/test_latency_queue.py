"""Jobs for other devices: each is taken once, by the agent that speaks for the device, and nothing is lost."""

import threading

import pytest
from sqlalchemy import Engine

from studies.ledger.latency_queue import DONE, FAILED, TAKEN, WAITING, Answer, LatencyQueue


@pytest.fixture
def queue(database: Engine) -> LatencyQueue:
    return LatencyQueue(database)


def test_a_job_goes_to_its_device_in_order_and_comes_back_done(queue: LatencyQueue) -> None:
    first, second = (queue.post("pi", {"number": number}) for number in (1, 2))
    queue.post("other", {"number": 3})
    job = queue.claim("pi", "me")
    assert job is not None
    assert (job.id, job.request, queue.answer(first).state) == (first, {"number": 1}, TAKEN)
    assert queue.finish(job, "me", Answer(DONE, {"latency_ms": 2.5}))
    assert queue.answer(first) == Answer(DONE, {"latency_ms": 2.5})
    assert queue.answer(second) == Answer(WAITING)
    assert (queue.claim("pi", "me").id, queue.claim("pi", "me")) == (second, None)  # type: ignore[union-attr]


def test_many_agents_take_every_job_once(queue: LatencyQueue) -> None:
    posted = {queue.post("pi", {}) for _ in range(40)}
    taken: list[int] = []

    def take(name: str) -> None:
        while (job := queue.claim("pi", name)) is not None:
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(posted)


def test_an_answer_to_a_job_that_was_given_up_is_not_taken(queue: LatencyQueue) -> None:
    queue.post("pi", {})
    job = queue.claim("pi", "me")
    assert job is not None
    queue.give_up(job.id, "too late")
    assert not queue.finish(job, "me", Answer(DONE, {"latency_ms": 2.5}))
    assert queue.answer(job.id) == Answer(FAILED, None, "too late")


def test_what_is_done_is_not_given_up(queue: LatencyQueue) -> None:
    queue.post("pi", {})
    job = queue.claim("pi", "me")
    assert job is not None
    queue.finish(job, "me", Answer(DONE, {"latency_ms": 2.5}))
    queue.give_up(job.id, "too late")
    assert queue.answer(job.id).state == DONE


def test_a_new_agent_takes_over_what_an_earlier_one_left(queue: LatencyQueue) -> None:
    queue.register("pi", "first", {"processor": "A"})
    queue.post("pi", {})
    left = queue.claim("pi", "first")
    assert left is not None
    queue.register("pi", "second", {"processor": "B"})
    assert (queue.beat("pi", "first"), queue.beat("pi", "second")) == (False, True)
    assert queue.claim("pi", "second") == left
    assert not queue.finish(left, "first", Answer(DONE, {}))


def test_signs_of_life_are_counted(queue: LatencyQueue) -> None:
    assert queue.beats("pi") is None
    queue.register("pi", "me", {})
    queue.beat("pi", "me")
    queue.beat("pi", "me")
    assert queue.beats("pi") == ("me", 2)


def test_a_file_is_kept_once_and_whole(queue: LatencyQueue) -> None:
    name = queue.put_file(b"a network")
    assert queue.put_file(b"a network") == name
    assert queue.file(name) == b"a network"
    queue.drop_file(name)
    with pytest.raises(LookupError, match=f"the file {name[:12]} whole"):
        queue.file(name)
