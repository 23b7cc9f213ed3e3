/* What shapes a list. The knobs are made from the options that the server declares; their values are kept in the address. */

import { get } from "./api.js";
import { button, el, fresh, note, replace, sentence } from "./dom.js";

export const DARING = [
	{ sure: 0.95, said: "only safe bets" }, { sure: 0.8, said: "rather safe" }, { sure: 0.5, said: "a little safe" }, { said: "as predicted" },
	{ explore: 0.5, said: "a little adventurous" }, { explore: 0.8, said: "adventurous" }, { explore: 0.95, said: "most adventurous" },
];
const PLAIN = 3;
const STRENGTH = [[0, "off"], [0.01, "a little"], [0.35, "clearly"], [0.65, "strongly"], [0.9, "fully"]];
const CALLED = { diversity: "Variety", where: "Condition", n: "How many", calibration: "Balance", per_group: "At most of each", seen: "Rated ones too" };
const FIRST = ["diversity", "where", "n"]; // a chip each; the others share one
const SET_BY_THE_PAGE = ["allow", "deny", "interval", "seed", "unknown", "sure", "explore"]; // sure and explore: the two ends of Daring

const between = (text, from, to, usual) => { const v = text === null || text === "" ? usual : Number(text); return Number.isFinite(v) ? Math.min(to, Math.max(from, v)) : usual; };
/** For each kind of option: its value where nothing is set, from an address, into one, and as a request has it. */
const KINDS = {
	count: { usual: (o) => o.default, read: (text, o) => Math.round(between(text, 1, 1000, o.default)) },
	flag: { usual: () => false, read: (text) => text === "true" },
	predicate: { usual: () => "", read: (text) => text ?? "" },
	strength: { usual: () => 0, read: (text) => between(text, 0, 1, 0) },
	"grouped strength": { usual: () => 0, read: (text) => between(text, 0, 1, 0), grouped: true },
	cap: { usual: () => null, read: (text) => { const at = (text ?? "").lastIndexOf(":"), n = Math.round(Number(text?.slice(at + 1))); return at > 0 && n >= 1 ? [text.slice(0, at), n] : null; }, write: (v) => v.join(":"), grouped: true },
};
const drawn = (info) => (info.options ?? []).filter((o) => KINDS[o.kind] && !SET_BY_THE_PAGE.includes(o.name) && (!KINDS[o.kind].grouped || info.groups?.length) && (o.kind !== "predicate" || info.item_columns?.length));
const usual = (option) => KINDS[option.kind].usual(option);

export function read(params, info) {
	const options = { declared: drawn(info), daring: Math.round(between(params.get("daring"), 0, DARING.length - 1, PLAIN)), groups: params.getAll("group"), from: between(params.get("from"), -1e4, 1e4, null), to: between(params.get("to"), -1e4, 1e4, null) };
	for (const option of options.declared) options[option.name] = KINDS[option.kind].read(params.get(option.name), option);
	return options;
}

export function write(options, params) {
	if (options.daring !== PLAIN) params.set("daring", options.daring);
	for (const group of options.groups) params.append("group", group);
	for (const end of ["from", "to"]) if (options[end] !== null) params.set(end, options[end]);
	for (const o of options.declared) if (options[o.name] !== usual(o)) params.set(o.name, (KINDS[o.kind].write ?? String)(options[o.name]));
	return params;
}
export function reset(options) {
	Object.assign(options, { daring: PLAIN, groups: [], from: null, to: null });
	for (const o of options.declared) options[o.name] = usual(o);
}

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
	const asked = {};
	for (const o of options.declared) if (o.name === "n" || options[o.name] !== usual(o)) asked[o.name] = options[o.name];
	const where = condition(options, info);
	if (where) asked.where = where;
	const { sure, explore } = info.can.intervals ? DARING[options.daring] : {};
	return { ...asked, ...(sure ? { sure } : {}), ...(explore ? { explore } : {}) };
}

const years = (o) => (o.from !== null || o.to !== null ? 1 : 0);
/** How many things are set that may leave items out or put them elsewhere. */
export const changed = (o) => (o.daring !== PLAIN ? 1 : 0) + (o.groups.length ? 1 : 0) + years(o) + o.declared.filter((d) => d.name !== "n" && o[d.name] !== usual(d)).length;

async function groupsOf(info) {
	const column = info.groups?.[0];
	if (!column) return [];
	if (info.group_values?.[column]) return info.group_values[column];
	return info.can.map ? (await get("map", { limit: 1500 })).groups : [];
}

