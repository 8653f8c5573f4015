"""Exports as shops write them, each with its truth: what every customer paid, to the cent.

One made-up shop, with order states, discounts, refunds, returns, guests, e-mails in two spellings
and items alike, is written in the columns of each layout. Prints for each what was read of it.

Example: python -m bench exports
"""

from __future__ import annotations

import csv
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import narwhals as nw

from pipeline.clean.ledger import NotGoods, net_sales, place_lines, returned_units
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import parse_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.ingest.canonical_lines import read_lines
from pipeline.ingest.layouts import Reading

PRODUCTS = (("MUG", "Red mug", 1000), ("BAG", "Lunch bag", 2050), ("CRD", "Card", 333))
CODES = {"not_goods_codes": {"POST": "postage"}, "not_goods_patterns": {}}
Row = dict[str, Any]


class Item(NamedTuple):
    """One line of an order, money in cents."""

    number: int
    code: str
    name: str
    units: int
    price: int
    discount: int
    returned: int


@dataclass
class Order:
    """One order: who, when, its state, its items, and money off or back for the whole."""

    number: int
    person: int | None
    at: datetime
    state: str  # sale, no_sale or refunded
    items: list[Item]
    discount: int = 0
    refund: int = 0

    @property
    def email(self) -> str:
        """The address, in one spelling or another; empty for a guest."""
        if self.person is None:
            return ""
        name = f"person{self.person}@example.org"
        return f" {name.title()}" if self.number % 3 == 0 else name

    @property
    def goods(self) -> int:
        """What its items come to after their discounts, in cents."""
        return sum(item.units * item.price - item.discount for item in self.items)


class Paid(NamedTuple):
    """What a customer paid: money, orders of which anything is left, the last of them."""

    money: Decimal
    orders: int
    last: datetime


@dataclass(frozen=True)
class Export:
    """How a layout writes an order, what of it it can say, and what must be declared."""

    rows: Callable[[Order], list[Row]]
    can: str  # in words of `shop`
    settings: Mapping[str, Any] = field(default_factory=dict)
    delimiter: str = ","
    header: bool = True


