// Facts of the page, and what all charts share: colours, axes, steps of time, robust ranges.
// Nothing is fetched. A text of the facts never becomes markup.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const figures = Object.fromEntries(read("facts").figures.map((f) => [f.name, f]));
const charts = read("charts");
const root = document.documentElement;
const isTouch = matchMedia("(pointer: coarse)").matches;
const isNarrow = () => window.innerWidth < 760;
const MINUTE_MS = 60000;
const DAY_MS = 86400000;

// Plotly reads a few tags in texts; these are data.
const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
const unique = (values) => [...new Set(values)];
const whole = (number) => number.toLocaleString("en-US");
const zip = (columns, n) => Object.fromEntries(Object.entries(columns).map(([k, v]) => [k, v[n]]));
const length = (columns) => Object.values(columns)[0].length;
const rowsOf = (columns) => Array.from({ length: length(columns) }, (_, n) => zip(columns, n));
const kept = (columns, isKept) => {
  const places = Array.from({ length: length(columns) }, (_, n) => n).filter(isKept);
  return Object.fromEntries(Object.entries(columns).map(([k, cells]) => [k, places.map((n) => cells[n])]));
};

function made(tag, attributes = {}, text = "") {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// Numbers, as the page writes them everywhere.

function short(value) {
  for (const [size, unit] of [[1e9, " B"], [1e6, " M"], [1e3, " k"]]) {
    if (Math.abs(value) >= size) return (value / size).toFixed(value / size < 10 ? 2 : 1) + unit;
  }
  return String(Math.round(value * 1000) / 1000);
}

function size(bytes) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (bytes < 1000) return `${bytes.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} TB`;
}

// What is not whole is never shown as whole, and what is there never as nothing.
function share(percent) {
  if (percent === 100 || percent === 0) return `${percent} %`;
  return `${Math.min(99.999, Math.max(0.001, percent)).toFixed(3)} %`;
}

const written = (value, unit) => (unit === "bytes" ? size(value) : unit === "%" ? share(value) : short(value));

// Colours. A coin has the same one in every chart; other names have those that their chart declares.

const coins = unique(Object.values(figures).flatMap((f) => f.columns.coin ?? [])).sort();
const coinColour = (coin) => colour("series-" + ((coins.indexOf(coin) % 4) + 1));
const coinOf = (name) => coins.find((coin) => name === coin || name.startsWith(coin + "-") || name.startsWith(coin + " "));

// Names in the order declared, then any others; each with its colour.
function series(chart, found) {
  const declared = Object.keys(chart.names);
  const names = [...declared.filter((name) => found.includes(name)), ...found.filter((name) => !declared.includes(name))];
  return names.map((name, n) => {
    const place = declared.indexOf(name);
    const token = chart.colours[place < 0 ? n : place] ?? "series-" + ((n % 4) + 1);
    return { name, label: chart.names[name] ?? name, colour: coins.includes(name) ? coinColour(name) : colour(token) };
  });
}

const parts = (hex) => [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16));
const tinted = (hex, opacity) => `rgba(${parts(hex).join(",")},${opacity})`;

