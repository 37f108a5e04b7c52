"""The ledger: every training and every latency, kept once for all studies.

- `entries`: all of it, filtered in the database
- `entry`: one entry as a row of a table
- `latencies`: latencies with how they were measured
- `latency_queue`: what searches ask of other devices, and their answers
- `trainings`: trainings and scores at initialisation
"""
