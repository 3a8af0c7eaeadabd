"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("data").textContent);
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

  const fit = (width) => {
    for (const place of shown) {
      Plotly.relayout(place, width ? { autosize: false, width } : { autosize: true, width: null });
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
    fit(printed);
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
    fit(0);
  });
  Promise.all(Object.keys(figures).map(draw)).then(() => { document.documentElement.dataset.drawn = String(shown.length); });
})();
