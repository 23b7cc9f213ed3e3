/* The map of items, with a search, a legend that filters, what is near the chosen one, and a list for the keyboard. */

import { get, idOf, nameOf, newest, stale } from "./api.js";
import { OTHER, PALETTE, createMap } from "./atlas.js";
import { combobox } from "./combobox.js";
import { aside, big, button, el, empty, fix, head, lede, many, note, replace, short, skeleton, trouble, words } from "./dom.js";
import { href, settle } from "./route.js";
import { itemLink } from "./search.js";

const PAGE = 60;
const plain = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();

export function open(root, route, { info, title }) {
	title("Map");
	const body = el("div", {}, el("div", { class: "map-grid" }, skeleton(1, "map"), skeleton(5, "row")));
	replace(root, head("A map of the items"), lede("Items stand near each other where the model thinks they go together. A larger dot has more ratings."), body);
	if (!info.can.map) {
		replace(body, el("section", { class: "panel" }, empty("This model draws no map", `A ${info.model} model keeps no picture of what is near what. als, dot-bias and bayes-mf do.`)));
		return {};
	}
	let atlas = null;
	let select = () => {};

	async function load() {
		try { show(await get("map", { limit: 1500 })); } catch (error) { replace(body, el("section", { class: "panel" }, trouble(error, load))); }
	}

	function show(data) {
		const { items, groups } = data;
		if (!items.length) return replace(body, empty("Nothing to draw", "The model has no items yet."));
		const panel = el("div", { class: "near", "aria-live": "polite" });
		const near = newest();
		const search = combobox({
			label: "Find an item on the map", placeholder: "Type a title …",
			take: (k) => { select(k); atlas.around(k, 5); atlas.canvas.focus({ preventScroll: true }); },
			find: async (q) => {
				const text = plain(q), starts = [], inside = [];
				items.forEach((row, k) => { const at = plain(nameOf(row)).indexOf(text); if (at === 0) starts.push(k); else if (at > 0) inside.push(k); });
				return { rows: [...starts, ...inside].slice(0, 12), total: starts.length + inside.length };
			},
			draw: (k) => [words(nameOf(items[k])), aside(items[k].group ?? "")],
		});
		const open = (k) => { location.hash = href("item", items[k].item); };
		atlas = createMap(data, { pick: (k) => select(k), opened: open });

		select = async (k) => {
			const row = items[k];
			atlas.choose(k, false);
			settle("map", row.item, null);
			const list = el("div", {}, skeleton(6, "row"));
			replace(panel, el("h2", {}, words(nameOf(row))), note("slim", `${many(row.ratings, "rating")}, mean ${short(row.mean)}${row.group ? " · " + row.group : ""}`),
				el("p", {}, el("a", { class: "button", href: href("item", row.item) }, "Open this item")), el("h3", {}, "Most like it"), list);
			try {
				const { similar } = await get("similar", { item: row.item, n: 8 }, near.signal());
				const at = new Map(items.map((r, j) => [r.item, j]));
				replace(list, el("ul", { class: "plain lines" }, similar.map((r) => el("li", {},
					at.has(r.item) ? button({ class: "link", onclick: () => select(at.get(r.item)) }, words(nameOf(r))) : itemLink(r), el("span", { class: "aside n" }, fix(r.similarity))))));
			} catch (error) { if (!stale(error)) replace(list, trouble(error, () => select(k))); }
		};

		const legend = el("ul", { class: "legend", "aria-label": "Groups" });
		let only = null;
		const paint = () => {
			const entries = [...groups.map((g, k) => [g, g, PALETTE[k % PALETTE.length]]), ...(items.some((r) => r.group === null) ? [["", groups.length ? "other" : "items", OTHER]] : [])];
			replace(legend, entries.length > 1 ? entries.map(([key, name, colour]) => el("li", {}, button({ class: "chip", "aria-pressed": String(only === key), onclick: (e) => { only = only === key ? null : key; atlas.only(only); paint(); legend.children[entries.findIndex((x) => x[0] === key)].firstChild.focus(); table(); } }, el("i", { css: { background: colour }, "aria-hidden": "true" }), name))) : null);
		};

		let shown = PAGE;
		const rows = el("div");
		const table = () => {
			const kept = items.map((row, k) => [row, k]).filter(([row]) => only === null || (row.group ?? "") === only);
			replace(rows, el("ul", { class: "plain lines two" }, kept.slice(0, shown).map(([row]) => el("li", {}, itemLink(row), el("span", { class: "aside n" }, `${big(row.ratings)} · ${short(row.mean)}`)))),
				kept.length > shown ? button({ class: "button quiet", onclick: () => { const at = shown; shown += PAGE; table(); rows.querySelectorAll("a")[at]?.focus(); } }, `Show more of ${big(kept.length)}`) : null);
		};
		const list = el("details", { class: "more" }, el("summary", {}, "The same as a list"), rows);
		list.addEventListener("toggle", () => { if (list.open) table(); });

		paint();
		replace(body, el("div", { class: "map-grid" }, el("section", { class: "panel flush", "aria-label": "Map" }, atlas.node, legend), el("section", { class: "panel", "aria-label": "Chosen item" }, search.node, panel)),
			note("", `The ${big(items.length)} most rated of ${big(info.items)} items. Drag to move, scroll or pinch to zoom; with the keyboard, arrows walk from item to item.`), list);
		replace(panel, note("", "Point at a dot to see its name; click one to see what is near it."));
		const wanted = route.id === null ? -1 : items.findIndex((row) => row.item === idOf(route.id, info.id_types.item));
		if (wanted >= 0) { select(wanted); atlas.around(wanted, 4); } else if (route.id !== null) replace(panel, note("", "That item has too few ratings to be on the map. "), el("a", { href: href("item", route.id) }, "See the item"));
	}
	load();
	return { leave() { atlas?.leave(); } };
}
