"""What an architecture is: the ShuffleNet design space, its exact costs, budgets. Standard library only."""

from search_space.architecture import Architecture, Stage
from search_space.budget import Budget
from search_space.cost import Cost, LayerCost, cost_of
from search_space.errors import InputError
from search_space.presets import PRESETS
from search_space.space import SearchSpace

__all__ = [
    "PRESETS",
    "Architecture",
    "Budget",
    "Cost",
    "InputError",
    "LayerCost",
    "SearchSpace",
    "Stage",
    "cost_of",
]
