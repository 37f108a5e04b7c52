"""Ultralytics at work in a process of its own, in the working directory: `ultralytics_run.py train`, or `use`.

Writes train.json or use.json: what was found, and what was called on the network or written elsewhere meanwhile.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import matplotlib
import onnxruntime
import torch
from builders.canvases import CANVAS, canvases
from torchvision.ops import box_iou
from torchvision.utils import save_image

from proxies.network import build
from proxies.pretrained import TrainedFor
from proxies.ultralytics_backbone import SHIPPED_YAML, register, start_from
from proxies.weights import write_weights
from search_space import PRESETS

TRAIN, HELD_OUT = 360, 16
OPTIONS = {"imgsz": CANVAS, "device": "cpu", "workers": 0, "plots": False, "seed": 0, "exist_ok": True, "epochs": 1}
RATE = {"optimizer": "AdamW", "lr0": 4e-3, "batch": 4, "nbs": 4}
PLAIN = dict.fromkeys(("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v", "warmup_epochs"), 0.0)
"""Images as they are, and the rate as it is, since an epoch is short."""


def write_data() -> None:
    """Real images with their boxes, as Ultralytics reads them: all.yaml, and few.yaml of the last ones alone."""
    for number, (image, target) in enumerate(zip(*canvases(TRAIN + HELD_OUT), strict=True)):
        folder = Path("data", "train" if number < TRAIN else "val")
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        save_image(image, folder / "images" / f"{number}.png")
        left, top, right, bottom = (target["boxes"][0] / CANVAS).tolist()
        box = f"{(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}"
        (folder / "labels" / f"{number}.txt").write_text(f"{int(target['labels'][0]) - 1} {box}\n")
    for name, train in (("all", "train"), ("few", "val")):
        text = f"path: {Path('data').absolute()}\ntrain: {train}/images\nval: val/images\nnames: [trouser, bag]\n"
        Path(f"{name}.yaml").write_text(text)


def classifier_weights() -> Path:
    """What nas.train writes, of a network that takes grey images; its weights are random."""
    about = TrainedFor(PRESETS["v2-star-1.0x"], ("a", "b"), 1, 4, 28, (0.3,), (0.4,))
    return write_weights(Path("weights.safetensors"), build(about.architecture, 2, 1, seed=5), about)


def train() -> dict[str, Any]:
    """The shipped YAML for an epoch; the same from a classifier's weights, frozen; the first one's best for another."""
    from ultralytics import YOLO

    def learn(yolo: YOLO, data: str, name: str, **options: Any) -> Any:
        folder = str(Path("runs").absolute())
        return yolo.train(data=data, project=folder, name=name, **OPTIONS, **RATE, **PLAIN, **options)

    write_data()
    shutil.copy(SHIPPED_YAML, "shufflenas.yaml")
    register()
    map50 = learn(YOLO("shufflenas.yaml"), "all.yaml", "first").box.map50
    started = start_from(YOLO("shufflenas.yaml"), classifier_weights())
    given = [each.detach().clone() for each in started.model.model[0].parameters()]
    learn(started, "few.yaml", "frozen", freeze=1)
    kept = YOLO("runs/frozen/weights/best.pt").model.model[0].parameters()
    further = learn(YOLO("runs/first/weights/best.pt"), "few.yaml", "further").box.map50
    return {
        "map50": map50,
        "map50_further": further,
        # Ultralytics keeps checkpoints in half precision.
        "is_start_kept": all(torch.equal(a.half(), b.half()) for a, b in zip(given, kept, strict=True)),
        "strides": {path.name: YOLO(path).model.stride.tolist() for path in Path("exported").glob("*.yaml")},
    }


def use() -> dict[str, Any]:
    """What a program does that only detects: nothing of this project is called."""
    from ultralytics import YOLO

    yolo = YOLO("runs/first/weights/best.pt")
    images, targets = (each[TRAIN:] for each in canvases(TRAIN + HELD_OUT))
    files = [f"data/val/images/{TRAIN + number}.png" for number in range(HELD_OUT)]
    found = [one.boxes[:1] for one in yolo.predict(files, imgsz=CANVAS, conf=0.05, device="cpu", verbose=False)]
    image = images[0][None]
    with torch.inference_mode():
        expected = yolo.model(image)[0].numpy()
    session = onnxruntime.InferenceSession(yolo.export(format="onnx", imgsz=CANVAS, simplify=False))
    return {
        "right_boxes": sum(
            bool((box_iou(boxes.xyxy, target["boxes"]) > 0.5).any() and (boxes.cls + 1 == target["labels"]).all())
            for boxes, target in zip(found, targets, strict=True)
        ),
        "onnx_difference_pixels": float(abs(session.run(None, {"images": image.numpy()})[0] - expected).max()),
    }


def watch() -> list[str]:
    """A list that grows by a line for each call on the network, and for each file written elsewhere."""
    seen: list[str] = []
    here, writing = Path.cwd(), os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
            seen.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[0]}")
        elif event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] & writing:
            path = Path(os.fsdecode(arguments[0])).absolute()
            if not path.is_relative_to(here) and path != Path(os.devnull):
                seen.append(f"open {path}")

    sys.addaudithook(see)
    return seen


def main(part: str) -> None:
    """Writes PART.json."""
    seen = watch()
    from ultralytics import settings

    settings.update({"sync": False})
    # Ultralytics fetches this font, though nothing is drawn, where its folder has none.
    font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    shutil.copy(font, Path(os.environ["YOLO_CONFIG_DIR"], "Ultralytics", "Arial.ttf"))
    results = {"train": train, "use": use}[part]()
    Path(f"{part}.json").write_text(json.dumps({**results, "elsewhere": seen}))


if __name__ == "__main__":
    main(sys.argv[1])
