// Unpacks plotly.js, draws the charts in the colours of the page, and again when size, colours or medium change.
// Makes no request.
(() => {
  "use strict";
  const root = document.documentElement;
  const colours = ["paper", "ink", "muted", "grid", "axis", "line", "gain", "loss", "losswash",
    "c1", "c2", "c3", "c4", "c5", "c6"];
  const charts = [];

  // Strings under keys that end with "color" are names of the page's colours.
  const coloured = (value, palette, key = "") => {
    if (Array.isArray(value)) return value.map((item) => coloured(item, palette, key));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, coloured(item, palette, name)]));
    }
    return key.endsWith("color") && palette.has(value) ? palette.get(value) : value;
  };

  const draw = ({ place, spec }) => {
    const style = getComputedStyle(root);
    const palette = new Map(colours.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const { data, layout } = coloured(spec, palette);
    layout.width = place.clientWidth;
    layout.height = place.clientHeight;
    // On a touch screen, a finger on a chart scrolls the page.
    if (matchMedia("(pointer: coarse)").matches) {
      layout.dragmode = false;
      layout.xaxis.fixedrange = true;
    }
    return Plotly.react(place, data, layout, { displayModeBar: false, showTips: false, doubleClick: "reset" });
  };

  const boxes = [...document.querySelectorAll(".scroll")];
  // Boxes that scroll can be focused with the keyboard.
  const reachable = () => {
    for (const box of boxes) {
      if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };

  const drawAll = () => {
    charts.forEach(draw);
    reachable();
  };

  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(drawAll, 120);
  };

  const opened = [];
  const toPaper = () => {
    root.classList.add("printing");
    for (const details of document.querySelectorAll("details:not(.screen):not([open])")) {
      details.open = true;
      opened.push(details);
    }
    for (const box of boxes) {
      // Paper does not scroll: a wide table is printed smaller.
      const table = box.firstElementChild;
      if (box.scrollWidth > box.clientWidth) table.style.zoom = box.clientWidth / box.scrollWidth;
    }
    drawAll();
  };
  const toScreen = () => {
    root.classList.remove("printing");
    opened.splice(0).forEach((details) => { details.open = false; });
    for (const box of boxes) box.firstElementChild.style.zoom = "";
    drawAll();
  };

  const valueOf = (cell) => {
    const data = cell.querySelector("data");
    return data ? Number(data.value) : cell.querySelector(".none") ? -Infinity : cell.textContent.trim();
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.matches(".bars, .line")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        for (const body of table.tBodies) {
          const rows = [...body.rows].filter((row) => !row.matches(".title, .rest"));
          rows.sort((one, other) => {
            const [a, b] = [one, other].map((row) => valueOf(row.cells[column]));
            const order = typeof a === "string" ? a.localeCompare(b) : a === b ? 0 : a < b ? -1 : 1;
            return up ? order : -order;
          });
          body.append(...rows, ...body.querySelectorAll(".rest"));
        }
      });
    });
  };

  document.querySelectorAll("table.by").forEach(sortable);
  reachable();
  // plotly.js and the charts are in the page as gzip in base64.
  const unpacked = (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const unpack = async () => {
    const script = document.createElement("script");
    // The page's policy names its digest, so it may run.
    script.textContent = await unpacked("plotly");
    document.head.append(script);
    for (const [id, spec] of Object.entries(JSON.parse(await unpacked("charts")))) {
      charts.push({ place: document.getElementById(id), spec });
    }
    const queue = [...charts];
    // One chart at a time, so that the page can be read and scrolled meanwhile.
    const next = () => {
      const chart = queue.shift();
      if (chart === undefined) {
        root.dataset.drawn = String(charts.length);
        return;
      }
      draw(chart);
      setTimeout(next);
    };
    next();
    addEventListener("resize", soon);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  };
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  if (document.getElementById("plotly") === null) root.dataset.drawn = "0";
  else if ("DecompressionStream" in window) unpack();
  else {
    document.getElementById("no-charts").removeAttribute("hidden");
    for (const place of document.querySelectorAll(".chart")) place.remove();
  }
})();
