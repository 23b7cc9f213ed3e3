/* ---- the sections of the page */
const main = document.getElementById("main");
const COUNTS = D.data.kind === "counts";
const IMPLICIT = D.data.kind !== "ratings" || D.data.range[0] === D.data.range[1]; // no grades, so no means
const RATINGS = COUNTS ? "counts" : D.data.kind === "events" ? "events" : IMPLICIT ? "choices" : "ratings";
function section(id, word, title, note, ...children) {
  const s = el("section", { id, "aria-labelledby": id + "-h" }, el("h2", { id: id + "-h" }, title), note ? el("p", { class: "note" }, note) : null, ...children);
  main.append(s);
  document.getElementById("nav").append(el("a", { href: "#" + id }, word));
  return s;
}
const facts = (pairs) => el("dl", { class: "facts" }, pairs.map(([k, v, ...subs]) => el("div", {}, el("dt", {}, k), el("dd", {}, v), subs.filter(Boolean).map((s) => el("dd", { class: "ci" }, s)))));
const sentence = (s) => s.charAt(0).toUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? "" : ".");

/* ---- head */
document.title = D.title;
document.getElementById("title").textContent = D.title;
document.getElementById("version").textContent = D.version;
document.getElementById("lede").textContent = `${big(D.data.ratings)} ${RATINGS} of ${big(D.data.items)} items by ${big(D.data.users)} users, learned by ${D.model.name}.`;
document.getElementById("made").textContent = `Made ${D.created} by cofactor ${D.version}, seed ${D.model.seed}. This file holds everything it shows and asks nothing of the network.`;

/* ---- data */
{
  const d = D.data;
  const doctor = D.doctor.length
    ? el("ul", { class: "doctor" }, D.doctor.map((f) => el("li", {}, el("b", { class: `is-${f.severity}` }, f.severity), el("span", {}, f.what, f.examples.length ? ` (${f.examples.join(", ")})` : "", ". ", el("span", { class: "why" }, sentence(f.todo))))))
    : el("p", { class: "note" }, "Nothing to remark: no duplicates, look-alike ids, odd values or bots.");
  section("data", "Data", "The data", null,
    facts([[RATINGS, big(d.ratings)], ["users", big(d.users), `${fix(d.ratings / Math.max(d.users, 1), 1)} ${RATINGS} each`], ["items", big(d.items), `${fix(d.ratings / Math.max(d.items, 1), 1)} ${RATINGS} each`], ["filled cells", percent(d.density), "of users × items"],
      ...(IMPLICIT ? [] : [["mean rating", fix(d.mean, 2), `from ${+d.range[0].toFixed(2)} to ${+d.range[1].toFixed(2)}`]]), ...(d.period ? [["time", el("span", { class: "date" }, d.period[0]), `to ${d.period[1]}`]] : [])]),
    el("div", { class: "grid" },
      IMPLICIT && !COUNTS ? null : figure(`How ${RATINGS} are spread`, (w) => bars(d.levels, d.level_counts, `Number of ${RATINGS} at each value`, w, RATINGS.slice(0, -1)), { columns: [RATINGS.slice(0, -1), "how often"], rows: d.levels.map((v, i) => [v, big(d.level_counts[i])]), note: COUNTS && d.levels.some((v) => v.endsWith("+")) ? "Each bar holds the counts from its label up to the next one." : null }),
      figure(`A few items and users have most of the ${RATINGS}`, (w) => loglog([{ name: "items", points: d.item_counts }, { name: "users", points: d.user_counts }], `Number of ${RATINGS} by rank of item and of user, both logarithmic`, w, `rank, most ${RATINGS} first (log scale)`, `${RATINGS} (log scale)`),
        { note: `The top tenth of the items has ${percent(d.top_tenth[0])} of the ${RATINGS}, the top tenth of the users ${percent(d.top_tenth[1])}.` }),
      IMPLICIT && !COUNTS ? el("div", {}, el("h3", { class: "first" }, "What the data doctor says"), doctor) : null),
    ...(IMPLICIT && !COUNTS ? [] : [el("h3", {}, "What the data doctor says"), doctor]),
    d.notes.length ? el("details", { class: "glossary" }, el("summary", {}, "How the table was read"), el("ul", { class: "because" }, d.notes.map((n) => el("li", {}, sentence(n))))) : null);
}

