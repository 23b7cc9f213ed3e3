"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const PALETTE = ["#0b8a83", "#d0722f", "#6a5acd", "#c2497d", "#4f8f2f", "#2f77c4", "#a1832b"];
const OTHER = "#8b909a";
const main = document.getElementById("main");
const tip = document.getElementById("tip");

/* ---- small helpers: every text goes in as text, never as markup */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (v === null || v === undefined) continue;
    if (k === "class") node.className = v;
    else if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else node.setAttribute(k, v);
  }
  for (const c of children.flat()) if (c !== null && c !== undefined) node.append(c);
  return node;
}
function svg(tag, props = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(props)) node.setAttribute(k, v);
  node.append(...children);
  return node;
}
const big = (n) => Number(n).toLocaleString("en");
const fix = (x, d = 3) => (x === null || x === undefined ? "–" : Number(x).toFixed(d));
function section(id, title, note, ...children) {
  const s = el("section", { id, "aria-labelledby": id + "-h" }, el("h2", { id: id + "-h" }, title), note ? el("p", { class: "note" }, note) : null, ...children);
  main.append(s);
  document.getElementById("nav").append(el("a", { href: "#" + id }, title));
  return s;
}
function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))));
}
function figure(caption, graphic) { return el("figure", {}, el("figcaption", {}, caption), graphic); }

/* ---- charts */
function frame(label, w = 420, h = 230) { return svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": label }); }
function text(x, y, s, anchor = "middle", cls = "") { const t = svg("text", { x, y, "text-anchor": anchor, class: cls }); t.textContent = s; return t; }
function bars(labels, values, label) {
  const g = frame(label), top = Math.max(...values), L = 10, R = 410, B = 200, T = 24, step = (R - L) / values.length;
  const sparse = Math.ceil(labels.length / 12);
  values.forEach((v, i) => {
    const h = (v / top) * (B - T), bar = svg("rect", { class: "bar", x: L + i * step + step * 0.12, y: B - h, width: step * 0.76, height: Math.max(h, 1), rx: 3 });
    const t = svg("title"); t.textContent = `${labels[i]}: ${big(v)}`; bar.append(t);
    g.append(bar);
    if (i % sparse === 0) g.append(text(L + (i + 0.5) * step, B + 18, String(labels[i])));
    if (values.length <= 11) g.append(text(L + (i + 0.5) * step, B - h - 6, v >= 10000 ? Math.round(v / 1000) + "k" : big(v)));
  });
  g.append(svg("line", { class: "axis", x1: L, x2: R, y1: B, y2: B }));
  return g;
}
function ticks(low, high, n = 4) {
  const raw = (high - low) / n, mag = 10 ** Math.floor(Math.log10(raw || 1)), step = [1, 2, 5, 10].map((m) => m * mag).find((s) => s >= raw) || raw || 1;
  const out = []; for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) out.push(v);
  return out;
}
function lines(series, label, xName) {
  const g = frame(label), L = 46, R = 408, B = 190, T = 14;
  const ys = series.flatMap((s) => s.points.map((p) => p[1])).filter((y) => y !== null);
  let low = Math.min(...ys), high = Math.max(...ys); if (low === high) { low -= 0.5; high += 0.5; }
  const pad = (high - low) * 0.08; low -= pad; high += pad;
  const last = Math.max(...series.flatMap((s) => s.points.map((p) => p[0])), 1);
  const first = Math.min(...series.flatMap((s) => s.points.map((p) => p[0])), last);
  const X = (x) => (last === first ? (L + R) / 2 : L + ((x - first) / (last - first)) * (R - L)), Y = (y) => B - ((y - low) / (high - low)) * (B - T);
  for (const t of ticks(low, high)) g.append(svg("line", { class: "axis", x1: L, x2: R, y1: Y(t), y2: Y(t) }), text(L - 6, Y(t) + 4, +t.toPrecision(4), "end"));
  for (const x of ticks(first, last, 6).filter((v) => Number.isInteger(v))) g.append(text(X(x), B + 18, String(x)));
  g.append(text((L + R) / 2, B + 36, xName));
  series.forEach((s, k) => {
    const p = s.points.filter((q) => q[1] !== null), cls = k ? " two" : "";
    g.append(svg("polyline", { class: "line" + cls, points: p.map((q) => `${X(q[0])},${Y(q[1])}`).join(" ") }));
    if (p.length < 60) p.forEach((q) => { const c = svg("circle", { class: "dot" + cls, cx: X(q[0]), cy: Y(q[1]), r: 3 }), t = svg("title"); t.textContent = `${s.name}, ${xName} ${q[0]}: ${fix(q[1], 4)}`; c.append(t); g.append(c); });
    if (p.length) g.append(text(R - 4, T + 4 + k * 16, (k ? "- - " : "— ") + s.name, "end", "label"));
  });
  return g;
}
function loglog(series, label, xName, yName) {
  const g = frame(label), L = 46, R = 408, B = 190, T = 14;
  const xm = Math.log10(Math.max(...series.flatMap((s) => s.points.map((p) => p[0])), 10)), ym = Math.log10(Math.max(...series.flatMap((s) => s.points.map((p) => p[1])), 10));
  const X = (x) => L + (Math.log10(x) / xm) * (R - L), Y = (y) => B - (Math.log10(Math.max(y, 1)) / ym) * (B - T);
  for (let e = 0; e <= ym; e++) g.append(svg("line", { class: "axis", x1: L, x2: R, y1: Y(10 ** e), y2: Y(10 ** e) }), text(L - 6, Y(10 ** e) + 4, big(10 ** e), "end"));
  for (let e = 0; e <= xm; e++) g.append(text(X(10 ** e), B + 18, big(10 ** e)));
  g.append(text((L + R) / 2, B + 36, xName), text(L + 4, T - 2, yName, "start"));
  series.forEach((s, k) => g.append(svg("polyline", { class: "line" + (k ? " two" : ""), points: s.points.map((p) => `${X(p[0])},${Y(p[1])}`).join(" ") }), text(R - 4, T + 12 + k * 16, (k ? "- - " : "— ") + s.name, "end", "label")));
  return g;
}

