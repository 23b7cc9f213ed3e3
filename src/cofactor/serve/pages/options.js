/* What shapes a list: how varied, how sure, which groups and years, which condition, how many. Kept in the address. */

import { get } from "./api.js";
import { button, el, fresh, replace } from "./dom.js";

export const MOODS = [
	{ sure: 0.95, said: "only safe bets" }, { sure: 0.8, said: "rather safe" }, { sure: 0.5, said: "a little safe" }, { said: "as predicted" },
	{ explore: 0.5, said: "a little adventurous" }, { explore: 0.8, said: "adventurous" }, { explore: 0.95, said: "most adventurous" },
];
const PLAIN = 3;
const VARIED = [[0, "the best, however alike"], [0.01, "a little varied"], [0.35, "varied"], [0.65, "very varied"], [0.9, "as varied as can be"]];
const NAMES = ["varied", "mood", "group", "where", "from", "to", "n"];

export function read(params) {
	const number = (name, from, to, usual) => { const text = params.get(name); const v = text === null || text === "" ? usual : Number(text); return Number.isFinite(v) ? Math.min(to, Math.max(from, v)) : usual; };
	return { varied: number("varied", 0, 1, 0), mood: Math.round(number("mood", 0, MOODS.length - 1, PLAIN)), groups: params.getAll("group"), where: params.get("where") ?? "",
		from: number("from", -1e4, 1e4, null), to: number("to", -1e4, 1e4, null), n: Math.round(number("n", 1, 1000, 10)) };
}

export function write(options, params) {
	for (const name of NAMES) params.delete(name);
	if (options.varied) params.set("varied", options.varied);
	if (options.mood !== PLAIN) params.set("mood", options.mood);
	for (const group of options.groups) params.append("group", group);
	if (options.where) params.set("where", options.where);
	for (const end of ["from", "to"]) if (options[end] !== null) params.set(end, options[end]);
	if (options.n !== 10) params.set("n", options.n);
	return params;
}
export const reset = (options) => Object.assign(options, { varied: 0, mood: PLAIN, groups: [], where: "", from: null, to: null, n: 10 });

const quoted = (text) => (text.includes('"') ? `'${text}'` : `"${text}"`);
const named = (column) => (/^[A-Za-z_]\w*$/.test(column) ? column : `\`${column}\``);

/** The condition that groups, years and the field for one come to; empty where there is none. */
export function condition(options, info) {
	const column = info.groups?.[0];
	const parts = [];
	if (column && options.groups.length) parts.push(options.groups.map((g) => `${named(column)} contains ${quoted(g)}`).join(" or "));
	if (info.ranges?.year) {
		if (options.from !== null) parts.push(`year >= ${options.from}`);
		if (options.to !== null) parts.push(`year <= ${options.to}`);
	}
	if (options.where) parts.push(options.where);
	return parts.length > 1 ? parts.map((p) => (/ or /.test(p) || p === options.where ? `(${p})` : p)).join(" and ") : parts.join("");
}

/** The fields of a request for recommendations. */
export function body(options, info) {
	const where = condition(options, info);
	const mood = info.can.intervals ? MOODS[options.mood] : {};
	return {
		n: options.n,
		...(options.varied ? { diversity: options.varied } : {}),
		...(mood.sure ? { sure: mood.sure } : {}),
		...(mood.explore ? { explore: mood.explore } : {}),
		...(where ? { where } : {}),
	};
}

const years = (o) => (o.from !== null || o.to !== null ? 1 : 0);
export const changed = (o) => (o.varied ? 1 : 0) + (o.mood !== PLAIN ? 1 : 0) + (o.groups.length ? 1 : 0) + (o.where ? 1 : 0) + years(o);

async function groupsOf(info) {
	const column = info.groups?.[0];
	if (!column) return [];
	if (info.group_values?.[column]) return info.group_values[column];
	return info.can.map ? (await get("map", { limit: 1500 })).groups : [];
}

/**
 * A line of chips, each of which opens its knob below the line. `turned()` is called whenever one changes `options`,
 * which is changed in place; `more` are further chips {name, open()} whose content is drawn when they are opened.
 */
