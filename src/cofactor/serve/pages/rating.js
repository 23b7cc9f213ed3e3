/* How one rates: stars where the scale is short, a number where it is long, a heart where ratings have no values. */

import { big, button, el, fix, fresh, many, short, svg } from "./dom.js";

const STAR = "M12 2.6l2.9 5.95 6.55.93-4.75 4.6 1.14 6.52L12 17.5l-5.84 3.1 1.14-6.52-4.75-4.6 6.55-.93z";
const HEART = "M12 20.3C6.2 15.6 3 12.6 3 8.9A4.7 4.7 0 0 1 7.7 4.2c1.7 0 3.3.9 4.3 2.3 1-1.4 2.6-2.3 4.3-2.3A4.7 4.7 0 0 1 21 8.9c0 3.7-3.2 6.7-9 11.4z";

export function levelsOf(scale) {
	if (!scale || scale.low >= scale.high || !scale.step) return [];
	const n = Math.round((scale.high - scale.low) / scale.step) + 1;
	return n > 20 ? [] : Array.from({ length: n }, (_, k) => +(scale.low + k * scale.step).toFixed(6));
}

export function kindOf(info) {
	const scale = info.scale;
	if (info.kind && info.kind !== "ratings") return "like"; // counts and events are no grades to give
	if (!scale || scale.low >= scale.high) return "like";
	const levels = levelsOf(scale);
	if (levels.length && scale.low >= 0 && scale.high <= 10 && (scale.step === 1 || scale.step === 0.5) && levels.length <= 11) return "stars";
	return info.task === "rating" || levels.length ? "number" : "like";
}

/** The rater behind one small button, which shows the rating that was given: ten stars in each row would be a wall. */
export function onDemand(info, title, value, give, place) {
	const said = value === undefined ? "Rate" : value === null ? "liked" : short(value);
	if (kindOf(info) === "like") return heart(title, value, give);
	const open = button({ class: "rate" + (value === undefined ? "" : " on"), "aria-expanded": "false", title: value === undefined ? "Rate" : "Change the rating", "aria-label": value === undefined ? `Rate ${title}` : `Your rating of ${title}: ${said}. Change it`, onclick: () => {
		const shut = open.getAttribute("aria-expanded") === "true";
		open.setAttribute("aria-expanded", String(!shut));
		place.replaceChildren();
		place.hidden = shut;
		if (shut) return;
		place.append(rater(info, title, value ?? undefined, (rating) => { place.hidden = true; open.setAttribute("aria-expanded", "false"); open.focus({ preventScroll: true }); give(rating); }));
		(place.querySelector("input:checked") ?? place.querySelector("input"))?.focus({ preventScroll: true });
	} }, svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: value === null ? HEART : STAR })), value === undefined ? null : el("span", {}, value === null ? "liked" : said));
	place.addEventListener("keydown", (event) => { if (event.key === "Escape" && !place.hidden) { event.stopPropagation(); open.click(); open.focus(); } });
	return open;
}

/** `value` is a rating, null for "liked", undefined for none; `give(rating)` is called with the new one. */
export function rater(info, title, value, give) {
	const kind = kindOf(info);
	return kind === "stars" ? stars(info.scale, title, value, give) : kind === "number" ? number(info.scale, title, value, give) : heart(title, value, give);
}

const worded = (scale, v) => `${short(v)} of ${short(scale.high)}`;

