"""Orders as shops export them: which lines are sales, what was paid for each, and by whom.

What a line says by itself is parsed; what it says only beside others (the state of its order, a
discount on the whole order, who wrote which address) is settled here, on a temporary table.
"""
# ruff: noqa: S608 - the SQL is made of layouts and quoted names, never of what cells hold

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.core.run.errors import InputError
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.ingest.layouts import Layout, Reading, order_states, quoted

PLACEHOLDERS = (
    "0", "-", "--", "n/a", "na", "nan", "null", "none", "nil", "guest", "guests", "gast", "invité",
    "invitado", "ospite", "anonymous", "anonym", "unknown", "unbekannt", "empty", "(blank)",
    "walk-in", "walk in", "walk-in customer", "no customer", "not set", "(not set)", "?", "<na>",
)  # fmt: skip
# A pattern: a long `in` would be a join, after which rows come in no order.
NOBODY = "|".join(map(re.escape, ("", *PLACEHOLDERS)))
INVISIBLE = r"[\x{200b}-\x{200f}\x{2060}\x{feff}\x{ad}]"
MONEY = "decimal(18, 4)"
WIDE = "decimal(38, 8)"
SHOWN = 12
FEW = 60  # a column of states has few values
NAMES = itertools.count(1)
SOLD = "units > 0 and is_sale"
ORDER = "partition by coalesce(shop, ''), invoice"


@dataclass(frozen=True)
class Facts:
    """What was found out about a file's orders before its lines are written."""

    cells: str  # the table of cells
    used: frozenset[str]
    price_is: str  # unit or line
    discount_is: str  # line, percent, share or order
    amount_is: str  # net of the discount, or gross
    order_amount_is: str
    has_rates: bool
    figures: dict[str, int]
    notes: tuple[str, ...]