/* ---- quality */
const MEANING = {
  rmse: "root of the mean squared error: how far predictions are off, large errors counting more; lower is better",
  mse: "mean squared error; lower is better",
  mae: "mean absolute error: how far predictions are off; lower is better",
  interval_coverage: "share of held-out ratings inside their interval; near the level promised is good",
  interval_width: "mean width of the intervals; narrow is good where the coverage holds",
  interval_score: "width of the interval plus a penalty for each rating outside it, so that neither wide nor wrong intervals win; lower is better",
  valid_rmse: "error on rows held out of training, on the scale of the ratings",
  random_tenth_rmse: "error on a random tenth of the rows, held out of training; not a figure of the future",
  inner_rmse: "error on a held-out tenth of the training rows, by which this model was chosen, so slightly optimistic",
  ndcg: "how near the lists are to the best ones possible, from 0 to 1",
  recall: "share of what people went on to like that the lists found",
  precision: "share of the lists that people went on to like",
  hit_rate: "share of the lists in which somebody found something to like",
  mrr: "how early the first thing that people like comes: 1 is first, 0.5 second",
  map: "how early in the lists what people like comes, from 0 to 1",
  auc: "how often an item that people like stands above another one; 0.5 is chance",
  item_coverage: "share of the items that are in any list",
  gini: "how unevenly the lists use the items: 0 is evenly, 1 is one item for everybody",
  novelty: "how rarely rated the listed items are, in bits: the mean of −log₂ of the share of users who rated them",
  popularity: "how many users rated the listed items, on average",
  diversity: "how unlike the items of a list are: 1 − the mean cosine of its pairs",
  calibration_error: "how far the intervals of each level are from holding their share of the ratings; 0 is best",
};
const meaning = (name) => MEANING[name] || MEANING[name.split("@")[0].replace("inner_", "")] || null;
const SHOUTED = /^(rmse|mse|mae|ndcg|mrr|map|auc)(?=@|$)/;
const heading = (name) => name.replace(/^(inner|valid|random_tenth)_/, "$1 ").split(" ").map((w) => w.replace(SHOUTED, (m) => m.toUpperCase())).join(" ").replaceAll("_", " ");
const SHARES = new Set(["interval_coverage", "coverage"]);
const amount = (name, v) => (SHARES.has(name) && v !== null ? `${(100 * v).toFixed(1)}\u00a0%` : fix(v, Math.abs(v) >= 100 ? 1 : 3));
function figures(list) {
  const plain = D.quality && D.quality.plain;
  return facts(list.map((f) => [heading(f.metric), amount(f.metric, f.value),
    f.low === null || f.low === undefined ? null : `${amount(f.metric, f.low)} to ${amount(f.metric, f.high)}`,
    f.metric === "interval_coverage" && f.note ? f.note.split(";")[0].replace(/intervals at 0?\.?(\d+)$/, (_, n) => `promised: ${n.padEnd(2, "0")}\u00a0%`) : null,
    plain && plain[f.metric] !== undefined ? `mean alone: ${fix(plain[f.metric], 3)}` : null]));
}
{
  const list = D.quality ? D.quality.figures : Object.entries(D.metrics).map(([metric, value]) => ({ metric, value }));
  const series = [{ name: "training", points: [] }, { name: "held out", points: [] }];
  D.history.forEach((row, e) => series.forEach((s, i) => { if (row[i] !== null) s.points.push([e, row[i]]); }));
  const curves = series.filter((s) => s.points.length);
  const graphs = [];
  if (D.quality && D.quality.reliability.length) graphs.push(figure("Predictions and what was given", (w) => agreement(D.quality.reliability, "Mean rating given against mean prediction, by tenths of the predictions", w, "mean prediction", "mean rating given", (v, axis) => (axis ? String(+v.toPrecision(3)) : fix(v, 2)), "predicted = rated"),
    { note: "Held-out ratings in ten equal parts, by their prediction.", columns: ["mean prediction", "mean rating given"], rows: D.quality.reliability.map((p) => p.map((v) => fix(v, 3))) }));
  if (D.quality && D.quality.coverage.length) graphs.push(figure("Do intervals keep their word?", (w) => agreement(D.quality.coverage, "Share of ratings inside the interval against the level promised", w, "level promised", "ratings inside", (v, axis) => `${(100 * v).toFixed(axis ? 0 : 1)}\u00a0%`, "as promised"),
    { note: "Above the dashed line intervals are wider than they need be, below it too narrow.", columns: ["promised", "inside"], rows: D.quality.coverage.map((p) => p.map((v) => `${(100 * v).toFixed(1)} %`)) }));
  if (D.history.length > 1 && curves.length) {
    const held = series[1].points, best = held.length ? held.reduce((a, b) => (b[1] < a[1] ? b : a)) : null;
    graphs.push(figure("Learning curve", (w) => lines(curves, "Loss by epoch", w, "epoch", "loss"), { note: best ? `Lowest on held-out rows at epoch ${best[0]}: ${fix(best[1])}.` : "Loss on the training rows.", columns: ["epoch", ...curves.map((s) => s.name)], rows: curves[0].points.map((p, e) => [String(p[0]), ...curves.map((s) => (s.points[e] ? fix(s.points[e][1]) : "–"))]) }));
  }
  const known = list.filter((f) => meaning(f.metric));
  const note = D.quality ? `On ${big(D.quality.rows)} ${RATINGS} that were held out of training. The ranges are 95\u00a0% confidence intervals from resampling users${D.quality.plain ? "; beside them stands what the mean of all training ratings alone would reach" : ""}.`
    : list.length ? "As measured during training. Give held-out rows (cofactor report --test) for confidence intervals and calibration."
      : "This page was made without held-out rows. Give some (cofactor report --test) to see here how good the model is, with confidence intervals.";
  const meant = el("details", { class: "glossary" }, el("summary", {}, "What the parameters mean"), el("dl", {}, Object.entries(D.model.help).flatMap(([name, words]) => [el("dt", {}, el("code", {}, name)), el("dd", {}, sentence(words))])));
  section("quality", "Quality", "How well it learned", note, list.length ? figures(list) : null,
    known.length ? el("details", { class: "glossary" }, el("summary", {}, "What these figures mean"), el("dl", {}, known.flatMap((f) => [el("dt", {}, heading(f.metric)), el("dd", {}, meaning(f.metric))]))) : null,
    el("div", { class: "grid" }, graphs, el("div", {}, el("h3", { class: "first" }, "Parameters"), el("ul", { class: "chips params" }, [["model", D.model.name], ...Object.entries(D.model.config), ["seed", D.model.seed]].map(([k, v]) => el("li", {}, k, " ", el("b", {}, v === null ? "chosen from the data" : typeof v === "string" ? v : JSON.stringify(v))))), meant)));
}

