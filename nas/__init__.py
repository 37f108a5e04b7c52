"""The application: the only package that knows the other three. A command each: `python -m nas.NAME`.

- `calibrate`: how far short trainings may be believed
- `cli`: what all commands share
- `compare`: networks trained and timed alike
- `cost`: exact costs
- `dashboard`: optuna-dashboard on a study
- `export`: networks in the formats that programs take
- `finalists`: a study's best networks trained anew
- `guidelines`: the papers' speed experiments on this device
- `latency`: latencies measured, predicted, listed
- `ledger`: the ledger listed and exported
- `report`: a study's report
- `run`: a search
- `score`: the accuracy that a search would predict
- `search`: what a search is made of
- `train`: one network trained fully
- `workers`: processes that evaluate
"""

import atexit
import sys

if sys.argv[:1] == ["-m"]:  # python -m nas.NAME is about to import its command, which takes longer than Ctrl-C waits
    from nas.cli.stopping import end_at_once, leave_if_stopped

    atexit.register(leave_if_stopped)  # the first that is registered is the last that is called
    end_at_once(f"python -m {sys.orig_argv[sys.orig_argv.index('-m') + 1]}")