class Orders:
    """The cells of one source in a table, and the questions that it can answer."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        layout: Layout,
        used: list[str],
        params: Reading,
        shown: Mapping[str, str],
    ) -> None:
        self.database = database
        self.layout = layout
        self.used = set(used)
        self.params = params
        self.shown = shown  # the header's name of a field
        self.cells = f"cells_{next(NAMES)}"
        self.figures: dict[str, int] = {}
        self.notes: list[str] = []

    def settle(self, converted: str, ranks: list[int]) -> Facts:
        """Write the cells as a table, and find out what is to be known of orders.

        Raises InputError where states, currencies or orders of several files cannot be told.
        """
        self.database.execute(f"create or replace temp table {self.cells} as {converted}")
        self.figures["lines_read"] = self.ask("select count(*) from {cells}")[0][0]
        if "store" not in self.used and self.ask("select * from {cells} limit 0") == []:
            columns = [c[0] for c in self.database.description or ()]
            self.used |= {"store"} & set(columns)
        money = sorted({"unit_price", "amount", "line_price"} & self.used)
        rounded = " or ".join(f"n_{name} <> round(n_{name}, 4)" for name in money) or "false"
        (count,) = self.ask(f"select count(*) filter ({rounded}) from {{cells}}")[0]
        self.figures["lines_of_rounded_prices"] = count
        self._drop_totals()
        if self.layout.overlapping == "orders" and len(ranks) > 1 and "invoice_id" in self.used:
            self._keep_later_state(ranks)
        self._settle_states()
        price_is, discount_is, amount_is = self._test_amounts()
        order_amount_is = self._test_order_amount()
        has_rates = self._settle_currencies()
        self._settle_persons()
        return Facts(
            self.cells,
            frozenset(self.used),
            price_is,
            discount_is,
            amount_is,
            order_amount_is,
            has_rates,
            self.figures,
            tuple(self.notes),
        )

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query in which {cells} is the table."""
        found: list[tuple[Any, ...]] = self.database.execute(
            sql.replace("{cells}", self.cells)
        ).fetchall()
        return found

    def number(self, name: str) -> str:
        """SQL of a field as a number, null where there is none."""
        return number_of(name, self.layout, self.used)

    # Rows

    def _drop_totals(self) -> None:
        names = {"invoice_id", "stock_code", "description", "customer_id", "sold_at"} & self.used
        total = r"(grand |sub[- ]?)?totale?s?|(zwischen|gesamt)?summe|sous-total|sum"
        says = " or ".join(f"regexp_full_match(lower(trim({n})), '{total}')" for n in sorted(names))
        empty = " or ".join(
            f"coalesce(trim({n}), '') = ''" for n in ("sold_at", "invoice_id") if n in self.used
        )
        alone = "true" if "sold_at" not in self.used else f"({empty} or d_sold_at is null)"
        gone = self.ask(f"delete from {{cells}} where ({says}) and {alone} returning line_id")
        if gone:
            self.figures["lines_of_totals"] = len(gone)
            self.notes.append(f"{len(gone):,} rows of totals left out")

    def _keep_later_state(self, ranks: list[int]) -> None:
        """Of an order in several files, keep the lines of the latest file."""
        rank = f"[{', '.join(map(str, ranks))}][part + 1]"
        order = (
            "coalesce(store, '') || chr(0) || invoice_id" if "store" in self.used else "invoice_id"
        )
        who = "lower(trim(any_value(coalesce(email, customer_id))))"
        who = who if {"email", "customer_id"} <= self.used else "null"
        if who == "null" and self.used & {"email", "customer_id"}:
            (one,) = self.used & {"email", "customer_id"}
            who = f"lower(trim(any_value({one})))"
        shared = self.ask(
            f"select invoice_id, count(*) filter (days > 1), count(*), sum(lines) from (select "
            "okey, any_value(invoice_id) as invoice_id, "
            "case when count(distinct who || day) > 1 then 2 else 1 end as days, count(*) as lines "
            f"from (select {order} as okey, part, any_value(invoice_id) as invoice_id, "
            f"coalesce({who}, '') as who, cast(min(d_sold_at) as varchar) as day "
            "from {cells} where invoice_id is not null group by okey, part) "
            "group by okey having count(*) > 1) group by grouping sets ((), (invoice_id)) "
            "order by grouping(invoice_id) desc, 1 limit 1"
        )
        differing, orders = (shared[0][1], shared[0][2]) if shared and shared[0][2] else (0, 0)
        if 2 * differing > orders:
            raise InputError(
                f"{orders:,} order numbers are in several files, of which {differing:,} are not of "
                "the same customer and day: stores that number alike? Set source.store_pattern "
                r"(such as '(.+)_orders', the group is the store), or name its column in "
                "source.columns: {store: …}; source.overlapping: false reads them as one order each"
            )
        gone = self.ask(
            f"delete from {{cells}} where line_id in (select line_id from {{cells}} where "
            f"invoice_id is not null qualify {rank} < max({rank}) over (partition by {order})) "
            "returning line_id"
        )
        if gone:
            self.figures["lines_delivered_twice"] = len(gone)
            self.notes.append(
                f"{orders:,} orders are in several files: the latest file counts "
                f"({len(gone):,} earlier lines left out)"
            )

    # States

    def _settle_states(self) -> None:
        states = {**order_states(), **self.layout.states, **self.params.states}
        known = {_plain(state): kind for state, kind in states.items()}
        self.ask("alter table {cells} add column sale varchar")
        self.ask("update {cells} set sale = 'sale'")
        for name in ("status", "status_2"):
            if name in self.used:
                self._settle_state(name, known, is_sure=name in self.layout.needed)
        for name, is_no_sale in (
            ("cancelled_at", "true"),
            ("test", "lower(trim(test)) in ('true', 'yes', '1', 'y', 'test')"),
        ):
            if name in self.used:
                self.ask(
                    f"update {{cells}} set sale = 'no_sale' where coalesce(trim({name}), '') <> '' "
                    f"and {is_no_sale}"
                )
        # A refund that has a line of its own nets the order that it refunds.
        money = f"coalesce({self.number('amount')}, {self.number('unit_price')})"
        if self.used & {"status", "status_2"}:
            negative = f"({money} < 0 or coalesce({self.number('quantity')}, 0) < 0)"
            same = "select invoice_id from {cells} where sale = 'refunded' and " + negative
            has_order = f"or invoice_id in ({same})" if "invoice_id" in self.used else ""
            self.ask(
                f"update {{cells}} set sale = 'sale' where sale = 'refunded' and ({negative} "
                f"{has_order})"
            )
            lost = self.ask("select count(*) from {cells} where sale <> 'sale'")[0][0]
            self.figures["lines_not_sold"] = lost

    def _settle_state(self, name: str, known: Mapping[str, str], *, is_sure: bool) -> None:
        values = self.ask(
            f"select trim({name}), count(*) as n from {{cells}} "
            f"where coalesce(trim({name}), '') <> '' group by 1 order by n desc, 1"
        )
        classes = {value: known.get(_plain(value)) for value, _ in values}
        classes = {v: None if c == "unknown" else c for v, c in classes.items()}
        is_named = bool(re.search("statu[st]", self.shown[name], re.IGNORECASE))  # state: Ohio
        if not is_sure and (len(classes) > FEW or not (is_named or any(classes.values()))):
            self.notes.append(f"{self.shown[name]} is no state of orders: not used")
            self.used.discard(name)
            return
        unknown = [(value, n) for value, n in values if classes[value] is None]
        if unknown:
            raise InputError(self._unknown_states(name, unknown))
        if not classes:
            return
        cases = " ".join(f"when {quoted(v)} then '{c}'" for v, c in classes.items())
        self.ask(
            f"update {{cells}} set sale = case trim({name}) {cases} end "
            f"where sale = 'sale' and coalesce(trim({name}), '') <> ''"
        )

    def _unknown_states(self, name: str, unknown: list[tuple[str, int]]) -> str:
        money = self._rough_amount()
        listed = []
        for value, lines in unknown[:SHOWN]:
            (total,) = self.ask(
                f"select sum({money}) from {{cells}} where trim({name}) = {quoted(value)}"
            )[0]
            listed.append(f"  {value}: {lines:,} lines, {total or 0:,.2f}")
        named = ", ".join(f"{value}: sale" for value, _ in unknown[:SHOWN])
        return "\n".join(
            [
                f"column {self.shown[name]}: whether these states are sales is not known:",
                *listed,
                f"say it: source.states: {{{named}}} (or no_sale)",
            ]
        )

    def _rough_amount(self) -> str:
        each = f"{self.number('unit_price')} * coalesce({self.number('quantity')}, 1)"
        given = f"{self.number('amount')}, {self.number('line_price')}"
        return f"cast(coalesce({given}, {each}) as double)"

    # Amounts

    def _test_amounts(self) -> tuple[str, str, str]:
        """Whether prices are per unit or line, what the discount is of, and the amount after it."""
        used = self.used
        q, p, a = (
            f"cast({self.number(n)} as double)" for n in ("quantity", "unit_price", "amount")
        )
        discount_is = self._test_discount(p, q) if "discount" in used else "line"
        has_amount = bool(used & {"amount", "total"})
        name = self.shown.get("amount", "the amount")
        price_is, amount_is = "unit", "net"
        if "unit_price" in used and has_amount:
            price_is, amount_is = self._compare_amounts(q, p, a, discount_is)
        elif self.layout.price_is:
            pass
        elif "unit_price" in used and "line_price" not in used:
            if self._grows_with_quantity(p, q) is True:
                price_is = "line"
                self.notes.append(
                    f"{self.shown['unit_price']} grows with the quantity: read as the price of the "
                    "whole line"
                )
        elif has_amount and "quantity" in used and self._grows_with_quantity(a, q) is False:
            price_is = "each"
            self.notes.append(
                f"{name} does not grow with the quantity: read as the price of one unit"
            )
        return self.layout.price_is or price_is, discount_is, amount_is

    def _compare_amounts(self, q: str, p: str, a: str, discount_is: str) -> tuple[str, str]:
        """What the price is of, and whether the amount is net of the discount, by what adds up."""
        d = f"abs(coalesce(cast({self.number('discount')} as double), 0))"
        share = {"percent": "0.01", "share": "1"}.get(discount_is)
        off = f"abs({q} * {p}) * {d} * {share}" if share else d
        per_line, per_unit, net, gross, odd = self.ask(
            "select count(*) filter (several and least(abs(a - p), abs(a - p + off)) <= near), "
            "count(*) filter (several and least(abs(a - q * p), abs(a - q * p + off)) <= near), "
            "count(*) filter (off > 0 and abs(a - q * p + off) <= near), "
            "count(*) filter (off > 0 and abs(a - q * p) <= near), "
            "count(*) filter (least(abs(a - q * p), abs(a - q * p + off)) > near) "
            f"from (select abs({q}) as q, abs({p}) as p, abs({a}) as a, {off} as off, "
            f"abs({q}) > 1 as several, 0.011 + 0.006 * abs({q}) as near from {{cells}} "
            f"where {a} is not null)"
        )[0]
        if per_line > per_unit:
            self.notes.append(f"{self.shown['unit_price']} is the price of the whole line")
            return "line", "net"
        self.figures["lines_where_price_and_amount_differ"] = odd
        if gross > net:
            name = self.shown.get("amount", "the amount")
            self.notes.append(f"{name} is before the discount, which is taken off")
            return "unit", "gross"
        return "unit", "net"

    def _grows_with_quantity(self, value: str, quantity: str) -> bool | None:
        """Whether, within a product, the value is proportional to the quantity; None = unsure."""
        product = next((n for n in ("stock_code", "description") if n in self.used), None)
        if product is None or "quantity" not in self.used:
            return None
        as_unit, as_line, lines = self.ask(
            f"with x as (select {product} as s, abs({quantity}) as q, round(abs({value}), 4) as v, "
            f"round(abs({value}) / abs({quantity}), 2) as e from {{cells}} where {quantity} <> 0 "
            f"and {value} <> 0), m as (select s from x group by s having count(distinct q) > 1), "
            "y as (select x.* from x join m using (s)), "
            "f as (select s, v, count(*) as n from y group by s, v), "
            "g as (select s, e, count(*) as n from y group by s, e) select "
            "(select sum(n) from (select max(n) as n from f group by s)), "
            "(select sum(n) from (select max(n) as n from g group by s)), (select count(*) from y)"
        )[0]
        if not lines or lines < 3:
            return None
        if as_line >= 0.6 * lines and as_line > as_unit + 0.2 * lines:
            return True
        if as_unit >= 0.6 * lines and as_unit > as_line + 0.2 * lines:
            return False
        return None

    def _test_discount(self, price: str, quantity: str) -> str:
        text, d = "trim(discount)", "cast(n_discount as double)"
        signs, shares, parts, given, beyond = self.ask(
            f"select count(*) filter ({text} like '%\\%%' escape '\\'), "
            f"count(*) filter (abs({d}) between 1e-9 and 1 and abs({price}) > 5), "
            f"count(*) filter (abs({d}) between 1e-9 and 0.99), "
            f"count(*) filter ({d} <> 0), "
            f"count(*) filter (abs({d}) > abs({price} * {quantity}) + 0.01) from {{cells}}"
        )[0]
        if signs:
            return "percent"
        if parts and shares == given:  # one unit of money off is no share
            self.notes.append(
                f"{self.shown['discount']} is at most 1: read as a share of the price"
            )
            return "share"
        if re.search("%|percent|prozent|pourcent|porcent", self.shown["discount"], re.IGNORECASE):
            return "percent"
        if "invoice_id" in self.used and given:
            lines, alike = self.ask(
                "select count(*), count(*) filter (low = high) from (select invoice_id, "
                f"min({d}) as low, max({d}) as high from {{cells}} group by invoice_id "
                "having count(*) > 1 and max(abs(" + d + ")) > 0)"
            )[0]
            if (beyond or lines >= 3) and lines and alike == lines:
                self.notes.append(
                    f"{self.shown['discount']} is the same on all lines of an order: taken off once"
                )
                return "order"
        return "line"

    def _test_order_amount(self) -> str:
        """Whether the order's amount of goods is net of the order's discount."""
        if not {"order_amount", "order_discount"} <= self.used:
            return "net"
        each = f"{self.number('unit_price')} * {self.number('quantity')}"
        goods = f"coalesce({self.number('amount')}, {each})"
        net, gross = self.ask(
            "select count(*) filter (abs(s - g + d) < 0.02), count(*) filter (abs(s - g) < 0.02) "
            f"from (select sum({goods}) as g, max(n_order_amount) as s, "
            "max(abs(n_order_discount)) as d from {cells} group by invoice_id) where d > 0"
        )[0]
        return "gross" if gross and not net else "net"

    # Currencies

    def _settle_currencies(self) -> bool:
        if "currency" not in self.used:
            return False
        self.ask("update {cells} set currency = nullif(upper(trim(currency)), '')")
        found = self.ask(
            "select currency, count(*) as n from {cells} where currency is not null "
            "and sale = 'sale' group by 1 order by n desc, 1"
        )
        rates = self._read_rates()
        if not rates:
            if len(found) > 1:
                listed = ", ".join(f"{c} {n:,} lines" for c, n in found[:SHOWN])
                raise InputError(
                    f"column {self.shown['currency']}: several currencies ({listed}); money of two "
                    "kinds cannot be added. Set source.currency_rates to a CSV (currency,date,"
                    "rate: what one unit is worth in the shop's own currency, which has rate 1)"
                )
            return False
        missing = self.ask(
            "select c.currency, count(*), min(d_sold_at) from {cells} c asof left join rates r on "
            "c.currency = r.currency and c.d_sold_at >= r.day where r.rate is null and "
            "c.currency is not null and c.sale = 'sale' group by 1 order by 1"
        )
        if missing:
            code, lines, first = missing[0]
            raise InputError(
                f"{self.params.currency_rates}: no rate of {code} on or before {first} "
                f"({lines:,} lines); add a row {code},{str(first)[:10]},…"
            )
        return True

    def _read_rates(self) -> bool:
        file = self.params.currency_rates
        rows = small_table(self.database, file, "source.currency_rates") if file else []
        self.database.execute(
            "create or replace temp table rates (currency varchar, day timestamp, rate double)"
        )
        for number, row in enumerate(rows, 2):
            try:
                code, day, rate = (cell.strip() for cell in row[:3])
                month = f"{day}-01" if re.fullmatch(r"\d{4}-\d\d", day) else day
                self.database.execute(
                    f"insert into rates values (?, cast(? as timestamp), cast(? as {WIDE}))",
                    [code.upper(), month, rate],
                )
            except (ValueError, duckdb.Error):
                raise InputError(
                    f"{file}, row {number}: {','.join(row)!r} is no currency,date,rate; expected "
                    "such as EUR,2024-01,0.86"
                ) from None
        return bool(rows)

    # Persons

    def _settle_persons(self) -> None:
        """A table of who is meant by each customer id, e-mail and phone number."""
        names = [n for n in ("customer_id", "email", "phone") if n in self.used]
        raw = {
            n: f"coalesce({n}, '')" if n in names else "''"
            for n in ("customer_id", "email", "phone")
        }
        self.ask(
            "create or replace temp table who_{cells} as select *, "
            f"{clean_id('r_id')} as id, {clean_id('r_email')} as mail, "
            f"{clean_id('r_phone')} as tel "
            f"from (select distinct {raw['customer_id']} as r_id, {raw['email']} as r_email, "
            f"{raw['phone']} as r_phone from {{cells}})"
        )
        self.database.execute("create or replace temp table aliases (id varchar, person varchar)")
        aliases = self.params.customer_aliases
        for row in small_table(self.database, aliases, "source.customer_aliases"):
            self.database.execute(
                f"insert into aliases select lower({clean_id('?')}), {clean_id('?')}",
                [row[0]] * clean_id("?").count("?") + [row[-1]] * clean_id("?").count("?"),
            )
        self.ask(
            "create or replace temp table persons_{cells} as with one as (select *, "
            "min(id) over (partition by lower(id)) as same from who_{cells}), "
            "mails as (select mail, min(same) as id from one where mail is not null and id is not "
            "null group by mail having count(distinct same) = 1), "
            "p as (select one.r_id, one.r_email, one.r_phone, one.mail, "
            "coalesce(one.same, mails.id, one.mail, one.tel) as own "
            "from one left join mails on one.mail = mails.mail), "
            "alias as (select id, min(person) as person from aliases group by id) "
            "select r_id, r_email, r_phone, mail, coalesce(a.person, b.person, own) as person "
            "from p left join alias a on a.id = lower(own) left join alias b on b.id = mail"
        )
        ids, persons = self.ask(
            "select count(distinct case when id is not null then r_id when mail is not null then "
            "r_email else r_phone end), count(distinct person) from persons_{cells} join "
            "(select r_id, r_email, r_phone, id from who_{cells}) using (r_id, r_email, r_phone) "
            "where person is not null"
        )[0]
        self.figures |= {"customer_ids": ids, "persons": persons}


