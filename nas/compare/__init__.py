"""`python -m nas.compare`: networks trained and timed alike.

- `comparison`: a comparison carried out
- `flags`: its flags
- `networks`: which networks a comparison means
- `run`: what the command does
- `settings`: the values of its flags
- `timing`: latencies, one after another
"""
