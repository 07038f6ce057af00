"""From tables to labelled examples: one module a task, found by its file.

Each provides

    read(tables, columns, label_names, problem_type, missing) -> (examples by split, notes)

with the tables by split, the columns that the person named (`compress.data.columns.NamedColumns`),
the model's class names and problem type, or None for those of the data, and what becomes of rows
with empty cells (`compress.data.missing`). It raises DataError, naming the place.

Imported by `compress.data` alone. Read `text_classification.py` first.
"""