function square(points, label, xName, yName) {
  const g = frame(label), L = 46, R = 408, B = 190, T = 14, all = points.flat(), low = Math.min(...all), high = Math.max(...all), pad = (high - low) * 0.06 || 0.1;
  const X = (x) => L + ((x - low + pad) / (high - low + 2 * pad)) * (R - L), Y = (y) => B - ((y - low + pad) / (high - low + 2 * pad)) * (B - T);
  for (const t of ticks(low, high)) g.append(svg("line", { class: "axis", x1: L, x2: R, y1: Y(t), y2: Y(t) }), text(L - 6, Y(t) + 4, +t.toPrecision(3), "end"), text(X(t), B + 18, +t.toPrecision(3)));
  g.append(svg("line", { class: "axis strong", x1: X(low), y1: Y(low), x2: X(high), y2: Y(high) }), text((L + R) / 2, B + 36, xName), text(L + 4, T - 2, yName, "start"));
  g.append(svg("polyline", { class: "line", points: points.map((p) => `${X(p[0])},${Y(p[1])}`).join(" ") }));
  for (const p of points) { const c = svg("circle", { class: "dot", cx: X(p[0]), cy: Y(p[1]), r: 3.5 }), t = svg("title"); t.textContent = `${xName} ${fix(p[0], 2)}, ${yName} ${fix(p[1], 2)}`; c.append(t); g.append(c); }
  return g;
}

/* ---- head */
document.title = D.title;
document.getElementById("title").textContent = D.title;
document.getElementById("version").textContent = D.version;
document.getElementById("lede").textContent = `${big(D.data.ratings)} ratings by ${big(D.data.users)} users of ${big(D.data.items)} items, learned by ${D.model.name}.`;
document.getElementById("made").textContent = `Made ${D.created} by cofactor ${D.version}, seed ${D.model.seed}. This file holds everything it shows and asks nothing of the network.`;

