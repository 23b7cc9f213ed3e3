/* The search boxes for items and for users. */

import { get, nameOf } from "./api.js";
import { combobox } from "./combobox.js";
import { el, many, short, words } from "./dom.js";

export function itemSearch(label, take, placeholder = "Type a title …") {
  return combobox({
    label,
    placeholder,
    take,
    find: async (q, signal) => { const found = await get("items", { q, limit: 12 }, signal); return { rows: found.items, total: found.total }; },
    draw: (row) => [words(nameOf(row)), el("span", { class: "aside" }, row.ratings ? `${many(row.ratings, "rating")}, mean ${short(row.mean)}` : "no ratings")],
  });
}

export function userSearch(label, take) {
  return combobox({
    label,
    placeholder: "Type an id …",
    take,
    find: async (q, signal) => { const found = await get("users", { q, limit: 12 }, signal); return { rows: found.users, total: found.total }; },
    draw: (row) => [words(String(row.user)), el("span", { class: "aside" }, many(row.ratings, "rating"))],
  });
}
