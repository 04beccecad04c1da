// Draws the figures of the page from the facts in it, with plotly.js. Nothing is fetched; what a
// chart shows is what the table of its figure holds. A text of the facts never becomes markup.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = Object.fromEntries(read("facts").figures.map((f) => [f.name, f]));
  const charts = read("charts");
  const root = document.documentElement;
  const isNarrow = () => window.innerWidth < 760;
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const DAY_MS = 86400000;
  const MINUTES_A_DAY = 1440;

  root.classList.add("js");

  // Plotly reads a few tags in texts; these are data.
  const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const unique = (values) => [...new Set(values)];
  const whole = (number) => number.toLocaleString("en-US");
  const zip = (columns, n) => Object.fromEntries(Object.entries(columns).map(([k, v]) => [k, v[n]]));
  const length = (columns) => Object.values(columns)[0].length;
  const rowsOf = (columns) => Array.from({ length: length(columns) }, (_, n) => zip(columns, n));

  function made(tag, attributes = {}, text = "") {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  // Names in the order declared, then any others; each with its colour.
  function series(chart, found) {
    const declared = Object.keys(chart.stands_for).filter((name) => found.includes(name));
    const names = [...declared, ...found.filter((name) => !(name in chart.stands_for))];
    return names.map((name, n) => {
      const place = Object.keys(chart.stands_for).indexOf(name);
      const token = chart.colours[place < 0 ? n : place] ?? "series-" + ((n % 4) + 1);
      return { name, label: chart.stands_for[name] ?? name, colour: colour(token) };
    });
  }

  function axis(title, more = {}) {
    return {
      title: { text: safe(title), standoff: 8, font: { size: 12, color: colour("muted") } },
      automargin: true,
      gridcolor: colour("grid"),
      linecolor: colour("rule"),
      zerolinecolor: colour("rule"),
      zerolinewidth: 1,
      tickfont: { size: isNarrow() ? 10.5 : 12, color: colour("muted") },
      fixedrange: isTouch,
      ...more,
    };
  }

  function layout(height, xaxis, yaxis, more = {}) {
    return {
      height,
      margin: { l: 8, r: 10, t: 8, b: 8, pad: 2 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("rule"), font: { color: colour("ink"), size: 12.5 }, align: "left" },
      showlegend: false,
      dragmode: isTouch ? false : "zoom",
      xaxis,
      yaxis,
      ...more,
    };
  }

  // Every day or month between the first and the last, so that one without a row breaks the line.
  function everyStep(labels) {
    const sorted = [...labels].sort();
    if (!sorted.length) return [];
    const isMonthly = sorted[0].length === 7;
    const all = [];
    const end = sorted[sorted.length - 1];
    for (let at = new Date(sorted[0] + (isMonthly ? "-01" : "") + "T00:00:00Z"); ; ) {
      const label = at.toISOString().slice(0, isMonthly ? 7 : 10);
      all.push(label);
      if (label >= end) return all;
      if (isMonthly) at.setUTCMonth(at.getUTCMonth() + 1);
      else at = new Date(at.getTime() + DAY_MS);
    }
  }

  const drawers = {
    heat(chart, columns) {
      const rows = rowsOf(columns);
      const names = unique(columns[chart.y[0]]).reverse();
      const months = everyStep(columns[chart.x]);
      const levels = Object.keys(chart.stands_for);
      const z = names.map(() => months.map(() => null));
      const told = names.map(() => months.map(() => ""));
      const [place, when] = [new Map(names.map((n, i) => [n, i])), new Map(months.map((m, i) => [m, i]))];
      for (const row of rows) {
        const total = levels.reduce((sum, level) => sum + row[level], 0);
        const worst = levels.indexOf(row[chart.series]);
        const isPale = row.is_slight;
        const [i, j] = [place.get(row[chart.y[0]]), when.get(row[chart.x])];
        z[i][j] = 2 * worst + (isPale ? 1 : 0);
        told[i][j] = `<b>${safe(row[chart.y[0]])}</b>, ${safe(row[chart.x])}` + levels.filter((l) => row[l])
          .map((l) => `<br>${safe(chart.stands_for[l])}: ${whole(row[l])} min (${((100 * row[l]) / total).toFixed(row[l] < total ? 2 : 0)} %)`).join("");
      }
      const shades = levels.flatMap((level) => [colour(level), colour(level + "-pale")]);
      const scale = shades.flatMap((c, n) => [[n / shades.length, c], [(n + 1) / shades.length, c]]);
      const rowHeight = names.length <= 24 ? 18 : names.length <= 60 ? 11 : names.length <= 150 ? 7 : 4;
      const cellWidth = (Math.min(window.innerWidth, 1180) - 200) / months.length;
      const gap = cellWidth > 16 ? 2 : cellWidth > 6 ? 0.5 : 0;
      const every = Math.max(1, Math.ceil(14 / rowHeight));
      const shown = names.filter((_, n) => (names.length - 1 - n) % every === 0);
      const years = months.filter((m) => m.endsWith("-01"));
      const ticks = months.length > 18 ? { tickvals: years, ticktext: years.map((m) => m.slice(0, 4)) } : {};
      const trace = {
        type: "heatmap", x: months, y: names, z, text: told, hovertemplate: "%{text}<extra></extra>", hoverongaps: false,
        colorscale: scale, zmin: -0.5, zmax: shades.length - 0.5, showscale: false, xgap: gap, ygap: rowHeight > 6 ? 1.5 : 0.5,
      };
      const x = axis("", { type: "category", showgrid: false, zeroline: false, ticks: "", side: "top", showline: false, ...ticks });
      const y = axis("", { type: "category", showgrid: false, zeroline: false, ticks: "", tickvals: shown, tickfont: { size: isNarrow() ? 8.5 : 10.5, color: colour("muted") } });
      const found = unique(columns[chart.series]);
      const legend = series(chart, levels.filter((l) => found.includes(l)));
      if (columns.is_slight.some(Boolean)) {
        legend.push({ label: "paler: less than 1 % of the month", colour: "transparent" });
      }
      return { traces: [trace], layout: layout(names.length * rowHeight + 40, x, y), legend };
    },

    lines(chart, columns) {
      const steps = everyStep(columns[chart.x]);
      const at = new Map(steps.map((step, n) => [step, n]));
      const rows = rowsOf(columns);
      const lines = series(chart, chart.series ? unique(columns[chart.series]) : chart.y);
      const traces = lines.map((line) => {
        const values = steps.map(() => null);
        for (const row of rows) {
          if (chart.series && row[chart.series] !== line.name) continue;
          values[at.get(row[chart.x])] = row[chart.series ? chart.y[0] : line.name];
        }
        const isShort = steps.length <= 70;
        return {
          type: "scatter", mode: isShort ? "lines+markers" : "lines", x: steps, y: values, name: safe(line.label), connectgaps: false,
          line: { color: line.colour, width: isShort ? 2 : 1.5 }, marker: { size: 4 }, hovertemplate: `${safe(line.label)}: %{y:.2f}<extra></extra>`,
        };
      });
      const drawn = lines.filter((_, n) => traces[n].y.some((value) => value !== null));
      const isMonthly = steps[0].length === 7;
      const ticks = isMonthly && steps.length <= 12 ? { dtick: "M1", tickformat: "%b %Y" } : {};
      const x = axis("", { type: "date", showgrid: false, hoverformat: isMonthly ? "%b %Y" : "%Y-%m-%d", ...ticks });
      return { traces, layout: layout(isNarrow() ? 280 : 340, x, axis(chart.y_title, { ticksuffix: " %" }), { hovermode: "x unified" }), legend: drawn };
    },

    curve(chart, columns, chosen, all) {
      const coins = series(chart, unique(all[chart.series]));
      const trace = (row, line, isNow) => ({
        type: "scatter", mode: isNow ? "lines" : "lines+markers", x: row[chart.x], y: row[chart.y[0]], text: row.instruments.map(safe), name: safe(line.label),
        line: { color: line.colour, width: isNow ? 1 : 2, dash: isNow ? "dot" : "solid" }, opacity: isNow ? 0.7 : 1, hoverinfo: isNow ? "skip" : undefined,
        marker: { size: 8, symbol: row.traded.map((t) => (t ? "circle" : "circle-open")), color: line.colour, line: { width: 1.5 } },
        hovertemplate: isNow ? undefined : "<b>%{text}</b><br>%{x:.1f} days, %{y:.2f} % a year<extra></extra>",
      });
      const newest = all[chart.choose][length(all) - 1];
      const traces = [];
      for (const line of coins) {
        for (const row of rowsOf(all)) {
          if (row[chart.series] !== line.name) continue;
          if (row[chart.choose] === newest && newest !== chosen) traces.push(trace(row, line, true));
          if (row[chart.choose] === chosen) traces.push(trace(row, line, false));
        }
      }
      const legend = [...coins, ...(newest === chosen ? [] : [{ label: "dotted: the newest minute", colour: "transparent" }])];
      return { traces, layout: layout(isNarrow() ? 280 : 340, axis(chart.x_title, { rangemode: "tozero" }), axis("", { ticksuffix: " %" }), { hovermode: "closest" }), legend };
    },

    band(chart, columns) {
      const row = zip(columns, 0);
      const points = [];
      row[chart.x].forEach((step, n) => {
        // A step without a row breaks the line.
        if (n && row[chart.x][n - 1] - step > 1) points.push([null, null, null, null]);
        points.push([(step * row.step_minutes) / MINUTES_A_DAY, ...chart.y.map((name) => row[name][n])]);
      });
      const [days, last, low, high] = [0, 1, 2, 3].map((n) => points.map((point) => point[n]));
      const ink = colour("accent");
      const edge = { type: "scatter", mode: "lines", x: days, line: { width: 0, color: ink }, hoverinfo: "skip" };
      const traces = [
        { ...edge, y: low },
        { ...edge, y: high, fill: "tonexty", fillcolor: tinted(ink, 0.22) },
        { type: "scatter", mode: "lines", x: days, y: last, customdata: points.map((p) => [p[2], p[3]]), line: { color: ink, width: 1.75 },
          hovertemplate: "%{x:.2f} days left<br><b>%{y:.3f} %</b>, from %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>" },
      ];
      const legend = [{ label: "last minute of a step", colour: ink }, { label: "its lowest to highest", colour: tinted(ink, 0.3) }];
      return { traces, layout: layout(isNarrow() ? 280 : 320, axis(chart.x_title, { autorange: "reversed" }), axis("", { ticksuffix: " %" }), { hovermode: "closest" }), legend };
    },

    points(chart, columns) {
      const rows = rowsOf(columns);
      const kinds = series(chart, unique(columns[chart.series]));
      const traces = kinds.map((kind) => {
        const own = rows.filter((row) => row[chart.series] === kind.name);
        return {
          type: "scatter", mode: "markers", x: own.map((r) => r[chart.x]), y: own.map((r) => r[chart.y[0]]), text: own.map((r) => safe(r.instrument)),
          marker: { size: 9, color: kind.colour, opacity: 0.8, line: { width: 1, color: colour("card") } },
          hovertemplate: `<b>%{text}</b>, %{x|%Y-%m-%d %H:%M}<br>%{y:,} minutes, ${safe(kind.label)}<extra></extra>`,
        };
      });
      const longest = Math.max(...columns[chart.y[0]]);
      const y = axis(chart.y_title, { type: "log", dtick: 1, tickformat: ",", range: [-0.3, Math.log10(longest) + 0.4] });
      return { traces, layout: layout(isNarrow() ? 260 : 300, axis("", { type: "date", showgrid: false }), y, { hovermode: "closest" }), legend: kinds };
    },

    bars(chart, columns) {
      const rows = rowsOf(columns).reverse();
      const kinds = series(chart, chart.series ? unique(columns[chart.series]) : chart.y);
      const label = (row) => String(row[chart.x]).replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*$/, "$1 $2");
      const categories = unique(rows.map(label));
      const most = Math.max(...categories.map((c) => rows.reduce((sum, row) => sum + (label(row) === c ? row[chart.y[0]] : 0), 0)));
      const traces = kinds.map((kind) => {
        const own = chart.series ? rows.filter((row) => row[chart.series] === kind.name) : rows;
        const values = own.map((row) => row[chart.series ? chart.y[0] : kind.name]);
        const written = (v) => (v === null || (chart.series && v < most / 20) ? "" : short(v));
        return {
          type: "bar", orientation: "h", y: own.map((r) => safe(label(r))), x: values, name: safe(kind.label), marker: { color: kind.colour, line: { width: 0 } },
          text: values.map(written), textposition: chart.series ? "inside" : "auto", insidetextanchor: chart.series ? "middle" : "end", textangle: 0,
          insidetextfont: { size: 11.5, color: readable(kind.colour) }, outsidetextfont: { size: 11.5, color: colour("ink") }, constraintext: "none", cliponaxis: false, hovertemplate: `%{y}<br>${safe(kind.label)}: %{x:,}<extra></extra>`,
        };
      });
      const isGrouped = !chart.series && chart.y.length > 1;
      const height = Math.max(90, categories.length * (isGrouped ? 44 : chart.series ? 42 : 30) + 46);
      const y = axis("", { type: "category", showgrid: false, categoryorder: "array", categoryarray: categories.map(safe), tickfont: { size: 12, color: colour("ink") } });
      const x = axis("", { rangemode: "tozero", nticks: 5, ...(most < 10 ? { dtick: 1 } : { tickformat: most < 1000 ? "," : "~s" }) });
      return { traces: isGrouped ? traces.reverse() : traces, layout: layout(height, x, y, { barmode: isGrouped ? "group" : "stack", bargap: 0.32, bargroupgap: 0.08 }), legend: chart.series || isGrouped ? kinds : [] };
    },
  };

  function short(value) {
    for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
      if (Math.abs(value) >= size) return (value / size).toFixed(value / size < 10 ? 2 : 1) + unit;
    }
    return String(value);
  }

  const parts = (hex) => [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16));
  const tinted = (hex, opacity) => `rgba(${parts(hex).join(",")},${opacity})`;

  // Black or white on a colour, whichever stands out by the relative luminance of WCAG 2.
  function readable(hex) {
    const [r, g, b] = parts(hex).map((n) => (n <= 10 ? n / 3294 : ((n / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  }

  function filtered(columns, name, value) {
    const kept = columns[name].flatMap((cell, n) => (cell === value ? [n] : []));
    return Object.fromEntries(Object.entries(columns).map(([k, cells]) => [k, kept.map((n) => cells[n])]));
  }

  function show(name, chosen) {
    const [chart, all] = [charts[name], figures[name].columns];
    const plot = document.querySelector(`#${name} .plot`);
    const columns = chart.choose ? filtered(all, chart.choose, chosen) : all;
    const drawn = drawers[chart.kind](chart, columns, chosen, all);
    const legend = document.querySelector(`#${name} .legend`);
    legend.replaceChildren(...drawn.legend.map((entry) => {
      const item = made("li");
      item.append(made("i", { style: `background:${entry.colour}` }), entry.label);
      return item;
    }));
    return Plotly.react(plot, drawn.traces, drawn.layout, { displayModeBar: false, responsive: true, doubleClick: "reset" })
      .then(() => plot.setAttribute("data-drawn", chosen ?? ""));
  }

  // A way to choose that suits the values: a slider and a date for times, buttons for a few, a list
  // for many. Returns the value to begin with.
  function control(name, values, pick) {
    const place = document.querySelector(`#${name} .controls`);
    const [chart, title] = [charts[name], figures[name].title];
    if (chart.kind === "curve") return timeControl(place, title, values, pick);
    if (values.length <= 4) {
      const buttons = values.map((value) => made("button", { type: "button", "aria-pressed": value === values[0] }, value));
      buttons.forEach((button, n) => button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
        pick(values[n]);
      }));
      place.append(...buttons);
      return values[0];
    }
    const list = made("select", { "aria-label": `${title}: ${chart.choose}` });
    list.append(...values.map((value) => made("option", { value }, value)));
    list.addEventListener("change", () => pick(list.value));
    place.append(list);
    if (chart.kind === "band") list.value = longest(figures[name].columns, chart);
    return list.value;
  }

  // The newest of the contracts whose life is told from end to end.
  function longest(columns, chart) {
    const points = columns[chart.x].map((steps) => steps.length);
    return columns[chart.choose][points.indexOf(Math.max(...points))];
  }

  function timeControl(place, title, values, pick) {
    const last = values.length - 1;
    const range = made("input", { type: "range", min: 0, max: last, value: last, "aria-label": `${title}: time` });
    const date = made("input", { type: "date", min: values[0].slice(0, 10), max: values[last].slice(0, 10), "aria-label": `${title}: date` });
    const minute = made("span");
    const go = (n) => {
      range.value = n;
      date.value = values[n].slice(0, 10);
      minute.textContent = values[n].slice(11) + " UTC";
      pick(values[n]);
    };
    range.addEventListener("input", () => go(Number(range.value)));
    date.addEventListener("change", () => {
      // The last minute of that day, or of the day before it that has one.
      const n = values.findLastIndex((value) => value.slice(0, 10) <= date.value);
      if (date.value && n >= 0) go(n);
    });
    place.append(range, date, minute);
    date.value = values[last].slice(0, 10);
    minute.textContent = values[last].slice(11) + " UTC";
    return values[last];
  }

  const chosen = {};
  const drawable = Object.keys(charts).filter((name) => length(figures[name].columns));
  for (const name of drawable) {
    const by = charts[name].choose;
    if (!by) continue;
    chosen[name] = control(name, unique(figures[name].columns[by]), (value) => {
      chosen[name] = value;
      show(name, value);
    });
  }
  const showAll = () => Promise.all(drawable.map((name) => show(name, chosen[name])));
  showAll().then(() => root.setAttribute("data-drawn", drawable.length));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
  matchMedia("(max-width: 759px)").addEventListener("change", showAll);
})();