export function knobs(info, options, turned, more = []) {
	const id = fresh("knob");
	const drawer = el("div", { class: "drawer", id: `${id}-drawer`, hidden: true });
	const wrong = el("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: true });
	const row = el("div", { class: "chip-line", role: "group", "aria-label": "Shape the list" });
	const node = el("div", { class: "knobs" }, row, drawer);
	let open = null;

	const slider = (name, min, max, step, key, ends, said) => () => {
		const output = el("output", { class: "said", for: `${id}-${key}` }, said(options[key]));
		const input = el("input", { type: "range", id: `${id}-${key}`, min, max, step, "aria-valuetext": said(options[key]) });
		input.value = String(options[key]);
		input.addEventListener("input", () => { options[key] = Number(input.value); output.textContent = said(options[key]); input.setAttribute("aria-valuetext", said(options[key])); label(); turned(); });
		return el("div", { class: "knob" }, el("label", { for: `${id}-${key}` }, name, " ", output), input, el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, ends[0]), el("span", {}, ends[1])));
	};
	const variety = (v) => VARIED.findLast(([from]) => v >= from)[1];

	function groups() {
		const chips = el("div", { class: "chips", role: "group", "aria-label": `Only these ${info.groups[0]}` });
		const draw = (found) => {
			const names = [...found, ...options.groups.filter((g) => !found.includes(g))];
			replace(chips, names.map((name) => {
				const knob = button({ class: "chip", "aria-pressed": String(options.groups.includes(name)), onclick: () => {
					const on = !options.groups.includes(name);
					options.groups = on ? [...options.groups, name] : options.groups.filter((g) => g !== name);
					knob.setAttribute("aria-pressed", String(on));
					label();
					turned();
				} }, name);
				return knob;
			}));
		};
		draw([]);
		groupsOf(info).then(draw, () => {});
		return chips;
	}
	function year() {
		const [low, high] = info.ranges.year;
		const field = (key, name, usual) => {
			const input = el("input", { type: "number", id: `${id}-${key}`, min: low, max: high, step: 1, placeholder: String(usual) });
			const range = el("input", { type: "range", min: low, max: high, step: 1, "aria-label": `${name} year` });
			const take = (text) => { options[key] = text === "" || Number(text) === usual ? null : Math.min(high, Math.max(low, Math.round(Number(text)))); label(); turned(); };
			input.value = options[key] === null ? "" : String(options[key]);
			range.value = String(options[key] ?? usual);
			input.addEventListener("change", () => { if (Number.isFinite(Number(input.value))) { range.value = input.value || String(usual); take(input.value); } });
			range.addEventListener("input", () => { input.value = Number(range.value) === usual ? "" : range.value; take(range.value); });
			return el("div", { class: "knob" }, el("label", { for: `${id}-${key}` }, name), el("div", { class: "pair" }, input, range));
		};
		return el("div", { class: "knob-grid" }, field("from", "From", low), field("to", "To", high));
	}
	function conditions() {
		const field = el("input", { type: "text", id: `${id}-where`, autocomplete: "off", spellcheck: "false", placeholder: example(info), "aria-describedby": `${id}-wrong` });
		field.value = options.where;
		if (!wrong.hidden) field.setAttribute("aria-invalid", "true");
		let timer = 0;
		const written = () => { clearTimeout(timer); if (options.where !== field.value.trim()) { options.where = field.value.trim(); label(); turned(); } };
		field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(written, 600); });
		field.addEventListener("change", written);
		field.addEventListener("keydown", (e) => { if (e.key === "Enter") written(); });
		return el("div", { class: "knob" }, el("label", { for: `${id}-where` }, "Only items where"), field, wrong);
	}
	function count() {
		const all = [...new Set([5, 10, 20, 50, 100, options.n])].sort((a, b) => a - b);
		const chips = el("div", { class: "chips", role: "group", "aria-label": "How many items" });
		const draw = () => replace(chips, all.map((n) => button({ class: "chip", "aria-pressed": String(n === options.n), onclick: () => { options.n = n; draw(); chips.children[all.indexOf(n)].focus(); label(); turned(); } }, n)));
		draw();
		return chips;
	}

	const list = [
		{ name: "Variety", said: () => (options.varied ? variety(options.varied) : ""), draw: slider("Variety", 0, 1, 0.05, "varied", ["alike", "varied"], variety) },
		info.can.intervals ? { name: "Daring", said: () => (options.mood === PLAIN ? "" : MOODS[options.mood].said), draw: slider("Daring", 0, MOODS.length - 1, 1, "mood", ["sure bets", "worth a try"], (v) => MOODS[v].said) } : null,
		info.groups?.length ? { name: title(info.groups[0]), said: () => (options.groups.length > 2 ? `${options.groups.length} chosen` : options.groups.join(", ")), draw: groups } : null,
		info.ranges?.year ? { name: "Year", said: () => (years(options) ? `${options.from ?? info.ranges.year[0]} to ${options.to ?? info.ranges.year[1]}` : ""), draw: year } : null,
		info.item_columns?.length ? { name: "Condition", said: () => options.where, draw: conditions } : null,
		{ name: "How many", said: () => (options.n === 10 ? "" : String(options.n)), draw: count },
		...more.map((m) => ({ said: () => "", ...m })),
	].filter(Boolean);
	for (const knob of list) {
		knob.chip = button({ class: "chip knob-chip", "aria-expanded": "false", "aria-controls": `${id}-drawer`, onclick: () => show(open === knob ? null : knob) });
		row.append(knob.chip);
	}
	const back = button({ class: "chip", onclick: () => { reset(options); wrong.hidden = true; label(); if (open) show(open); list[0].chip.focus(); turned(); } }, "Reset");
	row.append(back);

	function show(knob) {
		open = knob;
		for (const k of list) k.chip.setAttribute("aria-expanded", String(k === knob));
		drawer.hidden = !knob;
		if (knob) { replace(drawer, knob.draw()); row.after(drawer); } else replace(drawer);
	}
	node.addEventListener("keydown", (event) => { if (event.key === "Escape" && open) { const was = open; show(null); was.chip.focus(); } });
	function label() {
		for (const k of list) { const said = k.said(); k.chip.classList.toggle("set", Boolean(said)); replace(k.chip, k.name, said ? el("b", {}, said) : null); }
		back.hidden = !changed(options) && options.n === 10;
	}
	label();
	return {
		node,
		wrong(text) {
			wrong.hidden = !text;
			wrong.textContent = text || "";
			if (text) { const knob = list.find((k) => k.name === "Condition"); if (knob && open !== knob) show(knob); drawer.querySelector("input")?.setAttribute("aria-invalid", "true"); }
			else if (open?.name === "Condition") drawer.querySelector("input")?.removeAttribute("aria-invalid");
		},
	};
}

const title = (text) => text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");

function example(info) {
	const columns = info.item_columns ?? [];
	if (columns.includes("year")) return "year >= 1990";
	return info.groups?.[0] ? `${named(info.groups[0])} contains …` : `${named(columns[0] ?? "column")} = …`;
}
