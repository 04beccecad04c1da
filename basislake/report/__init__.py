"""The report: one page about the content of a lake and its database, and the same facts as JSON.

Each figure is declared once (`figures`), computed by one DuckDB query over the tables of one
version of the lake and a few additional tables (`lake_facts`), and drawn by plotly.js in the page
(`page`); `verify` computes it again.
"""
