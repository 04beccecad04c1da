// Puts the page together: controls, charts, tables, and the ways from one to another.
"use strict";

const chosen = {};
const spans = {};
const isWhole = {};
const SPANS = [["1M", 31], ["3M", 92], ["1Y", 366], ["All", Infinity]];
const TIMED = new Set(["panels", "lines", "columns", "surface", "layers", "months"]);

function selected(name) {
  const [chart, all] = [charts[name], figures[name].columns];
  let columns = all;
  if (chart.choose) columns = kept(columns, (n) => all[chart.choose][n] === chosen[name]);
  if (Number.isFinite(spans[name] ?? Infinity)) {
    const from = time([...all[chart.x]].sort().at(-1)) - spans[name] * DAY_MS;
    const own = columns[chart.x];
    columns = kept(columns, (n) => time(own[n]) >= from);
  }
  return columns;
}

function show(name) {
  const chart = charts[name];
  const plot = document.querySelector(`#${name} .plot`);
  const columns = selected(name);
  if (!length(columns)) return Promise.resolve();
  const drawn = drawers[chart.kind](chart, columns);
  const outside = isWhole[name] ? "" : fenced(drawn, chart.unit);
  document.querySelector(`#${name} .legend`).replaceChildren(...drawn.legend.map(entryOf), ...outsideOf(name, outside));
  return Plotly.react(plot, drawn.traces, drawn.layout, { displayModeBar: false, responsive: true, doubleClick: "reset" }).then(() => {
    plot.setAttribute("data-drawn", chosen[name] ?? "");
    plot.removeAllListeners("plotly_click");
    plot.classList.toggle("leads", Boolean(drawn.click));
    if (drawn.click) plot.on("plotly_click", (event) => drawn.click(event.points[0]));
  });
}

function entryOf(entry) {
  const item = made("li");
  if (entry.scale) item.append(entry.from, made("i", { class: "scale", style: `background:${entry.scale}` }), entry.to + " ");
  else if (entry.ring) item.append(made("i", { class: "ring" }));
  else if (entry.colour) item.append(made("i", entry.dotted ? { class: "dotted", style: `border-color:${entry.colour}` } : { style: `background:${entry.colour}` }));
  item.append(entry.label);
  return item;
}

function outsideOf(name, sentence) {
  if (!sentence && !isWhole[name]) return [];
  const item = made("li", { class: "outside" }, sentence ? sentence + " " : "");
  const button = made("button", { type: "button", class: "link" }, isWhole[name] ? "Hide outliers" : "Show all");
  button.addEventListener("click", () => {
    isWhole[name] = !isWhole[name];
    show(name);
  });
  item.append(button);
  return [item];
}

// Controls. A way to choose that suits the values: a slider and a date for times, buttons for a few,
// a field to search in for many.

function buttons(title, names, first, pick) {
  const group = made("span", { class: "buttons", role: "group", "aria-label": title });
  group.append(...names.map((name, n) => {
    const button = made("button", { type: "button", "aria-pressed": n === first }, name);
    button.addEventListener("click", () => {
      for (const other of group.children) other.setAttribute("aria-pressed", other === button);
      pick(n);
    });
    return button;
  }));
  return group;
}

function chooser(name, values) {
  const [chart, title] = [charts[name], figures[name].title];
  const place = document.querySelector(`#${name} .controls`);
  if (chart.kind === "history") return timeControl(name, place, title, values);
  if (values.length <= 4) {
    place.append(buttons(`${title}: ${chart.choose}`, values, 0, (n) => pick(name, values[n])));
    return values[0];
  }
  const list = made("datalist", { id: `${name}-names` });
  list.append(...values.map((value) => made("option", { value })));
  const field = made("input", { type: "search", list: list.id, "aria-label": `${title}: ${chart.choose}`, placeholder: "Search a contract", spellcheck: "false", autocomplete: "off" });
  const choose = () => {
    const text = field.value.trim().toUpperCase();
    const found = values.find((v) => v.toUpperCase() === text) ?? values.find((v) => text && v.toUpperCase().includes(text));
    if (found) pick(name, found);
    field.value = chosen[name];
  };
  field.addEventListener("focus", () => field.select());
  field.addEventListener("change", choose);
  // A choice from the list comes as an input that is a whole name.
  field.addEventListener("input", () => values.includes(field.value) && pick(name, field.value));
  const beside = (step, label, sign) => {
    const button = made("button", { type: "button", "aria-label": label, title: label }, sign);
    button.addEventListener("click", () => pick(name, values[(values.indexOf(chosen[name]) + step + values.length) % values.length]));
    return button;
  };
  place.append(beside(1, "Previous contract", "‹"), field, beside(-1, "Next contract", "›"), list);
  const front = figures.quotes.columns.front_quarterly.find((value) => values.includes(value));
  return front ?? longest(figures[name].columns, chart);
}

