// Follows a lab. Everything that came from a peer is written as text, never as markup, except the ladder, whose
// picture the lab itself makes with such text escaped.
"use strict";

const LIMIT = { verdicts: 100, connections: 200 };
const byId = (id) => document.getElementById(id);
const connections = new Map();
const counts = { accepted: 0, refused: 0, messages: 0 };
let shown = { position: 0, query: "" };
let asked = false;
let again = false;
let drawn = 0;
let waiting = 0;
const SPACING = 1000; // milliseconds between two pictures: the lab that draws them has other work

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function forget() {
  connections.clear();
  Object.assign(counts, { accepted: 0, refused: 0, messages: 0 });
  byId("verdicts").replaceChildren();
  byId("connections").replaceChildren();
}

const take = {
  lab(entry) {
    byId("name").textContent = entry.name;
    const known = new Set([...byId("node").options].map((option) => option.value));
    for (const node of entry.nodes) {
      if (!known.has(node)) byId("node").append(new Option(node, node));
    }
  },
  opened(entry) {
    const row = element("tr");
    const cells = [entry.at, `${entry.node} ${entry.service}, ${entry.local}`, entry.peer, "open", "0"];
    row.append(...cells.map((text) => element("td", text)));
    row.title = `${entry.id}, ${entry.listener}, ${entry.transport}`;
    connections.set(entry.id, { row, messages: 0, isOpen: true });
    byId("connections").prepend(row);
    if (connections.size > LIMIT.connections) {
      const oldest = [...connections].find(([, one]) => !one.isOpen) ?? connections.entries().next().value;
      oldest[1].row.remove();
      connections.delete(oldest[0]);
    }
  },
  message(entry) {
    counts.messages += 1;
    const one = connections.get(entry.id);
    if (one) {
      one.messages += 1;
      one.row.lastChild.textContent = one.messages;
    }
  },
  closed(entry) {
    const one = connections.get(entry.id);
    if (one) {
      one.isOpen = false;
      const state = one.row.children[3];
      state.textContent = state.classList.contains("bad") ? `${state.textContent}; closed` : `closed: ${entry.why}`;
    }
  },
  judged(entry) {
    counts[entry.accepted ? "accepted" : "refused"] += 1;
    const one = connections.get(entry.id);
    if (one) {
      one.row.children[3].textContent = entry.line;
      one.row.children[3].className = entry.accepted ? "good" : "bad";
    }
    const item = element("li", undefined, entry.accepted ? "accepted" : "refused");
    item.append(element("div", `${entry.at} ${entry.node} ${entry.service}, ${entry.peer}`, "faint"));
    item.append(element("b", entry.line, entry.accepted ? "good" : "bad"));
    for (const line of entry.lines) item.append(element("p", line, line.startsWith("remedy:") ? "remedy" : ""));
    if (entry.clause && !entry.accepted) item.append(element("p", `clause: ${entry.clause}`, "faint"));
    if (entry.chain.length) {
      const details = element("details");
      details.append(element("summary", "presented chain"), element("pre", entry.chain.join("\n")));
      item.append(details);
    }
    item.hidden = entry.accepted && byId("refused-only").checked;
    byId("verdicts").prepend(item);
    while (byId("verdicts").childElementCount > LIMIT.verdicts) byId("verdicts").lastChild.remove();
  },
  note() {},
};

function count() {
  byId("open").textContent = [...connections.values()].filter((one) => one.isOpen).length;
  for (const name of Object.keys(counts)) byId(name).textContent = counts[name];
}

function query() {
  const wish = new URLSearchParams();
  if (byId("node").value) wish.set("node", byId("node").value);
  if (byId("kind").value) wish.set("kind", byId("kind").value);
  if (byId("ladder-refused").checked) wish.set("refused", "");
  return wish.toString();
}

// One request at a time; what happens meanwhile leads to one more.
async function draw() {
  if (asked) {
    again = true;
    return;
  }
  asked = true;
  drawn = Date.now();
  try {
    const wish = query();
    const answer = await fetch(`/ladder?${wish}`);
    if (answer.ok && !byId("pause").checked) {
      const ladder = await answer.json();
      const place = byId("ladder");
      const follows = place.scrollTop + place.clientHeight >= place.scrollHeight - 40;
      const picture = new DOMParser().parseFromString(ladder.svg, "image/svg+xml").documentElement;
      place.replaceChildren(document.importNode(picture, true));
      if (follows) place.scrollTop = place.scrollHeight;
      shown = { position: ladder.position, query: wish };
    }
  } catch {
    // The lab is gone; the event source says so.
  } finally {
    asked = false;
    if (again) {
      again = false;
      drawSoon();
    }
  }
}

function drawSoon() {
  if (waiting || document.hidden) return;
  waiting = setTimeout(() => {
    waiting = 0;
    draw();
  }, Math.max(0, drawn + SPACING - Date.now()));
}

async function open(number) {
  const answer = await fetch(`/ladder/${shown.position}/${number}?${shown.query}`);
  const row = answer.ok ? await answer.json() : { title: "", details: await answer.text() };
  byId("sheet-title").textContent = row.title;
  byId("sheet-details").textContent = row.details;
  byId("sheet").hidden = false;
}

byId("ladder").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link) {
    event.preventDefault();
    open(link.getAttribute("href").replace("#row-", ""));
  }
});
byId("close").addEventListener("click", () => (byId("sheet").hidden = true));
document.addEventListener("keydown", (event) => event.key === "Escape" && (byId("sheet").hidden = true));
document.addEventListener("visibilitychange", drawSoon);
byId("wish").addEventListener("submit", (event) => event.preventDefault());
byId("wish").addEventListener("change", draw);
byId("refused-only").addEventListener("change", (event) => {
  for (const item of byId("verdicts").children) item.hidden = event.target.checked && item.className === "accepted";
});

const source = new EventSource("/events");
source.addEventListener("open", () => (byId("state").textContent = "live"));
source.addEventListener("error", () => (byId("state").textContent = "the lab does not answer; trying again"));
source.addEventListener("end", () => {
  source.close();
  byId("state").textContent = "the lab has stopped";
});
source.addEventListener("message", (event) => {
  const told = JSON.parse(event.data);
  if (told.from === 0) forget();
  for (const entry of told.entries) take[entry.event]?.(entry);
  count();
  if (!byId("pause").checked) drawSoon();
});