function stars(scale, title, value, give) {
	const levels = levelsOf(scale); // 0, where it is on the scale, is a figure before the stars: it is a rating too
	const halves = scale.step === 0.5;
	const name = fresh("stars");
	let chosen = value ?? undefined;
	let wait = 0;
	const labels = levels.map((v) => {
		const left = halves && v % 1 !== 0;
		const box = halves ? (left ? "0 0 12 24" : "12 0 12 24") : "0 0 24 24";
		const input = el("input", { type: "radio", name, value: String(v), class: "unseen", "aria-label": worded(scale, v) });
		input.checked = v === chosen;
		input.addEventListener("change", () => { paint(v); clearTimeout(wait); wait = setTimeout(() => commit(v), 700); });
		const label = el("label", { class: v === 0 ? "zero" : halves ? "half" : "whole", title: short(v) }, input, v === 0 ? el("span", { "aria-hidden": "true" }, "0") : svg("svg", { viewBox: box, "aria-hidden": "true" }, svg("path", { d: STAR })));
		label.addEventListener("pointerenter", (e) => { if (e.pointerType === "mouse") paint(v); });
		label.addEventListener("click", (e) => {
			if (e.target.closest("input")) return; // from the keyboard, or a screen reader
			e.preventDefault();
			commit(halves && matchMedia("(any-pointer: coarse)").matches ? tapped(v) : v);
		});
		return label;
	});
	// A finger cannot tell halves apart: a tap gives the whole star, a second one on it takes half away.
	const tapped = (v) => (chosen === Math.ceil(v) && Math.ceil(v) - 0.5 >= scale.low ? Math.ceil(v) - 0.5 : Math.min(Math.ceil(v), scale.high));
	function paint(v) { labels.forEach((label, k) => label.classList.toggle("on", v !== undefined && levels[k] <= v && (levels[k] > 0 || v === 0))); }
	function commit(v) {
		clearTimeout(wait);
		chosen = v;
		labels.forEach((label, k) => { label.firstChild.checked = levels[k] === v; });
		paint(v);
		give(v);
	}
	const node = el("fieldset", { class: levels.length / (halves ? 2 : 1) > 6 ? "stars long" : "stars" }, el("legend", { class: "unseen" }, `Your rating of ${title}`), labels);
	node.addEventListener("pointerleave", () => paint(chosen));
	paint(chosen);
	return node;
}

function number(scale, title, value, give) {
	const field = el("input", { type: "number", class: "number", min: scale.low, max: scale.high, step: scale.step ?? "any", "aria-label": `Your rating of ${title}, from ${short(scale.low)} to ${short(scale.high)}`, placeholder: `${short(scale.low)} – ${short(scale.high)}` });
	if (value !== undefined && value !== null) field.value = String(value);
	field.addEventListener("change", () => { if (field.value !== "" && field.reportValidity()) give(Number(field.value)); });
	return field;
}

function heart(title, value, give) {
	const on = value !== undefined;
	return button({ class: "heart" + (on ? " on" : ""), "aria-pressed": String(on), "aria-label": `You like ${title}`, title: "Like", onclick: () => give(null) }, svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: HEART })));
}

/** What a value of the data is, in words: a grade, how often or how much, or nothing but that it happened. */
export function inWords(info, value) {
	if (value === null || value === undefined) return "liked";
	if (info.unit) return `${Number.isInteger(value) ? big(value) : short(value)} ${info.unit}`;
	if (info.kind === "events" && value < 0) return "disliked";
	return !graded(info) ? "chosen" : short(value);
}
/** Whether a mean of the values is something to show. */
export const graded = (info) => (!info.kind || info.kind === "ratings") && info.scale.low < info.scale.high;
/** What one row of a user's history is called. */
export const entry = (info) => (graded(info) ? "rating" : "choice");
/** One row of the data, by what it holds. */
const datum = (info) => ({ counts: "count", events: "event" })[info.kind] ?? "rating";
/** So many rows of the data, by what they hold. */
export const rows = (info, n) => many(n, datum(info));
/** What the data are called: ratings, counts or events. */
export const data = (info) => `${datum(info)}s`;
/** What the server says of a user, in the words of these data. */
export const status = (info, said) => said.replace("newer ratings", `newer ${data(info)}`).replace("without ratings", `without ${data(info)}`);
/** How many users an item has, and where they gave grades, their mean. */
export const standing = (info, row) => (graded(info) ? `${many(row.ratings, "rating")}${row.ratings ? ` · mean ${fix(row.mean)}` : ""}` : many(row.ratings, "user"));
/** How much a user has told: grades, or the items chosen. */
export const activity = (info, n) => (graded(info) ? many(n, "rating") : many(n, "item"));
