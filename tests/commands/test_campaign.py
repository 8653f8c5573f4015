"""A campaign from draw to result on a small sample whose later orders are known."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from whole_dag import WITH_REPORT, run_dag, write_params

from pipeline.commands.campaign import __main__ as campaign
from pipeline.core.tables.assign_segments import SEGMENTS
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.read_campaigns import CAMPAIGNS, HELD_OUT_CUSTOMERS
from pipeline.make_sample.__main__ import write_sample
from pipeline.read_campaigns import __main__ as read_campaigns
from pipeline.read_campaigns.plans import read_campaign

AUGUST = "2011-08-31"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_sample(folder / "sample.csv", 12_000, 4)
    select = {"candidates": ["steps/rfm/log"]}
    write_params(folder, folder / "sample.csv", rfm={"as_of": AUGUST}, select=select)
    return run_dag(folder, WITH_REPORT)


@pytest.fixture(autouse=True)
def inside(shop: Path, tmp_path: Path) -> Iterator[None]:
    """A copy of the shop, without campaigns."""
    for name in ("data", "reports", "metrics"):
        shutil.copytree(shop / name, tmp_path / name, copy_function=os.link)
    shutil.copy(shop / "params.yaml", tmp_path)
    (tmp_path / "campaigns").mkdir()
    with contextlib.chdir(tmp_path):
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["campaign", *arguments])
        code = 0
        try:
            campaign.main()
        except SystemExit as error:
            code = int(str(error.code))
        done = capsys.readouterr()
        return code, done.out, done.err

    return called


def everyone() -> list[str]:
    rows = read_table(SEGMENTS)
    names = rows.loc[rows["snapshot_date"] == rows["snapshot_date"].max(), "segment"].unique()
    return [option for name in sorted(names) for option in ("--segment", name)]


def drawn(name: str) -> set[str]:
    return set(read_campaign(name).members["customer_id"])


def contacts_file(consent: str = "yes") -> str:
    ids = read_table(SEGMENTS)["customer_id"].unique()
    frame = pd.DataFrame({"customer_id": ids})
    frame["email"] = frame["customer_id"] + "@shop.example"
    frame.assign(consent=consent).to_csv("contacts.csv", index=False)
    return "contacts.csv"


def test_a_draw_is_written_down_and_the_same_command_gives_equal_bytes(run):
    code, out, _ = run("draw", "spring", *everyone(), "--cost-per-contact", "0.5")
    assert code == 0
    files = [Path("campaigns/spring.yaml"), Path("campaigns/spring.csv")]
    before = [file.read_bytes() for file in files]
    plan = read_campaign("spring").plan
    assert plan.treated + plan.held_out == plan.members == len(drawn("spring"))
    assert plan.snapshot.isoformat() == AUGUST
    assert plan.start.isoformat() == "2011-09-01"
    assert plan.power.base is not None
    assert "the chance that the test shows it is" in out
    assert run("draw", "spring", *everyone(), "--cost-per-contact", "0.5")[0] == 0
    code, _, err = run("draw", "spring", *everyone(), "--seed", "2")
    assert code == 1
    assert "drawn before, from other orders or with other options" in err
    assert [file.read_bytes() for file in files] == before


def test_nobody_is_in_two_running_campaigns_without_allow_overlap(run):
    run("draw", "one", *everyone(), "--size", "60", "--hold-out", "30")
    assert run("draw", "two", *everyone(), "--hold-out", "50%")[0] == 0
    assert not drawn("one") & drawn("two")
    assert read_campaign("two").plan.left_out == {"in campaign one until 2011-11-29": 60}
    run("draw", "after", *everyone(), "--hold-out", "50%", "--start", "2012-03-01")
    run("draw", "both", *everyone(), "--hold-out", "50%", "--allow-overlap")
    assert drawn("after") == drawn("both") == drawn("one") | drawn("two")


def test_the_shop_wide_hold_out_is_in_no_draw_and_no_file(run):
    code, out, _ = run("hold-out", "20%")
    assert (code, "never drawn" in out) == (0, True)
    run("draw", "spring", *everyone(), "--hold-out", "50%")
    held = read_campaign("spring").plan.left_out["shop-wide hold-out"]
    assert 0.1 < held / read_campaign("spring").plan.members < 0.3
    read_campaigns.main()
    assert read_table(HELD_OUT_CUSTOMERS)["held_out_of"].str.contains("shop_hold_out").sum() >= held
    code, _, err = run("hold-out", "10%")
    assert code == 1
    assert "with seed 1 were declared before" in err


def test_only_those_who_may_be_addressed_are_drawn_where_contacts_are_given(run):
    file = contacts_file()
    Path("gone.csv").write_text("customer_id\n" + "\n".join(sorted(read_table(SEGMENTS)
                                ["customer_id"].unique())[:40]), encoding="utf-8")  # fmt: skip
    run("draw", "spring", *everyone(), "--contacts", file, "--opt-outs", "gone.csv")
    left_out = read_campaign("spring").plan.left_out
    assert 0 < left_out["opted out"] <= 40
    code, _, err = run("draw", "none", *everyone(), "--contacts", contacts_file("?"))
    assert code == 1
    assert "consent unknown" in err


def test_exports_contain_only_treated_customers(run):
    run("draw", "spring", *everyone(), "--hold-out", "40%")
    code, out, _ = run("export", "spring", "--contacts", contacts_file(), "--for", "csv", "meta")
    assert code == 0
    plan, members = read_campaign("spring").plan, read_campaign("spring").members
    rows = pd.read_csv("exports/spring/csv.csv", dtype=str)
    assert set(rows["customer_id"]) == set(
        members.loc[members["group"] == "treated", "customer_id"]
    )
    assert rows["suggested_action"].str.len().min() > 10
    assert f"{plan.held_out} held out are in no file" in out
    assert len(pd.read_csv("exports/spring/meta.csv")) == plan.treated
    Path("campaigns/spring.csv").write_text(
        Path("campaigns/spring.csv").read_text(encoding="utf-8").replace("held out", "treated"),
        encoding="utf-8",
    )
    code, _, err = run("export", "spring", "--contacts", contacts_file())
    assert code == 1
    assert "changed after the draw" in err


def test_results_appear_once_the_campaign_is_over(run):
    run("draw", "now", *everyone(), "--size", "150", "--fixed-cost", "20", "--hold-out", "60")
    run("draw", "later", *everyone(), "--start", "2011-11-20", "--hold-out", "50%",
        "--allow-overlap")  # fmt: skip
    run("draw", "next", *everyone(), "--start", "2012-03-01", "--hold-out", "50%")
    read_campaigns.main()
    rows = read_table(CAMPAIGNS).set_index(["campaign", "measure"])
    assert set(rows.loc["later", "verdict"]) == {"too early"}
    assert set(rows.loc["next", "verdict"]) == {"not started"}
    spend = rows.loc[("now", "spend")]
    assert spend["difference_low"] < spend["difference"] < spend["difference_high"]
    assert spend["gain"] == pytest.approx(90 * spend["difference"] - 20)
    assert spend["cost_known_share"] == 0
    alone = read_table(HELD_OUT_CUSTOMERS).set_index("customer_id")["held_out_of"]
    assert set("; ".join(alone).split("; ")) == {"later", "next"}  # not of the one that is over
    for customer, group in read_campaign("next").members[["customer_id", "group"]].to_numpy():
        assert ("next" in alone.get(customer, "")) == (group == "held out")
    figures = json.loads(Path("metrics/campaigns.json").read_text(encoding="utf-8"))[0]
    assert figures["drawn"] == 3
    assert figures["campaigns"]["now"]["spend"]["verdict"] == spend["verdict"]
    code, out, _ = run("read")
    assert code == 0
    assert "Too early: orders are known until 9 December 2011" in out
    assert re.search(r"now: 90 treated, 60 held out .*\n.*95% interval", out)
    assert run("read", "now")[1] in out
    code, _, err = run("read", "spring")
    assert code == 1
    assert "no campaign of this name; there are later, next, now" in err


def test_a_list_that_was_changed_or_a_start_before_the_draw_is_not_valid(run):
    run("draw", "spring", *everyone(), "--hold-out", "50%")
    plan, list_file = Path("campaigns/spring.yaml"), Path("campaigns/spring.csv")
    text, listed = plan.read_text(encoding="utf-8"), list_file.read_text(encoding="utf-8")
    plan.write_text(text.replace("start: 2011-09-01", "start: 2011-08-01"), encoding="utf-8")
    read_campaigns.main()
    (problem,) = set(read_table(CAMPAIGNS)["problem"])
    assert problem == "start"
    plan.write_text(text, encoding="utf-8")
    list_file.write_text(listed.replace("treated", "held out", 1), encoding="utf-8")
    read_campaigns.main()
    assert set(read_table(CAMPAIGNS)["problem"]) == {"list"}
    assert "Not a valid test: the list was changed after the draw." in run("read")[1]


def test_no_campaign_is_no_error(run):
    read_campaigns.main()
    assert len(read_table(CAMPAIGNS)) == 0
    assert "No campaign was drawn yet" in run("read")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--segment", "vip"], "--segment 'vip': no such segment; there are "),
        (["--segment", "", "--size", "5"], "no such segment"),
        (["--start", AUGUST], "starts on 2011-09-01 at the earliest"),
        (["--size", "5"], "expected 10 to "),
        (["--fixed-cost", "-1"], "campaign.fixed_cost: -1.0: Input should be greater than"),
        (["--lift", "-1"], "power.lift: -1.0: Input should be greater than 0"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(run, arguments: list[str], message: str):
    chosen = arguments if "--segment" in arguments else ["--segment", everyone()[1], *arguments]
    code, _, err = run("draw", "spring", *chosen)
    assert code == 1
    assert message in err
    assert not Path("campaigns/spring.yaml").exists()
