"""Puts a calibration among those that ship, under the name of its data.

python -m nas.calibrate --data folder:PATH ... --out runs/calibration
python tests/benchmarks/ship_calibration.py runs/calibration/calibration.json NAME

Then NAME must stand in `studies.calibrations.SHIPPED`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from studies.calibrations import from_dict, to_dict

SHIPPED = Path(__file__).parents[2] / "studies" / "shipped_calibrations"


def main() -> None:
    """Writes the file; a folder's path, which says nothing elsewhere, gives way to the name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("name")
    flags = parser.parse_args()
    found = from_dict(json.loads(flags.calibration.read_text(encoding="utf-8")))
    named = replace(found, made=replace(found.made, data=flags.name))
    SHIPPED.mkdir(exist_ok=True)
    text = json.dumps(to_dict(named), allow_nan=False, separators=(",", ":"))
    (SHIPPED / f"{flags.name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
