"use strict";
// Without this script the page shows everything but the lists; with it, they open in the page.
(() => {
  const at = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(at(id).textContent);
  const data = read("customers");
  const { words: say, currency, style } = read("words");
  const PAGE = 50;

  const make = (tag, more = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), more);
    element.append(...inside);
    return element;
  };
  const put = (text, figures) => text.replace(/\{(\w+)\}/g, (all, name) => figures[name] ?? all);

  // Figures as the rest of the page writes them.
  function digits(value, decimals = 0) {
    const [whole, rest] = Math.abs(value).toFixed(decimals).split(".");
    const marked = whole.replace(/\B(?=(\d{3})+$)/g, style.thousands);
    return (value < 0 ? "−" : "") + marked + (rest ? style.decimal + rest : "");
  }
  const unless = (value, write) => (value === null || value === undefined ? "–" : write(value));
  const money = (value) =>
    unless(value, (v) => put(style.money, { sign: v < 0 ? "−" : "", currency, amount: digits(Math.abs(v)) }));
  const percent = (value) => unless(value, (v) => digits(v * 100) + style.percent);
  const word = (number) => data.words[number];
  const title = (number) => data.segments[number]?.title ?? say.not_yet;
  const names = Object.fromEntries(Object.entries(data.names));

  const COLUMNS = [
    ["id", (n) => data.id[n]],
    ["segment", (n) => title(data.segment[n])],
    ["before", (n) => names[word(data.previous[n])] ?? "–"],
    ["since", (n) => data.days[data.since[n]], (n) => data.since[n]],
    ["reason", (n) => word(data.reason[n])],
    ["recency", (n) => unless(data.recency[n], digits), (n) => data.recency[n]],
    ["orders", (n) => digits(data.orders[n]), (n) => data.orders[n]],
    ["spend", (n) => money(data.spend[n]), (n) => data.spend[n]],
    ["chance", (n) => percent(data.chance[n]), (n) => data.chance[n]],
    ["forecast", (n) => money(data.forecast[n]), (n) => data.forecast[n]],
    ["country", (n) => word(data.country[n])],
    ["top", (n) => word(data.top[n])],
    ["next", (n) => word(data.next[n])],
    ["action", action],
  ];
  const NAMES = new Set(["country", "top", "next"]); // of the shop's file, in its language
  const heading = (name) => (name === "id" ? say.customer : say[name]);

  function action(n) {
    return put(word(data.action[n]), {
      offer_category: put(say.quoted, { name: word(data.offer[n]) }),
      next_category: put(say.quoted, { name: word(data.next[n]) }),
      recency_days: unless(data.recency[n], digits),
      orders: digits(data.orders[n]),
      spend: money(data.spend[n]),
      forecast: money(data.forecast[n]),
    });
  }

  const everyone = data.id.map((_, n) => n);
  const index = [...document.querySelectorAll("[data-list]")];
  const lists = new Map([["list-all", { title: say.all, people: everyone, all: data.all }]]);
  for (const item of index) {
    const asked = JSON.parse(item.dataset.list);
    const people = everyone.filter(
      (n) =>
        data.segment[n] === asked.segment &&
        (asked.own === undefined || data.own[n] === 1) &&
        (asked.before === undefined || word(data.before[n]) === asked.before),
    );
    lists.set(item.id, { title: item.dataset.title, people, all: Number(item.dataset.all) });
    const button = make("button", { type: "button" }, ...item.firstElementChild.childNodes);
    button.addEventListener("click", () => (location.hash = item.id));
    item.firstElementChild.replaceChildren(button);
    item.removeAttribute("id"); // the address is the open list's from now on
  }

  const finder = at("finder");
  finder.hidden = false;
  at("no-script").remove();
  finder.className = "finder";
  const choice = make("select", { ariaLabel: say.list });
  for (const [key, list] of lists) choice.append(make("option", { value: key }, list.title));
  const search = make("input", { type: "search", placeholder: say.search, ariaLabel: say.search });
  const copy = make("button", { type: "button" }, say.copy);
  const download = make("button", { type: "button" }, say.download);
  const said = make("p", { className: "said", role: "status" });
  const place = make("div");
  finder.append(make("div", { className: "tools" }, choice, search, copy, download), said, place);

  let open = "list-all";
  let sorted = { column: 9, descending: true };
  let shown = PAGE;

  function chosen() {
    const wanted = search.value.trim().toLowerCase();
    const { people } = lists.get(open);
    const found = wanted
      ? people.filter((n) =>
          [data.id[n], word(data.country[n]), word(data.top[n]), title(data.segment[n])].some((text) =>
            text.toLowerCase().includes(wanted),
          ),
        )
      : [...people];
    const [, text, value] = COLUMNS[sorted.column];
    const key = value ?? text;
    const sign = sorted.descending ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (value ? x - y : x.localeCompare(y)) || a - b;
    });
  }

  function show() {
    const people = chosen();
    const heads = COLUMNS.map(([name], column) => {
      const button = make("button", { type: "button" }, heading(name));
      const head = make("th", { scope: "col" }, button);
      if (column === sorted.column) head.ariaSort = sorted.descending ? "descending" : "ascending";
      if (!COLUMNS[column][2]) head.className = "text";
      button.addEventListener("click", () => {
        sorted = { column, descending: column === sorted.column ? !sorted.descending : true };
        show();
        place.querySelectorAll("thead button")[column].focus();
      });
      return head;
    });
    const rows = people.slice(0, shown).map((n) => {
      const link = make("a", { href: `#customer-${encodeURIComponent(data.id[n])}` }, data.id[n]);
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, link),
        ...COLUMNS.slice(1).map(([name, text, value]) =>
          make("td", { className: value ? "" : "text", translate: !NAMES.has(name) }, text(n)),
        ),
      );
    });
    const caption = `${lists.get(open).title}: ${put(say.shown, { shown: digits(rows.length), n: digits(people.length) })}`;
    const table = make(
      "table",
      {},
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...rows),
    );
    const scroll = make("div", { className: "scroll", role: "region", tabIndex: 0, ariaLabel: caption }, table);
    const { people: held, all } = lists.get(open);
    const part = put(say.part, { held: digits(held.length), n: digits(all) });
    place.replaceChildren(
      ...(held.length < all ? [make("p", { className: "finding" }, part)] : []),
      people.length ? scroll : make("p", {}, say.none),
    );
    if (people.length > rows.length) {
      const more = make("button", { type: "button" }, say.more);
      more.addEventListener("click", () => {
        shown += 4 * PAGE;
        show();
      });
      place.append(more);
    }
    said.textContent = people.length ? caption : say.none;
  }

  function showList(key) {
    open = key;
    shown = PAGE;
    choice.value = key;
    show();
  }

  // A spreadsheet must not take a text for a formula.
  function cell(value) {
    const text = /^[=+\-@\t\r＝＋－＠]/.test(String(value)) ? `'${value}` : String(value ?? "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  download.addEventListener("click", () => {
    const rows = chosen().map((n) =>
      COLUMNS.map(([name, text, value]) => (value && name !== "since" ? (value(n) ?? "") : cell(text(n)))).join(","),
    );
    const csv = [COLUMNS.map(([name]) => cell(heading(name))).join(","), ...rows].join("\n");
    const url = URL.createObjectURL(new Blob(["\ufeff", csv, "\n"], { type: "text/csv" }));
    make("a", { href: url, download: `${open.replace("list-", "")}.csv` }).click();
    URL.revokeObjectURL(url);
  });
  copy.addEventListener("click", async () => {
    const ids = chosen().map((n) => data.id[n]);
    const area = make("textarea", { value: ids.join("\n"), ariaLabel: say.copy });
    try {
      await navigator.clipboard.writeText(area.value);
    } catch {
      document.body.append(area); // a page opened from a file may have no clipboard
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    said.textContent = put(say.copied, { n: digits(ids.length) });
    copy.textContent = said.textContent;
    setTimeout(() => (copy.textContent = say.copy), 2000);
  });
  choice.addEventListener("change", () => (location.hash = choice.value));
  search.addEventListener("input", () => {
    shown = PAGE;
    show();
  });

  // One customer: the figures, the spend by month and the segment over time.
  function showCustomer(id) {
    const n = data.id.indexOf(id);
    if (n < 0) return;
    const back = make("a", { href: `#${open}` }, `← ${say.back}`);
    const facts = make("dl", { className: "facts" });
    for (const [name, text] of COLUMNS.slice(1, -1)) {
      facts.append(make("div", {}, make("dt", {}, heading(name)), make("dd", { translate: !NAMES.has(name) }, text(n) || "–")));
    }
    const past = make("p");
    let last = null;
    data.past[n].forEach((segment, day) => {
      if (segment === last) return;
      last = segment;
      past.append(make("span", { className: "stay" }, `${data.days[day]}: ${title(segment)}`));
    });
    place.replaceChildren(
      make("p", {}, back),
      make("h3", { tabIndex: -1 }, `${say.customer} ${id}`),
      make("p", {}, make("b", {}, action(n))),
      facts,
      make("h4", {}, say.history),
      history(n),
      make("h4", {}, say.past),
      past,
    );
    place.querySelector("h3").focus({ preventScroll: true });
  }

  function history(n) {
    const spent = new Array(data.monthNames.length).fill(0);
    for (let i = 0; i < data.months[n].length; i += 2) spent[data.months[n][i]] = data.months[n][i + 1];
    const most = Math.max(...spent, 1);
    const list = make("ul", { className: "bars" });
    spent.forEach((value, month) => {
      const bar = make("span", { className: "bar" });
      bar.style.setProperty("--share", (value / most).toFixed(3));
      list.append(make("li", {}, make("span", {}, data.monthNames[month]), bar, make("span", {}, money(value))));
    });
    return list;
  }

  const folds = [...document.querySelectorAll("details")];
  const pages = folds.filter((fold) => fold.classList.contains("page"));
  const unfold = at("unfold");
  unfold.hidden = false;
  const nameUnfold = () => (unfold.textContent = pages.every((page) => page.open) ? say.close : say.open);
  unfold.addEventListener("click", () => {
    const opens = pages.some((page) => !page.open);
    for (const page of pages) page.open = opens;
  });
  for (const page of pages) page.addEventListener("toggle", nameUnfold);
  nameUnfold();

  // An address opens what it names: a segment, a list, a customer.
  function reveal() {
    const hash = decodeURIComponent(location.hash.slice(1));
    if (lists.has(hash)) {
      showList(hash);
      at("lists").scrollIntoView();
    } else if (hash.startsWith("customer-")) {
      showCustomer(hash.slice("customer-".length));
      at("lists").scrollIntoView();
    } else {
      const target = hash && at(hash);
      for (let on = target; on; on = on.parentElement) if (on.matches("details")) on.open = true;
      if (target) target.scrollIntoView();
    }
  }
  const contents = document.querySelector(".toc details");
  const wide = matchMedia("(min-width: 76rem)");
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
  show();
  window.addEventListener("hashchange", reveal);
  reveal();

  // Paper unfolds nothing by itself.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = pages.filter((fold) => !fold.open);
    for (const fold of folded) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const fold of folded) fold.open = false;
  });
})();
