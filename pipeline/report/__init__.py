"""What the report is made of: template, styles, charts."""