/* ---- verdict: the first thing on the page */
/* A table that may be wider than a phone: it scrolls by itself, with the arrow keys too. */
const wide = (name, ...children) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, ...children);
{
  const v = D.verdict, metrics = [...new Set(v.models.flatMap((m) => m.figures.map((f) => f.metric)))];
  const exact = (v, beside = v) => fix(v, beside === 0 || Math.abs(beside) >= 0.01 ? 4 : 3 - Math.floor(Math.log10(Math.abs(beside))));
  const range = (f, all) => (f ? [exact(f.value), " ", el("span", { class: "sub" }, f.low === null ? "" : `${exact(f.low, f.value)} to ${exact(f.high, f.value)}`), whisker(f, all)] : "–");
  /* The value in its interval, drawn on one scale with the others of its column. */
  function whisker(f, all) {
    const having = all.filter((g) => g && g.low !== null && g.low !== undefined);
    if (having.length < 2 || f.low === null || f.low === undefined) return null;
    const low = Math.min(...having.map((g) => g.low)), high = Math.max(...having.map((g) => g.high)), at = (v) => 3 + (114 * (v - low)) / (high - low || 1);
    return svg("svg", { viewBox: "0 0 120 12", class: "whisker", "aria-hidden": "true" }, svg("line", { x1: 3, x2: 117, y1: 6, y2: 6, class: "track" }), svg("line", { x1: at(f.low), x2: at(f.high), y1: 6, y2: 6, class: "span" }), svg("circle", { cx: at(f.value), cy: 6, r: 3.4 }));
  }
  const table = metrics.length ? wide("Figures of the models", el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "model"), metrics.map((m) => el("th", { scope: "col", class: "n" }, heading(m))))),
    el("tbody", {}, v.models.map((m) => el("tr", {}, el("th", { scope: "row" }, m.name), metrics.map((name) => el("td", { class: "n" }, range(m.figures.find((f) => f.metric === name), v.models.map((o) => o.figures.find((f) => f.metric === name)))))))))) : null;
  const activity = v.activity.length ? el("div", {}, el("h3", { class: "first" }, "By how active users are"), wide("Figures by how much users rated", el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, `${RATINGS} in training`), el("th", { scope: "col", class: "n" }, "held out"), el("th", { scope: "col", class: "n" }, heading(v.activity[0].metric)))),
    el("tbody", {}, v.activity.map((a) => el("tr", {}, el("th", { scope: "row" }, a.from === a.to ? big(a.from) : `${big(a.from)} to ${big(a.to)}`), el("td", { class: "n" }, big(a.rows)), el("td", { class: "n" }, range(a, v.activity)))))))) : null;
  const lists = v.lists.length ? el("div", {}, el("h3", { class: "first" }, "What the lists hold"), wide("What the lists of each model hold", el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "model"), el("th", { scope: "col", class: "n" }, "items in lists"), el("th", { scope: "col", class: "n" }, "their popularity"), el("th", { scope: "col", class: "n" }, `of ${RATINGS}`))),
    el("tbody", {}, v.lists.map((l) => el("tr", {}, el("th", { scope: "row" }, l.name), ...[l.catalogue, l.popular, l.typical].map((share) => el("td", { class: "n" }, percent(share), el("span", { class: "meter", "aria-hidden": "true" }, el("i", { style: `width:${100 * share}%` }))))))))), el("p", { class: "sub" }, `Popularity: the share of items with fewer ${RATINGS}.`)) : null;
  const shared = v.periods.length ? [...new Set(v.periods.flatMap((p) => p.figures.map((f) => f.metric)))] : [];
  const periods = v.periods.length ? wide("Figures of two periods", el("h3", {}, "Two periods"), el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "rows"), ["number", "days", "mean", "of new users", "of new items", ...shared.map(heading)].map((name) => el("th", { scope: "col", class: "n" }, name)))),
    el("tbody", {}, v.periods.map((p) => el("tr", {}, el("th", { scope: "row" }, p.name), [big(p.rows), p.first ? `${p.first} to ${p.last}` : "–", fix(p.mean, 2), percent(p.new_users), percent(p.new_items)].map((text) => el("td", { class: "n" }, text)), shared.map((name) => el("td", { class: "n" }, range(p.figures.find((f) => f.metric === name), v.periods.map((o) => o.figures.find((f) => f.metric === name)))))))))) : null;
  section("verdict", "Verdict", "Verdict", null, el("ul", { class: "verdict" }, v.sentences.map((s) => el("li", {}, s))), table, periods, el("div", { class: "grid" }, activity, lists));
  for (const place of [main, document.getElementById("nav")]) place.prepend(place.lastChild);
}

