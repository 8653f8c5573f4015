"use strict";
// Without this script the page shows all its pictures and tables; with it, they answer.
(() => {
  const NOBODY = -1;
  const views = [];
  let chosen = NOBODY;

  const options = {
    actions: false,
    ast: true, // expressions are interpreted, so that no code is made from strings
    renderer: "svg",
    tooltip: { theme: "light" },
  };

  async function enliven(plot) {
    const spec = JSON.parse(document.getElementById(`spec-${plot.dataset.chart}`).textContent);
    const live = document.createElement("div");
    live.className = "live";
    live.setAttribute("aria-hidden", "true"); // the place around it has the words
    plot.append(live);
    plot.classList.add("is-live"); // hidden first: the new picture measures the width of its place
    try {
      const { view } = await vegaEmbed(live, spec, options);
      views.push(view);
      tell(view);
      plot.dataset.alive = "yes";
    } catch (error) {
      live.remove();
      plot.classList.remove("is-live"); // the still picture is as good
      throw error;
    }
  }

  function tell(view) {
    try {
      view.signal("chosen", chosen).runAsync();
    } catch {
      // a chart that does not tell segments apart has no such signal
    }
  }

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((e) => e.isIntersecting)) {
        watcher.unobserve(entry.target);
        enliven(entry.target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const plot of document.querySelectorAll("[data-chart]")) watcher.observe(plot);

  const folds = [...document.querySelectorAll("details")];
  const pages = folds.filter((fold) => fold.classList.contains("page"));
  const unfold = document.getElementById("unfold");
  unfold.hidden = false;
  unfold.addEventListener("click", () => {
    const open = pages.some((page) => !page.open);
    for (const page of pages) page.open = open;
  });
  for (const page of pages) page.addEventListener("toggle", nameUnfold);
  function nameUnfold() {
    unfold.textContent = pages.every((page) => page.open) ? "Close all" : "Open all";
  }
  nameUnfold();

  // A link into something folded unfolds it; the contents fold again once they have led somewhere.
  function reveal() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.matches("details")) at.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", reveal);
  reveal();
  document.querySelector(".menu").addEventListener("click", (event) => {
    if (event.target.closest("a")) event.currentTarget.firstElementChild.open = false;
  });

  // Paper unfolds nothing by itself.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = folds.filter((fold) => fold.classList.contains("more") && !fold.open);
    for (const fold of folded) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const fold of folded) fold.open = false;
  });

  const chooser = document.getElementById("chooser");
  const buttons = [...chooser.querySelectorAll("button")];
  chooser.hidden = false;

  function choose(segment) {
    chosen = segment;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.choose) === chosen));
    }
    const is = (value) => chosen === NOBODY || Number(value) === chosen;
    for (const element of document.querySelectorAll("[data-segment]")) {
      element.classList.toggle("is-faint", !is(element.dataset.segment));
    }
    for (const band of document.querySelectorAll("[data-from]")) {
      band.classList.toggle("is-faint", !is(band.dataset.from) && !is(band.dataset.to));
    }
    views.forEach(tell);
    const name = buttons.find((b) => Number(b.dataset.choose) === chosen).textContent.trim();
    document.getElementById("said").textContent =
      chosen === NOBODY ? "All segments are shown" : `${name} are highlighted`;
  }
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const segment = Number(button.dataset.choose);
      choose(segment === chosen ? NOBODY : segment);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen !== NOBODY) choose(NOBODY);
  });

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => sort(table, body, head, column));
    });
  }

  function sort(table, body, head, column) {
    const descending = head.getAttribute("aria-sort") !== "descending";
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) =>
      key(a) !== "" && !Number.isNaN(Number(key(a))) ? key(a) - key(b) : key(a).localeCompare(key(b));
    const rows = [...body.rows].sort((a, b) => (descending ? order(b, a) : order(a, b)));
    body.append(...rows);
  }
})();
