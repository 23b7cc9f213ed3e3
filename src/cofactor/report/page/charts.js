"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
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
const fix = (x, d = 3) => (x === null || x === undefined ? "–" : (Math.abs(x) < 0.5 * 10 ** -d ? 0 : Number(x)).toFixed(d).replace("-", "−"));
const signed = (x, d = 2) => (Number(fix(Math.abs(x), d)) === 0 ? fix(0, d) : (x < 0 ? "−" : "+") + fix(Math.abs(x), d));
const percent = (x) => (x > 0 && x < 0.001 ? "< 0.1\u00a0%" : x >= 0.995 && x < 1 ? "> 99\u00a0%" : `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)}\u00a0%`);
const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toPrecision(2)}M` : n >= 10000 ? `${Math.round(n / 1000)}k` : big(n));
const clip = (s, n) => (s.length > n ? s.slice(0, n - 1).trimEnd() + "…" : s);

function hint(words, x, y) {
  tip.textContent = words; tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18) + "px";
}
function unhint() { tip.hidden = true; }

/* ---- charts: drawn at the width they have, so that letters are 12 px on any screen */
const H = 236, TOP = 22, BOTTOM = H - 44;
function figure(caption, draw, { note = null, columns = null, rows = [] } = {}) {
  const box = el("div", { class: "chart" });
  let width = 0;
  const paint = () => { const w = Math.round(box.clientWidth); if (w && w !== width) { width = w; box.replaceChildren(draw(w)); } };
  new ResizeObserver(paint).observe(box);
  const table = columns && el("details", { class: "values" }, el("summary", {}, "The same as a table"), el("table", {}, el("thead", {}, el("tr", {}, columns.map((c) => el("th", { scope: "col", class: "n" }, c)))), el("tbody", {}, rows.map((r) => el("tr", {}, r.map((v) => el("td", { class: "n" }, v)))))));
  return el("figure", {}, el("figcaption", {}, caption), note ? el("p", { class: "sub" }, note) : null, box, table);
}
function frame(label, w) { return svg("svg", { viewBox: `0 0 ${w} ${H}`, width: w, height: H, role: "img", "aria-label": label }); }
function text(x, y, s, anchor = "middle", cls = "") { const t = svg("text", { x, y, "text-anchor": anchor, class: cls }); t.textContent = s; return t; }
function told(node, words) {
  node.addEventListener("pointerenter", (e) => hint(words, e.clientX, e.clientY));
  node.addEventListener("pointerleave", unhint);
  return node;
}
function ticks(low, high, n) {
  const raw = (high - low) / n, mag = 10 ** Math.floor(Math.log10(raw || 1)), step = [1, 2, 5, 10].map((m) => m * mag).find((s) => s >= raw * 0.999) || raw || 1;
  const out = []; for (let v = Math.ceil(low / step - 1e-6) * step; v <= high + step * 1e-6; v += step) out.push(+v.toPrecision(10));
  return out;
}
/** Axes with a grid: `X`, `Y` give places; `xs`, `ys` are [value, word]. Names stand above the left axis and below the lower one. */
function axes(g, { X, Y, L, R, xs, ys, x, y }) {
  for (const [v, word] of ys) g.append(svg("line", { class: "axis", x1: L, x2: R, y1: Y(v), y2: Y(v) }), text(L - 8, Y(v) + 4, word, "end"));
  for (const [v, word] of xs) g.append(svg("line", { class: "axis", x1: X(v), x2: X(v), y1: BOTTOM, y2: BOTTOM + 4 }), text(X(v), BOTTOM + 18, word));
  g.append(text((L + R) / 2, H - 6, x, "middle", "name"), text(0, 11, y, "start", "name"));
}
const path = (points, X, Y) => points.map((p) => `${X(p[0]).toFixed(1)},${Y(p[1]).toFixed(1)}`).join(" ");

function bars(labels, values, label, w, x) {
  const g = frame(label, w), top = Math.max(...values, 1), L = 2, R = w - 2, all = values.reduce((a, b) => a + b, 0), step = (R - L) / values.length;
  const every = Math.ceil(values.length / Math.floor((R - L) / 34));
  values.forEach((v, i) => {
    const h = (v / top) * (BOTTOM - TOP - 14), at = L + (i + 0.5) * step, wide = Math.min(step * 0.76, 64);
    const bar = svg("rect", { class: "bar", x: at - wide / 2, y: BOTTOM - h, width: wide, height: Math.max(h, 1), rx: 3 });
    if (i % every === 0) g.append(text(at, BOTTOM + 18, String(labels[i])));
    if (step > 30) g.append(text(at, BOTTOM - h - 6, step > 46 || v < 1000 ? (step > 46 ? big(v) : short(v)) : `${+(v / 1000).toFixed(v < 9950 ? 1 : 0)}k`));
    g.append(bar, told(svg("rect", { class: "hit column", x: L + i * step, y: TOP, width: step, height: BOTTOM - TOP }), `${x} ${labels[i]}: ${big(v)} times (${percent(v / all)})`));
  });
  g.append(svg("line", { class: "axis base", x1: L, x2: R, y1: BOTTOM, y2: BOTTOM }), text((L + R) / 2, H - 6, x, "middle", "name"), text(0, 11, "how often", "start", "name"));
  return g;
}
/** Lines with a ruler that tells all values at a place, named at their ends or, with `corner`, in the upper right corner. */
function named(g, series, X, Y, R, say, corner = false) {
  const ends = corner ? [] : series.map((s, k) => ({ k, name: s.name, y: Y(s.points.at(-1)[1]) })).sort((a, b) => a.y - b.y);
  ends.forEach((e, i) => { if (i && e.y < ends[i - 1].y + 15) e.y = ends[i - 1].y + 15; });
  const over = ends.length ? Math.max(0, ends.at(-1).y - BOTTOM + 4) : 0;
  series.forEach((s, k) => g.append(svg("polyline", { class: "line" + (k ? " two" : ""), points: path(s.points, X, Y) })));
  for (const e of ends) g.append(text(Math.min(X(series[e.k].points.at(-1)[0]), R) + 7, e.y + 4 - over, e.name, "start", "label" + (e.k ? " two" : "")));
  if (corner) series.forEach((s, k) => g.append(svg("line", { class: "line" + (k ? " two" : ""), x1: R - 78, x2: R - 46, y1: TOP + 10 + 18 * k, y2: TOP + 10 + 18 * k }), text(R - 40, TOP + 14 + 18 * k, s.name, "start", "label" + (k ? " two" : ""))));
  const ruler = svg("line", { class: "ruler", y1: TOP, y2: BOTTOM, visibility: "hidden" });
  const far = Math.max(...series.map((s) => X(s.points.at(-1)[0]))), near = Math.min(...series.map((s) => X(s.points[0][0])));
  const hit = svg("rect", { class: "hit", x: near - 6, y: TOP, width: far - near + 12, height: BOTTOM - TOP });
  hit.addEventListener("pointermove", (e) => {
    const at = e.clientX - g.getBoundingClientRect().left;
    const found = series.map((s) => s.points.reduce((a, b) => (Math.abs(X(b[0]) - at) < Math.abs(X(a[0]) - at) ? b : a)));
    const x = found.reduce((a, b) => (Math.abs(X(b[0]) - at) < Math.abs(X(a[0]) - at) ? b : a))[0];
    ruler.setAttribute("x1", X(x)); ruler.setAttribute("x2", X(x)); ruler.setAttribute("visibility", "visible");
    hint(say(x, found), e.clientX, e.clientY);
  });
  hit.addEventListener("pointerleave", () => { ruler.setAttribute("visibility", "hidden"); unhint(); });
  g.append(ruler, hit);
}
function lines(series, label, w, x, y) {
  const g = frame(label, w), L = 44, R = w - 66, ys = series.flatMap((s) => s.points.map((p) => p[1]));
  let low = Math.min(...ys), high = Math.max(...ys); if (low === high) { low -= 0.5; high += 0.5; }
  const pad = (high - low) * 0.06; low -= pad; high += pad;
  const last = Math.max(...series.map((s) => s.points.at(-1)[0])), first = Math.min(...series.map((s) => s.points[0][0]));
  const X = (v) => (last === first ? (L + R) / 2 : L + ((v - first) / (last - first)) * (R - L)), Y = (v) => BOTTOM - ((v - low) / (high - low)) * (BOTTOM - TOP);
  axes(g, { X, Y, L, R, x, y, ys: ticks(low, high, 6).map((v) => [v, String(+v.toPrecision(4))]), xs: ticks(first, last, Math.max(2, (R - L) / 70)).filter(Number.isInteger).map((v) => [v, big(v)]) });
  for (const [k, s] of series.entries()) if (s.points.length < 30) for (const p of s.points) g.append(svg("circle", { class: "dot" + (k ? " two" : ""), cx: X(p[0]), cy: Y(p[1]), r: 3 }));
  named(g, series, X, Y, R, (at, found) => `${x} ${at}: ` + series.map((s, k) => `${s.name} ${fix(found[k][1])}`).join(", "));
  return g;
}
function loglog(series, label, w, x, y) {
  const g = frame(label, w), L = 52, R = w - 10, all = series.flatMap((s) => s.points);
  const xm = Math.log10(Math.max(...all.map((p) => p[0]), 10)), ym = Math.log10(Math.max(...all.map((p) => p[1]), 10)) * 1.02;
  const X = (v) => L + (Math.log10(v) / xm) * (R - L), Y = (v) => BOTTOM - (Math.log10(Math.max(v, 1)) / ym) * (BOTTOM - TOP);
  const decades = (m) => Array.from({ length: Math.floor(m + 1e-9) + 1 }, (_, e) => [10 ** e, short(10 ** e)]);
  axes(g, { X, Y, L, R, x, y, xs: decades(xm), ys: decades(ym) });
  named(g, series, X, Y, R, (at, found) => `rank ${big(at)}: ` + series.map((s, k) => `${s.name.slice(0, -1)} with ${big(found[k][1])}`).join(", "), true);
  return g;
}
/** What was said against what came, with the diagonal on which both agree and what that means. */
function agreement(points, label, w, x, y, word, diagonal) {
  const g = frame(label, w), L = 48, R = w - 12, all = points.flat(), spread = Math.max(...all) - Math.min(...all) || 0.2, low = Math.min(...all) - 0.05 * spread, high = Math.max(...all) + 0.05 * spread;
  const X = (v) => L + ((v - low) / (high - low)) * (R - L), Y = (v) => BOTTOM - ((v - low) / (high - low)) * (BOTTOM - TOP);
  const at = ticks(low, high, 6).map((v) => [v, word(v, true)]);
  axes(g, { X, Y, L, R, x, y, xs: at, ys: at });
  g.append(svg("line", { class: "axis strong", x1: X(low), y1: Y(low), x2: X(high), y2: Y(high) }), text(X(high) - 6, Y(low + 0.1 * (high - low)), `dashed: ${diagonal}`, "end"));
  g.append(svg("polyline", { class: "line", points: path(points, X, Y) }));
  for (const p of points) g.append(svg("circle", { class: "dot", cx: X(p[0]), cy: Y(p[1]), r: 3.5 }), told(svg("circle", { class: "hit", cx: X(p[0]), cy: Y(p[1]), r: 13 }), `${x} ${word(p[0])}, ${y} ${word(p[1])}`));
  return g;
}
