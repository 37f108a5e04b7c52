"""`python -m nas.calibrate`: how far short trainings may be believed.

- `evaluator`: trainings and scores in a worker process
- `questions`: which trainings are missing, asked of the workers
- `run`: what the command does
- `sets`: which architectures are trained
- `settings`: its flags and their values
"""
