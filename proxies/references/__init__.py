"""Hand-designed networks to compare ShuffleNets with.

- `guideline_networks`: the networks of the papers' speed experiments
- `names`: their names and families, without torch
- `networks`: the networks by name, untrained
- `small_images`: what is changed in them for small images
"""
