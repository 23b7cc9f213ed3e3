/* What shapes a list: how varied, how sure, which groups, which condition, how many. Kept in the address. */

import { get } from "./api.js";
import { button, el, fresh, replace } from "./dom.js";

export const MOODS = [
	{ sure: 0.95, said: "only safe bets" }, { sure: 0.8, said: "rather safe" }, { sure: 0.5, said: "a little safe" }, { said: "as predicted" },
	{ explore: 0.5, said: "a little adventurous" }, { explore: 0.8, said: "adventurous" }, { explore: 0.95, said: "most adventurous" },
];
const PLAIN = 3;
const VARIED = [[0, "the best, however alike"], [0.01, "a little varied"], [0.35, "varied"], [0.65, "very varied"], [0.9, "as varied as can be"]];

export function read(params) {
	const number = (name, from, to, usual) => { const v = Number(params.get(name) ?? usual); return Number.isFinite(v) ? Math.min(to, Math.max(from, v)) : usual; };
	return { varied: number("varied", 0, 1, 0), mood: Math.round(number("mood", 0, MOODS.length - 1, PLAIN)), groups: params.getAll("group"), where: params.get("where") ?? "", n: Math.round(number("n", 1, 1000, 10)) };
}

export function write(options, params) {
	for (const name of ["varied", "mood", "group", "where", "n"]) params.delete(name);
	if (options.varied) params.set("varied", options.varied);
	if (options.mood !== PLAIN) params.set("mood", options.mood);
	for (const group of options.groups) params.append("group", group);
	if (options.where) params.set("where", options.where);
	if (options.n !== 10) params.set("n", options.n);
	return params;
}

const quoted = (text) => (text.includes('"') ? `'${text}'` : `"${text}"`);
const named = (column) => (/^[A-Za-z_]\w*$/.test(column) ? column : `\`${column}\``);

/** The fields of a request for recommendations. */
export function body(options, info) {
	const column = info.groups?.[0];
	const groups = column && options.groups.length ? options.groups.map((g) => `${named(column)} contains ${quoted(g)}`).join(" or ") : "";
	const where = groups && options.where ? `(${groups}) and (${options.where})` : groups || options.where;
	const mood = info.can.intervals ? MOODS[options.mood] : {};
	return {
		n: options.n,
		...(options.varied ? { diversity: options.varied } : {}),
		...(mood.sure ? { sure: mood.sure } : {}),
		...(mood.explore ? { explore: mood.explore } : {}),
		...(where ? { where } : {}),
	};
}

export const changed = (o) => (o.varied ? 1 : 0) + (o.mood !== PLAIN ? 1 : 0) + (o.groups.length ? 1 : 0) + (o.where ? 1 : 0);

async function groupsOf(info) {
	const column = info.groups?.[0];
	if (!column) return [];
	if (info.group_values?.[column]) return info.group_values[column];
	return info.can.map ? (await get("map", { limit: 1500 })).groups : [];
}

/** The knobs. `turned()` is called whenever one changes `options`, which is changed in place. */
export function knobs(info, options, turned) {
	const id = fresh("knob");
	const slider = (name, min, max, step, key, ends, said) => {
		const output = el("output", { class: "said", for: `${id}-${key}` }, said(options[key]));
		const input = el("input", { type: "range", id: `${id}-${key}`, min, max, step, "aria-valuetext": said(options[key]) });
		input.value = String(options[key]);
		input.addEventListener("input", () => { options[key] = Number(input.value); output.textContent = said(options[key]); input.setAttribute("aria-valuetext", said(options[key])); label(); turned(); });
		return el("div", { class: "knob" }, el("label", { for: `${id}-${key}` }, name, " ", output), input, el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, ends[0]), el("span", {}, ends[1])));
	};
	const varied = slider("Variety", 0, 1, 0.05, "varied", ["alike", "varied"], (v) => VARIED.findLast(([from]) => v >= from)[1]);
	const mood = info.can.intervals ? slider("Daring", 0, MOODS.length - 1, 1, "mood", ["sure bets", "worth a try"], (v) => MOODS[v].said) : null;
	const count = el("select", { id: `${id}-n` }, [...new Set([5, 10, 20, 50, 100, options.n])].sort((a, b) => a - b).map((n) => el("option", { value: String(n), selected: n === options.n }, n)));
	count.addEventListener("change", () => { options.n = Number(count.value); turned(); });

	const chips = el("div", { class: "chips", role: "group", "aria-label": `Only these ${info.groups?.[0] ?? "groups"}` });
	const draw = (groups) => {
		const names = [...groups, ...options.groups.filter((g) => !groups.includes(g))];
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
		chips.hidden = !names.length;
	};
	draw([]);
	groupsOf(info).then(draw, () => {});

	const wrong = el("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
	const field = el("input", { type: "text", id: `${id}-where`, autocomplete: "off", spellcheck: "false", placeholder: example(info), "aria-describedby": `${id}-wrong` });
	field.value = options.where;
	let timer = 0;
	const written = () => { clearTimeout(timer); if (options.where !== field.value.trim()) { options.where = field.value.trim(); label(); turned(); } };
	field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(written, 600); });
	field.addEventListener("change", written);
	field.addEventListener("keydown", (e) => { if (e.key === "Enter") written(); });
	const where = info.item_columns?.length ? el("div", { class: "knob" }, el("label", { for: `${id}-where` }, "Only where"), field, wrong) : null;

	const summary = el("summary", {});
	const label = () => { const n = changed(options); replace(summary, "Shape this list", n ? el("span", { class: "count" }, `${n} set`) : null); };
	label();
	const node = el("details", { class: "knobs" }, summary,
		el("div", { class: "knob-grid" }, varied, mood, where, el("div", { class: "knob narrow" }, el("label", { for: `${id}-n` }, "How many"), count)), chips);
	node.open = changed(options) > 0 || matchMedia("(min-width: 900px)").matches;
	return {
		node,
		wrong(text) {
			wrong.hidden = !text;
			wrong.textContent = text || "";
			if (text) { node.open = true; field.setAttribute("aria-invalid", "true"); } else field.removeAttribute("aria-invalid");
		},
	};
}

function example(info) {
	const columns = info.item_columns ?? [];
	if (columns.includes("year")) return "year >= 1990";
	return info.groups?.[0] ? `${named(info.groups[0])} contains …` : `${named(columns[0] ?? "column")} = …`;
}
