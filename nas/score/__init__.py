"""`python -m nas.score`: the accuracy that a search would predict.

- `run`: what the command does
"""
