"""Data as programs and people write it: every row as it was meant, or a refusal, or a word."""

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.data.loading import load_splits

LABELS = ("worse", "better")
EXTENSIONS = ("csv", "tsv", "jsonl", "json", "parquet")
Rows = list[tuple[Any, Any]]


def rows(count: int = 60, text: str = "film {} is fine") -> Rows:
    return [(text.format(i), LABELS[i % 2]) for i in range(count)]


@dataclass(frozen=True)
class Case:
    """Data and what was meant by it.

    Attributes:
        name: Of the case.
        files: By path, what they hold; a function makes something that is no file.
        meant: Rows of text and label; None where nothing can be meant but an error or a note.
        note: Words one of which a note has, if the data is read all the same.
        names: The labels that the model has; None where they come from the data.
        task: What the labels are for.
    """

    name: str
    files: dict[str, bytes | Callable[[Path], object]]
    meant: Rows | None
    note: tuple[str, ...] = ()
    names: tuple[str, ...] | None = LABELS
    task: str = "text-classification"

    def write(self, folder: Path) -> Path:
        """Write the data; return what a user would name."""
        folder.mkdir()
        for name, content in self.files.items():
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                content(folder / name)
        return folder / next(iter(self.files)) if len(self.files) == 1 else folder


@dataclass
class Read:
    """What was read.

    Attributes:
        rows: Text and label, sorted.
        notes: What was said of it.
    """

    rows: list[tuple[str, str]]
    notes: str = field(repr=False)


def read(path: Path, names: tuple[str, ...] | None, task: str) -> Read:
    kind = None if names is None else "single_label_classification"  # as the model says
    splits = load_splits(str(path), label_names=names, task=task, problem_type=kind)
    found = []
    for part in (splits.train, splits.selection, splits.report):
        for row, text in enumerate(part.texts):
            labels = part.targets.of(row)
            if part.problem_type == "multi_label_classification":
                labels = np.flatnonzero(labels)
            found.append((text, " ".join(part.label_names[i] for i in np.atleast_1d(labels))))
    return Read(sorted(found), " ".join(splits.notes))


def is_meant(case: Case, found: Read) -> bool:
    if any(word in found.notes for word in case.note):
        return True
    return case.meant is not None and found.rows == sorted(
        (str(text), str(label)) for text, label in case.meant
    )


def delimited(
    data: Rows, separator: str = ",", end: str = "\n", *, quote: str = "needed", header: bool = True
) -> str:
    """Return a table as spreadsheets write it."""
    lines = [("text", "label"), *data] if header else data

    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        wanted = quote == "all" or (
            quote == "needed" and any(c in text for c in f'{separator}"\r\n')
        )
        return '"' + text.replace('"', '""') + '"' if wanted else text

    return "".join(separator.join(map(cell, line)) + end for line in lines)


def written(extension: str, data: Rows, **options: Any) -> bytes:
    """Return rows in a format."""
    records = [{"text": text, "label": label} for text, label in data]
    if extension == "parquet":
        import pyarrow
        import pyarrow.parquet

        sink = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), sink)
        return sink.getvalue()
    if extension == "jsonl":
        text = "".join(json.dumps(record) + "\n" for record in records)
    elif extension == "json":
        text = json.dumps(records)
    else:
        text = delimited(data, "\t" if extension == "tsv" else ",", **options)
    return text.encode()


def encodings() -> Iterator[Case]:
    """Text in the encodings of the world, under each extension."""
    texts = {
        "latin": "film {} was naïve , café Zoë",
        "japanese": "映画 {} は良い",
        "chinese": "电影 {} 很好",
        "russian": "фильм {} хорош",
        "ascii": "film {} is fine",
    }
    codings = {
        "latin": ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le",
                  "cp1252", "mac-roman", "cp437", "cp500", "latin-1"),
        "japanese": ("utf-8", "utf-16", "utf-16-le", "shift_jis", "euc_jp", "iso2022_jp"),
        "chinese": ("utf-8", "utf-8-sig", "utf-16-be", "gb18030", "big5hkscs"),
        "russian": ("utf-8", "utf-16", "cp1251", "koi8-r", "cp866"),
        "ascii": ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "cp500"),
    }  # fmt: skip
    for language, names in codings.items():
        data = rows(text=texts[language])
        for coding in names:
            for extension in EXTENSIONS[:4]:
                if extension.startswith("json"):
                    whole = [
                        json.dumps({"text": t, "label": n}, ensure_ascii=False) for t, n in data
                    ]
                    text = "\n".join(whole) if extension == "jsonl" else f"[{','.join(whole)}]"
                else:
                    text = written(extension, data).decode()
                name = f"{language} {coding} {extension}"
                yield Case(name, {f"a.{extension}": text.encode(coding)}, data)