/* ---- data */
{
  const d = D.data;
  section("data", "The data", null,
    facts([["ratings", big(d.ratings)], ["users", big(d.users)], ["items", big(d.items)], ["filled cells", (100 * d.density).toFixed(2) + " %"], ["mean rating", fix(d.mean, 2)], ...(d.period ? [["from", d.period[0]], ["to", d.period[1]]] : [])]),
    el("div", { class: "grid" },
      figure("How ratings are spread", bars(d.levels, d.level_counts, "Number of ratings at each value")),
      figure("A few have most of the ratings", loglog([{ name: "items", points: d.item_counts }, { name: "users", points: d.user_counts }], "Ratings by rank of item and user, logarithmic", "rank", "ratings"))),
    D.doctor.length ? el("div", {}, el("h3", {}, "What the data doctor says"), el("ul", { class: "doctor" }, D.doctor.map((f) => el("li", {}, el("b", { class: f.severity }, f.severity), " ", f.what, f.examples.length ? ` (${f.examples.join(", ")})` : "", ". ", el("span", { class: "why" }, f.todo.charAt(0).toUpperCase() + f.todo.slice(1) + "."))))) : null);
}

/* ---- quality */
const MEANING = {
  rmse: "root of the mean squared error: how far predictions are off, large errors counting more",
  mse: "mean squared error",
  mae: "mean absolute error: how far predictions are off",
  interval_coverage: "share of held-out ratings inside their interval; near the level promised is good",
  interval_width: "mean width of the intervals; narrow is good where the coverage holds",
  interval_score: "width of the interval plus a penalty for each rating outside it, so that neither wide nor wrong intervals win; lower is better",
  valid_rmse: "error on rows held out of training, on the scale of the ratings",
  inner_rmse: "error on a held-out tenth of the training rows, by which this model was chosen: a little rosy",
  ndcg: "how near the lists are to the best ones possible, from 0 to 1",
};
const meaning = (name) => MEANING[name] || MEANING[name.split("@")[0].replace("inner_", "")] || null;
const term = (name) => { const m = meaning(name); return el("dt", { title: m }, name.replaceAll("_", " ")); };
const glossary = (names) => {
  const known = names.filter(meaning);
  return known.length ? el("details", { class: "glossary" }, el("summary", {}, "What these figures mean"), el("dl", {}, known.flatMap((n) => [el("dt", {}, n.replaceAll("_", " ")), el("dd", {}, meaning(n))]))) : null;
};
{
  const metrics = D.quality ? [] : Object.entries(D.metrics);
  if (metrics.length || D.history.length || D.quality) {
    const parts = [], graphs = [];
    if (D.quality) {
      parts.push(el("p", { class: "note" }, `On ${big(D.quality.rows)} ratings that were held out of training, with 95 % confidence intervals from resampling users.`),
        el("dl", { class: "facts" }, D.quality.figures.map((f) => el("div", {}, term(f.metric), el("dd", {}, fix(f.value, 4)), f.low === null ? null : el("dd", { class: "ci" }, `${fix(f.low, 4)} – ${fix(f.high, 4)}`)))));
      if (D.quality.reliability.length) graphs.push(figure("Predicted and observed", square(D.quality.reliability, "Mean observed rating against mean predicted rating, by tenths of the predictions", "mean predicted", "observed")));
      if (D.quality.coverage.length) graphs.push(figure("Intervals keep their word", square(D.quality.coverage, "Share of ratings inside the interval against the level promised", "promised", "observed")));
    }
    if (metrics.length) parts.push(el("dl", { class: "facts" }, metrics.map(([k, v]) => el("div", {}, term(k), el("dd", {}, fix(v, 4))))));
    const explained = glossary(D.quality ? D.quality.figures.map((f) => f.metric) : metrics.map(([k]) => k));
    if (explained) parts.push(explained);
    const known = (i) => D.history.map((row, e) => [e, row[i]]).filter((p) => p[1] !== null);
    const series = [{ name: "train", points: known(0) }, { name: "valid", points: known(1) }].filter((s) => s.points.length);
    if (series.length && D.history.length > 1) graphs.push(figure("Loss by epoch", lines(series, "Training and validation loss by epoch", "epoch")));
    parts.push(el("div", { class: "grid" }, graphs));
    const config = Object.entries(D.model.config).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(", ");
    parts.push(el("p", { class: "note" }, "Parameters: ", el("code", {}, config)));
    section("quality", "How well it learned", null, ...parts);
  }
}

