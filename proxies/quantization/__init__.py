"""Networks whose convolutions and linear layers compute in 8 bits, quantised after training.

- `accuracy`: how good a trained network is in 8 bits
- `onnx_int8`: the ONNX file of such a network
"""