/** The fields for the first and the last year; `take(key, value)` gets null where an end is open. */
export function yearFields(info, values, take) {
	const [low, high] = info.ranges.year;
	const field = (key, name, open) => {
		const id = fresh(key);
		const input = el("input", { type: "number", id, min: low, max: high, step: 1, placeholder: String(open) });
		const range = el("input", { type: "range", min: low, max: high, step: 1, "aria-label": `${name} year` });
		const given = (text) => take(key, text === "" || Number(text) === open ? null : Math.min(high, Math.max(low, Math.round(Number(text)))));
		input.value = values[key] === null ? "" : String(values[key]);
		range.value = String(values[key] ?? open);
		input.addEventListener("change", () => { if (Number.isFinite(Number(input.value))) { range.value = input.value || String(open); given(input.value); } });
		range.addEventListener("input", () => { input.value = Number(range.value) === open ? "" : range.value; given(range.value); });
		return el("div", { class: "knob" }, el("label", { for: id }, name), el("div", { class: "pair" }, input, range));
	};
	return el("div", { class: "knob-grid" }, field("from", "From", low), field("to", "To", high));
}

/** Chips for the groups that are `chosen`, an array that is changed in place; `turned()` is called after. */
export function groupChips(info, chosen, turned) {
	const chips = el("div", { class: "chips", role: "group", "aria-label": `Only these ${info.groups[0]}` });
	const draw = (found) => replace(chips, [...found, ...chosen.filter((g) => !found.includes(g))].map((name) => {
		const chip = button({ class: "chip", "aria-pressed": String(chosen.includes(name)), onclick: () => {
			const at = chosen.indexOf(name);
			if (at < 0) chosen.push(name); else chosen.splice(at, 1);
			chip.setAttribute("aria-pressed", String(at < 0));
			turned();
		} }, name);
		return chip;
	}));
	draw([]);
	groupsOf(info).then(draw, () => {});
	return chips;
}

/**
 * A line of chips, each of which opens its knob below the line. `turned()` is called whenever one changes `options`,
 * which is changed in place; `more` are further chips {name, draw()} whose content is drawn when they are opened.
 */
