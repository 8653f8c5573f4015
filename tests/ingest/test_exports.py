"""Every layout's export with planted discounts, refunds, states and guests: paid to the cent."""

from __future__ import annotations

import pytest

from bench.exports import EXPORTS, difference, read_paid, written
from pipeline.ingest.layouts import load_layouts


@pytest.mark.parametrize("name", EXPORTS)
def test_what_every_customer_paid_is_read_to_the_cent(name):
    with written(name, seed=7) as (file, true):
        assert len(true) > 5
        assert difference(read_paid(file, name, **EXPORTS[name].settings), true) == ""


def test_every_layout_has_an_export():
    assert set(EXPORTS) == set(load_layouts())