def shop(words: str, seed: int = 1, orders: int = 60) -> list[Order]:
    """A shop's orders of a kind that an export can express."""
    rng, can = random.Random(seed), words.split()
    found = []
    for number in range(1, orders + 1):
        items = []
        for place in range(rng.randint(1, 3) if "items" in can else 1):
            code, name, price = PRODUCTS[(number + place) % len(PRODUCTS)]
            units = rng.choice([1, 1, 2, 3, 5]) if "units" in can else 1
            gross = units * price
            off = rng.choice([0, 0, gross // 4]) if "discount" in can else 0
            back = 1 if "returned" in can and units > 1 and rng.random() < 0.3 else 0
            items.append(Item(100 * number + place, code, name, units, price, off, back))
        if "alike" in can and rng.random() < 0.3:
            items.append(items[0]._replace(number=100 * number + 9))
        person = None if "guests" in can and rng.random() < 0.1 else rng.randint(1, 15)
        at = datetime(2024, 1, 5, 9, 30) + timedelta(days=5 * number, minutes=rng.randint(0, 500))  # noqa: DTZ001
        state = rng.choice(["sale"] * 5 + ["no_sale", "refunded"]) if "states" in can else "sale"
        order = Order(number, person, at, state, items)
        if "order_discount" in can and rng.random() < 0.4:
            order.discount = order.goods // 3
        if "refund" in can and state == "sale" and rng.random() < 0.3:
            order.refund = (order.goods - order.discount) // 2
        found.append(order)
    return found


def truth(orders: Sequence[Order]) -> dict[str, Paid]:
    """What each known customer paid."""
    money: dict[int, int] = defaultdict(int)
    count: dict[int, int] = defaultdict(int)
    last: dict[int, datetime] = {}
    for order in orders:
        if order.person is None or order.state != "sale":
            continue
        back = sum(
            round((i.units * i.price - i.discount) * i.returned / i.units) for i in order.items
        )
        left = order.goods - order.discount - order.refund - back
        money[order.person] += left
        if left > 0:
            count[order.person] += 1
            last[order.person] = max(order.at, last.get(order.person, order.at))
    return {
        f"person{p}@example.org": Paid(Decimal(m) / 100, count[p], last[p])
        for p, m in money.items()
        if count[p]
    }


def state(order: Order, sale: str, no_sale: str, refunded: str) -> str:
    """The order's state in the words of a shop."""
    return {"sale": sale, "no_sale": no_sale, "refunded": refunded}[order.state]


def cents(money: int) -> str:
    """Money as a shop writes it."""
    return f"{money / 100:.2f}"


def by_item(write: Callable[[Order, Item, bool], Row]) -> Callable[[Order], list[Row]]:
    """A row for each item; the function is told which is the order's first."""
    return lambda order: [write(order, item, n == 0) for n, item in enumerate(order.items)]


def by_unit(write: Callable[[Order, Item, bool], Row]) -> Callable[[Order], list[Row]]:
    """A row for each unit, numbered within its order."""

    def rows(order: Order) -> list[Row]:
        units = [item for item in order.items for _ in range(item.units)]
        return [write(order, item._replace(number=n), n == 1) for n, item in enumerate(units, 1)]

    return rows


def _retail(o: Order, i: Item, _: bool) -> Row:
    return {
        "InvoiceNo": o.number, "StockCode": i.code, "Description": i.name, "Quantity": i.units,
        "InvoiceDate": f"{o.at.month}/{o.at.day}/{o.at:%Y %H:%M}", "UnitPrice": cents(i.price),
        "CustomerID": o.email, "Country": "France",
    }  # fmt: skip


def _retail_ii(o: Order, i: Item, first: bool) -> Row:
    names = {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}
    row = _retail(o, i, first) | {"InvoiceDate": f"{o.at}"}
    return {names.get(name, name): cell for name, cell in row.items()}


def _shopify(o: Order, i: Item, first: bool) -> Row:
    state = {"sale": "partially_refunded" if o.refund else "paid", "no_sale": "voided",
             "refunded": "refunded"}[o.state]  # fmt: skip
    whole = {
        "Financial Status": state, "Currency": "GBP", "Subtotal": cents(o.goods - o.discount),
        "Shipping": "5.00", "Discount Amount": cents(o.discount),
        "Refunded Amount": cents(o.refund),
        "Shipping Country": "GB",
    }  # fmt: skip
    return {
        "Name": f"#{o.number}", "Email": o.email,
        **(whole if first else dict.fromkeys(whole, "")),
        "Created at": f"{o.at} +0100", "Lineitem quantity": i.units, "Lineitem name": i.name,
        "Lineitem price": cents(i.price), "Lineitem sku": i.code,
        "Lineitem discount": cents(i.discount), "Vendor": i.number,
    }  # fmt: skip


def _woo(o: Order, i: Item, _: bool) -> Row:
    return {
        "order_number": o.number, "order_date": f"{o.at}",
        "status": state(o, "wc-completed", "wc-cancelled", "wc-refunded"),
        "customer_id": 0, "billing_email": o.email, "item_name": i.name, "item_sku": i.code,
        "item_id": i.number, "quantity": i.units,
        "item_total": cents(i.units * i.price - i.discount),
        "item_refunded_qty": -i.returned, "cart_discount": cents(o.discount),
    }  # fmt: skip


def _woo_analytics(o: Order) -> list[Row]:
    row = {
        "Date": f"{o.at}", "Order #": o.number, "N. Revenue": cents(o.goods),
        "Status": state(o, "completed", "cancelled", "refunded"),
        "Customer": o.email.strip().lower(), "Items sold": 1,
    }  # fmt: skip
    back = {**row, "N. Revenue": cents(-o.refund), "Status": "refunded", "Items sold": 0}
    return [row, back] if o.refund else [row]


def _magento_items(o: Order, i: Item, _: bool) -> Row:
    return {
        "increment_id": f"{o.number:09}", "created_at": f"{o.at}", "sku": i.code, "name": i.name,
        "item_id": i.number, "qty_ordered": f"{i.units}.0000", "qty_refunded": i.returned,
        "price": cents(i.price), "row_total": cents(i.units * i.price),
        "discount_amount": cents(i.discount), "customer_email": o.email,
        "status": state(o, "complete", "canceled", "closed"),
    }  # fmt: skip


def _magento(o: Order) -> list[Row]:
    return [{
        "ID": f"{o.number:09}", "Purchase Point": "Main", "Purchase Date": f"{o.at}",
        "Grand Total (Purchased)": f"£{(o.goods + 500) / 100:,.2f}",
        "Shipping and Handling": "£5.00",
        "Total Refunded": cents(o.refund), "Customer Email": o.email,
        "Status": state(o, "complete", "canceled", "closed"),
    }]  # fmt: skip


def _bigcommerce(o: Order) -> list[Row]:
    return [{
        "Order ID": o.number, "Customer Email": o.email, "Order Date": f"{o.at:%d/%m/%Y}",
        "Order Status": state(o, "Shipped", "Incomplete", "Refunded"),
        "Subtotal (inc tax)": cents(o.goods), "Coupon Value": cents(o.discount),
        "Refund Amount": cents(o.refund), "Order Currency Code": "GBP",
    }]  # fmt: skip


def _prestashop(o: Order, i: Item, _: bool) -> Row:
    return {
        "id_order": o.number, "date_add": f"{o.at}", "product_reference": i.code,
        "product_name": i.name, "product_quantity": i.units, "id_order_detail": i.number,
        "unit_price_tax_incl": cents(i.price), "total_price_tax_incl": cents(i.units * i.price),
        "total_discounts_tax_incl": cents(o.discount), "product_quantity_refunded": i.returned,
        "email": o.email,
        "order_state": state(o, "Payment accepted", "Canceled", "Refunded"),
    }  # fmt: skip


def _amazon(o: Order, i: Item, _: bool) -> Row:
    return {
        "amazon-order-id": f"114-{o.number}", "purchase-date": f"{o.at.isoformat()}+00:00",
        "order-status": state(o, "Shipped", "Cancelled", "Cancelled"),
        "order-item-id": i.number, "buyer-email": o.email, "product-name": i.name, "sku": i.code,
        "quantity": i.units, "currency": "GBP", "item-price": cents(i.units * i.price),
        "item-promotion-discount": cents(i.discount), "ship-country": "GB",
    }  # fmt: skip


def _ebay(o: Order, i: Item, first: bool) -> Row:
    whole = {"Buyer Username": o.email.strip().lower(), "Sale Date": f"{o.at:%b-%d-%y}"}
    return {
        "Order Number": f"12-{o.number}", **(whole if first else dict.fromkeys(whole, "")),
        "Item Title": i.name, "Custom Label": i.code, "Quantity": i.units,
        "Sold For": f"${cents(i.price)}", "Transaction ID": i.number,
    }  # fmt: skip


def _etsy(o: Order, i: Item, _: bool) -> Row:
    return {
        "Sale Date": f"{o.at:%m/%d/%y}", "Item Name": i.name, "Buyer": o.email, "Quantity": i.units,
        "Price": f"${cents(i.price)}", "Discount Amount": cents(i.discount), "Currency": "USD",
        "Transaction ID": i.number, "Order ID": o.number, "SKU": i.code, "Ship Country": "US",
    }  # fmt: skip


def _square(o: Order) -> list[Row]:
    def row(i: Item, units: int, at: datetime, event: str) -> Row:
        gross, off = i.price * units, i.discount * units // i.units
        sign = "-" if units < 0 else ""
        return {
            "Date": f"{at:%Y-%m-%d}", "Time": f"{at:%H:%M:%S}", "Item": i.name, "Qty": abs(units),
            "SKU": i.code, "Modifiers Applied": i.number,
            "Gross Sales": f"{sign}${cents(abs(gross))}",
            "Discounts": f"-${cents(abs(off))}", "Net Sales": f"{sign}${cents(abs(gross - off))}",
            "Transaction ID": f"T{o.number}", "Event Type": event, "Location": "Shop",
            "Customer ID": o.email,
        }  # fmt: skip

    sold = [row(i, i.units, o.at, "Payment") for i in o.items]
    later = o.at + timedelta(hours=2)
    back = [row(i, -i.returned, later, "Refund") for i in o.items if i.returned]
    return [*sold, *back]


def _tiktok(o: Order, i: Item, _: bool) -> Row:
    return {
        "Order ID": o.number, "Seller SKU": i.code, "Product Name": i.name, "Quantity": i.units,
        "Order Status": state(o, "Completed", "Unpaid", "Canceled"),
        "Sku Quantity of return": i.returned, "Created Time": f"{o.at:%m/%d/%Y %I:%M:%S %p}",
        "SKU Subtotal Before Discount": cents(i.units * i.price),
        "SKU Subtotal After Discount": cents(i.units * i.price - i.discount),
        "Buyer Username": o.email, "Country": "GB", "Variation": i.number,
    }  # fmt: skip


def _stripe(o: Order) -> list[Row]:
    return [{
        "id": f"ch_{o.number}", "Created date (UTC)": f"{o.at:%Y-%m-%d %H:%M}",
        "Amount": cents(o.goods),
        "Amount Refunded": cents(o.goods if o.state == "refunded" else o.refund),
        "Currency": "usd", "Customer Email": o.email, "Captured": str(o.state != "no_sale").lower(),
        "Status": state(o, "Paid", "Failed", "Refunded"),
    }]  # fmt: skip


def _lightspeed(o: Order) -> list[Row]:
    whole = {
        "Date": f"{o.at}", "Receipt Number": o.number, "Register": "Till",
        "Status": state(o, "CLOSED", "PARKED", "VOIDED"), "Customer Email": o.email,
        "Quantity": 1, "Subtotal": cents(o.goods), "Sku": "", "Details": "all",
    }  # fmt: skip
    lines = [
        {**whole, "Customer Email": "", "Line Type": "Sale Line", "Quantity": i.units,
         "Sku": i.code, "Details": i.name, "Subtotal": cents(i.units * i.price - i.discount)}
        for i in o.items
    ]  # fmt: skip
    return [{**whole, "Line Type": "Sale"}, *lines, {**whole, "Line Type": "Payment"}]


def _olist(o: Order, i: Item, _: bool) -> Row:
    return {
        "order_id": f"o{o.number}", "order_item_id": i.number, "product_id": i.code,
        "price": cents(i.price), "freight_value": "5.00", "customer_unique_id": o.email,
        "order_status": state(o, "delivered", "canceled", "unavailable"),
        "order_purchase_timestamp": f"{o.at}", "product_category_name": "home",
    }  # fmt: skip


def _cdnow(o: Order) -> list[Row]:
    who, at = o.email.strip().lower(), f"{o.at:%Y%m%d}"
    return [{"customer": who, "date": at, "cds": 1, "dollars": cents(o.goods)}]


def _lines(o: Order, i: Item, _: bool) -> Row:
    return {
        "Bestellnummer": o.number, "Bestelldatum": f"{o.at:%d.%m.%y %H:%M}", "E-Mail": o.email,
        "Artikelnr": i.code, "Bezeichnung": i.name, "Menge": i.units,
        "Einzelpreis": f"{i.price / 100:.2f} €".replace(".", ","),
        "Rabatt": cents(i.discount).replace(".", ","), "Währung": "EUR", "Position": i.number,
        "Bestellstatus": state(o, "versendet", "storniert", "erstattet"),
    }  # fmt: skip


def _log(o: Order) -> list[Row]:
    rows = [{"order_id": o.number, "email": o.email, "date": f"{o.at}", "amount": cents(o.goods)}]
    if o.refund:
        later = o.at + timedelta(hours=1)
        rows.append({**rows[0], "date": f"{later}", "amount": f"({cents(o.refund)})"})
    return rows


LINES = "items units guests alike"
RETAIL = "items units guests"
EXPORTS = {
    "online_retail": Export(by_item(_retail), RETAIL, {"repeats": "keep"}),
    "online_retail_ii": Export(by_item(_retail_ii), RETAIL, {"repeats": "keep"}),
    "shopify_orders": Export(by_item(_shopify), f"{LINES} states discount order_discount refund"),
    "woocommerce_order_items": Export(by_item(_woo), f"{LINES} states discount returned"),
    "woocommerce_analytics": Export(_woo_analytics, "states refund guests"),
    "magento_order_items": Export(by_item(_magento_items), f"{LINES} discount returned"),
    "magento_orders": Export(_magento, "items units guests refund"),
    "bigcommerce_orders": Export(_bigcommerce, "items units states guests order_discount refund"),
    "prestashop_order_details": Export(by_item(_prestashop), f"{LINES} states order_discount"),
    "amazon_orders": Export(by_item(_amazon), f"{LINES} states discount", delimiter="\t"),
    "ebay_orders": Export(by_item(_ebay), LINES),
    "etsy_sold_order_items": Export(by_item(_etsy), f"{LINES} discount"),
    "square_items": Export(_square, "items units guests discount"),
    "tiktok_shop_orders": Export(by_item(_tiktok), f"{LINES} states discount returned"),
    "stripe_payments": Export(_stripe, "items units states refund guests"),
    "lightspeed_sales": Export(_lightspeed, "items units states discount guests"),
    "olist_orders": Export(by_unit(_olist), "items units states guests"),
    "cdnow": Export(_cdnow, "items units", delimiter=" ", header=False),
    "order_lines": Export(by_item(_lines), f"{LINES} states discount", {"decimal": ","}, ";"),
    "order_log": Export(_log, "items units guests refund"),
}


def write_export(name: str, file: Path, seed: int = 1) -> dict[str, Paid]:
    """Write the shop as this layout does; return the truth."""
    export = EXPORTS[name]
    orders = shop(export.can, seed)
    rows = [row for order in orders for row in export.rows(order)]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), delimiter=export.delimiter)
        if export.header:
            writer.writeheader()
        writer.writerows(rows)
    days = name in {"bigcommerce_orders", "ebay_orders", "etsy_sold_order_items", "cdnow"}
    return {
        who: paid._replace(last=paid.last.replace(hour=0, minute=0)) if days else paid
        for who, paid in truth(orders).items()
    }


