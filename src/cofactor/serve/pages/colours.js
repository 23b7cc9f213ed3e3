/* By what the map is coloured: colours that people who confuse red and green can tell apart, and shapes besides. */

import { SHAPES } from "./dots.js";
import { big, known } from "./dom.js";

export const PALETTE = ["#0072b2", "#d98200", "#009e73", "#cc5a94", "#56a5d8", "#c44601", "#7a6f00", "#6f60b8"];
export const OTHER = "#8b909a";
const RAMP = ["#2c5f9e", "#8a8f99", "#d9730d"].map(rgb);

export function rgb(text) { return [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16)); }
const between = (a, b, t) => a.map((v, k) => Math.round(v + (b[k] - v) * t));
const ramp = (t) => (t < 0.5 ? between(RAMP[0], RAMP[1], t * 2) : between(RAMP[1], RAMP[2], t * 2 - 1));
export const hex = (c) => "#" + c.map((v) => v.toString(16).padStart(2, "0")).join("");

/** The ways to colour these items: {key, name, of(k) -> {colour, shape}, legend: [{key, name, colour, shape, has(row)}]}. */
export function schemes({ items, groups, graded = true }) {
	const found = [];
	if (groups.length) {
		const place = new Map(groups.map((g, k) => [g, k]));
		const of = (k) => { const g = place.get(items[k].group); return g === undefined ? { colour: rgb(OTHER), shape: 0 } : { colour: rgb(PALETTE[g % PALETTE.length]), shape: g % SHAPES }; };
		const legend = groups.map((g, k) => ({ key: g, name: g, colour: PALETTE[k % PALETTE.length], shape: k % SHAPES, has: (row) => row.group === g }));
		if (items.some((row) => row.group === null)) legend.push({ key: "", name: "other", colour: OTHER, shape: 0, has: (row) => row.group === null });
		found.push({ key: "group", name: "group", of, legend });
	}
	const measure = (key, name, value, said) => {
		const all = items.map((row) => value(row)).filter(known).sort((a, b) => a - b);
		if (all.length < 3 || all[0] === all.at(-1)) return;
		const cuts = [0.2, 0.4, 0.6, 0.8].map((q) => all[Math.floor(q * (all.length - 1))]);
		const part = (v) => cuts.filter((c) => v > c).length;
		const ends = [all[0], ...cuts, all.at(-1)];
		const legend = ends.slice(1).map((to, k) => ({ key: String(k), name: `${said(ends[k])} to ${said(to)}`, colour: hex(ramp(k / 4)), shape: 0, has: (row) => known(value(row)) && part(value(row)) === k })).filter((entry, k) => ends[k] < ends[k + 1]);
		found.push({ key, name, of: (k) => ({ colour: known(value(items[k])) ? ramp(part(value(items[k])) / 4) : rgb(OTHER), shape: 0 }), legend });
	};
	measure("year", "year", (row) => row.year, String);
	if (graded) measure("mean", "mean rating", (row) => row.mean, (v) => v.toFixed(1));
	measure("ratings", "number of users", (row) => row.ratings, big);
	return found.length ? found : [{ key: "none", name: "nothing", of: () => ({ colour: rgb(PALETTE[0]), shape: 0 }), legend: [] }];
}

/** Names for the parts of the map: the group that stands out among what lies together, or else the item most rated. */
export function regions({ items, groups }, most = 10) {
	const step = Math.max(1, Math.floor(items.length / 6000));
	const some = items.map((_, k) => k).filter((k) => k % step === 0);
	const n = Math.max(2, Math.min(most, Math.round(Math.sqrt(some.length / 12))));
	let centres = some.slice(0, 1).map((k) => [items[k].x, items[k].y]);
	while (centres.length < n) { // the next one far from those that are there
		let best = some[0], far = -1;
		for (const k of some.slice(0, 600)) { const d = Math.min(...centres.map(([x, y]) => (items[k].x - x) ** 2 + (items[k].y - y) ** 2)); if (d > far) { far = d; best = k; } }
		centres.push([items[best].x, items[best].y]);
	}
	const owner = new Int32Array(some.length);
	for (let turn = 0; turn < 12; turn++) {
		const sums = centres.map(() => [0, 0, 0]);
		some.forEach((k, j) => {
			let best = 0, near = Infinity;
			centres.forEach(([x, y], c) => { const d = (items[k].x - x) ** 2 + (items[k].y - y) ** 2; if (d < near) { near = d; best = c; } });
			owner[j] = best;
			sums[best][0] += items[k].x; sums[best][1] += items[k].y; sums[best][2] += 1;
		});
		centres = centres.map((c, k) => (sums[k][2] ? [sums[k][0] / sums[k][2], sums[k][1] / sums[k][2]] : c));
	}
	const share = (list, g) => list.filter((k) => items[k].group === g).length / Math.max(list.length, 1);
	const found = [];
	centres.forEach(([x, y], c) => {
		const mine = some.filter((_, j) => owner[j] === c);
		if (mine.length < 5) return;
		let name = null, best = 0.12;
		for (const g of groups) { const here = share(mine, g), everywhere = share(some, g); const stands = here * Math.log2(here / Math.max(everywhere, 1e-3)); if (here > 0 && stands > best) { best = stands; name = g; } }
		if (name !== null && !found.some((r) => r.name === name && (r.x - x) ** 2 + (r.y - y) ** 2 < 0.06)) found.push({ name, x, y, n: mine.length });
	});
	return found;
}
