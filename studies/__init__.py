"""What was found: records, studies on a database, fronts, reports. No torch.

- `accuracy_scale`: accuracies as percent, or as points beside a reference
- `calibration`: how far short trainings may be believed
- `checked_facts`: latencies and trainings that can be, kept apart from those that cannot
- `dashboard`: what optuna-dashboard shows
- `display`: numbers with their units, and the front as a table
- `facts`: how a latency and a training were had
- `finalists`: the networks that are trained anew at the end
- `front`: the Pareto front, and picks from it
- `int8_loss`: what 8 bits cost a network
- `latency`: models of latency, and how well it repeats
- `ledger`: every training and latency that was ever paid for
- `markdown`: texts in Markdown
- `optuna_internals`: all that Optuna does not promise to keep
- `papers`: published results, and comparisons with them
- `ranking`: how well scores rank, with intervals
- `record`: one evaluated architecture
- `report`: pages
- `sampling`: Optuna samplers, ours among them
- `storage`: studies in databases
- `text_table`: tables as plain text
- `ties`: networks too near to each other to tell which is better
"""