// Black or white on a colour, whichever stands out by the relative luminance of WCAG 2.
function readable(hex) {
  const [r, g, b] = parts(hex).map((n) => (n <= 10 ? n / 3294 : ((n / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

// Axes and layout.

function axis(title, more = {}) {
  return {
    title: { text: safe(title), standoff: 8, font: { size: 12, color: colour("muted") } },
    automargin: true,
    gridcolor: colour("grid"),
    linecolor: colour("rule"),
    zerolinecolor: colour("zero"),
    zerolinewidth: 1,
    tickfont: { size: isNarrow() ? 10.5 : 11.5, color: colour("muted") },
    fixedrange: isTouch,
    ...more,
  };
}

const timeAxis = (title, more = {}) => axis(title, { type: "date", showgrid: false, hoverformat: "%Y-%m-%d %H:%M", nticks: isNarrow() ? 4 : 8, ...more });
// 1.2B, 300M, 20k: one style of large numbers.
const valueAxis = (title, unit, more = {}) => axis(title, unit === "%" ? { ticksuffix: " %", ...more } : { exponentformat: "B", separatethousands: true, ...more });

function bytesAxis(title, most) {
  const rough = most / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const tickvals = Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step);
  return axis(title, { rangemode: "tozero", tickvals, ticktext: tickvals.map((n) => (n ? size(n).replace(".0 ", " ") : "0")) });
}

function layout(height, xaxis, yaxis, more = {}) {
  return {
    height,
    margin: { l: 8, r: 12, t: 10, b: 8, pad: 2 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("rule"), font: { color: colour("ink"), size: 12.5 }, align: "left" },
    showlegend: false,
    dragmode: isTouch ? false : "zoom",
    hovermode: "closest",
    xaxis,
    yaxis,
    ...more,
  };
}

// Steps of time: labels are months, days, or starts of steps of equal length.

const time = (label) => Date.parse(label.length === 7 ? label + "-01" : label.replace(" ", "T") + (label.length > 10 ? "Z" : ""));
const labelOf = (ms, like) => new Date(ms).toISOString().slice(0, like.length).replace("T", " ");

function stepMs(labels) {
  const sorted = unique(labels).sort().map(time);
  const steps = sorted.slice(1).map((at, n) => at - sorted[n]);
  return steps.length ? Math.min(...steps) : DAY_MS;
}

// All steps between the first and the last, so that one without a row breaks the line.
function everyStep(labels) {
  const sorted = unique(labels).sort();
  if (!sorted.length) return [];
  const [first, last] = [sorted[0], sorted[sorted.length - 1]];
  const all = [];
  const length = stepMs(labels);
  for (let at = new Date(time(first)); ; ) {
    const label = labelOf(at.getTime(), first);
    all.push(label);
    if (label >= last) return all;
    if (first.length === 7) at.setUTCMonth(at.getUTCMonth() + 1);
    else at = new Date(at.getTime() + length);
  }
}

function stepName(labels) {
  const minutes = Math.round(stepMs(labels) / MINUTE_MS);
  for (const [name, length] of [["week", 10080], ["day", 1440], ["hour", 60]]) {
    if (minutes % length === 0) return minutes === length ? name : `${minutes / length} ${name}s`;
  }
  return `${minutes} minutes`;
}

// Robust ranges: a few values far from all others do not rule an axis. Where there are few, far is
// three times the width of the middle half away from it; else once the width of the middle 96 %;
// and of percentages at least ten points.

const [FEWEST, FEW, LEAST_ROOM_PCT] = [6, 60, 10];

function fence(values, unit) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length < FEWEST) return null;
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const isFew = sorted.length < FEW;
  const [low, high] = isFew ? [at(0.25), at(0.75)] : [at(0.02), at(0.98)];
  const room = Math.max((isFew ? 3 : 1) * (high - low), unit === "%" ? LEAST_ROOM_PCT : 0);
  const [least, most] = [sorted[0], sorted[sorted.length - 1]];
  if (!room || (least >= low - room && most <= high + room)) return null;
  return { low: Math.max(least, low - room), high: Math.min(most, high + room) };
}

// Narrow the vertical axes of a chart to where nearly all values are; mark at the edge where others
// lie, and return a sentence about them, empty where there is none.
function fenced(drawn, unit) {
  const found = [];
  for (const name of drawn.fenced ?? []) {
    const own = drawn.traces.filter((trace) => (trace.yaxis ?? "y") === name);
    const limits = fence(own.flatMap((trace) => trace.y), unit);
    if (!limits) continue;
    const pad = 0.06 * (limits.high - limits.low);
    const edges = [limits.low - pad, limits.high + pad];
    drawn.layout["yaxis" + name.slice(1)].range = edges;
    for (const [symbol, edge, isOut] of [["triangle-up", edges[1], (v) => v > limits.high], ["triangle-down", edges[0], (v) => v < limits.low]]) {
      const out = own.flatMap((trace) => trace.y.flatMap((v, n) => (v !== null && isOut(v) ? [{ x: trace.x[n], v, name: trace.name, line: trace.line }] : [])));
      if (!out.length) continue;
      // A bar is several points of one value.
      found.push(...out.filter((o, n) => !n || o.v !== out[n - 1].v || o.name !== out[n - 1].name).map((o) => o.v));
      drawn.traces.push({
        type: "scatter", mode: "markers", x: out.map((o) => o.x), y: out.map(() => edge), yaxis: name, xaxis: own[0].xaxis, cliponaxis: false,
        text: out.map((o) => `${o.name ? o.name + ": " : ""}${o.v.toFixed(2)} ${unit}, outside the axis`), hovertemplate: "%{text}<extra></extra>",
        marker: { symbol, size: 9, color: out.map((o) => o.line?.color ?? colour("muted")), line: { width: 1, color: colour("card") } },
      });
    }
  }
  if (!found.length) return "";
  const [least, most] = [Math.min(...found), Math.max(...found)].map((v) => v.toFixed(1));
  const reach = least === most ? `${most} ${unit}` : `from ${least} to ${most} ${unit}`;
  return `▲▼ ${found.length === 1 ? "One value lies" : whole(found.length) + " values lie"} outside the axis: ${reach}`;
}