def ends() -> Iterator[Case]:
    """Ends of lines, blank lines, and a last line without an end."""
    data = rows()
    for extension in EXTENSIONS[:3]:
        text = written(extension, data).decode()
        for name, end in (("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r"), ("lfcr", "\n\n")):
            for last in (True, False):
                made = text.replace("\n", end)
                made = made if last else made.rstrip("\r\n")
                yield Case(f"{extension} {name} {last}", {f"a.{extension}": made.encode()}, data)
        mixed = "".join(line + ("\r\n", "\n")[i % 2] for i, line in enumerate(text.splitlines()))
        yield Case(f"{extension} mixed ends", {f"a.{extension}": mixed.encode()}, data)


def separators() -> Iterator[Case]:
    """What separates cells, and what is quoted."""
    for text in ("film {} is fine", "film {}, is fine", 'film {} is "fine"', "film {}; is\tfine"):
        data = rows(text=text)
        for separator in (",", ";", "\t", "|", ":", " "):
            for quote in ("all", "needed"):
                for extension in ("csv", "tsv"):
                    made = delimited(data, separator, quote=quote)
                    name = f"{text!r} by {separator!r}, quoted {quote}, {extension}"
                    yield Case(name, {f"a.{extension}": made.encode()}, data)
        stated = "sep=;\n" + delimited(data, ";")
        yield Case(f"{text!r} sep=", {"a.csv": stated.encode()}, data)


def characters() -> Iterator[Case]:
    """Characters that end lines elsewhere, that terminals obey, that are half of one."""
    for character in (
        *(
            "\x00",
            "\x01",
            "\x0b",
            "\x0c",
            "\x1a",
            "\x1b[2J",
            "\x1c",
            "\x1d",
            "\x1e",
            "\x1f",
            "\x7f",
        ),
        *("\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\u200b", "\u202e", "😀", "e\u0301"),
        *("\n", "\r", "\r\n", "\t", '"', '""', "'", "\\", "\\n", "=1+1", "x" * 200_000),
    ):
        data = rows()
        data[11] = (f"a{character}b", "worse")
        data[12] = (f"{character}c", "better")
        for extension in EXTENSIONS:
            content = {f"a.{extension}": written(extension, data)}
            yield Case(f"{character[:9]!a} in {extension}", content, data)
    for half in ("\\ud83d", "\\ude00x", "a\\ud83d b"):
        lines = [f'{{"text": "{text}", "label": "{label}"}}' for text, label in rows()]
        lines[5] = lines[5].replace("film", half)
        yield Case(f"{half} jsonl", {"a.jsonl": "\n".join(lines).encode()}, None)
        yield Case(f"{half} json", {"a.json": f"[{','.join(lines)}]".encode()}, None)


def quotes() -> Iterator[Case]:
    """Quotes that open and do not close, or close elsewhere."""
    data = rows(200)
    for separator, extension in ((",", "csv"), ("\t", "tsv"), (";", "csv")):
        lines = delimited(data, separator, quote="never").splitlines()
        for where in ((4,), (4, 5), (4, 6), (4, 151), (3, 9, 17, 30), range(1, 201), (200,)):
            for character in ("", "\x85", "\u2028"):
                broken = [f'"{line}' if i in where else line for i, line in enumerate(lines)]
                broken[12] = broken[12].replace("film", f"film{character}", 1)
                meant = [
                    (('"' if i + 1 in where else "") + text, label)
                    for i, (text, label) in enumerate(data)
                ]
                meant[11] = (meant[11][0].replace("film", f"film{character}", 1), meant[11][1])
                name = f"{extension} by {separator!r}, quotes at {list(where)[:5]} {character!a}"
                yield Case(name, {f"a.{extension}": "\n".join(broken).encode()}, meant)
        escaped = [line.replace("film", '\\"film\\"') for line in lines]
        meant = [(text.replace("film", '\\"film\\"'), label) for text, label in data]
        yield Case(
            f"{extension} backslashes", {f"a.{extension}": "\n".join(escaped).encode()}, meant
        )