def clean_id(cell: str) -> str:
    """SQL for an id as it is compared: trimmed, one form of Unicode, e-mails in lower case.

    17850.0, as a table with gaps is exported, is 17850 again; a placeholder is nobody.
    """
    text = f"trim(regexp_replace(nfc_normalize({cell}), '{INVISIBLE}', '', 'g'))"
    text = f"regexp_replace({text}, '^(\\d+)\\.0$', '\\1')"
    return (
        f"case when regexp_full_match({cell}, '[1-9]\\d*') then {cell} "
        f"when regexp_full_match(lower({text}), {quoted(NOBODY)}) then null "
        f"when contains({text}, '@') then lower({text}) else {text} end"
    )


def number_of(name: str, layout: Layout, used: Collection[str]) -> str:
    """SQL of a field as a number, null where there is none.

    Of an order's total, what is no goods is taken off.
    """
    if name == "amount" and "total" in used:
        others = [f"coalesce(n_{n}, 0)" for n in ("shipping", "tax", "tip") if n in used]
        goods = " - ".join(["n_total", *others])
        return f"coalesce(n_amount, {goods})" if "amount" in used else f"({goods})"
    if name in used:
        return f"n_{name}"
    value = layout.constants.get(name)
    return f"cast({quoted(value)} as {WIDE})" if value else f"cast(null as {WIDE})"


