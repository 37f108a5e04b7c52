"""Processes that evaluate, on this machine or a cluster's.

- `cores`: which core does what
- `engines`: what runs the evaluators, by name
- `evaluator`: a network counted, scored, timed and trained
- `local`: worker processes
- `protocol`: what callers know of workers, whatever runs them
- `ray_actor`: what runs in a Ray actor
- `ray_cluster`: workers as Ray actors
- `remote_device`: latency from another device
- `setup`: what evaluators are made of
- `trainings`: trainings that the ledger lacks, in parallel
"""