def shapes() -> Iterator[Case]:
    """Headers, cells too many or too few, folders whose files disagree."""
    data = rows()
    text = delimited(data)
    body = text.split("\n", 1)[1]
    for name, content, meant in (
        ("no header", body, None),
        ("header alone", "text,label\n", None),
        ("nothing", "", None),
        ("blank", "\n \n\t\n", None),
        ("byte order mark alone", "\ufeff", None),
        ("header twice", "text,label\ntext,label\n" + body, None),
        ("a name twice", "text,label,label\n" + body.replace("\n", ",worse\n"), data),
        ("a text twice", "text,text,label\n" + body.replace("film", "other,film"), None),
        ("no name", ",label\n" + body, data),
        ("no names", ",\n" + body, None),
        ("names in capitals", "TEXT,Label\n" + body, data),
        ("names with blanks", " text , label \n" + body, data),
        ("a cell too many", text.replace("film 7 is", "film 7, is"), None),
        ("a cell too few", text.replace("film 7 is fine,better", "film 7 is fine"), None),
        ("a separator too many", text.replace("\n", ",\n"), data),
        ("an empty text", text.replace("film 7 is fine", ""), None),
        ("a blank text", text.replace("film 7 is fine", "  "), None),
        ("an empty label", text.replace("film 7 is fine,better", "film 7 is fine,"), None),
        ("two rows", "text,label\na,worse\nb,better\n", None),
        ("one text", "text,label\n" + "a,worse\n" * 30 + "a,better\n" * 30, None),
        ("a comment", "# made by hand\n" + text, None),
        (
            "an index",
            "\n".join(f"{i or ''},{x}" for i, x in enumerate(text.split("\n")[:-1])),
            data,
        ),
    ):
        yield Case(name, {"a.csv": content.encode()}, meant)
    train, validation, test = data[:40], data[40:50], data[50:]

    def folder(name: str, **parts: str) -> Case:
        files: dict[str, Any] = {f"{part}.csv": content.encode() for part, content in parts.items()}
        return Case(name, files, data if "fine" in name else None)

    whole = {
        "train": delimited(train),
        "validation": delimited(validation),
        "test": delimited(test),
    }
    yield folder("fine", **whole)
    headless = {key: delimited(part, header=False) for key, part in
                (("validation", validation), ("test", test))}  # fmt: skip
    yield folder("a header in train alone", **{**whole, **headless})
    yield folder("other names", **{**whole, "test": whole["test"].replace("label", "gold", 1)})
    yield folder("other texts", **{**whole, "test": whole["test"].replace("text", "review", 1)})
    yield folder("an empty test", **{**whole, "test": ""})
    yield folder("a test of a header", **{**whole, "test": "text,label\n"})
    yield folder("fine, semicolons in one", **{**whole, "test": delimited(test, ";")})
    yield folder(
        "fine, capitals in one", **{**whole, "test": whole["test"].replace("text", "Text")}
    )
    yield folder("two tests", **whole, **{"test-2": whole["test"]})
    yield folder("no train", test=whole["test"], validation=whole["validation"])
    yield folder("the same twice", **{**whole, "test": whole["train"]})
    yield folder("names that say nothing", one=whole["train"], two=whole["test"])
    yield folder(
        "another class in test", **{**whole, "test": whole["test"].replace("worse", "bad")}
    )