def lines_of(facts: Facts, layout: Layout, parsed: Mapping[str, str]) -> str:
    """The SQL of the canonical lines, those of refunds after all others.

    `parsed` has the SQL of what a line says by itself: invoice_id, stock_code, description,
    sold_at, country, and `is_broken` where a cell that should be a number is none.
    """
    used = facts.used
    steps = [f"base as ({_base(facts, layout, parsed)})"]
    is_spread = bool(used & {"order_amount", "order_discount"}) or facts.discount_is == "order"
    steps += _spread(facts) if is_spread else ["final as (select * from base)"]
    columns = _columns(layout, several_shops="store" in used)
    lines = f"select line_id, {_named(columns)} from final"
    if not used & {"order_refund", "refund", "refunded_quantity"}:
        return f"with {', '.join(steps)} {lines} order by line_id"
    steps.append(f"backs as ({_backs()})")
    columns |= {
        "quantity": f"cast(b.units as {MONEY})",
        "unit_price": f"case when b.units = 0 then 0 else cast(each as {MONEY}) end",
        "amount": f"cast(-b.money as {MONEY})",
        "discount": f"cast(null as {MONEY})",
        "stock_code": "case when kind = 3 then 'REFUND' else stock_code end",
        "description": "case when kind = 3 then 'Refund' else description end",
        "source_key": "cast(line_id as bigint)",
    }
    refunds = (
        "select (select max(line_id) from final) + row_number() over (order by kind, line_id) "
        f"as line_id, {_named(columns)} from backs b join "
        "(select * exclude (units) from final) final using (line_id)"
    )
    return f"with {', '.join(steps)} {lines} union all {refunds} order by line_id"


