"""One module a runtime; a new file here is a new runtime (protocol: `runtimes.base.Runtime`)."""
