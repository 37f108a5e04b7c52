"""`python -m nas.run`: a search.

- `bounds_table`: can a budget's bounds be met?
- `run`: what the command does
"""
