"""`python -m nas.report`: a study's report.

- `run`: what the command does
"""
