"""Settings of a search and of a small calibration, from their flags."""

from nas.calibrate.__main__ import make_parser
from nas.calibrate.settings import CalibrationSettings
from nas.calibrate.settings import settings_of as calibration_settings_of
from nas.cli.command import Parser
from nas.search.settings import Settings, add_flags, settings_of
from nas.workers.setup import EvaluatorSetup


def settings_from(*flags: str) -> Settings:
    """What `nas.run` makes of the flags, behind a budget, which they may say anew."""
    parser = Parser(prog="test")
    add_flags(parser)
    return settings_of(parser.parse_args(["--budget", "140mflops", *flags]))


def setup_from(*flags: str) -> EvaluatorSetup:
    """What the evaluators of that run need to know."""
    return settings_from(*flags).setup


SPACE = """
units = ["v2"]
stem = 8
groups = [1]
splits = ["1/2"]
kernels = [3, 5]
se = [false]
depths = [[1, 2], [1, 2], [1, 2]]
growths_percent = [150, 200]
heads = [0, 16]
activations = ["relu", "hardswish"]
fills_percent = [50, 60, 70, 80, 90, 100]
alignment = 2
max_width = 256
"""
TINY = ("--budget", "0.4mflops", "--resolution", "32", "--classes", "10", "--image-size", "16", "--workers", "1")
FEW = ("--architectures", "4", "--seeds", "1", "--epochs", "1", "--proxies", "short")
STORAGE = "sqlite:///ledger/calibrations.db"


def calibration_settings(*flags: str) -> CalibrationSettings:
    return calibration_settings_of(make_parser().parse_args(flags))