/* ---- map and neighbours */
{
  const I = D.items;
  let chosen = 0, found = [], active = -1;
  I.said = (i) => `${big(I.count[i])} ${RATINGS}${IMPLICIT ? "" : `, mean ${fix(I.mean[i], 2)}`}`;
  const search = el("input", { type: "search", id: "search", autocomplete: "off", placeholder: "type a title …", role: "combobox", "aria-expanded": "false", "aria-controls": "hits", "aria-autocomplete": "list" });
  const hits = el("ul", { class: "hits", id: "hits", role: "listbox", "aria-label": "Matching items" }), none = el("p", { class: "sub", role: "status" });
  const panel = el("div", { "aria-live": "polite" }), map = itemMap(I, () => chosen, choose);
  function choose(i) {
    chosen = i; search.value = ""; list([]); none.textContent = "";
    const widest = Math.max(...I.similarity[i], 1e-9), digits = widest < 0.1 ? 3 : 2;
    panel.replaceChildren(el("h3", {}, I.label[i]), el("p", { class: "sub" }, `${I.said(i)}. Nearest, with similarity:`),
      el("ol", { class: "near" }, I.near[i].map((j, k) => (j < 0 ? null : el("li", {}, el("button", { class: "link", type: "button", onclick: () => choose(j) }, I.label[j]), el("span", { class: "meter", "aria-hidden": "true" }, el("i", { style: `width:${Math.max(0, (100 * I.similarity[i][k]) / widest)}%` })), el("span", { class: "v" }, fix(I.similarity[i][k], digits)))))));
    map.reveal(i);
  }
  function list(items) {
    found = items; active = items.length ? 0 : -1;
    hits.replaceChildren(...items.map((i, k) => el("li", { role: "option", id: "hit" + k, "aria-selected": String(k === 0), onclick: () => choose(i) }, I.label[i], el("span", {}, big(I.count[i])))));
    search.setAttribute("aria-expanded", String(items.length > 0));
    mark();
  }
  function mark() {
    [...hits.children].forEach((li, k) => li.setAttribute("aria-selected", String(k === active)));
    if (active >= 0) { search.setAttribute("aria-activedescendant", "hit" + active); hits.children[active].scrollIntoView({ block: "nearest" }); } else search.removeAttribute("aria-activedescendant");
  }
  const plain = (s) => s.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase(), folded = I.label.map(plain);
  search.addEventListener("input", () => {
    const q = plain(search.value.trim()), starts = [], words = [], inside = [];
    if (q) for (let i = 0; i < folded.length; i++) { const at = folded[i].indexOf(q); if (at === 0) starts.push(i); else if (at > 0) (folded[i].includes(" " + q) ? words : inside).push(i); }
    list([...starts, ...words, ...inside].slice(0, 30));
    none.textContent = q && !found.length ? "No item on the map has this in its title." : "";
  });
  search.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") { if (found.length) { active = (active + (e.key === "ArrowDown" ? 1 : found.length - 1)) % found.length; mark(); } e.preventDefault(); }
    else if (e.key === "Enter" && active >= 0) choose(found[active]);
    else if (e.key === "Escape") { search.value = ""; list([]); none.textContent = ""; }
  });
  const many = I.label.length < I.total ? `The ${big(I.label.length)} of ${big(I.total)} with the most ${RATINGS} are shown` : `All ${big(I.total)} are shown`;
  const ways = I.genres.length ? "Point at one, search, or choose a genre" : "Point at one, or search";
  section("map", "Map", "A map of the items", `Items stand near each other where ${I.by} finds them alike; the two directions mean nothing by themselves. ${many}, larger where more people ${IMPLICIT ? "chose" : "rated"} them. ${ways}.`,
    el("div", { class: "mapbox" }, map.node, el("div", {}, el("label", { for: "search" }, "Find an item"), search, hits, none, panel)));
  if (I.label.length) choose(0);
}

