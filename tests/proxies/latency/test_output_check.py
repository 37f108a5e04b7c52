"""What is kept of torch's outputs, and what is taken for the same."""

import numpy as np
import pytest

from proxies.latency.output_check import MOST_KEPT, Expected, WrongOutput, example, kept_of


def test_the_example_is_the_same_on_every_device() -> None:
    # numpy promises that the stream of RandomState never changes; these are its first values for seed 0.
    assert example((1, 1, 1, 3), 0).reshape(-1) == pytest.approx([1.7640524, 0.4001572, 0.9787380], rel=1e-6)
    assert example((2, 3, 4, 5), 1).dtype == np.float32


def test_small_outputs_are_kept_whole_and_large_ones_from_end_to_end() -> None:
    assert kept_of(np.arange(6.0).reshape(2, 3)).tolist() == [0, 1, 2, 3, 4, 5]
    kept = kept_of(np.arange(100_000.0).reshape(1, 10, 100, 100))
    assert (len(kept), kept[0], kept[-1]) == (MOST_KEPT, 0, 99_999)
    assert {int(value) // 10_000 for value in kept} == set(range(10))  # every channel is among them


def test_an_output_within_the_allowance_passes_and_one_beyond_does_not() -> None:
    expected = Expected(0, ((1.0, 2.0, 3.0),), allowed=(0.1,))
    expected.check([np.array([[1.05, 1.95, 3.0]], dtype=np.float32)])
    with pytest.raises(WrongOutput, match=r"within 0.1; one differs by 0.2"):
        expected.check([np.array([1.0, 2.2, 3.0])])


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_each_of_several_outputs_is_held_against_its_own_allowance(wrong: int) -> None:
    expected = Expected(0, ((1.0, 2.0), (10.0,), (100.0, 200.0)), allowed=(0.1, 1.0, 10.0))
    right = [np.array([1.05, 2.0]), np.array([10.5]), np.array([95.0, 200.0])]
    expected.check(right)
    expected.check(tuple(right))
    changed = [output * (1.2 if place == wrong else 1.0) for place, output in enumerate(right)]
    with pytest.raises(WrongOutput, match=f"within {expected.allowed[wrong]:.3g}; one differs by"):
        expected.check(changed)


def test_outputs_that_are_missing_or_in_another_order_are_refused() -> None:
    expected = Expected(0, ((1.0, 2.0), (10.0,)), allowed=(0.1, 1.0))
    with pytest.raises(WrongOutput, match="torch's 2 outputs; it gives 1"):
        expected.check([np.array([1.0, 2.0])])
    with pytest.raises(WrongOutput, match="2 kept values; it gives 1"):
        expected.check([np.array([10.0]), np.array([1.0, 2.0])])


def test_nan_and_another_size_are_refused() -> None:
    expected = Expected(0, ((1.0, 2.0),), allowed=(0.1,))
    with pytest.raises(WrongOutput, match="differs by nan"):
        expected.check([np.array([1.0, float("nan")])])
    with pytest.raises(WrongOutput, match="2 kept values; it gives 3"):
        expected.check([np.array([1.0, 2.0, 3.0])])
