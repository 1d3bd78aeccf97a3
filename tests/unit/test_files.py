"""A small file is there whole, or as it was before."""

from __future__ import annotations

import errno

import pytest
from conftest import files_no_larger_than

from dagster_project.files import write_whole


@pytest.mark.parametrize("durably", [False, True])
def test_it_replaces_what_was_there_and_leaves_nothing_beside_it(tmp_path, durably):
    path = tmp_path / "note.json"
    path.write_text("before")
    write_whole(path, "継続", durably=durably)
    assert path.read_bytes() == "継続".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durably", [False, True])
def test_a_file_that_may_not_grow_is_named_and_stays_as_it_was(tmp_path, durably):
    path = tmp_path / "note.json"
    path.write_text("before")
    with files_no_larger_than(4096), pytest.raises(OSError) as caught:
        write_whole(path, "x" * 8192, durably=durably)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_absent_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent/note\.json"):
        write_whole(tmp_path / "absent" / "note.json", "x")
