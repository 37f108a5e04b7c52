"""What a search is made of.

- `accuracy`: how accuracies are predicted
- `benchmark`: a search over a benchmark table
- `known_ahead`: what is known of a network before it is evaluated
- `ledger_lookup`: what the ledger spares a search
- `loop`: asks, has evaluated, and keeps
- `outputs`: the files that a run leaves
- `problem`: what a search is over, as the loop sees it
- `progress`: lines and a bar
- `provenance`: where, when and with what
- `reference_turns`: when a reference is evaluated
- `references`: the hand-designed networks of a search
- `retiming`: latencies of the front taken again
- `settings`: the settings of a run
- `shufflenet_problem`: ShuffleNets as a search's problem
- `time`: the plan of a run's time
"""
