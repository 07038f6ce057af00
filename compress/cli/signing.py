"""`edgepress sign` and `edgepress verify`: who vouches for an artifact, and whether it is whole."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.output import Json, tell, write_json
from compress.errors import ArtifactError

__all__ = ["sign", "verify"]


def sign(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="Artifact folder.")],
    key: Annotated[
        Path, typer.Option(metavar="FILE", help="Private key that ssh-keygen -t ed25519 wrote.")
    ],
) -> None:
    """Sign an artifact: devices that trust the key's public half open it by load(trusted=...).

    The signature lies in manifest.json.sig and is what `ssh-keygen -Y sign -n edgepress` makes of
    manifest.json. Writing the artifact anew removes it.
    """
    from runtimes.artifact import (
        SIGNATURE_NAME,
        parse_manifest,
        read_content,
        verify,
    )
    from runtimes.folders import write_text
    from runtimes.signatures import fingerprint, signer
    from runtimes.signatures import sign as signature_of

    content = read_content(artifact)
    verify(artifact, parse_manifest(artifact, content))  # nobody should vouch for damage
    signature = signature_of(content, key)
    write_text(artifact / SIGNATURE_NAME, signature.decode())
    tell(f"signed  {artifact}\nby      {fingerprint(signer(content, signature))}")


def verify(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="Artifact folder.")],
    trusted: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Public key (.pub file) that must have signed it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare every file of an artifact with its SHA-256, and its signature with a trusted key.

    Ends with exit code 1 where a file is not as listed, or the key's owner has not signed.
    """
    from runtimes.inventory import take_inventory

    found = take_inventory(artifact, trusted)
    if as_json:
        write_json(
            {"whole": not found.problems, "problems": found.problems, "signature": found.signature}
        )
    elif not found.problems:
        sys.stdout.write(f"files      all match their SHA-256\nsignature  {found.signature}\n")
    if found.problems:
        raise ArtifactError("\n".join(found.problems))
