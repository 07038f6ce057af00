"""From tables to labelled examples: one module a task, found by its file.

Each provides

    read(tables, columns, label_names, problem_type, missing) -> (examples by split, notes)

with the tables by split, the columns that the person named (`compress.data.columns.NamedColumns`),
the model's class names and problem type, or None for those of the data, and what becomes of rows
with empty cells (`compress.data.missing`). It raises DataError, naming the place.

and, for texts that nobody labelled,

    unlabelled(table, columns, label_names, problem_type) -> examples

whose labels are any, and are forgotten; rows without a text are left out.

Two more are for data that cannot be read, and may be of another task: `recognized(table)` returns
the columns that are called as this task's, () where one is missing; `ROW` is what a row looks like.

Imported by `compress.data` alone. Read `text_classification.py` first.
"""
