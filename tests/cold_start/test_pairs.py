"""Files of pairs: what is refused, and the row-by-row copy of large ones."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_vlm as tiny

from specs_verl.cold_start import table as table_module
from specs_verl.cold_start.pairs import PairTable
from specs_verl.errors import UserError


def test_two_files_are_one_table(tmp_path):
    files = [tiny.write_pairs(tmp_path / f"{name}.parquet", tiny.rows(3, pairs_seed=k)) for k, name in enumerate("ab")]
    table = PairTable.open([str(file) for file in files])
    assert len(table) == 6
    assert table.where(4) == f"{files[1]}, row 1"
    assert table[4].chosen == tiny.row(1, pairs_seed=1)["chosen"]


def test_first_rows_only(tmp_path):
    files = [str(tiny.write_pairs(tmp_path / f"{name}.parquet", tiny.rows(3))) for name in "ab"]
    table = PairTable.open(files, max_rows=4)
    assert len(table) == 4 and table.where(3) == f"{files[1]}, row 0"


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        PairTable.open([str(tmp_path / "none.parquet")])


def test_not_parquet(tmp_path):
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(UserError, match="not a readable parquet file"):
        PairTable.open([str(tmp_path / "text.parquet")])


def test_missing_column(tmp_path):
    pq.write_table(pa.table({"prompt": ["x"], "chosen": ["y"]}), tmp_path / "short.parquet")
    with pytest.raises(UserError, match="column rejected is missing"):
        PairTable.open([str(tmp_path / "short.parquet")])


def test_no_rows(tmp_path):
    empty = pa.table({name: pa.array([], pa.string()) for name in ("prompt", "chosen", "rejected")})
    pq.write_table(empty, tmp_path / "empty.parquet")
    with pytest.raises(UserError, match="no rows"):
        PairTable.open([str(tmp_path / "empty.parquet")])


def test_the_row_file_holds_the_same_rows(tmp_path, monkeypatch):
    file = tiny.write_pairs(tmp_path / "pairs.parquet", [*tiny.rows(70), tiny.row(80, images=2)])
    in_memory = PairTable.open([str(file)])
    monkeypatch.setattr(table_module, "IN_MEMORY_BYTES", 0)
    on_disk = PairTable.open([str(file)], row_files=tmp_path / "rows")
    assert [on_disk[i] for i in (70, 0, 33, 69)] == [in_memory[i] for i in (70, 0, 33, 69)]
    made = list((tmp_path / "rows").glob("*.arrow"))
    again = PairTable.open([str(file)], row_files=tmp_path / "rows")
    assert again[5] == in_memory[5] and list((tmp_path / "rows").glob("*.arrow")) == made
