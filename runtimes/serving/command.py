"""`python -m runtimes serve`: its options, from the settings."""

import argparse
import dataclasses
from pathlib import Path

from runtimes.loading import load
from runtimes.serving import serve
from runtimes.serving.settings import HELP, ServerSettings, name_of, read_token

__all__ = ["add_arguments", "run_command"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser an option for each setting, and those of `load`."""
    parser.add_argument("artifact", help="its folder")
    for field in dataclasses.fields(ServerSettings):
        if field.name in ("token", "log_requests"):
            continue
        default = None if field.name == "name" else field.default
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            default=default,
            help=HELP[field.name] if default is None else f"{HELP[field.name]} (%(default)s)",
        )
    parser.add_argument("--token-file", type=Path, help=HELP["token_file"])
    parser.add_argument("--quiet", action="store_true", help=HELP["quiet"])
    parser.add_argument("--runtime", help="By default what its manifest names first.")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, gpu, npu ...")
    parser.add_argument("--threads", type=int, help="CPU threads; by default all cores.")
    parser.add_argument("--trusted", help="Public key that must have signed the artifact.")


def run_command(given: argparse.Namespace) -> int:
    """Answer until a signal ends it; then return the exit code.

    Raises:
        EdgepressError: See `runtimes.serving.serve`.
    """
    names = {field.name for field in dataclasses.fields(ServerSettings)} & vars(given).keys()
    settings = ServerSettings(
        **{name: getattr(given, name) for name in names if name != "name"},
        name=given.name or name_of(given.artifact),
        token=read_token(given.token_file),
        log_requests=not given.quiet,
    )
    serve(
        lambda: load(
            given.artifact,
            runtime=given.runtime,
            device=given.device,
            threads=given.threads,
            trusted=given.trusted,
            batch_invariant=settings.batch_size == 1,
        ),
        settings,
    )
    return 0
