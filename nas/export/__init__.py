"""`python -m nas.export`: networks in the formats that programs take.

- `files`: the files, each read back and compared
- `metrics`: what a training left beside its weights
- `model_card`: the card beside them
- `networks`: what is exported
- `run`: what the command does
"""
