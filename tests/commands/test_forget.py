"""Forgetting: after it, and a new run, no byte of the workspace or the cache has the id."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import run as call
from whole_dag import TO_SEGMENTS, run_dag, write_params

from pipeline.commands import forget
from pipeline.core.run.errors import InputError
from pipeline.make_sample.__main__ import write_sample
from pipeline.read_campaigns.plans import read_campaign

PLAN = """
name: spring
segments: [lost]
play:
kpi: buyers
start: 2012-01-01
length_days: 30
cost_per_contact: 0.0
fixed_cost: 0.0
members: 2
left_out: {}
treated: 1
held_out: 1
power: {lift: 0.2, alpha: 0.05, wanted: 0.8}
seed: 1
snapshot: 2011-12-10
segments_md5: ''
list_sha256: ''
"""


def forgotten(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["forget", *arguments])
    forget.main()


def test_a_forgotten_customer_is_nowhere_in_workspace_and_cache(tmp_path, monkeypatch, capsys):
    write_sample(tmp_path / "orders/lines.csv", 3000, 352)
    write_params(tmp_path, "orders", sample={"lines": 100})
    stages = TO_SEGMENTS[: TO_SEGMENTS.index("aggregate_rfm") + 1]
    run_dag(tmp_path, stages)
    monkeypatch.chdir(tmp_path)
    known = pq.read_table("data/sales.parquet")["customer_id"].drop_null()
    customer = known.value_counts().to_pylist()[0]["values"]
    call("git", "init", "-q", cwd=tmp_path)
    call("dvc", "init", "-q", cwd=tmp_path)
    call("dvc", "add", "-q", "orders", "data", cwd=tmp_path)
    for name, text in {
        "campaigns/spring.yaml": PLAN,
        "campaigns/spring.csv": f"customer_id,group,stratum\nx,held out,a\n{customer},treated,a\n",
        "exports/spring/meta.csv": "email\n0123456789abcdef\n",
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    call("git", "add", "-f", "campaigns", cwd=tmp_path)
    call("git", "-c", "user.name=T", "-c", "user.email=t@e", "commit", "-qm", "x", cwd=tmp_path)
    before = Path("orders/lines.csv").read_bytes().splitlines()

    forgotten(monkeypatch, customer)
    told = capsys.readouterr().out
    assert "in orders/lines.csv" in told
    assert Path("orders/lines.csv").read_bytes().splitlines() == before

    forgotten(monkeypatch, customer, "--remove")
    told = capsys.readouterr().out
    assert "removed from campaigns/spring.csv" in told
    assert "git's history holds the id in 1 commit of campaign lists" in told.replace("\xa0", " ")
    with contextlib.chdir(tmp_path):
        run_dag(tmp_path, stages)
    after = Path("orders/lines.csv").read_bytes().splitlines()
    assert after == [row for row in before if f",{customer},".encode() not in row]
    assert len(after) < len(before)
    files = [f for f in tmp_path.rglob("*") if f.is_file() and f.parts[-2] != "pipeline"]
    for file in files:
        if ".git" not in file.parts and "pipeline" not in file.relative_to(tmp_path).parts:
            data = file.read_bytes()
            texts = str(pq.read_table(file).to_pylist()).encode() if data[:4] == b"PAR1" else data
            assert customer.encode() not in texts, file
    campaign = read_campaign("spring")
    assert campaign.is_list_as_drawn
    assert campaign.members["customer_id"].tolist() == ["x"]
    assert not Path("exports/spring/meta.csv").exists()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("customer_id,note\n7,a\n8,7\n7.0,b\n", "customer_id,note\n8,7\n"),
        ('customer_id;note\r\n"7";"a\r\n7;b"\r\n77;x\r\n', "customer_id;note\r\n77;x\r\n"),
        ("\ufeffcustomer_id\n 7 \n\n8", "\ufeffcustomer_id\n\n8"),
    ],
)
def test_only_the_customers_rows_go_and_no_other_byte_changes(tmp_path, text: str, kept: str):
    file = tmp_path / "lines.csv"
    file.write_text(text, encoding="utf-8", newline="")
    forget.drop_rows(file, "7", lambda header: {name: n for n, name in enumerate(header)})
    assert file.read_bytes() == kept.encode()


def test_a_file_without_customers_is_an_error(tmp_path):
    file = tmp_path / "lines.csv"
    shutil.copy(__file__, file)
    with pytest.raises(InputError, match="no column of customers"):
        forget.drop_rows(file, "7", lambda _: {})
