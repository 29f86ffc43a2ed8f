"use strict";
document.documentElement.classList.add("js");

// A click on a header sorts its table; a second one turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    if (header.classList.contains("plain")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const numeric = header.classList.contains("n");
      const before = header.getAttribute("aria-sort");
      const first = numeric && header.textContent !== "Rank" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = before === first ? second : first;
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((a, b) =>
        sign * (numeric ? value(a) - value(b) : value(a).localeCompare(value(b))));
      headers.forEach((each) => each.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", order);
      table.tBodies[0].append(...rows);
    });
  });
}

// The point of the map that is nearest to the pointer, or chosen by the arrow keys, is shown.
const map = document.getElementById("map-points");
if (map) {
  const tip = document.getElementById("map-tip");
  const cursor = document.getElementById("map-cursor");
  const points = [...map.querySelectorAll(":scope > use")].map((use) =>
    ({ use, x: use.x.baseVal.value, y: use.y.baseVal.value }));
  let chosen = -1;

  const line = (text, className = "") => {
    const made = document.createElement("div");
    made.textContent = text;
    made.className = className;
    return made;
  };
  const hide = () => {
    chosen = -1;
    tip.hidden = true;
    cursor.setAttribute("hidden", "");
  };
  const show = (number) => {
    if (number === chosen) return;
    chosen = number;
    const { use, x, y } = points[number];
    const about = use.dataset;
    const picture = document.createElement("span");
    picture.className = `tile ${about.thumb}`;
    const share = about.probability ? ` ${about.probability}` : "";
    tip.replaceChildren(picture);
    if (about.true === about.predicted) tip.append(line(`✓ ${about.predicted}${share}`));
    else tip.append(line(`✗ ${about.predicted}${share}`), line(`is ${about.true}`));
    tip.append(line(about.path, "quiet"));
    tip.hidden = false;
    cursor.setAttribute("cx", x);
    cursor.setAttribute("cy", y);
    cursor.removeAttribute("hidden");
    const scale = map.clientWidth / map.viewBox.baseVal.width;
    const beside = x * scale + 14;
    const fits = beside + tip.offsetWidth <= map.clientWidth;
    const left = fits ? beside : Math.max(0, x * scale - 14 - tip.offsetWidth);
    const most = Math.max(0, map.clientHeight - tip.offsetHeight);
    tip.style.left = `${Math.min(left, Math.max(0, map.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${Math.min(Math.max(0, y * scale - tip.offsetHeight / 2), most)}px`;
  };
  const point = (event) => {
    const box = map.getBoundingClientRect();
    const scale = map.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    const y = (event.clientY - box.top) * scale;
    const away = points.map((each) => Math.hypot(each.x - x, each.y - y));
    const nearest = away.indexOf(Math.min(...away));
    if (away[nearest] <= Math.max(14, 24 * scale)) show(nearest);
    else hide();
  };
  map.addEventListener("pointermove", point);
  map.addEventListener("pointerdown", point);
  map.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  map.addEventListener("blur", hide);
  map.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show((Math.max(chosen, step < 0 ? 0 : -1) + step + points.length) % points.length);
  });
}
