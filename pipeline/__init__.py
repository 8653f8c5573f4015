"""From order lines to customer segments: the stages, in the order in which data flows.

make_sample → ingest → clean → explore, categorize_products → aggregate_rfm
→ select_model → assign_segments → profile_segments → render_report

Beside the DAG: score_lines (new lines → segments) and compare_runs (two versions → who moved).
"""