def _named(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} as {name}" for name, sql in columns.items())


def _base(facts: Facts, layout: Layout, parsed: Mapping[str, str]) -> str:
    """SQL of each line with what it says of its own units and money, and who it was sold to."""
    used = facts.used

    def number(name: str) -> str:
        return number_of(name, layout, used)

    has_units = "quantity" in used or "quantity" in layout.constants
    q = number("quantity") if has_units else "1"
    price, amount, gross = number("unit_price"), number("amount"), number("line_price")
    if facts.price_is == "each":  # what is called the amount is the price of one unit
        price, amount = amount, f"cast(null as {WIDE})"
    given = f"coalesce({amount}, {gross}, {price}, 0)"
    has_product = bool(used & {"stock_code", "description"})
    money_only = f"({given} < 0 and ({q} is null or {q} = 0 or {not has_product}))"
    is_back = f"({given} < 0 or coalesce({q}, 0) < 0)"
    by_price = f"abs({price})" if facts.price_is == "line" else f"try(abs({price} * {q}))"
    gross = f"coalesce(abs({gross}), {by_price})"
    off = number("discount")
    off = {
        "percent": f"round({gross} * abs({off}) / 100, 2)",
        "share": f"round({gross} * abs({off}), 2)",
        "order": "0",
    }.get(facts.discount_is, f"abs({off})")
    off = f"coalesce({off}, 0)"
    net = f"abs({amount})" if facts.amount_is == "net" else f"abs({amount}) - {off}"
    paid = f"coalesce({net}, {gross} - {off})"
    paid = f"case when {paid} > 0 then {paid} when {paid} is not null then 0 end"
    each = f"abs({price})" if facts.price_is != "line" else f"abs({price} / nullif({q}, 0))"
    each = f"coalesce({each}, coalesce(abs({number('line_price')}), {paid}) / nullif(abs({q}), 0))"
    invoice = parsed["invoice_id"]
    if (built := layout.constants.get("invoice_id")) == "=customer+day":
        invoice = "coalesce(w.person || ' ' || cast(d_sold_at as date), cast(line_id as varchar))"
    elif built == "=row" or layout.invoice_per_row:
        invoice = f"coalesce({invoice}, cast(line_id as varchar))"
    order_discount = number("order_discount")
    if facts.discount_is == "order":
        order_discount = f"coalesce({order_discount}, {number('discount')})"
    rate, rates = ("1", "")
    if facts.has_rates:
        rate = "coalesce(r.rate, 1)"
        rates = "asof left join rates r on c.currency = r.currency and c.d_sold_at >= r.day"
    money = {
        "each": each,
        "paid": f"case when {money_only} then abs({given}) else {paid} end",
        "gross": gross,
        "unit_cost": number("unit_cost"),
        "o_discount": f"abs({order_discount})",
        "o_amount": number("order_amount"),
        "o_refund": f"abs({number('order_refund')})",
        "refund": f"abs({number('refund')})",
    }
    texts = {
        name: f"nullif(trim(c.{name}), '')" if name in used else "cast(null as varchar)"
        for name in ("category", "channel", "consent", "status")
    }
    columns = {
        "invoice": invoice,
        "shop": "store" if "store" in used else "cast(null as varchar)",
        **{name: parsed[name] for name in ("stock_code", "description", "sold_at", "country")},
        "units": f"cast(case when {money_only} then 0 when {is_back} then -abs({q}) else {q} end "
        f"as {WIDE})",
        **{name: f"cast({sql} * {rate} as {WIDE})" for name, sql in money.items()},
        "person": "w.person",
        "mail": "w.mail",
        **texts,
        "is_sale": "sale = 'sale'",
        "is_refund": money_only,
        "back": f"abs({number('refunded_quantity')})",
        "is_broken": parsed["is_broken"],
    }
    who = " and ".join(
        f"{f'coalesce(c.{name}, {chr(39) * 2})' if name in used else chr(39) * 2} = w.r_{key}"
        for name, key in (("customer_id", "id"), ("email", "email"), ("phone", "phone"))
    )
    return (
        f"select line_id, source_key, {_named(columns)} from {facts.cells} c {rates} "
        f"left join persons_{facts.cells} w on {who}"
    )


