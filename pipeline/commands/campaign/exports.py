"""Files that mailing and advertising tools import as they are, of people who may be addressed.

Headers and formats are those that the tools document: Klaviyo, "How to add subscribers to a list"
(first column Email); Mailchimp, "Format guidelines for your import file"; Meta, "How to format a
customer list"; Google Ads, "Format your customer data file" (names, e-mail and phone hashed).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.core.run.errors import InputError
from pipeline.core.text.spreadsheet import safe_cell

ADDRESS = re.compile(r"[^\s@=+\-,;][^\s@,;]*@[^\s@,;]+\.[^\s@,;.]+")
KNOWN_AS = {
    "customer_id": ("customer_id", "customerid", "customer", "external_id"),
    "email": ("email", "e_mail", "email_address", "mail"),
    "consent": ("consent", "email_consent", "email_marketing_consent", "marketing_consent",
                "opt_in", "accepts_marketing"),
    "phone": ("phone", "phone_number", "mobile"),
    "first_name": ("first_name", "firstname", "given_name"),
    "last_name": ("last_name", "lastname", "surname", "family_name"),
    "country": ("country", "country_code"),
    "zip": ("zip", "zip_code", "postcode", "postal_code"),
}  # fmt: skip
YES = frozenset(("yes", "y", "true", "t", "1", "granted", "subscribed", "opted_in", "opt_in"))
NO = frozenset(
    ("no", "n", "false", "f", "0", "refused", "withdrawn", "unsubscribed", "opted_out", "opt_out")
)
REASONS = ("opted out", "no consent", "consent unknown", "")  # the strictest first
AD_FIELDS = ("email", "phone", "first_name", "last_name", "zip", "country")


@dataclass(frozen=True)
class Format:
    """A tool's file: its headers with the field of each; which are hashed (SHA-256), and how.

    `whole` fields are of use to the tool only together.
    """

    columns: Mapping[str, str]
    hashed: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    plus: str = "+"  # before a phone number's country code


ABOUT = {
    "Customer ID": "customer_id", "Campaign": "campaign", "Segment": "segment",
    "Next best category": "next_best_category", "Suggested action": "suggested_action",
}  # fmt: skip
NAMES = {"First Name": "first_name", "Last Name": "last_name"}
FORMATS = {
    "klaviyo": Format({"Email": "email", **NAMES, "Phone Number": "phone", **ABOUT}),
    "mailchimp": Format(
        {"Email Address": "email", **NAMES, "Phone Number": "phone", "Tags": "campaign", **ABOUT}
    ),
    "meta": Format(
        dict(zip(("email", "phone", "fn", "ln", "zip", "country"), AD_FIELDS, strict=True)),
        hashed=AD_FIELDS,
        plus="",
    ),
    "google": Format(
        {"Email": "email", "Phone": "phone", **NAMES, "Country": "country", "Zip": "zip"},
        hashed=("email", "phone", "first_name", "last_name"),
        whole=("first_name", "last_name", "country", "zip"),
    ),
    "csv": Format({name: name for name in (*ABOUT.values(), "email", *AD_FIELDS[1:])}),
}


def read_contacts(
    contacts: Path, opt_outs: Path | None = None, *, assume_consent: bool = False
) -> pd.DataFrame:
    """Return the rows of a CSV of contacts by the names of KNOWN_AS, and `reason`.

    Addresses are trimmed and case-folded, empty where there is none. `reason` says why a row's
    person may not be addressed and is empty where that is allowed. Consent that is neither a known
    yes nor a known no is unknown; of all rows of a customer or an address the strictest counts.
    """
    frame = _table(contacts)
    named = {field: _column(frame, field) for field in KNOWN_AS}
    missing = [field for field in ("customer_id", "email") if named[field] is None]
    if named["consent"] is None and not assume_consent:
        missing.append("consent")
    if missing:
        raise InputError(
            f"{contacts}: no column {' or '.join(missing)}; there are {', '.join(frame.columns)}. "
            "Needed: customer_id as in the order lines, email, and consent (yes or no): without "
            "consent nobody may be addressed"
        )
    found = pd.DataFrame({f: frame[c].str.strip() for f, c in named.items() if c is not None})
    found["email"] = found["email"].map(normal_email)
    answers = found.get("consent", pd.Series("", found.index)).map(_plain)
    unknown = "" if assume_consent else "consent unknown"
    reason = answers.map(dict.fromkeys(YES, "") | dict.fromkeys(NO, "no consent")).fillna(unknown)
    gone = frozenset() if opt_outs is None else _opted_out(opt_outs)
    is_gone = found["email"].isin(gone) | found["customer_id"].str.casefold().isin(gone)
    severity = reason.mask(is_gone, "opted out").map(REASONS.index)
    for field in ("customer_id", "email"):
        same = found[field].where(found[field] != "", found.index.to_series().astype(str) + "@")
        severity = severity.groupby(same).transform("min")
    return found.assign(reason=severity.map(dict(enumerate(REASONS))))


def normal_email(text: str) -> str:
    """The address trimmed and case-folded; empty where it is none."""
    plain = text.strip().casefold()
    return plain if ADDRESS.fullmatch(plain) else ""


def usable(contacts: pd.DataFrame) -> pd.DataFrame:
    """The first row with an address of each customer, by customer_id."""
    found = contacts[contacts["email"] != ""].drop_duplicates("customer_id")
    return found.set_index("customer_id")


def why_not(contacts: pd.DataFrame) -> Callable[[str], str | None]:
    """Why a customer may not be addressed; None where that is allowed."""
    reasons = usable(contacts)["reason"].to_dict()
    return lambda customer: reasons.get(customer, "no usable e-mail address") or None


def addressed(
    members: pd.DataFrame, contacts: pd.DataFrame, never: Callable[[str], str | None]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the contacts of the treated who may be addressed, and why how many may not.

    An address that a held-out customer has, too, is left out; of several treated customers with
    one address, one stays.
    """
    is_treated = members["group"] == "treated"
    held_out = set(members.loc[~is_treated, "customer_id"])
    is_protected = contacts["customer_id"].map(lambda c: c in held_out or never(c) is not None)
    protected = set(contacts.loc[is_protected, "email"])
    treated = members.loc[is_treated, "customer_id"]
    people = usable(contacts).drop(columns="reason").reindex(treated).fillna("").reset_index()
    bars = why_not(contacts)
    reason = people["customer_id"].map(lambda c: never(c) or bars(c) or "")
    is_free = reason == ""
    reason[is_free & people["email"].isin(protected)] = "address of a held-out customer"
    is_free = reason == ""
    reason[is_free & people["email"].where(is_free).duplicated()] = "same address as another"
    left_out = reason[reason != ""].value_counts().sort_index()
    return people[reason == ""], {str(why): int(n) for why, n in left_out.items()}