def labels() -> Iterator[Case]:
    """Labels of every spelling."""

    def csv(name: str, spell: Callable[[str], str], **more: Any) -> Case:
        text = "text,label\n" + "".join(f"{t},{spell(n)}\n" for t, n in rows())
        return Case(name, {"a.csv": text.encode()}, **{"meant": None, **more})

    index = {"worse": 0, "better": 1}
    both = {"meant": rows()}
    yield csv("0 and 1", lambda n: str(index[n]), **both)
    yield csv("0.0 and 1.0", lambda n: f"{index[n]}.0", **both)
    yield csv("0,0 and 1,0", lambda n: f'"{index[n]},0"')
    yield csv("1 and 2", lambda n: str(index[n] + 1))
    yield csv("-1 and 1", lambda n: str(2 * index[n] - 1))
    yield csv("capitals", str.upper, **both)
    yield csv("blanks", lambda n: f"  {n} ", **both)
    yield csv("hard blanks", lambda n: f"\xa0{n}\xa0", **both)
    yield csv("quoted", lambda n: f'"{n}"', **both)
    yield csv("quoted twice", lambda n: f'"""{n}"""')
    yield csv("True and False", lambda n: str(bool(index[n])), **both)
    yield csv("yes and no", lambda n: ("no", "yes")[index[n]])
    yield csv("names of others", lambda n: n[::-1])
    yield csv("LABEL_0", lambda n: f"LABEL_{index[n]}")
    yield csv("one class", lambda n: "worse")
    yield csv("NaN", lambda n: "NaN")
    yield csv("lists", lambda n: f"\"['{n}']\"")
    yield csv("lists of numbers", lambda n: f'"[{index[n]}]"')
    yield csv("half lists", lambda n: f"\"['{n}'\"")
    yield csv("dicts", lambda n: '"{""a"": 1}"')
    yield csv("huge numbers", lambda n: "9" * 4000 + str(index[n]))
    yield csv("exponents", lambda n: f"{index[n]}e0")
    yield csv("infinite", lambda n: "inf")
    none: dict[str, Any] = {"names": None}
    texts = [t for t, _ in rows()]
    for name, found in {
        "decimal commas": [f"0,{i % 7}" for i in range(60)],
        "case alone": ["BETTER" if i % 3 else "better" for i in range(60)],
        "case of three": [("BETTER", "better", "worse")[i % 3] for i in range(60)],
        "arrays as numpy writes": [("['a' 'b']", "['b']")[i % 2] for i in range(60)],
    }.items():
        text = delimited(list(zip(texts, found, strict=True)))
        note = ("letter case",) if "case" in name else ()
        yield Case(name, {"a.csv": text.encode()}, None, note, **none)
    for name, value in {
        "null": None, "a list": ["worse"], "two labels": ["worse", "better"], "nothing": [],
        "a dict": {"a": 1}, "nested": [["worse"]], "true": True, "a number": 0, "a float": 1.0,
        "half": 0.5, "minus one": -1, "seven": 7, "huge": 10**400, "NaN": float("nan"),
        "infinite": float("inf"), "blank": " ", "empty": "", "a lone half": "\ud83d",
    }.items():  # fmt: skip
        records: Rows = [(t, index[n]) for t, n in rows()]
        meant = [(t, LABELS[n]) for t, n in records]
        one = [*records[:7], (records[7][0], value), *records[8:]]
        right = meant if name in ("true", "a float") else None
        if name == "a number":
            right = [*meant[:7], (meant[7][0], "worse"), *meant[8:]]
        for extension in ("jsonl", "json"):
            yield Case(
                f"label {name} in {extension}", {f"a.{extension}": written(extension, one)}, right
            )
        for extension in ("jsonl", "json"):
            other = [*rows()[:7], (value, "better"), *rows()[8:]]
            kept = [*other] if isinstance(value, bool | int | float) else None
            yield Case(
                f"text {name} in {extension}",
                {f"a.{extension}": written(extension, other)},
                kept,
            )


