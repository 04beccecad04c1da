// The charts of carry that no other part of the page has; see drawers.js.
"use strict";

// A bar for each month, pale where it is not whole, and a line above it.
drawers.months = (chart, columns) => {
  const months = everyStep(columns[chart.x]);
  const rows = new Map(rowsOf(columns).map((row) => [row[chart.x], row]));
  const [bar, line] = series(chart, chart.y);
  const isPart = (row) => row.hours < row.month_hours;
  const found = months.map((month) => rows.get(month));
  const values = (name) => found.map((row) => row?.[name] ?? null);
  const traces = [
    {
      type: "bar", x: months, y: values(bar.name), name: safe(bar.label), marker: { color: found.map((row) => (row && isPart(row) ? tinted(bar.colour, 0.4) : bar.colour)), line: { width: 0 } },
      customdata: found.map((row) => (row && isPart(row) ? `, of ${whole(row.hours)} of ${whole(row.month_hours)} hours` : "")), hovertemplate: `${safe(bar.label)} %{y:.2f} %%{customdata}<extra></extra>`,
    },
    {
      type: "scatter", mode: "lines+markers", x: months, y: values(line.name), name: safe(line.label), connectgaps: false,
      line: { color: line.colour, width: 2 }, marker: { size: months.length > 40 ? 3 : 5 }, hovertemplate: `${safe(line.label)} %{y:.2f} %<extra></extra>`,
    },
  ];
  const legend = found.some((row) => row && isPart(row)) ? [bar, line, { label: "pale: the month lacks hours", colour: tinted(bar.colour, 0.4) }] : [bar, line];
  const x = timeAxis(chart.x_title, { hoverformat: "%b %Y", ...(months.length < 7 ? { dtick: "M1", tickformat: "%b %Y" } : {}) });
  return { traces, layout: layout(chartHeight(), x, valueAxis(chart.y_title, chart.unit), { bargap: 0.3, hovermode: "x unified" }), legend, fenced: ["y"] };
};

// Entries by the distance to their expiry. Later entries lie above earlier ones of the same colour.
drawers.entries = (chart, columns) => {
  const rows = rowsOf(columns);
  const kinds = series(chart, unique(columns[chart.series]));
  const rate = (value) => `${value.toFixed(2)} %`;
  const traces = kinds.map((kind) => {
    const own = rows.filter((row) => row[chart.series] === kind.name);
    return {
      type: "scatter", mode: "markers", x: own.map((r) => Math.sqrt(r[chart.x])), y: own.map((r) => r[chart.y[0]]), name: safe(kind.label), customdata: own.map((r) => r.instrument),
      text: own.map((r) => `<b>${safe(r.instrument)}</b>, entered ${safe(r.entry)} 08:00, ${r.days.toFixed(0)} days<br>basis at entry ${rate(r.locked_apr_pct)} a year, funding ${rate(r.funding_apr_pct)}`),
      marker: { size: rows.length > 800 ? 4 : 6, color: tinted(kind.colour, rows.length > 800 ? 0.55 : 0.75), line: { width: 0 } },
      hovertemplate: "%{text}<br><b>earned %{y:.2f} % a year</b><extra></extra>",
    };
  });
  const days = rootAxis(chart.x_title, columns[chart.x]);
  days.range[0] = Math.sqrt(Math.max(0, Math.min(...columns[chart.x]) - 1));
  return { traces, layout: layout(chartHeight() + 20, days, valueAxis(chart.y_title, chart.unit)), legend: kinds, fenced: ["y"], click: (point) => lead("contracts", point.customdata) };
};

// Bars of layers upon each other: first the names that the chart declares, then the others, which are
// expiries, in shades that tell neighbours apart.
const SHADES = 6;
drawers.layers = (chart, columns) => {
  const rows = rowsOf(columns);
  const declared = Object.keys(chart.names);
  const layers = series(chart, unique(columns[chart.series]).sort());
  const others = layers.filter((layer) => !declared.includes(layer.name));
  others.forEach((layer, n) => (layer.colour = colour(`step-${(n % SHADES) + 1}`)));
  const traces = layers.map((layer) => {
    const own = rows.filter((row) => row[chart.series] === layer.name);
    return {
      type: "bar", x: own.map((row) => row[chart.x]), y: own.map((row) => row[chart.y[0]]), name: safe(layer.label), marker: { color: layer.colour, line: { width: 0 } },
      customdata: own.map((row) => short(row[chart.y[0]])), hovertemplate: `${safe(layer.label)}: %{customdata} ${safe(chart.unit)}<extra></extra>`,
    };
  });
  const legend = layers.filter((layer) => declared.includes(layer.name));
  // The pointer names the others.
  if (others.length <= SHADES) legend.push(...others);
  else legend.push({ label: "shades of blue: one quarterly each", colour: colour("step-4") });
  return { traces, layout: layout(chartHeight(), timeAxis(chart.x_title, { hoverformat: "%Y-%m-%d" }), valueAxis(chart.y_title, chart.unit, { rangemode: "tozero" }), { barmode: "stack", bargap: 0, hovermode: "x unified" }), legend };
};
