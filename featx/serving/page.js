"use strict";

// What the server says of itself, with the texts in the language of the page.
const settings = JSON.parse(document.getElementById("settings").textContent);
const ALONGSIDE = 3; // pictures that are asked about at a time
const MOST_FILES = 100; // that are added at a time
const MOST_TRIES = 20; // of a busy server
const MOST_BROKEN = 3; // connections for one request
const FEWEST_BARS = 3; // where the others are next to nothing
const NEXT_TO_NOTHING = 0.001;
const MOST_CHOICES = 12; // classes to click on
const KEY = "featx-token";

const find = (selector, within = document) => within.querySelector(selector);
const list = find("#cards");
const cards = new Set();
const waiting = [];
let running = 0;
let showsHeat = false; // the next pictures show at once what decided
let model = { classes: [] };

function text(key, values = {}) {
  return settings.texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A label as the server writes it; those that are true or false are Python's.
function named(label) {
  return typeof label === "boolean" ? (label ? "True" : "False") : String(label);
}

function percent(share) {
  return text("percent", { number: (100 * share).toFixed(1) });
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function element(tag, content, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...[content].flat().filter((each) => each !== undefined));
  return made;
}

function show(target, content) {
  target.textContent = content ?? "";
  target.hidden = !content;
}

// Each is read out once, in the order in which they come.
function say(message) {
  const status = find("#status");
  status.append(element("span", `${message} `));
  while (status.childElementCount > 5) status.firstChild.remove();
}

/* The server */

class Refusal extends Error {
  constructor(status, reason) {
    super(reason.text);
    this.status = status;
    this.reason = reason;
  }
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// Asks until the server has room and the token is right; what it refuses is thrown.
async function ask(path, options = {}, onBusy = () => {}) {
  for (let tries = 1; ; tries++) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetched(path, { ...options, headers, cache: "no-store" });
    if (response.ok) return response.json();
    if (response.status === 401) {
      await askForToken(token);
    } else if (response.status === 503 && tries < MOST_TRIES) {
      const seconds = Math.min(Math.max(Number(response.headers.get("Retry-After")) || 1, 1), 30);
      onBusy(seconds);
      await pause(seconds);
    } else {
      throw new Refusal(response.status, await reasonOf(response));
    }
  }
}

// A server that is too busy may end a connection before it has all of a picture.
async function fetched(path, options) {
  for (let tries = 1; ; tries++) {
    try {
      return await fetch(path, options);
    } catch (error) {
      if (!(error instanceof TypeError) || tries === MOST_BROKEN) throw error;
      await pause(tries / 2);
    }
  }
}

async function reasonOf(response) {
  const said = await response.json().catch(() => ({}));
  return { code: said.code, text: String(said.error ?? response.statusText) };
}

let asking = null; // for the token, once for all who wait for it

function askForToken(refused) {
  if (sessionStorage.getItem(KEY) !== refused) return Promise.resolve(); // a newer one is there
  asking ??= new Promise((done) => {
    const form = find("#token");
    const input = find("#token-input");
    find("#token-wrong").textContent = refused === null ? "" : text("token_wrong");
    form.hidden = false;
    input.value = "";
    input.focus();
    form.onsubmit = (event) => {
      event.preventDefault();
      const token = input.value.trim();
      if (!/^[ -~]+$/.test(token)) { // what no header may hold
        find("#token-wrong").textContent = text("token_wrong");
        return;
      }
      sessionStorage.setItem(KEY, token);
      form.hidden = true;
      asking = null;
      find("#drop").focus();
      done();
    };
  });
  return asking;
}

async function describeModel() {
  model = await ask("model");
  const names = model.classes.map(named);
  const few = names.slice(0, 6).join(text("comma"));
  const more = names.length > 6 ? text("comma") + text("and_more", { count: names.length - 6 }) : "";
  find("#knows").textContent = text("knows", { count: names.length, names: few + more });
  find("#classes").replaceChildren(...names.map((name) => element("option", [], { value: name })));
  find("#about dl").replaceChildren(...facts(names).flatMap(([term, value]) =>
    [element("dt", text(term)), element("dd", value)]));
  find("#about").hidden = false;
}

// What the card of the model says that people ask for.
function facts(names) {
  const { test, validation, date, counts } = model.card;
  const measured = test ?? validation;
  const language = document.documentElement.lang;
  const told = [];
  if (measured) {
    told.push(["accuracy", text("accuracy_interval", {
      accuracy: percent(measured.accuracy),
      low: percent(measured.accuracy_low),
      high: percent(measured.accuracy_high),
    })]);
  }
  if (counts) {
    const total = Object.values(counts).reduce((sum, each) => sum + each, 0);
    told.push(["pictures", total.toLocaleString(language)]);
  }
  if (date) {
    const day = new Date(`${date}T00:00:00Z`);
    told.push(["trained", day.toLocaleDateString(language, { dateStyle: "long", timeZone: "UTC" })]);
  }
  return [...told, ["classes", names.join(text("comma"))]];
}

/* Pictures */

function add(files) {
  const given = [...files];
  const taken = given.slice(0, MOST_FILES);
  const left = given.length - taken.length;
  const told = !given.length ? text("nothing")
    : left ? text("too_many", { count: MOST_FILES, left }) : "";
  show(find("#notice"), told);
  if (told) say(told);
  find("#results").hidden = !given.length && !cards.size && !told;
  const added = taken.map((file) => new Card(file));
  list.prepend(...added.map((card) => card.element));
  waiting.push(...added);
  work();
}

function work() {
  while (running < ALONGSIDE && waiting.length) {
    running++;
    waiting.shift().predict().finally(() => {
      running--;
      work();
    });
  }
}

class Card {
  constructor(file) {
    this.file = file;
    this.name = file.name || text("pasted");
    this.url = URL.createObjectURL(file);
    this.gone = new AbortController();
    this.row = null;
    this.element = find("#card").content.firstElementChild.cloneNode(true);
    find("bdi", this.element).textContent = this.name;
    this.showPicture();
    this.on(".remove", "click", () => this.remove());
    this.part(".remove").setAttribute("aria-label", text("remove_name", { name: this.name }));
    this.on(".heat", "click", () => this.switchHeat());
    this.on(".again", "click", () => this.predictAgain());
    this.on(".correction .open", "click", () => this.openCorrection(this.part("form").hidden));
    this.on("form", "submit", (event) => this.submitCorrection(event));
    this.on(".correction", "keydown", (event) => this.leaveCorrection(event));
    this.state(text("waiting"));
    cards.add(this);
  }

  part(selector) {
    return find(selector, this.element);
  }

  on(selector, event, act) {
    this.part(selector).addEventListener(event, act);
  }

  state(told, kind = "busy") {
    this.element.dataset.kind = kind;
    this.element.setAttribute("aria-busy", String(kind === "busy"));
    this.part(".verdict").textContent = told;
  }

  showPicture() {
    const image = this.part(".picture");
    image.onerror = () => {
      image.hidden = true;
      this.part(".placeholder").hidden = false;
    };
    image.src = this.url;
    image.alt = text("picture_of", { name: this.name });
  }

  async predict() {
    if (this.gone.signal.aborted) return;
    this.part(".again").hidden = true;
    show(this.part(".why"));
    this.state(text("looking"));
    if (this.file.size > settings.most_bytes) {
      this.fail(text("failed"), text("too_large", {
        size: megabytes(this.file.size), most: megabytes(settings.most_bytes),
      }));
      return;
    }
    try {
      this.row = await this.ask(showsHeat);
      this.answer();
    } catch (error) {
      if (!this.gone.signal.aborted) await this.refuse(error);
    }
  }

  async ask(withHeat) {
    const wishes = new URLSearchParams({ top: 5 });
    if (settings.shows_nearest) wishes.set("nearest", 3);
    if (withHeat) wishes.set("explain", 1);
    const options = {
      method: "POST",
      body: this.file,
      headers: { "Content-Type": "application/octet-stream" },
      signal: this.gone.signal,
    };
    const answer = await ask(`predict?${wishes}`, options,
      (seconds) => this.state(text("busy", { seconds })));
    return answer.predictions[0];
  }

  predictAgain() {
    this.part(".remove").focus();
    waiting.push(this);
    work();
  }

  async refuse(error) {
    if (!(error instanceof Refusal)) {
      const readable = await this.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
      this.fail(text(readable ? "unreachable" : "unreadable"), "", true);
    } else if ([413, 415, 422, 400].includes(error.status)) {
      this.fail(text("failed"), text("failed_why", { reason: error.reason.text }));
    } else {
      const told = { status: error.status, reason: error.reason.text };
      this.fail(text("error", told), "", true);
    }
  }

  fail(verdict, why, again = false) {
    this.state(verdict, "failed");
    show(this.part(".why"), why);
    this.part(".again").hidden = !again;
    say(text("said_bare", { name: this.name, label: `${verdict} ${why}` }));
  }

  answer() {
    const { row } = this;
    const guess = named(row.best_guess ?? row.label);
    const strange = Boolean(row.unfamiliar);
    if (row.label !== null) {
      this.state(guess, "sure");
      show(this.part(".why"), strange ? text("unfamiliar_note") : "");
    } else {
      const kind = strange ? "unfamiliar" : "unsure";
      this.state(text(kind), kind);
      show(this.part(".why"), text(`${kind}_why`, { label: guess }));
    }
    this.guess = guess;
    this.showBars();
    this.showNearest();
    this.part(".heat").hidden = false;
    if (row.heat) this.showHeat(true);
    this.part(".correction").hidden = !settings.collects;
    this.announce();
  }

  announce() {
    const said = { name: this.name, label: this.part(".verdict").textContent };
    const why = this.part(".why").textContent;
    const share = this.row.label === null ? null : this.row.probability;
    const told = share === null ? text("said_bare", said)
      : text("said", { ...said, percent: percent(share) });
    say([told, why].filter(Boolean).join(" "));
  }

  showBars() {
    const bars = this.part(".bars");
    const top = this.row.top.filter(([, share], place) => share !== null
      && (place < FEWEST_BARS || share >= NEXT_TO_NOTHING));
    bars.hidden = !top.length;
    this.part(".if").hidden = bars.hidden || !this.row.unfamiliar;
    bars.replaceChildren(...top.map(([label, share]) => {
      const bar = element("span", [], { className: "bar", ariaHidden: "true" });
      bar.style.setProperty("--share", share);
      return element("li", [
        element("bdi", named(label), { className: "label" }), bar,
        element("span", percent(share), { className: "number" }),
      ]);
    }));
  }

  showNearest() {
    const nearest = this.row.nearest ?? [];
    this.part(".nearest").hidden = !nearest.length;
    this.part(".nearest ul").replaceChildren(...nearest.map(({ label, picture }) => {
      const alt = text("nearest_alt", { label: named(label) });
      return element("li", [
        element("img", [], { src: picture, alt }), element("bdi", named(label)),
      ]);
    }));
  }

  /* What decided */

  async switchHeat() {
    showsHeat = this.part(".heat").getAttribute("aria-pressed") !== "true";
    if (showsHeat && !this.row.heat) {
      const legend = this.part(".legend");
      show(legend, text("looking"));
      try {
        this.row.heat = (await this.ask(true)).heat;
        if (!this.row.heat) throw new Refusal(200, { text: "" });
      } catch (error) {
        if (this.gone.signal.aborted) return;
        show(legend, text(error instanceof Refusal ? "heat_failed" : "unreachable"));
        say(legend.textContent);
        return;
      }
      if (!showsHeat) return;
    }
    this.showHeat(showsHeat);
    say(showsHeat ? this.part(".legend").textContent : this.part(".picture").alt);
  }

  showHeat(on) {
    const image = this.part(".picture");
    this.part(".heat").setAttribute("aria-pressed", String(on));
    show(this.part(".legend"), on ? text("heat_legend", { label: this.guess }) : "");
    this.part(".placeholder").hidden = true;
    image.hidden = false;
    if (on) {
      image.src = this.row.heat;
      image.alt = text("heat_alt", { name: this.name, label: this.guess });
    } else {
      this.showPicture();
    }
  }

  /* Corrections */

  openCorrection(open) {
    const form = this.part("form");
    form.hidden = !open;
    this.part(".open").setAttribute("aria-expanded", String(open));
    this.part("form .wrong").textContent = "";
    if (!open) return;
    const ranked = this.row.top.map(([label]) => named(label));
    const names = [...new Set([...ranked, ...model.classes.map(named)])];
    const buttons = names.slice(0, MOST_CHOICES).map((name) => this.choice(name, name));
    buttons.push(this.choice(text("correct_none"), settings.none));
    this.part(".choices").replaceChildren(...buttons);
    buttons[0].focus();
  }

  choice(told, label) {
    const button = element("button", told, { type: "button" });
    button.addEventListener("click", () => this.correct(label, told));
    return button;
  }

  leaveCorrection(event) {
    if (event.key !== "Escape" || this.part("form").hidden) return;
    event.stopPropagation();
    this.openCorrection(false);
    this.part(".open").focus();
  }

  submitCorrection(event) {
    event.preventDefault();
    const label = this.part("form input").value.trim();
    if (label) this.correct(label, label);
    else this.part("form input").focus();
  }

  async correct(label, told) {
    const wrong = this.part("form .wrong");
    wrong.textContent = text("correct_saving");
    const options = {
      method: "POST",
      body: this.file,
      headers: { "Content-Type": "application/octet-stream" },
    };
    try {
      const wishes = new URLSearchParams({ label, predicted: this.row.label === null ? "" : this.guess });
      await ask(`corrections?${wishes}`, options);
    } catch (error) {
      const key = `correct_${error.reason?.code}`;
      wrong.textContent = settings.texts[key] ?? (error instanceof Refusal
        ? text("error", { status: error.status, reason: error.reason.text }) : text("unreachable"));
      return;
    }
    this.openCorrection(false);
    this.part(".kept").textContent = text("corrected", { label: told });
    this.part(".open").textContent = text("correct_change");
    this.part(".open").focus();
    say(this.part(".kept").textContent);
  }

  remove() {
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.gone.abort();
    URL.revokeObjectURL(this.url);
    this.element.remove();
    cards.delete(this);
    find("#results").hidden = !cards.size;
    (next ? find(".remove", next) : find("#drop")).focus();
  }
}

/* Ways to hand over a picture */

function choose(input) {
  input.addEventListener("change", () => {
    if (input.files.length) add(input.files);
    input.value = ""; // so that the same picture can be chosen again
  });
  return () => input.click();
}

// The files of what was dropped; of a folder, those in it.
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  while (entries.length && files.length <= MOST_FILES) {
    const entry = entries.shift();
    if (entry.isFile) {
      files.push(await new Promise((done, fail) => entry.file(done, fail)));
    } else {
      const reader = entry.createReader();
      entries.push(...await new Promise((done, fail) => reader.readEntries(done, fail)));
    }
  }
  return files;
}

