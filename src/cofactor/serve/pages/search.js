/* The search boxes for items and for users, and the link to an item. */

import { get, nameOf } from "./api.js";
import { combobox } from "./combobox.js";
import { aside, el, words } from "./dom.js";
import { activity, standing } from "./rating.js";
import { href } from "./route.js";

export function itemSearch(info, label, take) {
	return combobox({
		label,
		placeholder: info.titles ? "Type a title or an id …" : "Type an id …",
		take,
		find: async (q, signal) => { const found = await get("items", { q, limit: 12 }, signal); return { rows: found.items, total: found.total }; },
		draw: (row) => [words(nameOf(row)), aside(standing(info, row))],
	});
}

export function userSearch(info, label, take) {
	return combobox({
		label,
		placeholder: "Type an id …",
		take,
		find: async (q, signal) => { const found = await get("users", { q, limit: 12 }, signal); return { rows: found.users, total: found.total }; },
		draw: (row) => [words(String(row.user)), aside(activity(info, row.ratings))],
	});
}

export const itemLink = (row, kind = null) => el("a", { class: kind, href: href("item", row.item) }, words(nameOf(row)));
