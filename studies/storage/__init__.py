"""Studies in databases: opened, resumed, kept whole by many processes.

- `coordinators`: the processes that ask one study for trials
- `database`: engines by URL
- `database_errors`: what an error of a database means
- `healing`: what cannot be is taken out of a study
- `retimed_latencies`: latencies taken again of trials that had ended
- `retry`: a step tried again while the database is away
- `secrets`: text without passwords
- `studies`: studies opened and read back
- `transactions`: all of a step kept at once
- `trials`: how a trial ends
"""
