"""Networks whose convolutions and linear layers compute in 8 bits, quantised after training.

- `onnx_int8`: the ONNX file of such a network
"""
