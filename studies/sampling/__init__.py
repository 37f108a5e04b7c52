"""Optuna samplers by name, and the one for objectives that are known ahead.

- `benchmark_table`: a table of finished trainings to search in
- `encoding`: points of a space as numbers
- `expected_improvement`: expected hypervolume improvement, exact
- `objective_model`: the objective that is not known, modelled
- `regressions`: ridge, Gaussian process, trees
- `sampler_names`: the names, without optuna
- `samplers`: samplers by name
- `surrogate_sampler`: the sampler
"""
