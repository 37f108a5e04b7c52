"""Settings of a search, from its flags."""

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
