"""What read_campaigns writes: the measured effect of every campaign that was drawn."""

from pipeline.core.tables.contract import Table, amount, count, day, flag, number, share, text

CAMPAIGNS = Table(
    "campaigns",
    row="one campaign and measure",
    columns=(
        text("campaign", "the campaign's name"),
        text("measure", "buyers: share who order; spend: per customer", among=("buyers", "spend")),
        flag("is_kpi", "the measure that the campaign was planned on"),
        text("segments", "the segments that it was drawn from, joined by: ;"),
        text("play", "the play of playbook.yaml; null where the segments have several", null=True),
        day("start", "the first day on which an order counts"),
        day("end", "the last such day"),
        day("known_until", "the last day of the order lines"),
        count("treated", "customers drawn to be addressed", least=0),
        count("held_out", "customers drawn to be left alone", least=0),
        text(
            "verdict",
            "what can be said; figures are null before the end and where the test is invalid",
            among=(
                "not started", "too early", "rise", "fall", "no rise as planned",
                "too small to tell", "invalid",
            ),
        ),
        text("problem", "why it is invalid: it starts before the end of the data that it was drawn "
             "from, the list was changed, or the groups still known are not as drawn",
             among=("start", "list", "split"), null=True),
        number("treated_mean", "of the treated, as it was", null=True),
        number("held_out_mean", "of the held out, as it was", null=True),
        number("difference", "treated less held out, adjusted for earlier orders", null=True),
        number("difference_low", "its 95% interval", null=True),
        number("difference_high", "its 95% interval", null=True),
        number("narrowed", "share by which adjustment narrows the interval", null=True),
        number("lift", "difference / what the treated would have reached untreated", null=True),
        number("lift_low", "its 95% interval", null=True),
        number("lift_high", "its 95% interval", null=True),
        number("planned_lift", "the lift that the campaign was to show"),
        number("detectable_lift", "the least lift that such a test shows in 80% of cases",
               null=True),
        amount("cost", "of addressing the treated"),
        number("margin_rate", "of the customers' revenue of known cost; null where none is known",
               null=True),
        share("cost_known_share", "of their revenue so far, the share of which the cost is known"),
        amount("gain", "spend: difference x treated, x margin_rate where known, less the cost",
               null=True),
        amount("gain_low", "its 95% interval", null=True),
        amount("gain_high", "its 95% interval", null=True),
    ),
    key=("campaign", "measure"),
)  # fmt: skip

HELD_OUT_CUSTOMERS = Table(
    "held_out",
    row="one customer whom a campaign that is not over, or the whole shop, leaves alone",
    columns=(
        text("customer_id", "the customer"),
        text("held_out_of", "the campaigns, and shop_hold_out, joined by: ;"),
    ),
    key=("customer_id",),
)

MEASURED_LIFTS = Table(
    "measured_lifts",
    row="one play of which campaigns tell the lift of spend",
    columns=(
        text("play", "the play of playbook.yaml"),
        count("campaigns", "campaigns that tell it together", least=1),
        number("lift", "relative rise of spend, pooled by precision, at least 0"),
        number("lift_low", "its 95% interval"),
        number("lift_high", "its 95% interval"),
    ),
    key=("play",),
)
