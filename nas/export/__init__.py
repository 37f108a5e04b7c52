"""`python -m nas.export`: networks in the formats that programs take.

- `files`: the files, each read back and compared
- `finalists`: what a study knows of a network that it trained anew
- `metrics`: what a training left beside its weights
- `model_card`: the card beside them
- `networks`: what is exported
- `run`: what the command does
"""
