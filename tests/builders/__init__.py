"""What tests are made of, and import from nowhere else: values made up once for all of them.

`places` (folders of the project), `images` (on disk, and with boxes), `records`, `settings`, `calibrations`,
`finalists`, `measurements` (what the pages of other commands are drawn from), `filled_ledger`, `exported` (small
networks of every kind), `layer_counts` (multiply-adds counted by others), `workers` (that answer in this process),
`searches` (a study with all that a search on it needs), `clock` (that moves when it is asked to).
"""
