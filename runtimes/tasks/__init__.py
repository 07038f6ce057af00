"""One module a task; a new file here is a new task (protocol: `runtimes.tasks.base.Task`)."""

DEFAULT_TASK = "text-classification"
"""What a checkpoint is for that does not say it, and data where nobody says it."""