def _spread(facts: Facts) -> list[str]:
    """SQL steps that share out what the order says of its money: largest remainder.

    In cents, or in ten-thousandths where a line of the order is in parts of a cent.
    """
    goods = f"sum(paid) filter ({SOLD}) over ({ORDER})"
    target = f"{goods} - coalesce(max(o_discount) over ({ORDER}), 0)"
    if facts.order_amount_is == "net" and "order_amount" in facts.used:
        target = f"coalesce(max(o_amount) over ({ORDER}), {target})"
    return [
        (
            f"totals as (select *, greatest({target}, 0) as target, {goods} as goods, case when "
            f"bool_or((paid * 100) % 1 <> 0) over ({ORDER}) then 10000 else 100 end as coin "
            "from base)"
        ),
        (
            "coins as (select *, cast(round(target * coin) as hugeint) as t, "
            "cast(round(paid * coin) as hugeint) as p, cast(round(goods * coin) as hugeint) as g, "
            f"coalesce({SOLD} and goods > 0, false) as takes from totals)"
        ),
        (
            "parts as (select *, case when takes then t * p // g else 0 end as part_of, "
            "case when takes then t * p % g else 0 end as rest from coins)"
        ),
        (
            f"ranked as (select *, t - sum(part_of) over ({ORDER}) as left_over, row_number() over "
            f"({ORDER} order by takes desc, rest desc, line_id) as place from parts)"
        ),
        (
            "final as (select * replace (case when takes then cast(part_of + "
            f"case when place <= left_over then 1 else 0 end as {WIDE}) / coin else paid end "
            "as paid) from ranked)"
        ),
    ]


