// One function for each kind of chart: it returns traces, layout and legend, and the vertical axes
// that are to be robust (`fenced`). `extra.all` holds the rows before a choice.
"use strict";

// A contract that has not traded for longer shows a price that is repeated.
const STALE_MINUTES = 60;
const chartHeight = () => (isNarrow() ? 270 : 320);
const isStale = (minutes) => minutes === null || minutes > STALE_MINUTES;
const lastTrade = (minutes) => (minutes === null ? "no recent trade" : minutes ? `last trade ${whole(minutes)} min ago` : "traded in this minute");
const hollow = { label: "hollow: no trade in the last hour", ring: true };

// Days to expiry on a scale of roots: contracts are close together near the expiry. What is drawn is
// the root; texts and ticks say days.
const ROOT_TICKS = [1, 7, 14, 30, 60, 90, 120, 180, 270, 360];
function rootAxis(title, days) {
  const most = Math.max(1, ...days);
  const ticks = ROOT_TICKS.filter((day) => day <= most && (!isNarrow() || ![14, 120, 270].includes(day)));
  const room = 0.03 * Math.sqrt(most);
  return axis(`${title}, root scale`, { tickvals: ticks.map(Math.sqrt), ticktext: ticks.map(String), range: [-room, Math.sqrt(most) + room], zeroline: false });
}
const drawers = {
  // A panel for each series, each with its own scale; a line and its lowest to highest.
  panels(chart, columns) {
    const [line, low, high] = chart.y;
    const steps = everyStep(columns[chart.x]);
    const at = new Map(steps.map((step, n) => [step, n]));
    const panels = series(chart, unique(columns[chart.series]));
    const traces = [];
    const shapes = layout(panels.length * (isNarrow() ? 150 : 175), timeAxis(chart.x_title, { anchor: panels.length > 1 ? "y" + panels.length : "y" }), undefined, { hovermode: "x unified" });
    panels.forEach((panel, n) => {
      const own = { [line]: steps.map(() => null), [low]: steps.map(() => null), [high]: steps.map(() => null) };
      for (const row of rowsOf(columns)) {
        if (row[chart.series] === panel.name) for (const name of chart.y) own[name][at.get(row[chart.x])] = row[name];
      }
      const y = n ? "y" + (n + 1) : "y";
      const edge = { type: "scatter", mode: "lines", x: steps, yaxis: y, line: { width: 0, color: panel.colour }, hoverinfo: "skip", connectgaps: false };
      traces.push(
        { ...edge, y: own[low] },
        { ...edge, y: own[high], fill: "tonexty", fillcolor: tinted(panel.colour, 0.2) },
        { type: "scatter", mode: "lines", x: steps, y: own[line], yaxis: y, name: safe(panel.label), line: { color: panel.colour, width: 1.6 }, connectgaps: false,
          customdata: steps.map((_, i) => [own[low][i], own[high][i]]), hovertemplate: `${safe(panel.label)} %{y:,.2f} (%{customdata[0]:,.2f} to %{customdata[1]:,.2f}) ${safe(chart.unit)}<extra></extra>` },
      );
      const share = 1 / panels.length;
      const domain = [1 - (n + 1) * share + (n < panels.length - 1 ? 0.04 : 0), 1 - n * share - (n ? 0.04 : 0)];
      shapes["yaxis" + y.slice(1)] = valueAxis(`${panel.label}, ${chart.y_title}`, chart.unit, { domain, nticks: 5, zeroline: false });
    });
    return { traces, layout: shapes, legend: [...panels, { label: "band: lowest to highest of each step" }], fenced: panels.map((_, n) => (n ? "y" + (n + 1) : "y")) };
  },

  lines(chart, columns) {
    const steps = everyStep(columns[chart.x]);
    const at = new Map(steps.map((step, n) => [step, n]));
    const rows = rowsOf(columns);
    const lines = series(chart, chart.series ? unique(columns[chart.series]) : chart.y);
    const isShort = steps.length <= 70;
    const traces = lines.map((line) => {
      const values = steps.map(() => null);
      const names = steps.map(() => "");
      for (const row of rows) {
        if (chart.series && row[chart.series] !== line.name) continue;
        values[at.get(row[chart.x])] = row[chart.series ? chart.y[0] : line.name];
        if (row.instrument) names[at.get(row[chart.x])] = safe(row.instrument);
      }
      const own = coinOf(line.name);
      return {
        type: "scatter", mode: isShort ? "lines+markers" : "lines", x: steps, y: values, text: names, name: safe(line.label), connectgaps: false,
        line: { color: own && chart.series ? coinColour(own) : line.colour, width: isShort ? 2 : 1.6, dash: own && line.name.endsWith("perpetual") ? "dot" : "solid" }, marker: { size: 4 },
        hovertemplate: `${safe(line.label)} %{y:.2f} %${columns.instrument ? " %{text}" : ""}<extra></extra>`,
      };
    });
    const legend = lines.map((line, n) => ({ label: line.label, colour: traces[n].line.color, dotted: traces[n].line.dash === "dot", isDrawn: traces[n].y.some((v) => v !== null) })).filter((entry) => entry.isDrawn);
    if (columns.instrument) {
      const rolls = traces.map((trace) => ({
        type: "scatter", mode: "markers", hoverinfo: "skip", marker: { symbol: "line-ns", size: 15, line: { width: 1.5, color: colour("ink") } },
        ...rollsOf(trace),
      })).filter((trace) => trace.x.length);
      traces.push(...rolls);
      if (rolls.length) legend.push({ label: "vertical mark: a roll to the next contract" });
    }
    return { traces, layout: layout(chartHeight(), timeAxis(chart.x_title, steps[0]?.length === 7 ? { hoverformat: "%b %Y", ...(steps.length < 7 ? { dtick: "M1", tickformat: "%b %Y" } : {}) } : {}), valueAxis(chart.y_title, chart.unit), { hovermode: "x unified" }), legend, fenced: ["y"] };
  },

  columns(chart, columns) {
    const steps = everyStep(columns[chart.x]);
    const rows = rowsOf(columns);
    const kinds = series(chart, unique(columns[chart.series]));
    const traces = kinds.map((kind) => {
      const own = new Map(rows.filter((row) => row[chart.series] === kind.name).map((row) => [row[chart.x], row[chart.y[0]]]));
      return {
        type: "bar", x: steps, y: steps.map((step) => own.get(step) ?? null), name: safe(kind.label), marker: { color: kind.colour, line: { width: 0 } },
        hovertemplate: `${safe(kind.label)} %{y:,.0f} ${safe(chart.unit)}<extra></extra>`,
      };
    });
    const y = valueAxis(chart.y_title.replace("{step}", stepName(columns[chart.x])), chart.unit, { rangemode: "tozero" });
    return { traces, layout: layout(chartHeight(), timeAxis(chart.x_title, { hoverformat: "%Y-%m-%d" }), y, { barmode: "stack", bargap: 0.15, hovermode: "x unified" }), legend: kinds };
  },

  curve(chart, columns) {
    const lines = series(chart, unique(columns[chart.series]));
    const traces = lines.map((line) => {
      const rows = rowsOf(columns).filter((row) => row[chart.series] === line.name && row[chart.y[0]] !== null && !row.suspect);
      return {
        type: "scatter", mode: "lines+markers", x: rows.map((r) => Math.sqrt(r[chart.x])), y: rows.map((r) => r[chart.y[0]]), name: safe(line.label),
        text: rows.map((r) => `<b>${safe(r.instrument)}</b> ${safe(r.term)}, ${whole(r.future_close)} USD<br>${lastTrade(r.traded_minutes_ago)}<br>${r[chart.x].toFixed(1)} days`),
        customdata: rows.map((r) => r.instrument), line: { color: line.colour, width: 2 },
        marker: { size: 9, symbol: rows.map((r) => (isStale(r.traded_minutes_ago) ? "circle-open" : "circle")), color: line.colour, line: { width: 1.5, color: line.colour } },
        hovertemplate: "%{text}, <b>%{y:.2f} % a year</b><extra></extra>",
      };
    });
    const legend = lines.map((line) => ({ ...line, label: `${line.label}, ${columns.minute[columns[chart.series].indexOf(line.name)]} UTC` }));
    if (columns.traded_minutes_ago.some(isStale)) legend.push(hollow);
    return { traces, layout: layout(isNarrow() ? 280 : 350, rootAxis(chart.x_title, columns[chart.x]), valueAxis(chart.y_title, chart.unit)), legend, fenced: ["y"], click: (point) => lead("contracts", point.customdata) };
  },

  // The curve of a chosen minute, and dotted the one of the newest.
  history(chart, columns) {
    const newest = figures.curve.columns;
    const lines = series(chart, unique([...columns[chart.series], ...newest.coin]));
    const traces = [];
    for (const line of lines) {
      const now = kept(newest, (n) => newest.coin[n] === line.name && newest.annualised_pct[n] !== null && !newest.suspect[n]);
      traces.push({ type: "scatter", mode: "lines", x: now.days.map(Math.sqrt), y: now.annualised_pct, name: `${safe(line.label)} now`, line: { color: line.colour, width: 1.2, dash: "dot" }, opacity: 0.75, hoverinfo: "skip" });
      for (const row of rowsOf(columns)) {
        if (row[chart.series] !== line.name) continue;
        traces.push({
          type: "scatter", mode: "lines+markers", x: row[chart.x].map(Math.sqrt), y: row[chart.y[0]], text: row.instruments.map((name, n) => `<b>${safe(name)}</b><br>${row[chart.x][n].toFixed(1)} days`), name: safe(line.label), customdata: row.instruments,
          line: { color: line.colour, width: 2, dash: "solid" }, marker: { size: 8, symbol: row.traded.map((t) => (t ? "circle" : "circle-open")), color: line.colour, line: { width: 1.5 } },
          hovertemplate: "%{text}, %{y:.2f} % a year<extra></extra>",
        });
      }
    }
    const legend = [...lines, { label: "dotted: the newest minute" }, { label: "hollow: no trade in that minute", ring: true }];
    return { traces, layout: layout(chartHeight(), rootAxis(chart.x_title, [...columns[chart.x].flat(), ...newest.days]), valueAxis(chart.y_title, chart.unit)), legend, fenced: ["y"], click: (point) => lead("contracts", point.customdata) };
  },

  // A bar from one expiry to the next, at the height of the forward rate between them.
  forwards(chart, columns) {
    const lines = series(chart, unique(columns[chart.series]));
    const traces = lines.map((line) => {
      const points = rowsOf(columns).filter((row) => row[chart.series] === line.name).flatMap((row) => {
        const text = `<b>${safe(row.nearer)} → ${safe(row.farther)}</b><br>spread ${row.spread.toFixed(2)} USD<br>${lastTrade(row.traded_minutes_ago)}`;
        const [from, until] = [row.from_days, row.until_days].map(Math.sqrt);
        return [[from, 0], [(from + until) / 2, isStale(row.traded_minutes_ago) ? 2 : 1], [until, 0]].map(([x, mark]) => ({ x, y: row[chart.y[0]], text, mark })).concat({ x: null, y: null, text: "", mark: 0 });
      });
      return {
        type: "scatter", mode: "lines+markers", x: points.map((p) => p.x), y: points.map((p) => p.y), text: points.map((p) => p.text), name: safe(line.label), connectgaps: false,
        line: { color: line.colour, width: 3.5 }, marker: { size: points.map((p) => (p.mark ? 9 : 0)), symbol: points.map((p) => (p.mark === 2 ? "circle-open" : "circle")), color: line.colour, line: { width: 1.5, color: line.colour } },
        hovertemplate: "%{text}<br><b>%{y:.2f} % a year</b><extra></extra>",
      };
    });
    const legend = columns.traded_minutes_ago.some(isStale) ? [...lines, hollow] : lines;
    return { traces, layout: layout(chartHeight(), rootAxis(chart.x_title, columns.until_days), valueAxis(chart.y_title, chart.unit)), legend, fenced: ["y"] };
  },

  // Time by days to expiry, on a scale of roots: close to the expiry contracts are close together.
  surface(chart, columns) {
    const [level, value] = chart.y;
    const steps = everyStep(columns[chart.x]);
    const at = new Map(steps.map((step, n) => [step, n]));
    const levels = Array.from({ length: Math.max(...columns[level]) + 1 }, (_, n) => n);
    const z = levels.map(() => steps.map(() => null));
    const text = levels.map(() => steps.map(() => ""));
    const names = levels.map(() => steps.map(() => null));
    for (const row of rowsOf(columns)) {
      const [i, j] = [row[level], at.get(row[chart.x])];
      z[i][j] = row[value];
      names[i][j] = row.instruments[0];
      text[i][j] = `<b>${row.instruments.map(safe).join(", ")}</b><br>${safe(row[chart.x])} UTC, ${(i * i) / 4} to ${((i + 1) * (i + 1)) / 4} days<br>${row[value].toFixed(2)} % a year`;
    }
    const sorted = [...columns[value]].sort((a, b) => a - b);
    const [low, high] = [0.02, 0.98].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
    const [zmin, zmax] = [Math.min(low, 0), Math.max(high, 0) || 1];
    const zero = -zmin / (zmax - zmin);
    const below = [2, 1].map((n) => [zero * (1 - n / 2), colour("below-" + n)]);
    const above = [1, 2, 3].map((n) => [zero + ((1 - zero) * n) / 3, colour("above-" + n)]);
    const days = ROOT_TICKS.filter((day) => Math.sqrt(day) * 2 <= levels.length && (!isNarrow() || day !== 14));
    const trace = {
      type: "heatmap", x: steps, y: levels.map((n) => n + 0.5), z, text, customdata: names, hovertemplate: "%{text}<extra></extra>", hoverongaps: false, zmin, zmax,
      colorscale: zero > 0 ? [...below, [zero, colour("neutral")], ...above] : [[0, colour("neutral")], ...above],
      showscale: false,
    };
    const stops = trace.colorscale.map(([place, shade]) => `${shade} ${(100 * place).toFixed(1)}%`).join(", ");
    const legend = [{ label: "% a year", scale: `linear-gradient(to right, ${stops})`, from: zmin.toFixed(1), to: zmax.toFixed(1) }];
    const y = axis(`${chart.y_title}, root scale`, { tickvals: days.map((day) => 2 * Math.sqrt(day)), ticktext: days.map(String), zeroline: false, range: [2, levels.length] });
    return { traces: [trace], layout: layout(isNarrow() ? 360 : 380, timeAxis(chart.x_title, { zeroline: false }), y), legend, click: (point) => lead("contracts", names[Math.round(point.y - 0.5)][at.get(String(point.x).slice(0, 16))]) };
  },

  heat(chart, columns) {
    const rows = rowsOf(columns);
    const names = unique(columns[chart.y[0]]).reverse();
    const months = everyStep(columns[chart.x]);
    const levels = Object.keys(chart.names);
    const z = names.map(() => months.map(() => null));
    const text = names.map(() => months.map(() => ""));
    const [place, when] = [new Map(names.map((n, i) => [n, i])), new Map(months.map((m, i) => [m, i]))];
    for (const row of rows) {
      const total = levels.reduce((sum, level) => sum + row[level], 0);
      const [i, j] = [place.get(row[chart.y[0]]), when.get(row[chart.x])];
      z[i][j] = 2 * levels.indexOf(row[chart.series]) + (row.is_slight ? 1 : 0);
      text[i][j] = `<b>${safe(row[chart.y[0]])}</b>, ${safe(row[chart.x])}` + levels.filter((l) => row[l])
        .map((l) => `<br>${safe(chart.names[l])}: ${whole(row[l])} min (${share((100 * row[l]) / total)})`).join("");
    }
    const shades = levels.flatMap((level) => [colour(level), colour(level + "-pale")]);
    const scale = shades.flatMap((c, n) => [[n / shades.length, c], [(n + 1) / shades.length, c]]);
    const rowHeight = names.length <= 24 ? 18 : names.length <= 60 ? 11 : names.length <= 150 ? 7 : 4;
    const cellWidth = (Math.min(window.innerWidth, 1320) - 200) / months.length;
    const every = Math.max(1, Math.ceil(14 / rowHeight));
    const shown = names.filter((_, n) => (names.length - 1 - n) % every === 0);
    const years = months.filter((m) => m.endsWith("-01"));
    const ticks = months.length > 18 ? { tickvals: years, ticktext: years.map((m) => m.slice(0, 4)) } : {};
    const trace = {
      type: "heatmap", x: months, y: names, z, text, hovertemplate: "%{text}<extra></extra>", hoverongaps: false, colorscale: scale, zmin: -0.5, zmax: shades.length - 0.5, showscale: false,
      xgap: cellWidth > 16 ? 2 : cellWidth > 6 ? 0.5 : 0, ygap: rowHeight > 6 ? 1.5 : 0.5,
    };
    const x = axis(chart.x_title, { type: "category", showgrid: false, zeroline: false, ticks: "", side: "top", showline: false, ...ticks });
    const y = axis(chart.y_title, { type: "category", showgrid: false, zeroline: false, ticks: "", tickvals: shown, ticktext: shown.map(safe), tickfont: { size: isNarrow() ? 8.5 : 10.5, color: colour("muted") } });
    const found = unique(columns[chart.series]);
    const legend = series(chart, levels.filter((l) => found.includes(l)));
    for (const level of levels) {
      if (rows.some((row) => row.is_slight && row[chart.series] === level)) legend.push({ label: `less than 1 % ${chart.names[level]}`, colour: colour(level + "-pale") });
    }
    return { traces: [trace], layout: layout(names.length * rowHeight + 60, x, y), legend, click: (point) => leadToGaps(point.y, point.x) };
  },

  band(chart, columns) {
    const row = zip(columns, 0);
    const points = [];
    row[chart.x].forEach((step, n) => {
      // A step without a row breaks the line.
      if (n && row[chart.x][n - 1] - step > 1) points.push([null, null, null, null]);
      points.push([(step * row.step_minutes * MINUTE_MS) / DAY_MS, ...chart.y.map((name) => row[name][n])]);
    });
    const [days, last, low, high] = [0, 1, 2, 3].map((n) => points.map((point) => point[n]));
    const own = coinOf(row[chart.choose]);
    const ink = own ? coinColour(own) : colour("accent");
    const edge = { type: "scatter", mode: "lines", x: days, line: { width: 0, color: ink }, hoverinfo: "skip" };
    const traces = [
      { ...edge, y: low },
      { ...edge, y: high, fill: "tonexty", fillcolor: tinted(ink, 0.22) },
      { type: "scatter", mode: "lines", x: days, y: last, customdata: points.map((p) => [p[2], p[3]]), line: { color: ink, width: 1.75 },
        hovertemplate: "%{x:.2f} days left<br><b>%{y:.3f} %</b>, from %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>" },
    ];
    const legend = [{ label: `${row[chart.choose]}, last minute of a step`, colour: ink }, { label: "lowest to highest of the step", colour: tinted(ink, 0.3) }];
    return { traces, layout: layout(chartHeight(), axis(chart.x_title, { autorange: "reversed", zeroline: false }), valueAxis(chart.y_title, chart.unit)), legend, fenced: ["y"] };
  },

  points(chart, columns) {
    const rows = rowsOf(columns);
    const kinds = series(chart, unique(columns[chart.series]));
    const traces = kinds.map((kind) => {
      const own = rows.filter((row) => row[chart.series] === kind.name);
      return {
        type: "scatter", mode: "markers", x: own.map((r) => r[chart.x]), y: own.map((r) => r[chart.y[0]]), text: own.map((r) => safe(r.instrument)), name: safe(kind.label),
        marker: { size: 9, color: kind.colour, opacity: 0.8, line: { width: 1, color: colour("card") } },
        hovertemplate: `<b>%{text}</b>, %{x|%Y-%m-%d %H:%M}<br>%{y:,} minutes, ${safe(kind.label)}<extra></extra>`,
      };
    });
    const longest = Math.max(...columns[chart.y[0]]);
    const y = axis(chart.y_title, { type: "log", dtick: 1, tickformat: ",", range: [-0.3, Math.log10(longest) + 0.4] });
    return { traces, layout: layout(chartHeight() - 40, timeAxis(chart.x_title), y), legend: kinds };
  },

  // Lying bars: a category for each row, or for each name where a series makes the colours.
  bars(chart, columns) {
    const rows = rowsOf(columns).reverse();
    const kinds = series(chart, chart.series ? unique(columns[chart.series]) : chart.y);
    const label = (row) => String(row[chart.x]).replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*$/, "$1 $2");
    // Two rows of one label are two bars.
    const places = chart.series ? unique(rows.map(label)) : rows.map((_, n) => String(n));
    const placeOf = (row) => (chart.series ? label(row) : String(rows.indexOf(row)));
    const ticktext = chart.series ? places : rows.map(label);
    const totals = places.map((place) => rows.reduce((sum, row) => sum + (placeOf(row) === place ? row[chart.y[0]] ?? 0 : 0), 0));
    const most = Math.max(...totals);
    const isPlain = chart.series || chart.y.length === 1;
    const traces = kinds.map((kind) => {
      const own = chart.series ? rows.filter((row) => row[chart.series] === kind.name) : rows;
      const values = own.map((row) => row[chart.series ? chart.y[0] : kind.name]);
      const inside = (v) => (v === null || (chart.series && v < most / (isNarrow() ? 6 : 12)) ? "" : written(v, chart.unit));
      return {
        type: "bar", orientation: "h", y: own.map(placeOf), x: values, name: safe(kind.label), marker: { color: kind.colour, line: { width: 0 } }, width: isPlain ? 0.62 : undefined,
        text: values.map(inside), textposition: chart.series ? "inside" : "auto", insidetextanchor: chart.series ? "middle" : "end", textangle: 0,
        insidetextfont: { size: 11.5, color: readable(kind.colour) }, outsidetextfont: { size: 11.5, color: colour("ink") }, constraintext: "none", cliponaxis: false,
        customdata: own.map((row, n) => `${safe(label(row))}<br>${safe(kind.label)}: ${values[n] === null ? "unknown" : safe(chart.unit === "bytes" || chart.unit === "%" ? written(values[n], chart.unit) : whole(values[n]))}`), hovertemplate: "%{customdata}<extra></extra>",
      };
    });
    const height = Math.max(isPlain ? 110 : 130, places.length * (isPlain ? 32 : 44) + 66);
    const y = axis(chart.y_title, { type: "category", showgrid: false, categoryorder: "array", categoryarray: places, tickvals: places, ticktext: ticktext.map(safe), tickfont: { size: 12, color: colour("ink") } });
    const x = chart.unit === "bytes" ? bytesAxis(chart.x_title, most) : valueAxis(chart.x_title, chart.unit, { rangemode: "tozero", nticks: 5, ...(chart.unit === "%" ? { range: [0, 100], dtick: 25 } : most < 10 ? { dtick: 1 } : {}) });
    return { traces: isPlain ? traces : traces.reverse(), layout: layout(height, x, y, { barmode: isPlain ? "stack" : "group", bargap: 0.3, bargroupgap: 0.08 }), legend: chart.series || !isPlain ? kinds : [] };
  },
};

// Where a line goes over to another contract.
function rollsOf(trace) {
  const rolls = { x: [], y: [] };
  let held = "";
  trace.text.forEach((name, n) => {
    if (name && held && name !== held) {
      rolls.x.push(trace.x[n]);
      rolls.y.push(trace.y[n]);
    }
    held = name || held;
  });
  return rolls;
}
