"""A search over a table of finished trainings.

- `evaluator`: scores read from the table
- `problem`: the table as a search's problem
- `run`: the search
"""
