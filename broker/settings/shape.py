"""Reads a file into frozen dataclasses whose fields say what kind of value each is, gathering every fault.

A class is a table; a field made by `setting` is a key of it, by `table` a table below it, by `tables` an array of
tables. A key that no field has is a fault.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast, runtime_checkable

import msgspec

from broker.errors import ConfigurationError
from broker.settings.document import At, Document
from broker.settings.kinds import Kind, Place, did_you_mean

__all__ = ["Checked", "FromEnvironment", "Reading", "Tables", "setting", "table", "tables"]

T = TypeVar("T")
_NOWHERE = Place(Path(), {})


class _Required:
    """No default: the key must be there."""


_REQUIRED = _Required()


@dataclasses.dataclass(frozen=True, slots=True)
class _Setting:
    kind: Kind[Any, Any]
    default: Any = _REQUIRED


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """The shape of a field that is a table, or an array of them."""

    cls: type
    many: bool
    write: str | None = None
    optional: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A value that an environment variable gives in place of the file."""

    name: str
    text: str


def setting(kind: Kind[Any, T], default: Any = _REQUIRED) -> Any:
    """A key.

    Args:
        kind: what may stand there.
        default: as it would be written in the file; None for none. Without it the key is required.
    """
    meta = {"shape": _Setting(kind, default)}
    if default is _REQUIRED:
        return dataclasses.field(metadata=meta)
    # A path that need not be written need not be there either, until a file is read.
    value = None if default is None else kind.make(default, _NOWHERE)
    return dataclasses.field(metadata=meta, default=value)


def table(cls: type, *, required: str | None = None, optional: bool = False) -> Any:
    """A table below. Left out, it is read as empty.

    Args:
        cls: its shape.
        required: where leaving it out is a fault, what to write.
        optional: left out it gives None.
    """
    meta = {"shape": Tables(cls, many=False, write=required, optional=optional)}
    if required:
        return dataclasses.field(metadata=meta)
    return (
        dataclasses.field(metadata=meta, default=None)
        if optional
        else dataclasses.field(metadata=meta, default_factory=cls)
    )


def tables(cls: type) -> Any:
    """An array of tables below, perhaps empty."""
    return dataclasses.field(metadata={"shape": Tables(cls, many=True)}, default=())


@runtime_checkable
class Checked(Protocol):
    """A table whose keys may be wrong together, though each is right.

    Attributes:
        reads: the keys that `problem` looks at: where these are right, it is asked, though others have faults.
    """

    reads: ClassVar[tuple[str, ...]]

    def problem(self) -> tuple[str, str] | None:
        """The key where it shows ("" for the table) and what to write instead; None if all is well."""
        ...


@dataclasses.dataclass(slots=True)
class Reading:
    """One file on its way into values.

    Attributes:
        document: what is read.
        place: where relative paths start, and the environment.
        faults: all that was wrong so far.
        right: every setting that was read without a fault, its default where it is left out, by where it stands.
    """

    document: Document
    place: Place
    faults: list[ConfigurationError] = dataclasses.field(default_factory=list)
    right: dict[At, Any] = dataclasses.field(default_factory=dict)

    def fault(self, at: At, message: str) -> None:
        """Note that what stands there is wrong, and what to write instead."""
        self.faults.append(self.document.fault(at, f"{_label(at)}: {message}" if at else message))

    def read(
        self, cls: Callable[..., T], content: Mapping[str, Any] | None = None, at: At = (), **given: Any
    ) -> T | None:
        """The content of the file, or of a table of it, as `cls`; None if anything in it is wrong.

        Args:
            cls: a dataclass whose fields come from `setting`, `table` and `tables`.
            content: the table; left out, the whole file.
            at: where the table stands.
            given: fields of `cls` that are not in the file.
        """
        content = self.document.data if content is None else content
        before = len(self.faults)
        shapes = {
            field.name: field.metadata["shape"] for field in dataclasses.fields(cast("Any", cls)) if field.metadata
        }
        for key in content:
            if key not in shapes:
                self.fault((*at, key), f"there is no such setting; remove it{did_you_mean(key, list(shapes))}")
        values = {name: self._value(shape, content, (*at, name)) for name, shape in shapes.items()}
        whole = len(self.faults) == before
        reads = getattr(cls, "reads", ())
        if not whole and not (reads and all((*at, key) in self.right for key in reads)):
            return None
        made = cls(**values, **given)
        if isinstance(made, Checked) and (problem := made.problem()):
            key, message = problem
            self.fault((*at, key) if key else at, message)
            return None
        return made if whole else None

    def _value(self, shape: _Setting | Tables, content: Mapping[str, Any], at: At) -> Any:
        raw = content.get(str(at[-1]), _REQUIRED)
        if isinstance(shape, _Setting):
            return self._setting(shape, raw, at)
        if shape.many:
            return self._tables(shape, raw, at)
        if raw is _REQUIRED and shape.write:
            self.fault(at, f"missing: {shape.write}")
            return None
        if raw is _REQUIRED and shape.optional:
            return None
        raw = {} if raw is _REQUIRED else raw
        if not isinstance(raw, dict):
            self.fault(at, f"a table is needed: write [{_label(at)}], and its settings below")
            return None
        return self.read(shape.cls, raw, at)

    def _tables(self, shape: Tables, raw: Any, at: At) -> tuple[Any, ...]:
        raw = [] if raw is _REQUIRED else raw
        if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
            self.fault(at, f"an array of tables is needed: write [[{_label(at)}]], and its settings below")
            return ()
        return tuple(self.read(shape.cls, each, (*at, index)) for index, each in enumerate(raw))

    def _setting(self, shape: _Setting, raw: Any, at: At) -> Any:
        if raw is _REQUIRED:
            raw = shape.default
            if raw is None:
                self.right[at] = None
                return None
            if raw is _REQUIRED:
                self.fault(at, f"missing: {shape.kind.write}")
                return None
        try:
            value = self.right[at] = shape.kind.make(_converted(raw, shape.kind), self.place)
        except msgspec.ValidationError:
            message = shape.kind.write
        except ValueError as error:
            message = str(error)
        else:
            return value
        if isinstance(raw, FromEnvironment):
            self.faults.append(ConfigurationError(self.document.file, f"{raw.name} in the environment: {message}"))
        else:
            self.fault(at, message)
        return None


def _converted(raw: Any, kind: Kind[Any, Any]) -> Any:
    if not isinstance(raw, FromEnvironment):
        return msgspec.convert(raw, kind.raw)
    if kind.raw is str:
        return raw.text
    if kind.raw == list[str]:
        return [word.strip() for word in raw.text.split(",") if word.strip()]
    return msgspec.convert(raw.text, kind.raw, strict=False)


def _label(at: At) -> str:
    label = ""
    for step in at:
        label += f"[{step}]" if isinstance(step, int) else f".{step}" if label else step
    return label
