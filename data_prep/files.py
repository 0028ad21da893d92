"""Files and folders that appear whole or not at all, and folders that one process owns at a time.

    with replacing(path) as draft:            # any writer that takes a path
        torch.save(state, draft)
    with replacing_folder(path) as draft:     # a whole folder in one move; an older one is replaced
        model.save_pretrained(draft)
    write_json(path, value);  write_text(path, text);  read_json(path)
    with locked(folder):                      # a second process is refused with one sentence
        sweep(folder)                         # drafts that killed processes left

A draft lies beside its target as `.NAME.PROCESS.RANDOM.NUMBER` and reaches the disk before it is renamed, so the final
name never stands for half a file, after a kill or after a loss of power. All packages use these; tables.py has the
parquet writers. Not here: what the files say.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from data_prep.errors import UserError

LOCK = ".lock"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_ACCESS = (errno.EROFS, errno.EACCES, errno.EPERM)
_drafts = count()


@contextmanager
def replacing(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """A draft's path that becomes `path` if the block succeeds and is removed if it fails.

    Args:
        path: the file; its folder is made.
        durable: whether the content must be on the disk before the name is. Only for files that may be lost without
            harm, such as displayed progress, is False right: it saves the wait for the disk.

    Raises:
        UserError: there is no room, or no right to write there.
    """
    path = Path(path)
    draft = _draft_of(path)
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            if durable:
                _to_disk(draft)
            os.replace(draft, path)
            if durable:
                _to_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """An empty draft folder that becomes `path`, with all its files, if the block succeeds; see `replace_folder`."""
    path = Path(path)
    draft = _draft_of(path)
    try:
        with _explained(path):
            draft.mkdir(parents=True)
            yield draft
            replace_folder(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def replace_folder(draft: str | Path, path: str | Path) -> None:
    """Bring all of `draft` to the disk and give it the name `path`.

    A folder can be renamed onto an empty one only: an older `path` is moved aside first and deleted last. A process
    killed between the two moves leaves no folder under the name, never a mixture.
    """
    draft, path = Path(draft), Path(path)
    old = _draft_of(path)
    for file in sorted(draft.rglob("*")):
        _to_disk(file)
    _to_disk(draft)
    if path.exists():
        os.replace(path, old)
    os.replace(draft, path)
    _to_disk(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | Path, text: str, durable: bool = True) -> None:
    """Write a UTF-8 text file: readers see the old content or the new one."""
    with replacing(path, durable) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object, durable: bool = True) -> None:
    """Write a JSON file: readers see the old value or the new one."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", durable)


def read_json(path: str | Path) -> Any:
    """The value of a JSON file; UserError naming the file when it is not there, empty, or cut short."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file.") from error
    except ValueError as error:
        raise UserError(f"{path}: damaged, not readable as JSON ({error}). Remove it and start again.") from error


@contextmanager
def locked(folder: str | Path, wait: bool = False) -> Iterator[None]:
    """Own a folder until the block ends. The lock ends with the process: a kill never leaves one behind.

    Args:
        folder: it is made.
        wait: whether to wait for another owner, instead of refusing.

    Raises:
        UserError: another process owns the folder.
    """
    folder = Path(folder)
    obstacle = next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None)
    if obstacle is not None:
        raise UserError(f"{folder}: cannot be a directory, {obstacle} is a file. Choose another place.")
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{folder}: another process is writing into this directory. Wait for it to end, or choose another one."
            ) from error
        yield


def sweep(folder: str | Path) -> None:
    """Remove the drafts that killed processes left in a folder which the caller has locked."""
    for left in Path(folder).glob(".*"):
        if left.suffix[1:].isdigit():
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _draft_of(path: Path) -> Path:
    """A name of its own among the processes of all machines that write into the folder."""
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid4().hex[:8]}.{next(_drafts)}")


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some file systems cannot do it for folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns a full disk, and a place where nothing may be written, into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise UserError(f"{path}: cannot be written, the disk is full. Make room and start again.") from error
        here = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(path.parent)
        if error.errno in _NO_ACCESS and here:
            raise UserError(f"{path}: cannot be written ({os.strerror(error.errno)}). Choose another place.") from error
        raise
