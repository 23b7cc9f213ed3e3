/* The map itself: a canvas that zooms and pans, with names where there is room for them. */

import { button, calm, clip, el, many } from "./dom.js";
import { nameOf } from "./api.js";
import { createDots, outline } from "./dots.js";
import { hex, regions, schemes } from "./colours.js";

const LABEL = "500 12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** `data` is {items, groups, says, graded}, `says(row)` what is known of an item; `pick(k)` is told of a click on item k, `opened(k)` of Enter or a double click. */
export function createMap(data, { chosen = -1, small = false, pick = () => {}, opened = pick } = {}) {
	const items = data.items;
	const names = items.map((row) => clip(nameOf(row), 34));
	let scheme = schemes(data)[0];
	const parts = small ? [] : regions(data);
	const most = Math.max(...items.map((row) => row.ratings), 1);
	const crowd = Math.min(1, Math.sqrt(4000 / items.length)); // the more there are, the smaller
	const sizes = Float32Array.from(items, (row) => (2.2 + 5 * Math.sqrt(row.ratings / most)) * (0.45 + 0.55 * crowd));
	let colours = [];
	let lit = null; // {near: Set, links: [k, ...]}: the chosen item's neighbours
	let marked = []; // recommended items, best first
	let here = null; // [x, y] in [0, 1]: where the taste of this tab lies
	const order = items.map((_, k) => k).sort((a, b) => items[b].ratings - items[a].ratings);
	const canvas = el("canvas", { tabindex: "0", role: "application", "aria-roledescription": "map", class: small ? "map small" : "map",
		"aria-label": small ? "Where the item lies on the map" : "Map of items. Arrows go to the next item in that direction, plus and minus zoom, Enter opens." });
	const under = el("canvas", { class: small ? "map dots small" : "map dots", "aria-hidden": "true" });
	const shapes = new Float32Array(items.length);
	const dots = items.length > 400 ? createDots(under, Float32Array.from(items.flatMap((r) => [r.x, r.y])), sizes, shapes) : null;
	const tip = el("div", { class: "tip", hidden: true, role: "status" });
	const zoom = (by, label, sign) => button({ class: "icon", "aria-label": label, title: label, onclick: () => glide(() => scaleAt(by, W / 2, H / 2)) }, sign);
	const node = el("div", { class: "map-box" }, dots ? under : null, canvas, tip, small ? null : el("div", { class: "map-tools" }, zoom(1.6, "Zoom in", "+"), zoom(1 / 1.6, "Zoom out", "−"),
		button({ class: "icon", "aria-label": "Show all", title: "Show all", onclick: () => glide(() => { view = { k: 1, x: 0, y: 0 }; }) }, "⤢")));
	const pen = canvas.getContext("2d");
	let view = { k: 1, x: 0, y: 0 };
	let W = 0, H = 0, hover = -1, only = null, frame = 0;

	const pad = small ? [14, 14] : [58, 26]; // beside the map stand its buttons
	const at = ([x, y]) => [(pad[0] + x * (W - 2 * pad[0])) * view.k + view.x, (pad[1] + y * (H - 2 * pad[1])) * view.k + view.y];
	const place = (k) => at([items[k].x, items[k].y]);
	const size = (k) => sizes[k] * (small ? 0.8 : 1) * Math.min(2.2, Math.sqrt(view.k));
	const faded = (k) => (only !== null && !only.has(items[k])) || (lit !== null && k !== chosen && !lit.near.has(k) && !marked.includes(k));
	function colour() {
		const bytes = new Uint8Array(items.length * 4);
		colours = items.map((_, k) => {
			const { colour: [r, g, b], shape } = scheme.of(k);
			bytes.set([r, g, b, faded(k) ? 26 : 175], 4 * k);
			shapes[k] = shape;
			return hex([r, g, b]);
		});
		dots?.paint(bytes, shapes);
		redraw();
	}
	const redraw = () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(draw); };

	function draw() {
		const box = canvas.getBoundingClientRect(), ratio = Math.min(devicePixelRatio || 1, 2);
		if (!box.width) return;
		if (W !== box.width || H !== box.height || canvas.width !== Math.round(box.width * ratio)) { W = box.width; H = box.height; under.width = canvas.width = Math.round(W * ratio); under.height = canvas.height = Math.round(H * ratio); if (aim) { const [k, by] = aim; aim = null; centre(k, by); } }
		const style = getComputedStyle(document.body), ink = style.color, paper = style.getPropertyValue("--bg").trim();
		pen.setTransform(ratio, 0, 0, ratio, 0, 0);
		pen.clearRect(0, 0, W, H);
		if (dots) dots.draw(W, H, ratio, pad, view, (small ? 0.8 : 1) * Math.min(2.2, Math.sqrt(view.k)));
		else for (let j = order.length - 1; j >= 0; j--) {
			const k = order[j], [x, y] = place(k), r = size(k);
			if (x < -r || y < -r || x > W + r || y > H + r) continue;
			pen.globalAlpha = faded(k) ? 0.1 : 0.66;
			pen.fillStyle = colours[k];
			outline(pen, shapes[k], x, y, r * 1.2); pen.fill();
		}
		pen.globalAlpha = 1;
		if (lit && chosen >= 0) {
			pen.strokeStyle = ink; pen.lineWidth = 1.2; pen.globalAlpha = 0.55;
			for (const k of lit.links) { pen.beginPath(); pen.moveTo(...place(chosen)); pen.lineTo(...place(k)); pen.stroke(); }
			pen.globalAlpha = 1;
		}
		pen.strokeStyle = ink; pen.lineWidth = 2;
		for (const k of marked) { pen.beginPath(); pen.arc(...place(k), size(k) + 4, 0, 7); pen.setLineDash([3, 3]); pen.stroke(); pen.setLineDash([]); }
		for (const k of new Set([chosen, hover])) if (k >= 0) { pen.beginPath(); pen.arc(...place(k), size(k) + 3, 0, 7); pen.stroke(); }
		label(ink, paper);
	}
	/** Names of the most rated where they do not cross another; more of them the nearer one looks. */
	function label(ink, paper) {
		const taken = small ? [] : [[W - 60, H - 150, W, H]]; // where the buttons stand
		if (here) {
			const [x, y] = at(here);
			pen.font = "700 13px system-ui, sans-serif"; pen.textBaseline = "middle"; pen.lineJoin = "round";
			pen.fillStyle = ink; pen.strokeStyle = paper; pen.lineWidth = 4;
			pen.beginPath(); pen.arc(x, y, 7, 0, 7); pen.stroke(); pen.fill();
			pen.strokeText("you are here", x + 12, y); pen.fillText("you are here", x + 12, y);
			taken.push([x - 10, y - 10, x + 98, y + 10]);
		}
		if (view.k < 3 && !lit) {
			pen.font = "650 15px system-ui, -apple-system, 'Segoe UI', sans-serif"; pen.textBaseline = "middle"; pen.textAlign = "center"; pen.lineJoin = "round"; pen.lineWidth = 5;
			for (const part of parts) {
				const [x, y] = at([part.x, part.y]), text = part.name.toUpperCase(), half = pen.measureText(text).width / 2;
				if (x < half || x > W - half || y < 12 || y > H - 12) continue;
				pen.strokeStyle = paper; pen.strokeText(text, x, y); pen.fillStyle = ink; pen.fillText(text, x, y);
				taken.push([x - half - 6, y - 13, x + half + 6, y + 13]);
			}
			pen.textAlign = "start";
		}
		const room = Math.max(6, Math.round((W * H) / (small ? 9000 : 13500)));
		const first = [...new Set([chosen, hover, ...marked.slice(0, 10), ...(lit ? lit.links : [])])].filter((k) => k >= 0);
		pen.font = LABEL; pen.textBaseline = "middle"; pen.lineJoin = "round"; pen.lineWidth = 4.5;
		let n = 0;
		for (const k of [...first, ...order]) {
			if (n >= room) break;
			const [x, y] = place(k);
			if (x < 0 || y < 8 || x > W || y > H - 8 || (faded(k) && !first.includes(k))) continue;
			const wide = pen.measureText(names[k]).width, off = size(k) + 5;
			const left = x + off + wide < W - 4 ? x + off : x - off - wide;
			const box = [left - 4, y - 9, left + wide + 4, y + 9];
			const must = k === chosen || k === hover;
			if (!must && (left < 2 || taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1]))) continue;
			taken.push(box); n++;
			pen.globalAlpha = must ? 1 : 0.92;
			pen.strokeStyle = paper; pen.strokeText(names[k], Math.max(4, left), y);
			pen.fillStyle = ink; pen.fillText(names[k], Math.max(4, left), y);
		}
		pen.globalAlpha = 1;
	}

	function scaleAt(by, x, y) {
		const k = Math.min(24, Math.max(1, view.k * by)), f = k / view.k;
		view = { k, x: x - (x - view.x) * f, y: y - (y - view.y) * f };
		hold();
	}
	function hold() { view.x = Math.min(0, Math.max(W - W * view.k, view.x)); view.y = Math.min(0, Math.max(H - H * view.k, view.y)); }
	let aim = null;
	function centre(k, by) {
		if (!W) { aim = [k, by]; return redraw(); }
		view.k = by;
		view.x = 0; view.y = 0;
		const [x, y] = place(k);
		view.x = W / 2 - x; view.y = H / 2 - y;
		hold();
		redraw();
	}
	function glide(change) {
		const from = { ...view };
		change();
		const to = { ...view };
		if (calm()) return redraw();
		const began = performance.now();
		const go = (now) => {
			const t = Math.min(1, (now - began) / 240), e = 1 - (1 - t) ** 3;
			view = { k: from.k + (to.k - from.k) * e, x: from.x + (to.x - from.x) * e, y: from.y + (to.y - from.y) * e };
			draw();
			if (t < 1) frame = requestAnimationFrame(go);
		};
		cancelAnimationFrame(frame);
		frame = requestAnimationFrame(go);
	}

	const spot = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
	function nearest(event) {
		const [mx, my] = spot(event);
		let best = -1, distance = (event.pointerType === "touch" ? 28 : 18) ** 2;
		for (const k of order) { if (faded(k)) continue; const [x, y] = place(k), d = (x - mx) ** 2 + (y - my) ** 2; if (d < distance) { distance = d; best = k; } }
		return best;
	}
	function point(k, x = 0, y = 0) {
		hover = k;
		tip.hidden = k < 0;
		if (k >= 0) {
			tip.textContent = `${nameOf(items[k])} — ${(data.says ?? ((row) => many(row.ratings, "user")))(items[k])}`;
			tip.style.left = `${Math.max(6, Math.min(x + 14, W - 246))}px`;
			tip.style.top = `${y + 18 > H - 60 ? Math.max(4, y - 62) : y + 18}px`;
		}
		redraw();
	}
	function choose(k, tell = true) { chosen = k; lit = null; colour(); point(-1); if (tell) pick(k); }

	const fingers = new Map();
	let moved = 0;
	canvas.addEventListener("pointerdown", (e) => { fingers.set(e.pointerId, spot(e)); moved = fingers.size > 1 ? 99 : 0; if (!small) canvas.setPointerCapture(e.pointerId); });
	canvas.addEventListener("pointermove", (e) => {
		const before = fingers.get(e.pointerId), now = spot(e);
		if (!before) { if (e.pointerType !== "touch") { const k = nearest(e); if (k !== hover || k >= 0) point(k, ...now); } return; }
		if (small) moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
		else if (fingers.size === 1) { view.x += now[0] - before[0]; view.y += now[1] - before[1]; moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]); hold(); }
		else {
			const other = [...fingers].find(([id]) => id !== e.pointerId)[1];
			const was = Math.hypot(before[0] - other[0], before[1] - other[1]), is = Math.hypot(now[0] - other[0], now[1] - other[1]);
			if (was > 8) scaleAt(is / was, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
		}
		fingers.set(e.pointerId, now);
		if (moved > 4) { tip.hidden = true; hover = -1; }
		redraw();
	});
	const lift = (e) => { const mine = fingers.delete(e.pointerId); if (mine && e.type === "pointerup" && moved <= 4 && fingers.size === 0) { const k = nearest(e); if (k >= 0) choose(k); } };
	canvas.addEventListener("pointerup", lift);
	canvas.addEventListener("pointercancel", lift);
	canvas.addEventListener("pointerleave", () => point(-1));
	canvas.addEventListener("dblclick", (e) => { const k = nearest(e); if (k >= 0) opened(k); else glide(() => scaleAt(2, ...spot(e))); });
	if (!small) canvas.addEventListener("wheel", (e) => { e.preventDefault(); scaleAt(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0016)), ...spot(e)); redraw(); }, { passive: false });
	canvas.addEventListener("keydown", (e) => {
		const go = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
		if (go) { e.preventDefault(); walk(go); }
		else if (e.key === "+" || e.key === "=") glide(() => scaleAt(1.6, ...(chosen >= 0 ? place(chosen) : [W / 2, H / 2])));
		else if (e.key === "-") glide(() => scaleAt(1 / 1.6, W / 2, H / 2));
		else if (e.key === "Enter" && chosen >= 0) opened(chosen);
	});
	function walk([dx, dy]) {
		if (chosen < 0) return choose(order[0]);
		const [cx, cy] = place(chosen);
		let best = -1, cost = Infinity;
		for (const k of order) {
			if (k === chosen || faded(k)) continue;
			const [x, y] = place(k), along = (x - cx) * dx + (y - cy) * dy, off = Math.abs((x - cx) * dy) + Math.abs((y - cy) * dx);
			if (along > 1 && along + 2 * off < cost) { cost = along + 2 * off; best = k; }
		}
		if (best < 0) return;
		choose(best);
		const [x, y] = place(best);
		if (x < 20 || y < 20 || x > W - 20 || y > H - 20) { view.x += W / 2 - x; view.y += H / 2 - y; hold(); redraw(); }
	}

	colour();
	const watch = new ResizeObserver(redraw);
	watch.observe(canvas);
	const dark = matchMedia("(prefers-color-scheme: dark)");
	dark.addEventListener("change", redraw);
	return {
		node, canvas, choose,
		around: centre,
		/** Only items that a legend's entry has; null: all. */
		only(entry) { only = entry; colour(); },
		by(next) { scheme = next; only = null; colour(); },
		/** Light these neighbours of the chosen item, and draw a line to each. */
		light(near) { lit = { near: new Set(near), links: near }; colour(); },
		mark(rows, place) { marked = rows; here = place; colour(); },
		leave() { dots?.lose(); watch.disconnect(); dark.removeEventListener("change", redraw); cancelAnimationFrame(frame); },
	};
}
