"""`python -m nas.ledger`: the ledger listed and exported.

- `files`: the ledger as CSV or Parquet
- `run`: what the command does
"""
