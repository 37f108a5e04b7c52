"""`python -m nas.run`: a search.

- `bounds_table`: can a budget's bounds be met?
- `own_space`: which space does it search in?
- `run`: what the command does
"""
