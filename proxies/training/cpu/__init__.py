"""The same functions as torch's layers, faster to train on a CPU.

- `depthwise`: depthwise convolutions
- `grouped`: grouped 1x1 convolutions
- `layers`: which module is exchanged for which
"""
