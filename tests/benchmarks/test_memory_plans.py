"""The RAM that a cost counts beside what ExecuTorch plans and ONNX Runtime holds for presets and drawn networks."""

import pytest
from benchmarks.memory_plans import Network, drawn, held, planned

from search_space import PRESETS

NEEDS = "python -m pip install -e '.[executorch]'"


def check(network: Network) -> None:
    """Just what lives at once where layers write over their input is counted.

    ExecuTorch itself gives each layer an output of its own, of which the activation after a stem makes the most; then
    its planner fits tensors of other sizes into one another's place.
    """
    pytest.importorskip("executorch", reason=NEEDS)
    plan = planned(network)
    assert plan.in_place == plan.counted
    assert plan.counted <= plan.live <= 1.6 * plan.counted
    assert plan.counted <= plan.arena <= 2 * plan.counted


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_ram_is_what_lives_at_once_in_executorchs_graph_of_a_preset(name: str) -> None:
    check(Network(name, PRESETS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_ram_is_what_lives_at_once_in_executorchs_graph_of_a_drawn_network(seed: int) -> None:
    check(drawn(seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_ram_is_what_lives_at_once_in_onnx_runtimes_own_run_of_a_preset(name: str) -> None:
    """It chooses the order of a unit's branches; in int8 it turns the image around and takes means of maps in fp32."""
    counted, counted_int8, written, _, run_int8 = held(Network(name, PRESETS[name]))
    assert 0.9 * counted <= written <= counted
    assert 0.9 * counted_int8 <= run_int8 <= 1.25 * counted_int8