def _backs() -> str:
    """SQL of what the file says went back: units of a line, money of a line, money of an order."""
    money = f"cast(least(round(paid * back / nullif(units, 0), 2), paid) as {WIDE})"
    known = f"coalesce(sum(case when back > 0 then {money} else 0 end) over ({ORDER}), 0)"
    first = f"row_number() over ({ORDER} order by line_id) as nth"
    return (
        f"select line_id, -least(back, units) as units, {money} as money, 1 as kind from final "
        f"where back > 0 and {SOLD} union all "
        f"select line_id, 0, least(refund, paid), 2 from final where refund > 0 and {SOLD} "
        "union all select line_id, 0, o_refund - known, 3 from (select *, "
        f"{known} as known, {first} from (select * replace (max(o_refund) over ({ORDER}) as "
        f"o_refund) from final) where {SOLD}) where nth = 1 and o_refund > known"
    )


def _columns(layout: Layout, *, several_shops: bool) -> dict[str, str]:
    """SQL of the canonical columns but `line_id`."""
    small = f"case when abs({{0}}) < 1e10 then cast({{0}} as {MONEY}) end"
    sign = "case when units < 0 or is_refund then -1 else 1 end"
    several = (
        "case when count(distinct shop) over () > 1 then coalesce(shop, '') || '/' else '' end"
    )
    amount = f"coalesce({small.format(f'(paid * {sign})')}, case when not is_sale then 0 end)"
    columns = {
        "invoice_id": f"{several} || invoice" if several_shops else "invoice",
        "stock_code": "stock_code",
        "description": "description",
        "quantity": f"case when units = round(units, 4) then cast(units as {MONEY}) end",
        "sold_at": "sold_at",
        "unit_price": f"coalesce({small.format('each')}, "
        "case when is_refund or (units = 0 and paid = 0) or not is_sale then 0 end)",
        "amount": f"case when not coalesce(is_broken, false) then {amount} end",
        "customer_id": "person",
        "country": "country",
        "discount": f"case when gross > paid and units > 0 then cast(gross - paid as {MONEY}) end",
        "unit_cost": f"cast(unit_cost as {MONEY})",
        "shop_category": "category",
        "channel": "channel",
        "store": "shop",
        "email": "mail",
        "consent": "consent",
        "status": "status",
        "is_sale": "is_sale",
        "source_key": "source_key",
        "repeats": quoted(layout.repeats),
    }
    return {column.name: columns[column.name] for column in INVOICE_LINES.columns[1:]}


def small_table(
    database: duckdb.DuckDBPyConnection, file: Path | None, key: str
) -> list[tuple[str, ...]]:
    """The rows of a small CSV file with a header, as text; none where there is no file."""
    if file is None:
        return []
    if not file.exists():  # the project's own tables, from any folder
        file = Path(__file__).parents[2] / file
    try:
        found: list[tuple[str, ...]] = database.execute(
            f"select * from read_csv({quoted(str(file))}, header = true, all_varchar = true)"
        ).fetchall()
    except duckdb.Error as error:
        raise InputError(f"{key}: {file} cannot be read: {str(error).splitlines()[0]}") from None
    return [tuple(cell or "" for cell in row) for row in found]


def _plain(value: str) -> str:
    """A state as it is compared: case, accents, blanks, - and _ make no difference."""
    letters = unicodedata.normalize("NFKD", value.casefold())
    letters = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"[\s_\-]+", " ", letters).strip().removeprefix("wc ")
