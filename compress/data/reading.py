"""Files, saved datasets and hub datasets read into tables, with errors that name the place."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.data.formats.decoding import read_text
from compress.data.formats.delimited import read_delimited
from compress.data.memory import Data, describe, named_splits, splits_of, table_of, tables_in_memory
from compress.data.sources import locate
from compress.data.table import Table, no_rows, require_whole_characters, table_of_records
from compress.errors import DataError
from compress.system.hub import hub_if_reachable
from runtimes.quiet import quiet

__all__ = ["every_table", "read_file", "read_tables"]


def read_tables(data: Data) -> dict[str, Table]:
    """Read every split of `data`: split name -> table, in the order train, validation, test.

    Raises:
        DataError: There is no such data; or a file is empty, not UTF-8 or malformed (with the
            line); or a hub dataset is not reachable; or an object in memory is no table.
    """
    if not isinstance(data, str | os.PathLike):
        tables = tables_in_memory(data)
    elif (source := locate(str(data))).files is not None:
        tables = {
            name: _joined([read_file(path) for path in paths])
            for name, paths in source.files.items()
        }
    elif source.saved is not None:
        tables = _read_saved(source.saved)
    else:
        tables = _read_hub(str(source.hub))
    order = ["all", "train", "validation", "test"]
    tables = {name: tables[name] for name in order if name in tables}
    for table in tables.values():
        require_whole_characters(table)
    return tables


def every_table(data: Data) -> list[Table]:
    """Read a file, or an object in memory with all of its splits, whatever their names.

    Raises:
        DataError: As `read_tables`.
    """
    where = describe(data)
    if isinstance(data, str | os.PathLike):
        tables = [read_file(Path(data))]
    elif (splits := splits_of(data)) is None:
        tables = [table_of(data, where)]
    else:
        tables = [table_of(part, f"{where} ({split})") for split, part in splits.items()]
    for table in tables:
        require_whole_characters(table)
    return tables


def read_file(path: Path) -> Table:
    """Read one file as a table, by its extension."""
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty.", hint="Check how the file was written.")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        table = _read_parquet(path)
    else:
        text = read_text(path)
        reader = read_delimited if suffix in {".csv", ".tsv"} else _read_json
        table = reader(path, text)
    if len(table) == 0:
        raise no_rows(path)
    return table


def _read_json(path: Path, text: str) -> Table:
    # Not through `datasets`: its JSON reader guesses dates, and an error there has no line number.
    return table_of_records(_json_records(path, text), str(path))


def _json_records(path: Path, text: str) -> list[Any]:
    if path.suffix.lower() == ".json":
        try:
            return _records_of(path, json.loads(text))
        except json.JSONDecodeError as error:
            # "Extra data" after a first object: one object a line, which the hub names .json too.
            if error.msg != "Extra data":
                raise _json_error(path, error, error.lineno) from None
        except (RecursionError, ValueError) as error:
            raise _json_limit(str(path), error) from None
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise _json_error(path, error, number) from None
            except (RecursionError, ValueError) as error:
                raise _json_limit(f"{path}: line {number}", error) from None
    return records


def _json_error(path: Path, error: json.JSONDecodeError, line: int) -> DataError:
    return DataError(
        f"{path}: line {line}, column {error.colno}: not valid JSON ({error.msg}).",
        hint="Use .jsonl for one object a line, .json for a list of objects.",
    )


def _json_limit(place: str, error: Exception) -> DataError:
    what = "nested too deeply" if isinstance(error, RecursionError) else "has a number too long"
    return DataError(f"{place}: the JSON {what}.", hint="Write records of text, numbers and lists.")


def _records_of(path: Path, value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return list(value["data"])
    if isinstance(value, dict) and value and not any(isinstance(v, list) for v in value.values()):
        return [value]
    raise DataError(
        f"{path}: expected a list of records, or an object whose 'data' is one.",
        hint='For example [{"text": "...", "label": "..."}, ...].',
    )


def _read_parquet(path: Path) -> Table:
    import datasets
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        # No partitions: a folder named "a=1" says nothing about the rows.
        rows = pyarrow.parquet.read_table(path, partitioning=None)
        unknown = {}
        for place, field in enumerate(rows.schema):
            try:
                datasets.Features.from_arrow_schema(pyarrow.schema([field]))
            except ValueError:  # such as a map: neither text nor label, refused if named
                unknown[field.name] = rows.column(place).to_pylist()
                empty = pyarrow.nulls(len(rows))
                rows = rows.set_column(place, pyarrow.field(field.name, empty.type), empty)
        table = table_of(datasets.Dataset(rows), str(path))
        return replace(table, columns={**table.columns, **unknown})
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({type(error).__name__}: {error}).",
            hint="Check that the file is complete and that its extension is right.",
        ) from error


def _read_saved(folder: Path) -> dict[str, Table]:
    import datasets

    try:
        with quiet("datasets", level=logging.CRITICAL):
            data = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise DataError(
            f"{folder}: looks saved by `datasets`, but cannot be read ({error}).",
            hint="Save it again with save_to_disk, or as CSV or Parquet files.",
        ) from error
    if isinstance(data, datasets.Dataset):
        return {"all": table_of(data, str(folder))}
    return named_splits(data, str(folder))


def _read_hub(name: str) -> dict[str, Table]:
    import datasets

    repository, _, config = name.partition(":")
    try:
        with quiet("datasets", level=logging.CRITICAL), hub_if_reachable():
            data = datasets.load_dataset(repository, config or None)
    except ValueError as error:
        if "Config name is missing" in str(error) or "BuilderConfig" in str(error):
            raise DataError(
                f"{repository}: {str(error).splitlines()[0]}",
                hint=f"Choose one of its configurations: --data {repository}:CONFIG",
            ) from error
        raise _unreachable(repository, error) from error
    except Exception as error:
        raise _unreachable(repository, error) from error
    return named_splits(data, name)


def _unreachable(repository: str, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DataError(
        f"'{repository}' is no file or folder here, and loading it as a hub dataset failed: "
        f"{reason}",
        hint="Check the spelling and the connection, or pass a local file or folder to --data.",
    )


def _joined(tables: list[Table]) -> Table:
    first = tables[0]
    if len(tables) == 1:
        return first
    columns: dict[str, list[Any]] = {}
    for name in first.columns:
        columns[name] = []
        for table in tables:
            if name not in table.columns:
                raise DataError(
                    f"{table.where}: there is no column '{name}', which {first.where} has.",
                    hint="All shards of a split need the same columns.",
                )
            columns[name].extend(table.columns[name])
    where = f"{first.where} and {len(tables) - 1} more"
    return Table(where, columns, sum(len(table) for table in tables), first.class_names)