/* ---- biases */
if (D.biases) {
  const widest = Math.max(...[...D.biases.lowest, ...D.biases.highest].map((b) => Math.abs(b[1])), 1e-9);
  const table = (rows, low, caption) => el("div", {}, el("h3", {}, caption), el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "item"), el("th", { scope: "col", class: "n" }, "bias"), el("th", { scope: "col", class: "n" }, RATINGS))),
    el("tbody", {}, rows.map(([label, bias, n]) => el("tr", {}, el("td", {}, label), el("td", { class: "n" }, el("span", { class: "meter" + (low ? " low" : ""), "aria-hidden": "true" }, el("i", { style: `width:${(100 * Math.abs(bias)) / widest}%` })), " ", signed(bias)), el("td", { class: "n" }, big(n)))))));
  section("biases", "Biases", "Highest and lowest biases", "The bias is what the model adds to every prediction for an item, whoever the user is. Tastes, and how strictly users rate, are accounted for already.",
    el("div", { class: "grid" }, table(D.biases.highest, false, "Highest"), table(D.biases.lowest, true, "Lowest")));
}

/* ---- factors */
if (D.factors.length) {
  const named = D.factors.some((f) => f.genres.length), top = Math.max(...D.factors.map((f) => f.share), 1e-9);
  const end = (f, sign) => { const goes = f.genres.filter(([, r]) => r * sign > 0), films = (sign > 0 ? f.high : f.low).slice(0, 4); return el("div", { class: "end" }, goes.length ? el("p", { class: "goes" }, goes.map(([g, r]) => el("span", { title: `correlation ${fix(Math.abs(r), 2)}` }, g, " ", el("b", {}, fix(Math.abs(r), 2))))) : null, el("ul", {}, films.map((t) => el("li", {}, t)))); };
  section("factors", "Factors", "What sets items apart", `The strongest directions of the item factors, by the items at their ends${named ? " and the genres that go with each end (correlation)" : ""}. Nobody told the model of them: it found them in who ${IMPLICIT ? "chose" : "rated"} what.`,
    el("ol", { class: "factors" }, D.factors.map((f, k) => el("li", {}, el("div", { class: "share" }, el("b", {}, `Direction ${k + 1}`), el("span", { class: "meter", "aria-hidden": "true" }, el("i", { style: `width:${(100 * f.share) / top}%` })), el("span", { class: "sub" }, `${percent(f.share)} of the variance`)), end(f, 1), el("span", { class: "axis", "aria-label": "and at the other end" }, "↔"), end(f, -1)))));
}