def read_paid(path: Path, layout: str, **settings: Any) -> dict[str, Paid]:
    """What each customer paid, as ingest and clean read the file."""
    repeats = settings.pop("repeats", None)
    reading = parse_params("source", Reading, {"path": path, "layout": layout, **settings})
    codes = parse_params("clean", NotGoods, {**CODES, "repeats": repeats})
    with open_duckdb() as engine, scratch_folder() as scratch:
        lines = scratch / "lines.parquet"
        read_lines(engine.database, reading, lines, scratch)
        rows = nw.from_native(engine.database.read_parquet(str(lines)))
        placed = engine.keep(place_lines(rows, codes, engine.keep))
        sales = net_sales(placed, returned_units(engine, placed))
        engine.database.register("paid", sales.to_native())
        found = engine.database.execute(
            "select customer_id, sum(net_amount), count(distinct invoice_id) filter "
            "(net_amount > 0), max(sold_at) filter (net_amount > 0) from paid "
            "where customer_id is not null group by 1"
        ).fetchall()
    return {
        who: Paid(round(money, 2), orders, last) for who, money, orders, last in found if orders
    }


def difference(found: Mapping[str, Paid], true: Mapping[str, Paid]) -> str:
    """What of the truth was not read so; empty where all was."""
    wrong = [who for who in {*found, *true} if found.get(who) != true.get(who)]
    if not wrong:
        return ""
    who = min(wrong)
    return f"{len(wrong)} customers differ, such as {who}: {found.get(who)} for {true.get(who)}"


@contextmanager
def written(name: str, seed: int = 1) -> Iterator[tuple[Path, dict[str, Paid]]]:
    """The export of a layout in a folder of its own, and its truth."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.csv")
        yield file, write_export(name, file, seed)


def main() -> None:
    """Print the table of layouts."""
    for name, export in EXPORTS.items():
        with written(name) as (file, true):
            try:
                wrong = difference(read_paid(file, name, **export.settings), true)
            except InputError as error:
                wrong = f"error: {str(error).splitlines()[0]}"
        money = sum((paid.money for paid in true.values()), Decimal(0))
        print(f"{name:26}{len(true):4} customers {money:>10,.2f}  {wrong or 'equal to the cent'}")
        print(f"{'':26}{', '.join(sorted(export.can.split()))}")


if __name__ == "__main__":
    main()
