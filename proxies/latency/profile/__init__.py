"""ONNX Runtime's own profile of a network: what each node takes as it is run, and what of the network it stands for.

- `blocks`: how many channels ONNX Runtime computes at a time here, and what falls out of that
- `findings`: channels that do not fill those blocks, and what that costs
- `graph`: what each node that runs stands for in the file that was written
- `parts`: a network's layers and units, and where its time goes among them
- `process`: the program of a profiling process
- `take`: a network's profile, taken in processes of its own
"""
