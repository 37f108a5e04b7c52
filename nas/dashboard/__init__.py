"""`python -m nas.dashboard`: optuna-dashboard on a study.

- `access`: whom the dashboard answers
- `run`: what the command does
"""