function pick(name, value) {
  chosen[name] = value;
  const field = document.querySelector(`#${name} .controls input[list]`);
  if (field) field.value = value;
  show(name);
}

// The newest of the contracts whose life is shown from end to end.
function longest(columns, chart) {
  const points = columns[chart.x].map((steps) => steps.length);
  return columns[chart.choose][points.indexOf(Math.max(...points))];
}

function timeControl(name, place, title, values) {
  const last = values.length - 1;
  const range = made("input", { type: "range", min: 0, max: last, value: last, "aria-label": `${title}: time` });
  const date = made("input", { type: "date", min: values[0].slice(0, 10), max: values[last].slice(0, 10), "aria-label": `${title}: date` });
  const go = (n) => {
    range.value = n;
    date.value = values[n].slice(0, 10);
    pick(name, values[n]);
  };
  range.addEventListener("input", () => go(Number(range.value)));
  date.addEventListener("change", () => {
    // The last minute of that day, or of the day before it that has one.
    const n = values.findLastIndex((value) => value.slice(0, 10) <= date.value);
    if (date.value && n >= 0) go(n);
  });
  place.append(range, date);
  date.value = values[last].slice(0, 10);
  return values[last];
}

function spanControl(name) {
  const labels = figures[name].columns[charts[name].x];
  const days = (time([...labels].sort().at(-1)) - time([...labels].sort()[0])) / DAY_MS;
  const offered = SPANS.filter(([, length]) => length === Infinity || length < 0.8 * days);
  if (offered.length < 2) return;
  const choose = (n) => {
    spans[name] = offered[n][1];
    show(name);
  };
  document.querySelector(`#${name} .controls`).append(buttons(`${figures[name].title}: span`, offered.map(([label]) => label), offered.length - 1, choose));
}

// Ways from one figure to another.

function leadsTo(figure, name) {
  return figures[figure].columns.instrument?.includes(name) || name.endsWith("-PERPETUAL") && figures.price.columns.coin.some((coin) => name.startsWith(coin + "-"));
}

function goTo(figure) {
  const place = document.getElementById(figure);
  place.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "center" });
  place.setAttribute("tabindex", "-1");
  place.focus({ preventScroll: true });
}

function lead(figure, name) {
  if (!name || !leadsTo(figure, name)) return;
  if (!figures[figure].columns.instrument.includes(name)) return goTo("price");
  pick(figure, name);
  goTo(figure);
}

// The gaps of an instrument, in a month (2024-03) or in all of its life.
function leadToGaps(name, month) {
  const table = tables.gaps;
  goTo("gaps");
  if (!table) return;
  const { instrument, start, end } = table.columns;
  const next = month && new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 1)).toISOString();
  only("gaps", {
    label: month ? `gaps of ${name} in ${month}` : `gaps of ${name}`,
    none: "There is no gap after the first candle, or only gaps shorter than those listed.",
    isKept: (n) => instrument[n] === name && (!month || (start[n] < next && end[n] > month)),
  });
}

root.classList.add("js");
const drawable = Object.keys(charts).filter((name) => charts[name].kind && length(figures[name].columns));
for (const name of drawable) {
  const by = charts[name].choose;
  if (by) chosen[name] = chooser(name, unique(figures[name].columns[by]));
  const field = document.querySelector(`#${name} .controls input[list]`);
  if (field) field.value = chosen[name];
  if (TIMED.has(charts[name].kind)) spanControl(name);
}
for (const name of Object.keys(charts)) if (charts[name].listing) enhance(name, charts[name].listing);
const showAll = () => Promise.all(drawable.map(show));
showAll().then(() => root.setAttribute("data-drawn", drawable.length));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
matchMedia("(max-width: 759px)").addEventListener("change", showAll);
