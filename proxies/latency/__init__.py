"""The latency of a network: measured in processes of its own, beside a reference network.

- `bundle_script`: the program that a bundle runs on another device
- `existing_onnx`: an ONNX file from elsewhere, ready to be timed
- `lifetime`: processes that end with the one that started them
- `machine`: which machine this is, how busy, and a process's place on it
- `measure`: networks prepared and compared
- `onnx_session`: an ONNX file in ONNX Runtime
- `output_check`: whether a runtime computes what torch computes
- `plain_onnx`: whether an ONNX file refers to nothing but itself
- `process`: the program of a measuring process
- `profile`: ONNX Runtime's own profile of a network
- `protocol`: rounds, series and what they amount to
- `runtimes`: what runs a network where it is timed
- `setup`: how latencies are measured, as a value
- `synthetic_load`: other work for every core, to measure beside
- `timing_core`: the core that latencies are measured on
"""