function watchDrops() {
  const body = document.body;
  const holdsFiles = (event) => event.dataTransfer.types.includes("Files");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    event.dataTransfer.dropEffect = holdsFiles(event) ? "copy" : "none";
    body.classList.toggle("dragged", holdsFiles(event));
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) body.classList.remove("dragged");
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    body.classList.remove("dragged");
    add(await filesOf(event.dataTransfer));
  });
}

function watchPastes() {
  addEventListener("paste", (event) => {
    const { files, types } = event.clipboardData;
    if (event.target.matches?.("input") && !files.length) return; // text for a field
    if (!files.length && !types.length) return;
    event.preventDefault();
    add([...files].map((file) => (file.name === "image.png" ? renamed(file) : file)));
  });
}

// Browsers call every pasted picture image.png.
function renamed(file) {
  return new File([file], text("pasted"), { type: file.type });
}

function begin() {
  const chooseFiles = choose(find("#files"));
  find("#drop").addEventListener("click", chooseFiles);
  find("#camera").addEventListener("click", choose(find("#shot")));
  find("#clear").addEventListener("click", () => {
    for (const card of [...cards]) card.remove();
    show(find("#notice"));
    say(text("cleared"));
  });
  const keys = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘V" : "Ctrl+V";
  find("#paste").textContent = text("paste", { keys });
  watchDrops();
  watchPastes();
  describeModel().catch(() => {}); // whoever hands over a picture is told why not
}

begin();
