"""Numbers, dates, money and words as people write them."""