/* ---- users */
const TERMS = { global: "overall mean", user: "this user", item: "this item", factors: "taste (factors)" };
if (D.users.length) {
  const tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Example users" }), body = el("div", { role: "tabpanel", id: "person", tabindex: "0" });
  function terms(rec) {
    const rest = rec.terms.filter((t) => t[0] !== "global"), widest = Math.max(...rest.map((t) => Math.abs(t[1])), 1e-9), out = el("div", { class: "terms" });
    for (const [name, v] of rec.terms.filter((t) => Math.abs(t[1]) >= 0.005)) {
      const half = (50 * Math.abs(v)) / widest, base = name === "global";
      out.append(el("span", {}, TERMS[name] || name), base ? el("span", {}) : el("span", { class: "track" }, el("i", { class: v < 0 ? "neg" : "", style: `left:${v < 0 ? 50 - half : 50}%;width:${Math.max(half, 0.4)}%` })), el("span", { class: "v" }, base ? fix(v, 2) : signed(v)));
    }
    const total = rec.link === "identity" ? `Together ${fix(rec.score, 2)}.` : rec.link === "sigmoid" ? "The terms add up before the sigmoid that keeps predictions in range." : null;
    return el("div", {}, out, total ? el("p", { class: "sub" }, total) : null);
  }
  const digits = (u) => (Math.max(...u.recommended.map((r) => Math.abs(r.score)), 0) < 0.1 ? 4 : 2);
  function show(k) {
    const u = D.users[k];
    [...tabs.children].forEach((b, i) => { b.setAttribute("aria-selected", String(i === k)); b.tabIndex = i === k ? 0 : -1; });
    body.setAttribute("aria-labelledby", "tab" + k);
    body.replaceChildren(
      el("p", { class: "sub" }, `${big(u.ratings)} ${RATINGS}${u.mean === null || IMPLICIT ? "" : `, mean ${fix(u.mean, 2)}`}. ${COUNTS ? "The largest:" : IMPLICIT ? "Some of them:" : "Rated highest:"}`),
      el("ul", { class: "chips" }, u.liked.map(([t, v]) => el("li", {}, t, IMPLICIT ? (D.data.unit ? el("b", {}, `${big(+v.toFixed(1))} ${D.data.unit}`) : null) : el("b", {}, +v.toFixed(1))))),
      el("h3", {}, D.model.task === "rating" && !IMPLICIT ? "Recommended, with the predicted rating" : "Recommended, with the model's score"),
      ...(u.recommended.length ? [] : [el("p", { class: "sub" }, "Nothing is left to recommend.")]),
      ...u.recommended.map((r, at) => {
        const line = [el("b", {}, fix(r.score, digits(u))), r.interval ? el("span", { class: "range" }, `${fix(r.interval[0], 1)} to ${fix(r.interval[1], 1)}`) : null, el("span", { class: "what" }, r.label), " ", el("span", { class: "why" }, r.reason)];
        const because = r.because && r.because.length ? el("ul", { class: "because" }, r.because.map((b) => el("li", {}, b.replace(/([+:] ?)-(?=[\d.]+$)/, "$1−")))) : null;
        return r.terms.length || because ? el("details", at ? {} : { open: "" }, el("summary", {}, line), r.terms.length ? terms(r) : null, because) : el("p", { class: "line" }, line);
      }));
  }
  D.users.forEach((u, k) => tabs.append(el("button", { type: "button", role: "tab", id: "tab" + k, "aria-controls": "person", onclick: () => show(k), onkeydown: (e) => {
    const next = { ArrowRight: (k + 1) % D.users.length, ArrowLeft: (k - 1 + D.users.length) % D.users.length, Home: 0, End: D.users.length - 1 }[e.key];
    if (next === undefined) return;
    e.preventDefault(); show(next); tabs.children[next].focus();
  } }, "user " + u.user)));
  const intervals = D.users.some((u) => u.recommended.some((r) => r.interval));
  section("users", "Users", "Recommendations for a few users", `Items they have not ${IMPLICIT ? "chosen" : "rated"}, best first${intervals ? ", with the range where the rating lies nine times in ten" : ""}. Open one to see what its ${IMPLICIT ? "score" : "prediction"} is made of.`, tabs, body);
  show(0);
}
addEventListener("beforeprint", () => document.querySelectorAll("#users details").forEach((d) => { d.open = true; }));
