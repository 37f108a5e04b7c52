"""`python -m nas.latency SUBCOMMAND`: latencies without a search.

- `agent`: measures on a device what searches elsewhere ask for
- `agent_jobs`: what a search may ask of an agent
- `bundle`: networks to be measured where this project is not
- `check`: how well latencies repeat
- `explain`: where a network's time goes
- `flags`: each subcommand's flags
- `list`: what a storage holds
- `measure`: chosen or random architectures
- `predict`: a model of latency
- `references`: hand-designed networks
- `time`: ONNX files as they are
"""