/* ---- map and neighbours */
const I = D.items;
let chosen = 0;
{
  const canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": "Map of items; use the search box to pick one by keyboard" });
  const search = el("input", { type: "search", id: "search", autocomplete: "off", placeholder: "type a title …", role: "combobox", "aria-expanded": "false", "aria-controls": "hits", "aria-autocomplete": "list" });
  const hits = el("ul", { class: "hits", id: "hits", role: "listbox", "aria-label": "Matching items" });
  const panel = el("div", { "aria-live": "polite" });
  const legend = I.genres.length ? el("ul", { class: "legend" }, I.genres.map((g, k) => el("li", {}, el("i", { style: `background:${PALETTE[k]}` }), g)), el("li", {}, el("i", { style: `background:${OTHER}` }), "other")) : null;
  section("map", "A map of the items", `Items stand near each other where the model thinks they go together. The ${big(I.label.length)} most rated of ${big(I.total)} are shown; a larger dot has more ratings. Point at one, or search.`,
    el("div", { class: "mapbox" }, el("div", {}, canvas, legend), el("div", {}, el("label", { for: "search" }, "Find an item"), search, hits, panel)));

  const ctx = canvas.getContext("2d"), top = Math.max(...I.count, 1);
  let hover = -1, W = 0, H = 0;
  const place = (i) => [16 + I.xy[i][0] * (W - 32), 16 + I.xy[i][1] * (H - 32)];
  const radius = (i) => 2 + 5 * Math.sqrt(I.count[i] / top);
  function draw() {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    W = box.width; H = box.height; canvas.width = W * ratio; canvas.height = H * ratio;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0); ctx.clearRect(0, 0, W, H);
    const ink = getComputedStyle(document.body).color;
    for (let i = I.label.length - 1; i >= 0; i--) {
      const [x, y] = place(i);
      ctx.globalAlpha = 0.72; ctx.fillStyle = I.genre[i] < 0 ? OTHER : PALETTE[I.genre[i]];
      ctx.beginPath(); ctx.arc(x, y, radius(i), 0, 7); ctx.fill();
    }
    ctx.globalAlpha = 1; ctx.strokeStyle = ink; ctx.lineWidth = 1;
    for (const j of I.near[chosen] || []) if (j >= 0) { ctx.beginPath(); ctx.moveTo(...place(chosen)); ctx.lineTo(...place(j)); ctx.globalAlpha = 0.35; ctx.stroke(); }
    ctx.globalAlpha = 1; ctx.lineWidth = 2;
    for (const i of [chosen, hover]) if (i >= 0) { ctx.beginPath(); ctx.arc(...place(i), radius(i) + 3, 0, 7); ctx.stroke(); }
    if (I.label.length) {
      const [x, y] = place(chosen); ctx.font = "600 13px system-ui, sans-serif"; ctx.fillStyle = ink;
      const wide = ctx.measureText(I.label[chosen]).width, left = x + 12 + wide < W ? x + 12 : Math.max(4, x - 12 - wide);
      ctx.textAlign = "left"; ctx.fillText(I.label[chosen], left, y < 24 ? y + 22 : y - 9);
    }
  }
  function nearest(event) {
    const box = canvas.getBoundingClientRect(), mx = event.clientX - box.left, my = event.clientY - box.top;
    let best = -1, dist = 22 * 22;
    for (let i = 0; i < I.label.length; i++) { const [x, y] = place(i), d = (x - mx) ** 2 + (y - my) ** 2; if (d < dist) { dist = d; best = i; } }
    return best;
  }
  function choose(i) {
    chosen = i; search.value = ""; list([]);
    panel.replaceChildren(el("h3", {}, I.label[i]), el("p", { class: "note" }, `${big(I.count[i])} ratings, mean ${fix(I.mean[i], 2)}. Nearest:`),
      el("ol", { class: "near" }, I.near[i].map((j, k) => (j < 0 ? null : el("li", {}, el("button", { class: "link", type: "button", onclick: () => choose(j) }, I.label[j]), " ", el("span", {}, fix(I.similarity[i][k], 2)))))));
    draw();
  }
  let found = [], active = -1;
  function list(items) {
    found = items; active = items.length ? 0 : -1;
    hits.replaceChildren(...items.map((i, k) => el("li", { role: "option", id: "hit" + k, "aria-selected": String(k === 0), onclick: () => choose(i) }, I.label[i])));
    search.setAttribute("aria-expanded", String(items.length > 0));
    mark();
  }
  function mark() {
    [...hits.children].forEach((li, k) => li.setAttribute("aria-selected", String(k === active)));
    if (active >= 0) { search.setAttribute("aria-activedescendant", "hit" + active); hits.children[active].scrollIntoView({ block: "nearest" }); } else search.removeAttribute("aria-activedescendant");
  }
  const folded = I.label.map((s) => s.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase());
  search.addEventListener("input", () => {
    const q = search.value.normalize("NFD").replace(/[\u0300-\u036f]/g, "").trim().toLowerCase(), starts = [], inside = [];
    if (q) for (let i = 0; i < folded.length; i++) { const at = folded[i].indexOf(q); if (at === 0) starts.push(i); else if (at > 0) inside.push(i); }
    list([...starts, ...inside].slice(0, 30));
  });
  search.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") { if (found.length) { active = (active + (e.key === "ArrowDown" ? 1 : found.length - 1)) % found.length; mark(); } e.preventDefault(); }
    else if (e.key === "Enter" && active >= 0) choose(found[active]);
    else if (e.key === "Escape") { search.value = ""; list([]); }
  });
  canvas.addEventListener("pointermove", (e) => {
    const i = nearest(e); if (i !== hover) { hover = i; draw(); }
    tip.hidden = i < 0;
    if (i >= 0) { tip.textContent = `${I.label[i]} — ${big(I.count[i])} ratings, mean ${fix(I.mean[i], 2)}`; tip.style.left = Math.max(8, Math.min(e.clientX + 14, innerWidth - 270)) + "px"; tip.style.top = e.clientY + 16 + "px"; }
  });
  canvas.addEventListener("pointerleave", () => { hover = -1; tip.hidden = true; draw(); });
  canvas.addEventListener("click", (e) => { const i = nearest(e); if (i >= 0) choose(i); });
  canvas.addEventListener("keydown", (e) => {
    const go = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!go) return;
    e.preventDefault();
    const [cx, cy] = place(chosen); let best = -1, cost = Infinity;
    for (let i = 0; i < I.label.length; i++) { const [x, y] = place(i), along = (x - cx) * go[0] + (y - cy) * go[1], off = Math.abs((x - cx) * go[1]) + Math.abs((y - cy) * go[0]); if (along > 2 && along + 2 * off < cost) { cost = along + 2 * off; best = i; } }
    if (best >= 0) choose(best);
  });
  if (I.label.length) choose(0);
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

