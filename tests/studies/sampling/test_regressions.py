"""Each regression says something sensible of points that are unlike those that it was fitted to."""

import numpy as np
import pytest

from studies.sampling.regressions import SURROGATES, Scaled


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("same", [0.1, 1 / 3, 2.3])
@pytest.mark.parametrize("count", [6, 10, 11])
def test_a_feature_that_was_the_same_in_all_points_says_little_of_another_that_has_more_of_it(
    name: str, same: float, count: int
) -> None:
    rng = np.random.default_rng(count)
    varying = rng.normal(size=count)
    surrogate = Scaled(name, np.column_stack([varying, np.full(count, same)]), 2 * varying, seed=0)
    means, deviations = surrogate.predict(np.array([[0.2, same + 0.4], [-0.5, same - 1.0]]))
    assert np.abs(means - [0.4, -1.0]).max() < 2.5
    assert deviations.max() < 5
