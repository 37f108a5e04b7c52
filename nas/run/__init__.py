"""`python -m nas.run`: a search.

- `run`: what the command does
"""
