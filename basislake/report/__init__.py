"""The report: one page that shows what a lake and its database hold, and the same facts as JSON.

Every figure is declared once (`figures`), answered by one DuckDB query over the tables of one
version of the lake and a few tables beside them (`beside`), drawn by plotly.js in the page
(`page`), and can be asked again (`verify`).
"""
