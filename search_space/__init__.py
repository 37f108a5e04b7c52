"""What an architecture is: the ShuffleNet design space, its exact costs, budgets. Standard library only.

- `architecture`: an architecture as a frozen value, to and from JSON
- `baseline_units`: units of other networks, to compare ShuffleNet's with
- `bounds`: the least and the most of each number that comes from outside
- `budget`: limits on FLOPs, parameters and latency
- `budget_range`: the least and the most that the space's networks cost
- `choices`: which values a search chooses among
- `choosers`: who chooses: a random one, an Optuna trial
- `cost`: multiply-adds, parameters and memory, exact and by layer
- `errors`: a user's mistake, in one line
- `files`: files that are written whole or not at all
- `guidelines`: the four guidelines of Ma 2018 as numbers of an architecture
- `hand_designed`: networks that are no architectures of the space, by name
- `locks`: locks that end with their process
- `plan`: the structure of every unit, once, as data
- `precision`: number formats, and their bytes
- `presets`: the published networks
- `reading`: files that others wrote, read within bounds
- `scratch`: temporary folders
- `shipped_spaces`: the default space, and the small one for small budgets
- `space`: architectures suggested within a budget
- `task`: what a network is for: classes, or a detector's backbone
- `widths`: widths solved for a cost
"""

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
