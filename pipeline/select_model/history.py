"""An order of customers by what they did, so that their names decide no draw and no tie."""

from __future__ import annotations

import numpy as np
import pandas as pd

KEY = ["snapshot_date", "customer_id"]


def in_order_of_history(customers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each snapshot by what the customers had done at the first one, and so on.

    Later snapshots only part those who were alike until then, and who was not there yet stands
    behind: what happens after a day moves nobody who was there on it. Customers who are alike at
    every snapshot stand by their names: nothing else tells them apart.
    """
    figures = [column for column in customers.columns if column not in KEY]
    kinds = customers.groupby(figures, dropna=False, sort=True).ngroup()
    rows = customers[KEY].assign(kind=kinds.to_numpy()).set_index(KEY)["kind"]
    histories = rows.unstack("snapshot_date", fill_value=len(customers)).sort_index(axis=1)  # noqa: PD010
    order = np.lexsort(histories.to_numpy().T[::-1])
    places = pd.Series(np.arange(len(order)), index=histories.index[order])
    place = customers["customer_id"].map(places).to_numpy()
    days = pd.factorize(customers["snapshot_date"], sort=True)[0]
    return customers.iloc[np.lexsort((place, days))].reset_index(drop=True)