/* ---- biases */
if (D.biases) {
  const widest = Math.max(...[...D.biases.lowest, ...D.biases.highest].map((b) => Math.abs(b[1])), 1e-9);
  const table = (rows, low, caption) => el("div", {}, el("h3", {}, caption), el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "item"), el("th", { scope: "col", class: "n" }, "bias"), el("th", { scope: "col", class: "n" }, "ratings"))),
    el("tbody", {}, rows.map(([label, bias, n]) => el("tr", {}, el("td", {}, label), el("td", { class: "n" }, el("span", { class: "meter" + (low ? " low" : "") }, el("i", { style: `width:${(100 * Math.abs(bias)) / widest}%` })), " " + fix(bias, 2)), el("td", { class: "n" }, big(n)))))));
  section("biases", "Liked and disliked, whoever rates", "The bias is what the model adds to any user's prediction for an item: taste and generosity are already accounted for.",
    el("div", { class: "grid" }, table(D.biases.highest, false, "Highest"), table(D.biases.lowest, true, "Lowest")));
}

/* ---- factors */
if (D.factors.length) {
  const named = D.factors.some((f) => f.genres.length);
  section("factors", "What sets items apart", `The strongest directions of the item factors, by the items at their ends${named ? " and the genres that go with them" : ""}. Their order and names are not given to the model: it found them in who rated what.`,
    el("table", { class: "stack" }, el("thead", {}, el("tr", {}, ["share", "one end", "other end", ...(named ? ["goes with"] : [])].map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, D.factors.map((f) => {
        const genres = f.genres.map(([g, r]) => `${g} ${r > 0 ? "+" : "−"}${fix(Math.abs(r), 2)}`).join(", ") || "–";
        const cell = (name, value) => el("td", { "data-name": name }, value);
        return el("tr", {}, cell("share", Math.round(100 * f.share) + "\u00a0%"), cell("one end", f.high.slice(0, 4).join(" · ")), cell("other end", f.low.slice(0, 4).join(" · ")), named ? cell("goes with", genres) : "");
      }))));
}

/* ---- users */
if (D.users.length) {
  const tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Example users" }), body = el("div", { role: "tabpanel", id: "person", tabindex: "0" });
  function terms(rec) {
    const widest = Math.max(...rec.terms.map((t) => Math.abs(t[1])), 1e-9);
    const out = el("div", { class: "terms" });
    for (const [name, v] of rec.terms) {
      const half = (50 * Math.abs(v)) / widest;
      out.append(el("span", {}, name), el("span", { class: "track" }, el("i", { class: v < 0 ? "neg" : "", style: `left:${v < 0 ? 50 - half : 50}%;width:${Math.max(half, 0.4)}%` })), el("span", { class: "v" }, (v < -0.005 ? "−" : "+") + fix(Math.abs(v), 2)));
    }
    return el("div", {}, out, rec.link === "sigmoid" ? el("p", { class: "note" }, "The terms add up before the sigmoid that keeps predictions in range.") : null);
  }
  function show(k) {
    const u = D.users[k];
    [...tabs.children].forEach((b, i) => { b.setAttribute("aria-selected", String(i === k)); b.tabIndex = i === k ? 0 : -1; });
    body.replaceChildren(
      el("p", { class: "note" }, `${big(u.ratings)} ratings${u.mean === null ? "" : `, mean ${fix(u.mean, 2)}`}. Liked most:`),
      el("ul", { class: "chips" }, u.liked.map(([t, v]) => el("li", {}, t, el("b", {}, +v.toFixed(1))))),
      el("h3", {}, "Recommended"),
      ...u.recommended.map((r) => {
        const line = [el("b", {}, fix(r.score, 2)), r.label, " ", el("span", { class: "why" }, "— " + r.reason)];
        const because = r.because && r.because.length ? el("ul", { class: "because" }, r.because.map((b) => el("li", {}, b))) : null;
        return r.terms.length || because ? el("details", {}, el("summary", {}, line), r.terms.length ? terms(r) : null, because) : el("p", {}, line);
      }));
  }
  D.users.forEach((u, k) => tabs.append(el("button", { type: "button", role: "tab", "aria-controls": "person", onclick: () => show(k), onkeydown: (e) => {
    const d = { ArrowRight: 1, ArrowLeft: -1 }[e.key]; if (!d) return; const next = (k + d + D.users.length) % D.users.length; show(next); tabs.children[next].focus();
  } }, "user " + u.user)));
  section("users", "Recommendations for a few users", "Items they have not rated, best first. Open one to see what its prediction is made of.", tabs, body);
  show(0);
}
