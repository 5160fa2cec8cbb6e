"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const section = document.getElementById("explorer");
  if (!data.runs.length && !data.percentiles.length) return;
  section.hidden = false;
  const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = colour("--ink");
  const grid = colour("--grid");
  const places = { latency: "ms", jobs: "jobs/s", backlog: "jobs" };
  const lines = {
    latency: [["p50", "p50", "#56b4e9"], ["p99", "p99", "#0072b2"], ["max", "max", "#999999"], ["hiccup", "host's latest wake-up", "#d55e00"]],
    jobs: [["intended", "intended", "#999999"], ["completed", "completed", "#009e73"]],
    backlog: [["backlog", "backlog", "#cc79a7"]],
  };
  const charts = {};
  const axis = (label) => ({ label, stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } });
  const size = (height) => ({ width: Math.max(280, section.clientWidth - 10), height });
  const heights = { percentiles: 320 };
  const height = (name) => heights[name] || 220;
  function show(name, options, columns) {
    if (charts[name]) charts[name].destroy();
    charts[name] = new uPlot({ ...size(height(name)), ...options }, columns, document.getElementById("chart-" + name));
  }
  function drawRun(run) {
    for (const name of Object.keys(lines)) {
      const series = [{ label: "second" }];
      const columns = [run.second];
      // A run flat out has no latencies that say anything.
      const told = lines[name].filter(([key]) => run[key].some((value) => value !== null));
      document.getElementById("chart-" + name).hidden = !told.length;
      for (const [key, label, stroke] of told) {
        series.push({ label, stroke, width: 2, spanGaps: false });
        columns.push(run[key]);
      }
      if (told.length) show(name, {
        cursor: { sync: { key: "runs" } },
        scales: { x: { time: false }, y: name === "latency" ? { distr: 3 } : {} },
        series,
        axes: [axis("seconds since the measured phase began"), axis(places[name])],
      }, columns);
    }
  }
  // 0 nines is the fastest job, 1 is p90, 2 is p99.
  const percentile = (nines) => (nines === null ? "" : nines === 0 ? "min" : "p" + +(100 * (1 - Math.pow(10, -nines))).toFixed(Math.max(0, Math.ceil(nines) - 1)));
  function drawPercentiles(of) {
    const named = (place) => (place === of.largest ? "max" : percentile(place));
    const nines = [...new Set(of.curves.flatMap((curve) => curve.nines))].sort((a, b) => a - b);
    const columns = of.curves.map((curve) => {
      const at = new Map(curve.nines.map((place, index) => [place, curve.ms[index]]));
      return nines.map((place) => (at.has(place) ? at.get(place) : null));
    });
    show("percentiles", {
      scales: { x: { time: false }, y: { distr: 3 } },
      series: [{ label: "percentile", value: (_, place) => named(place) }].concat(
        of.curves.map((curve) => ({ label: curve.name, stroke: curve.colour, width: 2, spanGaps: true })),
      ),
      axes: [
        {
          ...axis("percentile of the jobs"),
          // A step for each nine that the jobs can tell, and one for the largest, with room between the last two.
          splits: (_, __, from, to) =>
            [...Array(Math.ceil(of.largest)).keys()]
              .filter((place) => place < of.largest - 0.5)
              .concat(of.largest)
              .filter((place) => from <= place && place <= to),
          values: (_, ticks) => ticks.map(named),
        },
        axis("end-to-end latency, ms"),
      ],
    }, [nines, ...columns]);
  }
  function choose(part, id, names, draw) {
    const select = document.getElementById(id);
    document.getElementById(part).hidden = !names.length;
    names.forEach((name, index) => select.add(new Option(name, index)));
    select.addEventListener("change", () => draw(select.value));
    if (names.length) draw(0);
  }
  choose("percentiles", "scenario", data.percentiles.map((of) => of.scenario), (index) => drawPercentiles(data.percentiles[index]));
  choose("seconds", "run", data.runs.map((run) => run.name), (index) => drawRun(data.runs[index]));
  addEventListener("resize", () => Object.entries(charts).forEach(([name, chart]) => chart.setSize(size(height(name)))));
})();
