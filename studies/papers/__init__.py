"""What the ShuffleNet papers published, and the user's own results beside it.

- `comparison`: networks trained and timed alike, beside the papers' order
- `guideline_findings`: a device's speed experiments beside the published ones
- `published_accuracies`: networks on ImageNet, as data
- `published_guidelines`: the speed experiments, as data
"""
