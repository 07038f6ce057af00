"""Tables from objects in memory: DataFrames, Datasets, dicts of lists, and splits of these.

pandas and datasets are not imported: an object of theirs exists only where they are loaded.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from compress.data.sources import SPLIT_NAMES
from compress.data.table import Table, listed, no_rows, table_of_records, unique_names
from compress.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pandas

__all__ = ["Data", "describe", "named_splits", "splits_of", "table_of", "tables_in_memory"]

Data: TypeAlias = (
    "str | os.PathLike[str] | datasets.Dataset | datasets.DatasetDict | pandas.DataFrame | "
    "Mapping[str, Any] | Sequence[Any]"
)
"""Data as a person gives it: a path, a hub dataset id, or an object in memory."""


def describe(data: Data) -> str:
    """Return what errors, logs and reports call `data`: its path or id, or "the DataFrame"."""
    return str(data) if isinstance(data, str | os.PathLike) else f"the {type(data).__name__}"


def tables_in_memory(data: Data) -> dict[str, Table]:
    """Read an object in memory: split name -> table; "all" names the only one.

    Args:
        data: A `datasets.Dataset` or `DatasetDict`, a pandas DataFrame, a dict of lists, a list of
            dicts, or a dict from split names to any of these.

    Raises:
        DataError: It is none of these, has no rows, or its columns differ in length.
    """
    splits = splits_of(data)
    where = describe(data)
    return {"all": table_of(data, where)} if splits is None else named_splits(splits, where)


def named_splits(splits: Mapping[str, Any], where: str) -> dict[str, Table]:
    """Read the splits that are train, validation or test by name, or the only one as "all".

    Raises:
        DataError: None of several splits has such a name, or one cannot be read.
    """
    tables: dict[str, Table] = {}
    for split, part in splits.items():
        name = _split_name(split)
        if name is not None and name not in tables:
            tables[name] = table_of(part, f"{where} ({split})")
    if not tables and len(splits) == 1:
        ((split, part),) = splits.items()
        tables["all"] = table_of(part, f"{where} ({split})")
    if not tables:
        raise DataError(
            f"{where}: none of its splits is train, validation or test: {listed(list(splits))}.",
            hint="Save the splits you want as train.csv, validation.csv and test.csv.",
        )
    return tables


def table_of(data: Any, where: str) -> Table:
    """Read one split from an object in memory.

    Raises:
        DataError: As `tables_in_memory`.
    """
    if _is_a("datasets", "Dataset", data):
        table = _from_dataset(data, where)
    elif _is_a("pandas", "DataFrame", data):
        names = unique_names([str(name) for name in data.columns])
        series = [data.iloc[:, position] for position in range(len(names))]
        table = Table(where, dict(zip(names, map(_cells, series), strict=True)), len(data))
    elif _is_squad(data):
        table = table_of_records(data["data"], where)
    elif isinstance(data, Mapping):
        table = _from_lists(data, where)
    elif isinstance(data, list | tuple):
        table = table_of_records(data, where)
    else:
        kind = f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
        raise DataError(
            f"{where}: data cannot be an object of the type {kind}.",
            hint="Pass a path, a hub dataset id, a datasets.Dataset or DatasetDict, a pandas "
            "DataFrame, a dict of lists, or a dict from split names to any of these.",
        )
    if len(table) == 0:
        raise no_rows(where)
    return table


def splits_of(data: Any) -> Mapping[str, Any] | None:
    """Return `data` if it maps split names to tables, None if it is one table."""
    if not isinstance(data, Mapping) or not data or _is_squad(data):
        return None
    parts = data.values()
    if any(map(_is_table, parts)) or all(map(_split_name, data)) or all(map(_is_records, parts)):
        return data
    return None


def _split_name(split: object) -> str | None:
    """Return train, validation or test, or None if the name says none of them."""
    name = str(split)
    # GLUE's MNLI has validation_matched and validation_mismatched: the first one counts.
    return SPLIT_NAMES.get(name.lower()) or SPLIT_NAMES.get(name.split("_", maxsplit=1)[0])


def _is_table(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        or _is_a("pandas", "DataFrame", value)
        or _is_a("datasets", "Dataset", value)
    )


def _is_records(value: Any) -> bool:
    rows = value if isinstance(value, list | tuple) else ()
    return len(rows) > 0 and all(isinstance(row, Mapping) for row in rows)


def _is_squad(data: Any) -> bool:
    """Return whether `data` is what a file of SQuAD holds."""
    return isinstance(data, Mapping) and set(data) - {"version"} == {"data"}


def _is_a(library: str, name: str, value: object) -> bool:
    """Return whether `value` is of that class; no library is imported for the question."""
    kind = getattr(sys.modules.get(library), name, None)
    return kind is not None and isinstance(value, kind)


def _from_dataset(data: Any, where: str) -> Table:
    data = data.with_format(None)  # of a dataset for PyTorch, cells would be tensors
    inner = {name: getattr(feature, "feature", feature) for name, feature in data.features.items()}
    names = {
        name: tuple(feature.names) for name, feature in inner.items() if _is_class_label(feature)
    }
    columns = {
        name: list(data[name]) if _is_plain(feature) else [None] * len(data)
        for name, feature in data.features.items()
    }
    return Table(where=where, columns=columns, length=len(data), class_names=names)


def _is_class_label(feature: Any) -> bool:
    return _is_a("datasets", "ClassLabel", feature)


def _is_plain(feature: Any) -> bool:
    """Return whether cells are text, numbers, or lists and dicts of them.

    Images and audio would be decoded row by row, and can be neither text nor label.
    """
    if isinstance(feature, Mapping):
        return all(map(_is_plain, feature.values()))
    if _is_a("datasets", "List", feature) or _is_a("datasets", "LargeList", feature):
        return _is_plain(feature.feature)
    return _is_a("datasets", "Value", feature) or _is_class_label(feature)


def _from_lists(data: Mapping[Any, Any], where: str) -> Table:
    columns: dict[str, list[Any]] = {}
    for name, values in data.items():
        if isinstance(values, str | bytes | Mapping) or not (
            isinstance(values, Sequence) or hasattr(values, "tolist")
        ):
            raise DataError(
                f"{where}: column '{name}' is no list, but a {type(values).__name__}.",
                hint='A dict of lists looks like {"text": ["...", "..."], "label": [0, 1]}.',
            )
        columns[str(name)] = _cells(values)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        sizes = listed([f"{name} ({length})" for name, length in lengths.items()])
        raise DataError(
            f"{where}: its columns differ in length: {sizes}.",
            hint="Every column needs a value for every row; None where there is none.",
        )
    return Table(where, columns, next(iter(lengths.values()), 0))


def _cells(values: Any) -> list[Any]:
    """Return the cells of a list, an array, a pandas Series or a column of a Dataset."""
    if _is_a("pandas", "Series", values):  # NaN, NaT and NA are cells without a value
        values = values.astype(object).where(values.notna(), None)
    return [_plain(value) for value in (values.tolist() if hasattr(values, "tolist") else values)]


def _plain(value: Any) -> Any:
    """Return `value` with arrays and numbers of numpy as lists and numbers of Python."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(cell) for name, cell in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(cell) for cell in value]
    return value
