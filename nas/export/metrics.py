"""What `metrics.json` beside trained weights says of their training, read field by field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space.errors import InputError
from search_space.reading import Fields, read_json
from studies.checked_facts import checked_quantised

METRICS = "metrics.json"
MOST_IMAGES, LARGEST_SIDE, MOST_CLASSES = 10**9, 10**5, 10**6
_TEXTS = ("name", "key", "device", "command")


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a training left: its network's name and key, the name and size of its images, and all of it, for the card.

    `image_size` is that of the images as they were read, in pixels, and `classes` are in the order of the outputs.
    """

    name: str
    key: str
    data: str
    image_size: int
    classes: tuple[str, ...]
    plain: dict[str, Any]


def metrics_beside(weights: Path) -> Metrics | None:
    """What the training left beside its weights; None where there is no such file.

    Raises:
        InputError: the file is damaged.
    """
    file = weights.with_name(METRICS)
    if not file.is_file():
        return None
    try:
        return _read(Fields(read_json(file, f"{METRICS} is what nas.train wrote beside the weights"), repr(str(file))))
    except InputError as error:
        raise InputError(f"{error}; remove it to export without what it says of the training") from error


def _read(fields: Fields) -> Metrics:
    data = fields.fields("data")
    texts = {name: fields.text(name, longest=100_000) for name in _TEXTS}
    classes = data.rows("classes", MOST_CLASSES)
    if not all(isinstance(name, str) for name in classes):
        raise InputError(f"'classes' in {data.where} must be names")
    data.text("fingerprint")
    for name in ("training_images", "validation_images"):
        data.whole(name, 0, MOST_IMAGES)
    for name in ("validation_accuracy", "test_accuracy"):
        if name == "validation_accuracy" or fields.value(name) is not None:
            fields.number(name, 0, 1)
    if "int8" in fields.plain:
        checked_quantised(fields.value("int8"))
    if fields.value("no_test_because") is not None:
        fields.text("no_test_because")
    fields.whole("seed", 0, 2**64)
    fields.number("seconds", 0)
    for name in ("recipe", "versions"):
        fields.fields(name)
    return Metrics(
        name=texts["name"],
        key=texts["key"],
        data=data.text("name", longest=10_000),
        image_size=data.whole("image_size", 1, LARGEST_SIDE),
        classes=tuple(classes),
        plain=fields.plain,
    )
