"""Accuracy predicted: the prior, the fit on short trainings, and how well scores rank.

- `accuracy_fit`: full accuracy from an architecture and its short training
- `accuracy_prior`: full accuracy from the architecture alone
- `four_feature_fit`: the fit of older studies, to be read
- `known_trainings`: full trainings that are known before any of the user's
- `results`: what a calibration found
- `scores`: the scores by name
- `smoothing`: a regression over all records
- `store`: calibrations in a database, and those that ship
"""
