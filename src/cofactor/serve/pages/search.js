/* The search boxes for items and for users, and the link to an item. */

import { get, nameOf } from "./api.js";
import { combobox } from "./combobox.js";
import { aside, el, many, words } from "./dom.js";
import { href } from "./route.js";

export function itemSearch(label, take, placeholder = "Type a title …") {
	return combobox({
		label,
		placeholder,
		take,
		find: async (q, signal) => { const found = await get("items", { q, limit: 12 }, signal); return { rows: found.items, total: found.total }; },
		draw: (row) => [words(nameOf(row)), aside(row.ratings ? many(row.ratings, "rating") : "no ratings")],
	});
}

export function userSearch(label, take) {
	return combobox({
		label,
		placeholder: "Type an id …",
		take,
		find: async (q, signal) => { const found = await get("users", { q, limit: 12 }, signal); return { rows: found.users, total: found.total }; },
		draw: (row) => [words(String(row.user)), aside(many(row.ratings, "rating"))],
	});
}

export const itemLink = (row, kind = null) => el("a", { class: kind, href: href("item", row.item) }, words(nameOf(row)));
