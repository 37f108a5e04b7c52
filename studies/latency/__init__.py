"""Latency without measuring, and how well measured ones repeat.

- `flops_verdict`: how far FLOPs mislead about latency
- `int8_speed`: how much faster networks are in int8 than in fp32
- `model`: a model fitted to measured latencies
- `prior`: latency before anything was measured on a device
- `repeatability`: how well measurements repeat
- `unmeasured`: networks of a space at predicted latencies
"""
