"""`python -m nas.dashboard`: optuna-dashboard on a study.

- `run`: what the command does
"""
