"""The YAML file of an Ultralytics YOLO on an architecture: backbone, a neck that passes features up and down, head."""

from __future__ import annotations

import json
from pathlib import Path

from proxies.export.network import ExportedNetwork, Options
from search_space.architecture import Architecture
from search_space.files import file_name, write_text

TEMPLATE = """\
# A YOLO on {name}, for Ultralytics (AGPL-3.0; python -m pip install -e '.[ultralytics]'), tried with 8.4.190:
#   from ultralytics import YOLO
#   from proxies.ultralytics_backbone import register
#   register()
#   YOLO("{file}").train(data="DATA.yaml")
nc: 80 # classes; those of the data take their place

backbone: # from, repeats, module, arguments: the architecture as JSON of schema 1
  - [-1, 1, ShuffleNASBackbone, [{architecture}]]

head:
  - [0, 1, Index, [{widths[0]}, 0]] # 1, stride 8: the map's channels and its place
  - [0, 1, Index, [{widths[1]}, 1]] # 2, stride 16
  - [0, 1, Index, [{widths[2]}, 2]] # 3, stride 32
  - [3, 1, SPPF, [256, 5]] # 4

  - [4, 1, nn.Upsample, [None, 2, nearest]]
  - [[5, 2], 1, Concat, [1]]
  - [6, 1, C3k2, [128, False]] # 7, stride 16
  - [7, 1, nn.Upsample, [None, 2, nearest]]
  - [[8, 1], 1, Concat, [1]]
  - [9, 1, C3k2, [64, False]] # 10, stride 8: detected on

  - [10, 1, Conv, [64, 3, 2]]
  - [[11, 7], 1, Concat, [1]]
  - [12, 1, C3k2, [128, False]] # 13, stride 16: detected on
  - [13, 1, Conv, [128, 3, 2]]
  - [[14, 4], 1, Concat, [1]]
  - [15, 1, C3k2, [256, False]] # 16, stride 32: detected on

  - [[10, 13, 16], 1, Detect, [nc]]
"""
"""The neck is a path aggregation (Liu et al. 2018, arXiv 1803.01534), as narrow as Ultralytics' smallest."""


def yaml_of(architecture: Architecture, name: str) -> str:
    """The text of NAME.yaml, which `YOLO` builds once `proxies.ultralytics_backbone.register` was called.

    The architecture itself stands in it, so that checkpoints, which keep the text, need no other file.
    """
    widths = [stage.width for stage in architecture.stages]
    text = json.dumps(architecture.to_dict())
    return TEMPLATE.format(name=name, file=f"{name}.yaml", architecture=text, widths=widths)


def write_yaml(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes a YOLO on the network's architecture."""
    write_text(file, yaml_of(network.about.architecture, file_name(network.plain_name)))
