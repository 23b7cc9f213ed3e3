/* The map of all items: search, colours that filter, neighbours of the chosen one, where one's own taste lies, and a list. */

import { get, idOf, nameOf, newest, post, stale } from "./api.js";
import { createMap } from "./atlas.js";
import { schemes } from "./colours.js";
import { aside, big, button, digitsFor, el, empty, fix, fresh, head, many, note, replace, skeleton, svg, trouble, words } from "./dom.js";
import { graded, standing } from "./rating.js";
import { href, settle } from "./route.js";
import { itemLink, itemSearch } from "./search.js";
import * as tastes from "./tastes.js";

const PAGE = 60;
const MOST = 100000;
const MARK = ["M6 1a5 5 0 1 0 .01 0z", "M1.5 1.5h9v9h-9z", "M6 1l5 9.5H1z", "M6 .5L11.5 6 6 11.5.5 6z", "M4.2 1h3.6v3.2H11v3.6H7.8V11H4.2V7.8H1V4.2h3.2z", "M6 1a5 5 0 1 0 .01 0zm0 2.6a2.4 2.4 0 1 1-.01 0z"];

export function open(root, route, { info, title }) {
	title("Map");
	const body = el("div", {}, note("slim", `Placing ${many(info.items, "item")} …`), el("div", { class: "map-grid" }, skeleton(1, "map"), skeleton(5, "row")));
	replace(root, head("A map of the items"), body);
	if (!info.can.map) {
		replace(body, el("section", { class: "panel" }, empty("There is no map", "A map needs at least three items that somebody chose.")));
		return {};
	}
	let atlas = null;
	let select = () => {};

	async function load() {
		try { show({ ...(await get("map", { limit: MOST })), graded: graded(info), says: (row) => standing(info, row) }); } catch (error) { replace(body, el("section", { class: "panel" }, trouble(error, load))); }
	}

	function show(data) {
		const { items } = data;
		if (!items.length) return replace(body, empty("Nothing to draw", "The model has no items yet."));
		const key = (item) => `${typeof item}:${item}`;
		const places = new Map(items.map((row, k) => [key(row.item), k]));
		const panel = el("div", { class: "near", "aria-live": "polite" });
		const near = newest();
		const open = (k) => { location.hash = href("item", items[k].item); };
		atlas = createMap(data, { pick: (k) => select(k), opened: open });
		const go = (row) => {
			const k = places.get(key(row.item));
			if (k === undefined) return replace(panel, note("", words(nameOf(row)), " has no users yet, so it has no place here. "), el("a", { href: href("item", row.item) }, "See the item"));
			select(k);
			atlas.around(k, 5);
			atlas.canvas.focus({ preventScroll: true });
		};
		const search = itemSearch(info, "Find an item on the map", go);

		select = async (k) => {
			const row = items[k];
			atlas.choose(k, false);
			settle("map", row.item, null);
			const list = el("div", {}, skeleton(6, "row"));
			replace(panel, el("h2", {}, words(nameOf(row))), note("slim", `${standing(info, row)}${row.group ? " · " + row.group : ""}`),
				el("p", { class: "actions" }, el("a", { class: "button", href: href("item", row.item) }, "Open this item"), button({ class: "button quiet", onclick: () => { atlas.choose(-1, false); replace(panel, hint()); settle("map", null, null); } }, "Clear")), el("h3", {}, "Most similar"), list);
			try {
				const { similar } = await get("similar", { item: row.item, n: 8 }, near.signal());
				const digits = digitsFor(similar.map((r) => r.similarity));
				atlas.light(similar.map((r) => places.get(key(r.item))).filter((j) => j !== undefined));
				replace(list, el("ul", { class: "plain lines" }, similar.map((r) => el("li", {},
					places.has(key(r.item)) ? button({ class: "link", onclick: () => select(places.get(key(r.item))) }, words(nameOf(r))) : itemLink(r), el("span", { class: "aside n" }, fix(r.similarity, digits))))));
			} catch (error) { if (!stale(error)) replace(list, trouble(error, () => select(k))); }
		};

		const ways = schemes(data);
		let way = ways[0];
		let only = null;
		const legend = el("ul", { class: "legend", "aria-label": "Colours" });
		const paint = () => {
			replace(legend, way.legend.length > 1 ? way.legend.map((entry) => el("li", {}, button({ class: "chip", "aria-pressed": String(only === entry.key), onclick: () => {
				only = only === entry.key ? null : entry.key;
				atlas.only(only === null ? null : entry);
				paint();
				legend.children[way.legend.indexOf(entry)].firstChild.focus();
				table();
			} }, svg("svg", { viewBox: "0 0 12 12", class: "mark", "aria-hidden": "true", fill: entry.colour }, svg("path", { d: MARK[entry.shape] })), entry.name))) : null);
		};
		const id = fresh("by");
		const by = el("select", { id }, ways.map((w) => el("option", { value: w.key }, w.key === "group" ? (info.groups?.[0] ?? "group").replaceAll("_", " ") : w.name)));
		by.addEventListener("change", () => { way = ways.find((w) => w.key === by.value); only = null; atlas.by(way); paint(); table(); });

		let shown = PAGE;
		const rows = el("div");
		const list = el("details", { class: "more" }, el("summary", {}, "The same as a list"), rows);
		const table = () => {
			if (!list.open) return;
			const entry = way.legend.find((e) => e.key === only);
			const kept = entry ? items.filter((row) => entry.has(row)) : items;
			replace(rows, el("ul", { class: "plain lines two" }, kept.slice(0, shown).map((row) => el("li", {}, itemLink(row), el("span", { class: "aside n" }, standing(info, row))))),
				kept.length > shown ? button({ class: "button quiet", onclick: () => { const at = shown; shown += PAGE; table(); rows.querySelectorAll("a")[at]?.focus(); } }, `Show more of ${big(kept.length)}`) : null);
		};
		list.addEventListener("toggle", table);
		const hint = () => note("", "Point at an item to see its name. Choose one to see what is most like it.");

		paint();
		replace(body, el("div", { class: "map-grid" }, el("section", { class: "panel flush", "aria-label": "Map" }, atlas.node, legend),
			el("section", { class: "panel", "aria-label": "Chosen item" }, search.node, ways.length > 1 ? el("div", { class: "by" }, el("label", { for: id }, "Colour by"), by) : way.legend.length > 1 ? note("slim", `Colours: ${way.name}.`) : null, panel)),
			note("", `${items.length < info.items ? `The ${big(items.length)} items that somebody ${graded(info) ? "rated" : "chose"}` : `All ${big(items.length)} items`}. Items that the model finds alike lie near each other; an item with more users is larger. Drag to move, scroll or pinch to zoom. With the keyboard, arrows walk from item to item.`), list);
		replace(panel, hint());
		mine(items, places, key);
		const wanted = route.id === null ? -1 : places.get(key(idOf(route.id, info.id_types.item))) ?? -1;
		if (wanted >= 0) { select(wanted); atlas.around(wanted, 4); } else if (route.id !== null) replace(panel, note("", "That item has no users yet, so it has no place on the map. "), el("a", { href: href("item", route.id) }, "See the item"));
	}

	/** Where the taste of this tab lies: in the middle of what was liked; what it would be recommended is ringed. */
	async function mine(items, places, key) {
		const taste = tastes.restore(new URLSearchParams(), info);
		if (!taste.rated.length || !info.can.fold_in) return;
		const mean = taste.rated.reduce((s, r) => s + (r.rating ?? 0), 0) / taste.rated.length;
		const liked = taste.rated.filter((r) => r.rating === null || r.rating >= mean).map((r) => places.get(key(r.item))).filter((k) => k !== undefined);
		if (!liked.length) return;
		const middle = ["x", "y"].map((end) => { const all = liked.map((k) => items[k][end]).sort((a, b) => a - b); return (all[Math.floor((all.length - 1) / 2)] + all[Math.ceil((all.length - 1) / 2)]) / 2; });
		try {
			const { recommendations } = await post("recommend", { history: taste.rated.map(({ item, rating }) => ({ item, rating })), n: 10 });
			atlas?.mark(recommendations.map((r) => places.get(key(r.item))).filter((k) => k !== undefined), middle);
		} catch { /* the map stands without it */ }
	}
	load();
	return { leave() { atlas?.leave(); } };
}
