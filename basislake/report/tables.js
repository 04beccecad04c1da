// The tables of the page: search, sort, and cells that lead to another figure.
"use strict";

const tables = {};
const WORTH_A_SEARCH = 9;

function enhance(name, listing) {
  const table = document.querySelector(`#${name} table`);
  if (!table) return;
  const columns = figures[name].columns;
  const rows = [...table.tBodies[0].rows].map((row, n) => ({ row, n, text: row.textContent.toLowerCase() }));
  tables[name] = { rows, columns, state: { words: [], only: null, note: null, field: null } };
  Object.keys(listing.columns).forEach((column, place) => {
    if (rows.length > 1) sortable(name, table.tHead.rows[0].cells[place], column);
    if (listing.links[column]) for (const { row, n } of rows) linked(row.cells[place], columns, n, listing.links[column], column);
  });
  if (listing.is_searched) searchable(name);
}

function sortable(name, head, column) {
  const { rows, columns } = tables[name];
  const button = made("button", { type: "button" }, head.textContent);
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    // Names rise at the first click, numbers fall; the next click turns the order.
    const isSorted = ["ascending", "descending"].includes(head.getAttribute("aria-sort"));
    const isRising = isSorted ? head.getAttribute("aria-sort") === "descending" : typeof columns[column].find((v) => v !== null) !== "number";
    for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", isRising ? "ascending" : "descending");
    const values = columns[column];
    const sign = isRising ? 1 : -1;
    // What is absent comes last, either way.
    rows.sort((a, b) => {
      const [x, y] = [values[a.n], values[b.n]];
      if (x === null || y === null) return (x === null) - (y === null) || a.n - b.n;
      return sign * (x < y ? -1 : x > y ? 1 : 0) || a.n - b.n;
    });
    rows[0].row.parentElement.append(...rows.map(({ row }) => row));
  });
}

function linked(cell, columns, n, figure, column) {
  const name = columns.instrument[n];
  const isThere = figure === "gaps" ? columns[column][n] > 0 : leadsTo(figure, name);
  if (!isThere) return;
  const title = figure === "gaps" ? `Gaps of ${name}` : `Chart of ${name}`;
  const button = made("button", { type: "button", class: "link", title }, cell.textContent);
  button.addEventListener("click", () => (figure === "gaps" ? leadToGaps(name) : lead(figure, name)));
  cell.replaceChildren(button);
}

function searchable(name) {
  const { rows, state } = tables[name];
  state.note = made("p", { class: "found", role: "status" });
  document.querySelector(`#${name} .scroll`).before(state.note);
  if (rows.length < WORTH_A_SEARCH) return;
  const field = made("input", { type: "search", placeholder: `Search ${whole(rows.length)} rows`, "aria-label": `${figures[name].title}: search` });
  state.field = field;
  field.addEventListener("input", () => {
    state.words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    showRows(name);
  });
  document.querySelector(`#${name} .controls`).append(field);
}

// Show the rows that a test lets pass, or all of them, and forget what was searched for.
function only(name, test) {
  const { state } = tables[name];
  state.only = test;
  state.words = [];
  if (state.field) state.field.value = "";
  showRows(name);
}

// Show the rows that hold all words of the search, and that `only` lets pass.
function showRows(name) {
  const { rows, state } = tables[name];
  let count = 0;
  for (const { row, n, text } of rows) {
    row.hidden = !(state.words.every((word) => text.includes(word)) && (state.only ? state.only.isKept(n) : true));
    count += !row.hidden;
  }
  if (!state.note) return;
  state.note.replaceChildren();
  if (!state.only && !state.words.length) return;
  state.note.append(`${whole(count)} of ${whole(rows.length)} rows${state.only ? `: ${state.only.label}` : ""}. `);
  if (!count && state.only) state.note.append(state.only.none + " ");
  const all = made("button", { type: "button", class: "link" }, "Show all");
  all.addEventListener("click", () => {
    only(name, null);
  });
  state.note.append(all);
}
