"use strict";
(() => {
  const { texts, plots: figures } = JSON.parse(document.getElementById("data").textContent);
  for (const { data } of Object.values(figures)) {
    for (const trace of data) {
      if (trace.customdata) trace.hovertext = trace.customdata.map((number) => texts[number] ?? null);
    }
  }
  const printed = 660;
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    showSendToCloud: false,
    showLink: false,
    plotlyServerURL: "",
  };
  const shown = [];

  const draw = (id) => {
    const place = document.getElementById(id);
    const figure = figures[id];
    shown.push(place);
    const own = { displayModeBar: figure.layout.dragmode ? "hover" : false, toImageButtonOptions: { filename: id, scale: 2 } };
    return Plotly.newPlot(place, figure.data, figure.layout, { ...config, ...own });
  };

  // On paper a plot has the width of its column; of one that scrolls on the screen, what fits is shown.
  const fit = (printing) => {
    for (const place of shown) {
      const width = place.closest("figure").classList.contains("wide") ? printed : printed / 2 - 12;
      const change = printing ? { autosize: false, width } : { autosize: true, width: null };
      const least = parseFloat(place.style.minWidth);
      if (least > width) {
        const [first, last] = figures[place.id].layout.meta.range;
        change["xaxis.range"] = [first, printing ? first + (last - first) * (width / least) : last];
      }
      Plotly.relayout(place, change);
    }
  };

  for (const group of document.querySelectorAll(".switch")) {
    const id = group.dataset.for;
    for (const button of group.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
        const visible = figures[id].data.map((trace) => trace.meta === button.dataset.value);
        Plotly.restyle(id, { visible });
      });
    }
  }

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      await copied(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const part of folded) part.open = true;
    fit(true);
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
    fit(false);
  });
  Promise.all(Object.keys(figures).map(draw)).then(() => { document.documentElement.dataset.drawn = String(shown.length); });
})();
