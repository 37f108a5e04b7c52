"""A run's time: planned, kept, and renewed after each evaluation.

- `durations`: how long one more evaluation takes
- `plan`: seconds for each phase
"""