export function knobs(info, options, turned, more = []) {
	const id = fresh("knob");
	const drawer = el("div", { class: "drawer", id: `${id}-drawer`, hidden: true });
	const wrong = el("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: true });
	const row = el("div", { class: "chip-line", role: "group", "aria-label": "Shape the list" });
	const node = el("div", { class: "knobs" }, row, drawer);
	const now = () => { label(); turned(); };
	let open = null;

	const slider = (name, key, max, step, ends, said, hint = null) => {
		const output = el("output", { class: "said", for: `${id}-${key}` }, said(options[key]));
		const input = el("input", { type: "range", id: `${id}-${key}`, min: 0, max, step, "aria-valuetext": said(options[key]) });
		input.value = String(options[key]);
		input.addEventListener("input", () => { options[key] = Number(input.value); output.textContent = said(options[key]); input.setAttribute("aria-valuetext", said(options[key])); now(); });
		return el("div", { class: "knob" }, el("label", { for: `${id}-${key}` }, name, " ", output), input, el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, ends[0]), el("span", {}, ends[1])), hint);
	};
	const strength = (v) => STRENGTH.findLast(([from]) => v >= from)[1];
	const hint = (o) => note("slim", o.help);
	const strengthOf = (o) => slider(nameOf(o), o.name, 1, 0.05, ["off", "fully"], strength, hint(o));

	function conditions(o) {
		const field = el("input", { type: "text", id: `${id}-where`, autocomplete: "off", spellcheck: "false", placeholder: example(info), "aria-describedby": `${id}-wrong` });
		field.value = options[o.name];
		if (!wrong.hidden) field.setAttribute("aria-invalid", "true");
		let timer = 0;
		const written = () => { clearTimeout(timer); if (options[o.name] !== field.value.trim()) { options[o.name] = field.value.trim(); now(); } };
		field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(written, 600); });
		field.addEventListener("change", written);
		field.addEventListener("keydown", (e) => { if (e.key === "Enter") written(); });
		return el("div", { class: "knob" }, el("label", { for: `${id}-where` }, "Only items where"), field, wrong);
	}
	/** Chips of which one is chosen. */
	function choice(name, values, said, value, take) {
		const chips = el("div", { class: "chips", role: "group", "aria-label": name });
		const draw = () => replace(chips, values.map((v) => button({ class: "chip", "aria-pressed": String(v === value), onclick: () => { value = v; take(v); draw(); chips.children[values.indexOf(v)].focus(); now(); } }, said(v))));
		draw();
		return chips;
	}
	const count = (o) => choice("How many items", [...new Set([5, 10, 20, 50, 100, options[o.name]])].sort((a, b) => a - b), String, options[o.name], (v) => { options[o.name] = v; });
	function cap(o) {
		let [column, most] = options[o.name] ?? [info.groups[0], null];
		const take = () => { options[o.name] = most === null ? null : [column, most]; };
		const by = el("select", { id: `${id}-${o.name}` }, info.groups.map((g) => el("option", { value: g }, title(g))));
		by.value = column;
		by.addEventListener("change", () => { column = by.value; take(); now(); });
		return el("div", { class: "knob" }, el("label", { for: `${id}-${o.name}` }, nameOf(o)), info.groups.length > 1 ? by : null,
			choice(`${nameOf(o)} of ${column}`, [null, 1, 2, 3, 5], (v) => (v === null ? "any number" : `${v}`), most, (v) => { most = v; take(); }), hint(o));
	}
	function flag(o) {
		const input = el("input", { type: "checkbox", id: `${id}-${o.name}` });
		input.checked = options[o.name];
		input.addEventListener("change", () => { options[o.name] = input.checked; now(); });
		return el("div", { class: "knob tick-knob" }, input, el("label", { for: `${id}-${o.name}` }, nameOf(o), hint(o)));
	}
	const DRAW = { count, flag, predicate: conditions, strength: strengthOf, "grouped strength": strengthOf, cap };
	const SAID = { count: String, flag: () => "yes", predicate: String, strength, "grouped strength": strength, cap: ([column, n]) => `${n} of each ${column}` };
	const saidOf = (o) => (options[o.name] === usual(o) ? "" : SAID[o.kind](options[o.name]));
	const one = (o) => ({ name: nameOf(o), option: o, said: () => saidOf(o), draw: () => DRAW[o.kind](o) });

	const firsts = FIRST.map((name) => options.declared.find((o) => o.name === name)).filter(Boolean).map(one);
	const rest = options.declared.filter((o) => !FIRST.includes(o.name));
	const at = (name) => firsts.filter((k) => k.option.name === name);
	const list = [
		...at("diversity"),
		info.can.intervals ? { name: "Daring", said: () => (options.daring === PLAIN ? "" : DARING[options.daring].said), draw: () => slider("Daring", "daring", DARING.length - 1, 1, ["sure bets", "worth a try"], (v) => DARING[v].said) } : null,
		info.groups?.length ? { name: title(info.groups[0]), said: () => (options.groups.length > 2 ? `${options.groups.length} chosen` : options.groups.join(", ")), draw: () => groupChips(info, options.groups, now) } : null,
		info.ranges?.year ? { name: "Year", said: () => (years(options) ? `${options.from ?? info.ranges.year[0]} to ${options.to ?? info.ranges.year[1]}` : ""), draw: () => yearFields(info, options, (key, value) => { options[key] = value; now(); }) } : null,
		...at("where"), ...at("n"),
		rest.length ? { name: "More", said: () => rest.map((o) => (saidOf(o) ? `${nameOf(o)}: ${saidOf(o)}` : "")).filter(Boolean).join(", "), draw: () => el("div", { class: "knob-grid" }, rest.map((o) => DRAW[o.kind](o))) } : null,
		...more.map((m) => ({ said: () => "", ...m })),
	].filter(Boolean);
	for (const knob of list) {
		knob.chip = button({ class: "chip knob-chip", "aria-expanded": "false", "aria-controls": `${id}-drawer`, onclick: () => show(open === knob ? null : knob) });
		row.append(knob.chip);
	}
	const back = button({ class: "chip", onclick: () => { reset(options); wrong.hidden = true; if (open) show(open); list[0].chip.focus(); now(); } }, "Reset");
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
		back.hidden = !changed(options) && options.declared.every((o) => options[o.name] === usual(o));
	}
	label();
	return {
		node,
		wrong(text) {
			wrong.hidden = !text;
			wrong.textContent = text ? sentence(text) : "";
			const knob = at("where")[0];
			if (text) { if (knob && open !== knob) show(knob); drawer.querySelector("input")?.setAttribute("aria-invalid", "true"); }
			else if (open && open === knob) drawer.querySelector("input")?.removeAttribute("aria-invalid");
		},
	};
}

export const title = (text) => text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");
const nameOf = (option) => CALLED[option.name] ?? title(option.name);

function example(info) {
	const columns = info.item_columns ?? [];
	if (columns.includes("year")) return "year >= 1990";
	return info.groups?.[0] ? `${named(info.groups[0])} contains …` : `${named(columns[0] ?? "column")} = …`;
}
