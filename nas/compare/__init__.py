"""`python -m nas.compare`: networks trained and timed alike.

- `comparison`: a comparison carried out
- `evaluator`: counts, trainings and latencies in a worker process
- `flags`: its flags
- `networks`: which networks a comparison means
- `run`: what the command does
- `settings`: the values of its flags
- `timing`: latencies, one after another
"""
