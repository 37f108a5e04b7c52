"""What optuna-dashboard shows beside a study and its trials.

- `annotated_storage`: a study's storage with notes and drawings
- `notes`: the notes, as Markdown
"""