def file_for(tool: str, people: pd.DataFrame) -> str:
    """The people as the tool's CSV; columns of which nothing is known are left out."""
    form = FORMATS[tool]
    has = {name for name in people.columns if (people[name] != "").any()}
    if not set(form.whole) <= has:
        has -= set(form.whole)
    columns = {header: field for header, field in form.columns.items() if field in has | {"email"}}
    cells = [[_cell(v, field, form) for v in people[field]] for field in columns.values()]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([tuple(columns), *zip(*cells, strict=True)])
    return text.getvalue()


def _cell(value: str, field: str, form: Format) -> str:
    if field == "phone":
        value = _phone(value, form.plus)  # digits: its plus executes nothing
    elif field == "country":
        value = value.upper() if re.fullmatch("[A-Za-z]{2}", value) else ""
    if field not in form.hashed:
        return value if field == "phone" else str(safe_cell(value))
    plain = value.casefold()
    plain = plain.replace(" ", "") if field == "zip" else plain
    return hashlib.sha256(plain.encode()).hexdigest() if plain else ""


def _phone(text: str, plus: str) -> str:
    """Digits with the country code; empty where the number does not say its country."""
    plain = re.sub(r"[\s().\-/]", "", text)
    found = re.fullmatch(r"(?:\+|00)([1-9]\d{6,14})", plain)
    return plus + found[1] if found else ""


def _table(file: Path) -> pd.DataFrame:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = lines.readline()
            separator = max(",;\t", key=header.count)
            lines.seek(0)
            frame = pd.read_csv(lines, dtype=str, keep_default_na=False, sep=separator)
    except FileNotFoundError:
        raise InputError(f"{file} is missing") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{file} cannot be read as CSV in UTF-8: {error}") from None
    return frame.rename(columns=lambda name: _plain(str(name)))


def _column(frame: pd.DataFrame, field: str) -> str | None:
    return next((name for name in KNOWN_AS[field] if name in frame.columns), None)


def _plain(text: str) -> str:
    return re.sub(r"[\s\-]+", "_", text.strip().casefold())


def _opted_out(file: Path) -> frozenset[str]:
    frame = _table(file)
    columns = [c for c in (_column(frame, "email"), _column(frame, "customer_id")) if c]
    if not columns:
        raise InputError(
            f"{file}: no column email or customer_id; there are {', '.join(frame.columns)}"
        )
    values = pd.concat([frame[c] for c in columns]).str.strip().str.casefold()
    return frozenset(values) - {""}
