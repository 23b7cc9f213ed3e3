/* ---- the map: a canvas that zooms and pans, with names where there is room */
const PALETTE = ["#0b8a83", "#d0722f", "#6a5acd", "#c2497d", "#4f8f2f", "#2f77c4", "#a1832b"];
const OTHER = "#8b909a";
function itemMap(I, chosenNow, choose) {
  const canvas = el("canvas", { tabindex: "0", role: "application", "aria-roledescription": "map", "aria-label": "Map of the items. Arrow keys go to the next item in that direction, plus and minus zoom, zero shows all." });
  const ctx = canvas.getContext("2d"), top = Math.max(...I.count, 1), still = matchMedia("(prefers-reduced-motion: reduce)");
  let hover = -1, only = -1, W = 0, H = 0, view = { k: 1, x: 0, y: 0 }, goal = null, tick = 0, gliding = 0;
  const place = (i, v = view) => [(20 + I.xy[i][0] * (W - 40)) * v.k + v.x, (20 + I.xy[i][1] * (H - 40)) * v.k + v.y];
  const radius = (i) => (2 + 5 * Math.sqrt(I.count[i] / top)) * Math.min(1, 0.4 + W / 1000) * Math.min(2, Math.sqrt(view.k));
  const faded = (i) => only >= 0 && !(I.mask[i] & (1 << only));
  const colour = (i) => (only >= 0 ? PALETTE[only] : I.genre[i] >= 0 ? PALETTE[I.genre[i]] : I.genres.length ? OTHER : PALETTE[0]);
  const redraw = () => { cancelAnimationFrame(tick); tick = requestAnimationFrame(draw); };

  function draw() {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    if (!box.width) return;
    W = box.width; H = box.height; canvas.width = Math.round(W * ratio); canvas.height = Math.round(H * ratio);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.body), ink = style.color, paper = style.getPropertyValue("--bg").trim(), chosen = chosenNow();
    for (let i = I.label.length - 1; i >= 0; i--) {
      const [x, y] = place(i), r = radius(i);
      if (x < -r || y < -r || x > W + r || y > H + r) continue;
      ctx.globalAlpha = faded(i) ? 0.09 : 0.68; ctx.fillStyle = faded(i) ? OTHER : colour(i);
      ctx.beginPath(); ctx.arc(x, y, r, 0, 7); ctx.fill();
    }
    ctx.strokeStyle = ink; ctx.lineWidth = 1; ctx.globalAlpha = 0.4;
    for (const j of I.near[chosen] || []) if (j >= 0) { ctx.beginPath(); ctx.moveTo(...place(chosen)); ctx.lineTo(...place(j)); ctx.stroke(); }
    ctx.globalAlpha = 1; ctx.lineWidth = 2;
    for (const i of new Set([chosen, hover])) if (i >= 0 && i < I.label.length) { ctx.beginPath(); ctx.arc(...place(i), radius(i) + 3, 0, 7); ctx.stroke(); }
    names(ink, paper, [chosen, hover].filter((i) => i >= 0 && i < I.label.length));
  }
  function names(ink, paper, first) {
    const taken = [[W - 56, 0, W, 142]], room = Math.max(6, Math.round((W * H) / 15000));
    ctx.textBaseline = "middle"; ctx.lineJoin = "round"; ctx.lineWidth = 4; ctx.strokeStyle = paper; ctx.fillStyle = ink;
    for (const i of [...first, ...I.label.keys()]) {
      if (taken.length > room) break;
      const must = taken.length <= first.length && first.includes(i), [x, y] = place(i);
      if (x < 0 || x > W || y < 9 || y > H - 9 || (!must && (faded(i) || first.includes(i)))) continue;
      ctx.font = `${must ? 600 : 500} 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
      const word = clip(I.label[i], 32), wide = ctx.measureText(word).width, off = radius(i) + 5, left = Math.max(4, x + off + wide < W - 4 ? x + off : x - off - wide);
      const box = [left - 4, y - 9, left + wide + 4, y + 9];
      if (!must && taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box); ctx.strokeText(word, left, y); ctx.fillText(word, left, y);
    }
  }
  function hold() { view.x = Math.min(0, Math.max(W - W * view.k, view.x)); view.y = Math.min(0, Math.max(H - H * view.k, view.y)); canvas.classList.toggle("near", view.k > 1); }
  function zoomed(by, x, y) { const k = Math.min(20, Math.max(1, view.k * by)), f = k / view.k; view = { k, x: x - (x - view.x) * f, y: y - (y - view.y) * f }; hold(); }
  function halt() { cancelAnimationFrame(gliding); goal = null; }
  /** Go to the view that change makes of this one, or of the one that a glide is on its way to. */
  function glide(change) {
    const from = { ...view }; if (goal) view = { ...goal }; change(); const to = { ...view };
    halt();
    if (still.matches) return redraw();
    const began = performance.now();
    const go = (now) => {
      const t = Math.min(1, (now - began) / 220), e = 1 - (1 - t) ** 3;
      view = { k: from.k + (to.k - from.k) * e, x: from.x + (to.x - from.x) * e, y: from.y + (to.y - from.y) * e };
      draw(); if (t < 1) gliding = requestAnimationFrame(go); else goal = null;
    };
    goal = to; gliding = requestAnimationFrame(go);
  }
  const middle = () => { const i = chosenNow(); return i >= 0 && I.label.length ? place(i) : [W / 2, H / 2]; };
  const closer = () => glide(() => zoomed(1.7, ...middle())), away = () => glide(() => zoomed(1 / 1.7, W / 2, H / 2)), all = () => glide(() => { view = { k: 1, x: 0, y: 0 }; hold(); });
  const spot = (e) => { const box = canvas.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
  function nearest(e) {
    const [mx, my] = spot(e);
    let best = -1, dist = (e.pointerType === "touch" ? 26 : 18) ** 2;
    for (let i = 0; i < I.label.length; i++) { if (faded(i)) continue; const [x, y] = place(i), d = (x - mx) ** 2 + (y - my) ** 2; if (d < dist) { dist = d; best = i; } }
    return best;
  }
  let drag = null, moved = 0;
  canvas.addEventListener("pointerdown", (e) => { moved = 0; if (view.k > 1) { drag = spot(e); canvas.setPointerCapture(e.pointerId); } });
  canvas.addEventListener("pointermove", (e) => {
    if (drag) { halt(); const [x, y] = spot(e); moved += Math.abs(x - drag[0]) + Math.abs(y - drag[1]); view.x += x - drag[0]; view.y += y - drag[1]; drag = [x, y]; hold(); if (moved > 4) { hover = -1; unhint(); } return redraw(); }
    const i = nearest(e); if (i !== hover) { hover = i; redraw(); }
    if (i < 0) unhint(); else hint(`${I.label[i]} — ${I.said(i)}`, e.clientX, e.clientY);
  });
  const lift = () => { drag = null; };
  canvas.addEventListener("pointerup", lift); canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { hover = -1; unhint(); redraw(); });
  canvas.addEventListener("click", (e) => { if (moved > 4) return; const i = nearest(e); if (i >= 0) choose(i); });
  canvas.addEventListener("wheel", (e) => { if (!e.ctrlKey && !e.metaKey) return; e.preventDefault(); halt(); zoomed(Math.exp(-e.deltaY * 0.01), ...spot(e)); redraw(); }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const keys = { "+": closer, "=": closer, "-": away, 0: all }[e.key];
    if (keys && !e.ctrlKey && !e.metaKey) { e.preventDefault(); return keys(); }
    const go = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!go || !I.label.length) return;
    e.preventDefault();
    const chosen = chosenNow(), [cx, cy] = place(chosen); let best = -1, cost = Infinity;
    for (let i = 0; i < I.label.length; i++) { if (faded(i)) continue; const [x, y] = place(i), along = (x - cx) * go[0] + (y - cy) * go[1], off = Math.abs((x - cx) * go[1]) + Math.abs((y - cy) * go[0]); if (along > 2 && along + 2 * off < cost) { cost = along + 2 * off; best = i; } }
    if (best >= 0) choose(best);
  });
  /** Bring item i into view where it is outside of it. */
  function reveal(i) {
    const end = goal || view;
    if (end.k > 1 && W) { const [x, y] = place(i, end); if (x < 24 || y < 16 || x > W - 24 || y > H - 16) return glide(() => { view.x += W / 2 - x; view.y += H / 2 - y; hold(); }); }
    redraw();
  }
  const tool = (word, sign, act) => el("button", { type: "button", "aria-label": word, title: word, onclick: act }, sign);
  const legend = I.genres.length ? el("ul", { class: "legend", "aria-label": "Show one genre only" }, I.genres.map((g, k) => el("li", {}, el("button", { type: "button", "aria-pressed": "false", onclick: () => {
    only = only === k ? -1 : k;
    [...legend.querySelectorAll("button")].forEach((b, i) => b.setAttribute("aria-pressed", String(i === only)));
    redraw();
  } }, el("i", { style: `background:${PALETTE[k]}` }), g))), el("li", {}, el("i", { style: `background:${OTHER}` }), "other")) : null;
  new ResizeObserver(redraw).observe(canvas);
  for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", draw);
  return { node: el("div", {}, el("div", { class: "canvas" }, canvas, el("div", { class: "tools" }, tool("Zoom in", "+", closer), tool("Zoom out", "−", away), tool("Show all", "⤢", all))), legend), redraw, reveal };
}
