"""Draws a study's front as the PNG that the README shows.

python -m pip install kaleido   # needs Chromium or Chrome
python tests/benchmarks/front_picture.py --storage sqlite:///runs/STUDY/study.db --out tests/benchmarks/front.png
"""

import argparse
from pathlib import Path

from nas.search.outputs import findings_of
from studies.report.figures import front_figure
from studies.storage.studies import load_study, open_storage, references_of


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", required=True, help="database URL")
    parser.add_argument("--study", help="the study's name (default: the only one)")
    parser.add_argument("--out", type=Path, default=Path("front.png"))
    flags = parser.parse_args()
    storage = open_storage(flags.storage, must_exist=True)
    study = load_study(storage, flags.study)
    findings = findings_of(study, references_of(study, storage))
    figure = front_figure(findings.front, findings.references, findings.records, findings.scale)
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", font_color="#222222", title=None)
    figure.write_image(flags.out, width=900, height=480, scale=2)


if __name__ == "__main__":
    main()