def columns() -> Iterator[Case]:
    """Parquet columns of every type."""
    import pyarrow
    import pyarrow.parquet

    texts, names = zip(*rows(), strict=True)
    index = [LABELS.index(name) for name in names]
    plain = pyarrow.array(texts)
    for name, text, label, meant in (
        ("large text", plain.cast("large_string"), pyarrow.array(names), rows()),
        ("dictionaries", plain.dictionary_encode(), pyarrow.array(names), rows()),
        ("bytes", plain.cast("binary"), pyarrow.array(names), rows()),
        ("structs", pyarrow.array([{"a": t} for t in texts]), pyarrow.array(names), None),
        ("lists", pyarrow.array([[t] for t in texts]), pyarrow.array(names), None),
        ("int8", plain, pyarrow.array(index, "int8"), rows()),
        ("uint64", plain, pyarrow.array(index, "uint64"), rows()),
        ("float32", plain, pyarrow.array(index, "float32"), rows()),
        ("booleans", plain, pyarrow.array([bool(i) for i in index]), rows()),
        ("decimals", plain, pyarrow.array(index).cast(pyarrow.decimal128(20, 1)), rows()),
        ("dates", plain, pyarrow.array(index, "int32").cast("date32"), None),
        ("nulls", plain, pyarrow.nulls(60), None),
        ("times", pyarrow.array(range(60)).cast("timestamp[s]"), pyarrow.array(names), None),
        ("struct labels", plain, pyarrow.array([{"a": i} for i in index]), None),
        ("maps", pyarrow.array([[("a", 1)]] * 60, pyarrow.map_("string", "int64")), plain, None),
    ):  # fmt: skip
        extra = pyarrow.array([[("a", 1)]] * 60, pyarrow.map_("string", "int64"))
        for beside in (False, True):
            table = pyarrow.table(
                {"text": text, "label": label, **({"more": extra} if beside else {})}
            )
            sink = io.BytesIO()
            pyarrow.parquet.write_table(table, sink)
            case = f"column of {name}{', a map beside' if beside else ''}"
            yield Case(case, {"a.parquet": sink.getvalue()}, meant)
    whole = written("parquet", rows())
    rng = np.random.default_rng(5)
    for _ in range(20):
        place = int(rng.integers(len(whole)))
        yield Case(f"parquet cut at {place}", {"a.parquet": whole[:place]}, None)
    for size in (0, 1, 4, 8, 100):
        yield Case(f"parquet of {size} bytes", {"a.parquet": b"PAR1" * (size // 4)}, None)


def no_data() -> Iterator[Case]:
    """What is no file, no text, no JSON, or not what its name says."""
    data = rows()
    whole = {extension: written(extension, data) for extension in EXTENSIONS}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", whole["csv"])
    for extension in EXTENSIONS:
        name = f"a.{extension}"
        kinds: dict[str, Any] = {
            "a folder": lambda path: path.mkdir(),
            "a pipe": os.mkfifo,
            "a link to nothing": lambda path: path.symlink_to("nowhere"),
            "a link to itself": lambda path: path.symlink_to(path.name),
            "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
            "a link to /dev/null": lambda path: path.symlink_to("/dev/null"),
            "gzip": gzip.compress(whole[extension]),
            "a zip": packed.getvalue(),
            "zeros": bytes(5000),
            "noise": np.random.default_rng(0).bytes(5000),
        }
        for kind, content in kinds.items():
            yield Case(f"{name} is {kind}", {name: content}, None)
        for other in EXTENSIONS:
            if other != extension:
                # Lines of JSON under .json are what the hub has.
                meant = data if {other, extension} <= {"json", "jsonl", "csv", "tsv"} else None
                yield Case(f"{other} as {name}", {name: whole[other]}, meant)
    for content in (
        *("[" * 100_000, '{"a": ' * 100_000, "9" * 5000, '[{"text": ' + "9" * 5000 + "}]"),
        *("null", "1", '"x"', "{}", "[]", "[[]]", "[1]", '[{"text": "a"}]', '{"data": 1}'),
        *('{"data": []}', '{"train": [], "test": []}', "[{},{}]", "{", "]", "NaN", "[1e999]"),
        *('{"text": ["a", "b"], "label": [0, 1]}', "\x00", "{'text': 'a'}", "//", "[,]"),
        whole["json"].decode()[:-9],
        whole["json"].decode() * 2,
        whole["jsonl"].decode().replace("}", "},", 3),
    ):
        for extension in ("json", "jsonl"):
            yield Case(
                f"{content[:30]!r} in {extension}", {f"a.{extension}": content.encode()}, None
            )
    for name in (
        "a.txt",
        "a.xlsx",
        "a",
        "a.CSV",
        "a.csv.gz",
        "a b.csv",
        "ä.csv",
        "[a].csv",
        "*.csv",
    ):
        content = whole["csv"]
        meant = data if name.lower().endswith(".csv") else None
        yield Case(f"the name {name}", {name: content}, meant)
    saved: dict[str, Any] = {"dataset_info.json": b"{}", "state.json": b"{}", "data.arrow": b"x"}
    yield Case("saved, damaged", saved, None)
    yield Case("saved, nested", {**saved, "state.json": b"[" * 100_000}, None)


def spans() -> Iterator[Case]:
    """Words with tags, and lists, as annotation tools and pandas write them."""
    words = [[*f"this is film {i} of".split(), ("paris", "john")[i % 2]] for i in range(60)]
    kinds = [("LOC", "PER")[i % 2] for i in range(60)]
    texts = [" ".join(own) for own in words]
    starts = [text.rindex(" ") + 1 for text in texts]
    tags = [[*["O"] * 5, f"B-{kind}"] for kind in kinds]
    meant = [(text, " ".join(own)) for text, own in zip(texts, tags, strict=True)]
    whole = list(zip(texts, starts, kinds, strict=True))

    def lines(records: Any) -> bytes:
        return "".join(json.dumps(record) + "\n" for record in records).encode()

    def case(name: str, file: str, content: bytes, meant: Rows | None = None) -> Case:
        return Case(name, {file: content}, meant, names=None, task="token-classification")

    old = lines({"text": t, "labels": [[s, len(t), k]]} for t, s, k in whole)
    yield case("doccano, old", "a.jsonl", old)
    new = [[{"label": k, "start_offset": s, "end_offset": len(t)}] for t, s, k in whole]
    records = [{"text": t, "entities": e} for t, e in zip(texts, new, strict=True)]
    yield case("doccano", "a.jsonl", lines(records))
    found = [{"start": s, "end": len(t), "label": k} for t, s, k in whole]
    records = [{"text": t, "spans": [f]} for t, f in zip(texts, found, strict=True)]
    yield case("spaCy", "a.jsonl", lines(records))
    studio = [
        {"id": i, "data": {"text": t}, "annotations": [{"result": [{"value": f}]}]}
        for i, (t, f) in enumerate(zip(texts, found, strict=True))
    ]
    yield case("Label Studio", "a.json", json.dumps(studio).encode())
    for between in (" ", "\t"):
        for columns in (2, 4):
            rows = [
                "\n".join(
                    between.join((w, *["-X-"] * (columns - 2), t)) for w, t in zip(*o, strict=True)
                )
                for o in zip(words, tags, strict=True)
            ]
            content = "-DOCSTART- -X- O O\n\n" * (columns == 4) + "\n\n".join(rows)
            for file in ("a.conll", "a.iob", "a.txt", "a.tsv", "a.csv"):
                yield case(f"CoNLL of {columns} by {between!r}, {file}", file, content.encode())
    spelt = [
        (name, [spell(own) for own in words], [spell(own) for own in tags])
        for name, spell in (("pandas", str), ("JSON", json.dumps), ("strings", " ".join))
    ]
    for name, first, second in spelt:
        text = delimited(list(zip(first, second, strict=True))).replace("text,label", "tokens,tags")
        yield case(f"lists as {name} writes them", "a.csv", text.encode(), meant)
    arrays = [str(np.array(own)) for own in tags]
    text = delimited(list(zip(map(str, words), arrays, strict=True)))
    yield case("arrays", "a.csv", text.replace("text,label", "tokens,tags").encode())
    inner = [[tag.replace("B-", "I-") for tag in own] for own in tags]
    records = [{"tokens": w, "tags": t} for w, t in zip(words, inner, strict=True)]
    right = [(t, " ".join(own)) for t, own in zip(texts, inner, strict=True)]
    yield case("IOB1", "a.jsonl", lines(records), right)
    records[7]["tags"] = records[7]["tags"][:-1]
    yield case("a tag too few", "a.jsonl", lines(records))
    several = [(["film", "praise"], ["praise"], [])[i % 3] for i in range(60)]
    right = [(text, " ".join(own)) for text, own in zip(texts, several, strict=True)]
    for name, spell in (("pandas", str), ("JSON", json.dumps)):
        text = delimited(list(zip(texts, map(spell, several), strict=True)))
        yield Case(
            f"several labels as {name} writes them", {"a.csv": text.encode()}, right, names=None
        )


KINDS = (spans, encodings, ends, separators, characters, quotes, shapes, labels, columns, no_data)


def test_data_files(tally: Any, chosen: Any, tmp_path: Path) -> None:
    for kind in KINDS:
        for number, case in enumerate(chosen(list(kind()), 12)):
            path = case.write(tmp_path / f"{kind.__name__}-{number}")
            tally.judge(
                f"{kind.__name__}: {case.name}",
                lambda p=path, c=case: read(p, c.names, c.task),
                lambda found, c=case: is_meant(c, found),
            )
