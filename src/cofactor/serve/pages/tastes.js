/* A taste: what was rated, newest first, what was turned down, and features of oneself. In the address as r=item*rating, x=item, f=name*value. */

import { idOf, post } from "./api.js";
import * as json from "./json.js";
import { graded } from "./rating.js";

const KEY = "cofactor.taste";
export const keyOf = (item) => `${typeof item}:${item}`;
const same = (a) => (b) => keyOf(a) === keyOf(b.item);

export function read(params, info, names = { rated: [], denied: [] }) {
	const titles = new Map([...names.rated, ...names.denied].map((row) => [keyOf(row.item), row.title]));
	const rowOf = (text) => { const item = idOf(text, info.id_types.item); return { item, title: titles.get(keyOf(item)) ?? null }; };
	const rated = [];
	for (const text of params.getAll("r")) {
		const at = text.lastIndexOf("*");
		const row = rowOf(at < 0 ? text : text.slice(0, at));
		const value = at < 0 ? "" : text.slice(at + 1);
		if (!rated.some(same(row.item))) rated.push({ ...row, rating: value === "" || !Number.isFinite(Number(value)) ? null : Number(value) });
	}
	const features = {};
	for (const text of params.getAll("f")) {
		const at = text.indexOf("*"), known = info.user_features?.[text.slice(0, at)];
		if (known) features[text.slice(0, at)] = known.range ? Number(text.slice(at + 1)) : known.values.find((v) => String(v) === text.slice(at + 1)) ?? text.slice(at + 1);
	}
	return { rated, denied: params.getAll("x").map(rowOf), features };
}

export function write(taste, params) {
	for (const { item, rating } of taste.rated) params.append("r", `${item}*${rating ?? ""}`);
	for (const { item } of taste.denied) params.append("x", String(item));
	for (const [name, value] of Object.entries(taste.features ?? {})) params.append("f", `${name}*${value}`);
	return params;
}

export function restore(params, info) {
	let kept = { rated: [], denied: [], features: {} };
	try { const { rated, denied, features } = json.read(sessionStorage.getItem(KEY) ?? "{}"); kept = { rated: rated ?? [], denied: denied ?? [], features: features ?? {} }; } catch { /* nothing was kept */ }
	if (params.has("r") || params.has("x") || params.has("f")) return { ...read(params, info, kept), fresh: false };
	return { ...kept, fresh: !kept.rated.length && !kept.denied.length && !Object.keys(kept.features).length };
}

/** Three of the best liked among the most rated, given near the top of the scale: what a first visit opens on. */
export function example(rows, info) {
	const { low, high, step } = info.scale;
	const value = (row) => (graded(info) ? row.mean ?? 0 : 0);
	const best = [...rows].sort((a, b) => value(b) - value(a) || b.ratings - a.ratings).slice(0, Math.max(1, Math.min(3, Math.floor(rows.length / 3))));
	const grades = graded(info) ? [high, high - (step ?? 0), high] : [null, null, null];
	return { rated: best.map((row, k) => ({ item: row.item, title: row.title ?? null, rating: grades[k] })), denied: [], features: {} };
}
export function remember(taste) {
	try { sessionStorage.setItem(KEY, json.write(taste)); } catch { /* private windows may refuse */ }
}

export const has = (taste, item) => taste.rated.some(same(item)) || taste.denied.some(same(item));
export function rate(taste, row, rating) {
	const known = taste.rated.find(same(row.item));
	if (known) known.rating = rating;
	else taste.rated.unshift({ item: row.item, title: row.title ?? null, rating });
	taste.denied = taste.denied.filter((d) => !same(row.item)(d));
}
export const drop = (taste, row) => { taste.rated = taste.rated.filter((r) => !same(row.item)(r)); };
export const deny = (taste, row) => { if (!taste.denied.some(same(row.item))) taste.denied.unshift({ item: row.item, title: row.title ?? null }); };
export const allow = (taste, row) => { taste.denied = taste.denied.filter((d) => !same(row.item)(d)); };

/** The titles behind the ids of a link, in one request; items that this model does not know are let go. Returns how many, or null where nothing was asked. */
export async function learnTitles(taste, info) {
	const rows = [...taste.rated, ...taste.denied];
	if (!info.titles || !rows.some((row) => row.title === null) || !taste.rated.length) return null;
	try {
		const ids = rows.map((row) => row.item);
		const { recommendations } = await post("recommend", { history: taste.rated.map(({ item, rating }) => ({ item, rating })), allow: ids, seen: true, unknown: "skip", n: Math.min(1000, ids.length) });
		const titles = new Map(recommendations.map((row) => [keyOf(row.item), row.title]));
		for (const part of ["rated", "denied"]) taste[part] = taste[part].filter((row) => titles.has(keyOf(row.item))).map((row) => ({ ...row, title: titles.get(keyOf(row.item)) }));
		return rows.length - taste.rated.length - taste.denied.length;
	} catch { return null; } // the list itself will say what is wrong
}
