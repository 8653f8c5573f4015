"""Files for tools: headers, formats, and nobody who must not be addressed."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.commands.campaign.exports import FORMATS, addressed, file_for, read_contacts
from pipeline.core.run.errors import InputError

PEOPLE = """customer_id,Email,Consent,Phone,First name,Last name,Country,Postcode
1, Ann@Shop.example ,yes,+44 7700 900-123,Ann,O'Hara,GB,SW1A 1AA
2,bob@shop.example,no,,Bob,,,
3,cy@shop.example,maybe,,Cy,,,
4,dee@shop.example,Yes,07700 900999,=Dee,,Germany,
5,not an address,yes,,,,,
"""


def contacts_of(folder: Path, text: str = PEOPLE, opt_outs: str | None = None, **options):
    (folder / "contacts.csv").write_text(text, encoding="utf-8")
    if opt_outs is not None:
        (folder / "opt_outs.csv").write_text(opt_outs, encoding="utf-8")
    file = None if opt_outs is None else folder / "opt_outs.csv"
    return read_contacts(folder / "contacts.csv", file, **options)


def members(treated: str) -> pd.DataFrame:
    rows = [(c, "treated") for c in treated.split()]
    return pd.DataFrame(rows, columns=["customer_id", "group"])


def nobody(_: str) -> None:
    return None


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_refused_and_unknown_consent_are_left_out_and_counted(tmp_path):
    people, left_out = addressed(members("1 2 3 4 5 6"), contacts_of(tmp_path), nobody)
    assert people["email"].tolist() == ["ann@shop.example", "dee@shop.example"]
    assert left_out == {"consent unknown": 1, "no consent": 1, "no usable e-mail address": 2}
    assumed = contacts_of(tmp_path, assume_consent=True)
    assert addressed(members("1 2 3 4"), assumed, nobody)[1] == {"no consent": 1}


def test_each_tool_gets_the_headers_that_it_documents(tmp_path):
    people, _ = addressed(members("1 4"), contacts_of(tmp_path), nobody)
    people = people.assign(campaign="spring", segment="lost")
    heads = {tool: list(rows_of(file_for(tool, people))[0]) for tool in FORMATS}
    about = ["Customer ID", "Campaign", "Segment"]
    names = ["First Name", "Last Name", "Phone Number"]
    assert heads == {
        "klaviyo": ["Email", *names, *about],
        "mailchimp": ["Email Address", *names, "Tags", *about],
        "meta": ["email", "phone", "fn", "ln", "zip", "country"],
        "google": ["Email", "Phone", "First Name", "Last Name", "Country", "Zip"],
        "csv": ["customer_id", "campaign", "segment", "email", "phone", "first_name", "last_name",
                "zip", "country"],
    }  # fmt: skip


def test_advertising_tools_get_normalised_and_hashed_fields(tmp_path):
    people, _ = addressed(members("1"), contacts_of(tmp_path), nobody)
    (meta,), (google,) = rows_of(file_for("meta", people)), rows_of(file_for("google", people))
    assert meta == {
        "email": sha256("ann@shop.example"), "phone": sha256("447700900123"), "fn": sha256("ann"),
        "ln": sha256("o'hara"), "zip": sha256("sw1a1aa"), "country": sha256("gb"),
    }  # fmt: skip
    assert google == {
        "Email": sha256("ann@shop.example"), "Phone": sha256("+447700900123"),
        "First Name": sha256("ann"), "Last Name": sha256("o'hara"), "Country": "GB",
        "Zip": "SW1A 1AA",
    }  # fmt: skip


def test_formulas_are_guarded_and_a_phone_needs_its_country_code(tmp_path):
    people, _ = addressed(members("1 4"), contacts_of(tmp_path), nobody)
    ann, dee = rows_of(file_for("csv", people))
    assert (ann["phone"], ann["country"]) == ("+447700900123", "GB")
    assert (dee["first_name"], dee["phone"], dee["country"]) == ("'=Dee", "", "")


def test_google_gets_a_postal_address_whole_or_not_at_all(tmp_path):
    text = "customer_id,email,consent,first_name\n1,a@b.example,yes,Ann\n"
    people, _ = addressed(members("1"), contacts_of(tmp_path, text), nobody)
    assert list(rows_of(file_for("google", people))[0]) == ["Email"]


@pytest.mark.parametrize("seed", range(30))
def test_nobody_without_consent_opted_out_or_held_out_is_in_any_file(tmp_path, seed: int):
    """People share addresses, have several, in any spelling; consent is in any of their rows."""
    rng = np.random.default_rng(seed)
    ids = [str(n) for n in range(60)]
    rows = [
        (ids[rng.integers(60)], f"p{rng.integers(70)}@shop.example",
         rng.choice(["yes"] * 17 + ["TRUE", "no", ""]))
        for _ in range(90)
    ]  # fmt: skip
    lines = [f"{c}, {m.upper() if rng.random() < 0.3 else m} ,{a}" for c, m, a in rows]
    gone = [ids[n] for n in rng.integers(60, size=3)]
    gone_mails = [f"P{n}@SHOP.example" for n in rng.integers(70, size=3)]
    contacts = contacts_of(
        tmp_path,
        "\n".join(["customer_id,email,consent", *lines]),
        "\n".join(["email,customer_id", *(f"{m}," for m in gone_mails), *(f",{c}" for c in gone)]),
    )
    groups = rng.choice(["treated", "treated", "held out", "not drawn"], 60)
    drawn = pd.DataFrame({"customer_id": ids, "group": groups})
    drawn = drawn[drawn["group"] != "not drawn"]
    shop_wide = set(rng.choice(ids, 4))
    people, left_out = addressed(
        drawn, contacts, lambda customer: "shop-wide hold-out" if customer in shop_wide else None
    )
    people = people.assign(campaign="x")
    refused = {c for c, _, a in rows if a not in ("yes", "TRUE")}
    barred = refused | set(gone) | shop_wide | set(drawn.loc[drawn["group"] == "held out"]
                                                   ["customer_id"])  # fmt: skip
    barred_mails = {m for c, m, _ in rows if c in barred} | {m.casefold() for m in gone_mails}
    assert len(people) + sum(left_out.values()) == (drawn["group"] == "treated").sum()
    for tool in FORMATS:
        text = file_for(tool, people).casefold()
        cells = {cell for row in csv.reader(io.StringIO(text)) for cell in row}
        assert not cells & barred
        assert not cells & barred_mails
        assert not cells & {sha256(mail) for mail in barred_mails}
    assert len(people)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer_id,email\n1,a@b.example\n", r"no column consent; there are customer_id, email"),
        ("id,consent\n1,yes\n", r"no column customer_id or email; there are id, consent"),
        ("", r"contacts.csv cannot be read as CSV"),
    ],
)
def test_contacts_that_lack_what_is_needed_are_an_error(tmp_path, text: str, message: str):
    with pytest.raises(InputError, match=message):
        contacts_of(tmp_path, text)


def test_opt_outs_need_an_email_or_customer_id_column(tmp_path):
    with pytest.raises(InputError, match="no column email or customer_id; there are name"):
        contacts_of(tmp_path, opt_outs="name\nAnn\n")
