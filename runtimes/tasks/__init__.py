"""One module a task; a new file here is a new task (protocol: `runtimes.tasks.base.Task`)."""
