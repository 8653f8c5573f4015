"""What categorize_products writes: every product in one named category."""

from pipeline.core.tables.contract import Table, count, day, money, number, share, text

PRODUCT_CATEGORIES = Table(
    "product_categories",
    row="one product (stock code) of `sales`",
    columns=(
        text("stock_code", "the product's code"),
        text("description", "the one canonical text: its most frequent description"),
        text("category", "the category's key, as columns and files name it"),
        text("category_title", "the category's name, as people read it"),
        share("confidence", "how sure the category is (1 = set by hand)"),
        text("runner_up", "the next best category's key", null=True),
        text(
            "decided_by",
            "what decided: override, seed, spread, cluster (no taxonomy) or prior (nothing known)",
            among=("override", "seed", "spread", "cluster", "prior"),
        ),
    ),
    key=("stock_code",),
)

CATEGORIES = Table(
    "categories",
    row="one category that has products",
    columns=(
        text("category", "the category's key"),
        text("category_title", "its name, as people read it"),
        text("about", "what it is for, in a sentence; its words where discovered"),
        count("products", "its products", least=1),
        count("units_sold", "units sold, before returns", unit="units"),
        money("revenue", "net of returns"),
        share("return_rate", "units returned / units sold"),
        share("confidence", "mean over products"),
        text("telling_words", "its most characteristic words, separated by commas"),
        text("examples", "its products of highest revenue, by ' | '"),
    ),
    key=("category",),
)

CATEGORY_MONTHS = Table(
    "category_months",
    row="one category and month with sales",
    columns=(
        text("category", "the category's key"),
        day("month", "the month's first day"),
        count("units_sold", "units sold, before returns", unit="units"),
        money("revenue", "net of returns"),
        number(
            "season_index",
            "its share of the month's revenue over its share of all revenue; 1 = as usual",
            null=True,
        ),
    ),
    key=("category", "month"),
)

CATEGORY_WORDS = Table(
    "category_words",
    row="the weight of a word, or of two neighbouring words, for a category",
    columns=(
        text("feature", "the word or two words; empty for the constant"),
        number("rarity", "inverse document frequency, damped where it is pattern"),
        text("category", "the category's key"),
        number("weight", "coefficient of the logistic regression", unit="log odds"),
    ),
    key=("feature", "category"),
)
