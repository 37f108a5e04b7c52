"""`python -m nas.train`: one network trained fully.

- `result`: what `metrics.json` holds
- `run`: what the command does
- `settings`: its flags and their values
"""
