"""Scores of a network that was not trained: from one batch of images.

- `method`: how networks are scored, without torch
- `rows`: the scores by name, with their sources
- `scores`: how each is computed
"""
