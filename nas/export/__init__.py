"""`python -m nas.export`: networks in the formats that programs take.

- `files`: the files, each read back and compared
- `model_card`: the card beside them
- `networks`: what is exported
- `run`: what the command does
"""
