"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const section = document.getElementById("explorer");
  if (!data.runs.length) return;
  section.hidden = false;
  const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  const grid = () => getComputedStyle(document.documentElement).getPropertyValue("--grid").trim();
  const select = document.getElementById("run");
  const places = { latency: "ms", jobs: "jobs/s", backlog: "jobs" };
  const lines = {
    latency: [["p50", "p50", "#56b4e9"], ["p99", "p99", "#0072b2"], ["max", "max", "#999999"], ["hiccup", "host's latest wake-up", "#d55e00"]],
    jobs: [["intended", "intended", "#999999"], ["completed", "completed", "#009e73"]],
    backlog: [["backlog", "backlog", "#cc79a7"]],
  };
  const charts = {};
  const axis = (label) => ({ label, stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } });
  const width = () => Math.max(280, section.clientWidth - 10);
  function draw(run) {
    for (const name of Object.keys(lines)) {
      const place = document.getElementById("chart-" + name);
      if (charts[name]) charts[name].destroy();
      const series = [{ label: "second" }];
      const columns = [run.second];
      for (const [key, label, stroke] of lines[name]) {
        if (!run[key]) continue;
        series.push({ label, stroke, width: 2, spanGaps: false });
        columns.push(run[key]);
      }
      const options = {
        width: width(),
        height: 220,
        cursor: { sync: { key: "runs" } },
        scales: { x: { time: false }, y: name === "latency" ? { distr: 3 } : {} },
        series,
        axes: [axis("seconds since the measured phase began"), axis(places[name])],
      };
      charts[name] = new uPlot(options, columns, place);
    }
  }
  data.runs.forEach((run, index) => select.add(new Option(run.name, index)));
  select.addEventListener("change", () => draw(data.runs[select.value]));
  addEventListener("resize", () => Object.values(charts).forEach((chart) => chart.setSize({ width: width(), height: 220 })));
  draw(data.runs[0]);
})();
