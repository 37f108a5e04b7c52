"""`python -m nas.finalists`, and the end of a search: the best networks trained anew.

- `candidates`: what finalists are chosen among
- `finish`: a search's end
- `flags`: the command's flags
- `plan`: which finalists, by which recipe, how often
- `run`: what the command does
- `settings`: the values of its flags
- `summary`: what is printed of them
- `training`: finalists trained and timed
"""
