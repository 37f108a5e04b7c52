"""Which short training ranks best for its price: images x epochs x image size x stem x learning rate x channels.

`python tests/benchmarks/recipes.py FLAGS OF nas.calibrate`: over the fully trained architectures of that calibration,
each variant below is trained once; what the ledger holds is not trained again. Prints a row for each and draws Kendall
tau with full training against seconds, as recipes.html in --out. recipes.png and recipes.txt beside this file are what
it drew and printed for 20,000 images of CIFAR-10, on cores shared with other work, so the seconds are too many:

python tests/benchmarks/recipes.py --data folder:cifar10-25k --budget 20mflops --at-equal-flops --epochs 6 --variants 3
"""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go

from nas.calibrate.__main__ import make_parser
from nas.calibrate.questions import draw, questions
from nas.calibrate.run import result_of
from nas.calibrate.settings import settings_of
from nas.workers.local import LocalWorkers
from nas.workers.trainings import train_missing
from proxies.training.recipes import RECIPES
from studies.calibration.results import PREDICTION, Calibration
from studies.ledger.trainings import Evaluations
from studies.report.figures import BLUE, GREY, ORANGE, styled
from studies.storage.database import engine_of

SHORT = RECIPES["short"]
TWICE = replace(SHORT, name="twice the images", max_images=10_000)
VARIANTS = (
    SHORT,
    TWICE,
    replace(TWICE, name="twice, half the channels", channel_scale=0.5),
    replace(SHORT, name="stem stride 2", stem_stride=2),
    replace(SHORT, name="half the epochs", epochs=2, validate_every=2),
    replace(SHORT, name="rate 0.02", learning_rate=0.02),
    replace(SHORT, name="own image size", image_scale=1.0),
)
"""The first so many of them, by --variants: each costs a training of every architecture."""
SCORES = ("accuracy", "loss", "tse", "tse_last", PREDICTION, "pooled")


def table(calibration: Calibration) -> str:
    """A row for each variant: its price, and the tau of each score at equal FLOPs with the prediction's interval."""
    lines = [f"{'variant':24}{'seconds':>9}" + "".join(f"{score:>12}" for score in SCORES) + "   prediction's interval"]
    for recipe in calibration.fits:
        rows = {score: calibration.row(score, recipe) for score in SCORES}
        taus = "".join(f"{rows[score].rankings['equal'].tau.value:12.2f}" for score in SCORES)
        best = rows[PREDICTION].rankings["equal"].tau
        lines.append(f"{recipe:24}{rows[PREDICTION].seconds:9.1f}{taus}   {best}")
    for name in ("flops", "params", "naswot"):
        row = calibration.row(name)
        lines.append(f"{name:24}{row.seconds:9.1f}{row.rankings['equal'].tau.value:12.2f}")
    ceiling = calibration.ceilings.get("equal")
    return "\n".join([*lines, f"seed ceiling {ceiling}"])


def picture(calibration: Calibration) -> go.Figure:
    """Tau at equal FLOPs against seconds: each variant's accuracy, TSE and prediction."""
    figure = go.Figure()
    for score, colour in (("accuracy", GREY), ("tse", ORANGE), (PREDICTION, BLUE)):
        rows = [calibration.row(score, recipe) for recipe in calibration.fits]
        figure.add_trace(
            go.Scatter(
                name=score,
                x=[row.seconds for row in rows],
                y=[row.rankings["equal"].tau.value for row in rows],
                text=list(calibration.fits) if score == PREDICTION else None,
                textposition="top center",
                mode="markers+text",
                marker={"color": colour, "size": 9},
            )
        )
    if ceiling := calibration.ceilings.get("equal"):
        figure.add_hline(y=ceiling.value, line={"color": ORANGE, "dash": "dash"}, annotation_text="seed ceiling")
    best = max(calibration.row(name).rankings["equal"].tau.value for name in ("flops", "params", "naswot"))
    figure.add_hline(y=best, line={"color": GREY, "dash": "dot"}, annotation_text="best of FLOPs, params, NASWOT")
    return styled(figure, "median seconds of one core for a network", "Kendall tau with full training")


def main() -> None:
    """Prints the table and writes the picture."""
    parser = make_parser()
    parser.add_argument("--variants", type=int, default=len(VARIANTS), help="try so many of them")
    flags = parser.parse_args()
    settings = settings_of(flags)
    settings = replace(settings, proxies=VARIANTS[: flags.variants], extra=0)
    sets = draw(settings)
    with LocalWorkers(settings.setup) as workers:
        fingerprint = workers.all[0].call("data_fingerprint")
        evaluations = Evaluations(engine_of(settings.storage))
        failures = train_missing(questions(settings, sets, fingerprint), workers, evaluations)
    calibration = result_of(settings, sets, fingerprint, evaluations, failures)
    print(table(calibration))
    settings.out.mkdir(parents=True, exist_ok=True)
    picture(calibration).write_html(settings.out / "recipes.html", include_plotlyjs=True)


if __name__ == "__main__":
    main()
