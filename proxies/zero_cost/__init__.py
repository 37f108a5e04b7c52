"""Scores of a network that was not trained: from one batch of images.

- `rows`: the scores by name, with their sources
- `scores`: how each is computed
"""
