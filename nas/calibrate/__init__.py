"""`python -m nas.calibrate`: how far short trainings may be believed.

- `questions`: what a calibration asks
- `run`: what the command does
- `sets`: which architectures are trained
- `settings`: its flags and their values
"""
