"""`python -m nas.guidelines`: the papers' speed experiments on this device.

- `run`: what the command does
"""
