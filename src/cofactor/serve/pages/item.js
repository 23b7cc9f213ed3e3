/* An item: what is known of it, how it was rated, what is like it, and where it lies on the map. */

import { get, idOf, nameOf } from "./api.js";
import { histogram, shareBar } from "./charts.js";
import { aside, big, el, empty, facts, fix, head, known, lede, many, note, replace, section, short, signed, skeleton, trouble, words } from "./dom.js";
import { createMap } from "./atlas.js";
import { graded, levelsOf, rater } from "./rating.js";
import { href } from "./route.js";
import { itemLink, itemSearch } from "./search.js";
import * as tastes from "./tastes.js";

export function open(root, route, context) {
	return route.id === null ? choose(root, context) : one(root, idOf(route.id, context.info.id_types.item), context);
}

const row = (item, more) => el("li", {}, itemLink(item), aside(more));

function choose(root, { title, info }) {
	title("Items");
	const most = el("div", {}, skeleton(8, "row"));
	const ends = el("div", { class: "halves" });
	const search = itemSearch("Find an item", (found) => { location.hash = href("item", found.item); });
	replace(root, head("Items"), lede(`What ${many(info.users, "user")} made of ${many(info.items, "item")}.`),
		el("div", { class: "columns even" }, el("section", { class: "panel", "aria-label": "Find an item" }, search.node, el("h2", { class: "sub" }, "Most rated"), most), el("section", { class: "panel", "aria-label": "Biases" }, ends)));
	async function load() {
		try {
			const { items } = await get("items", { limit: 14 });
			replace(most, el("ul", { class: "plain lines" }, items.map((item) => row(item, graded(info) ? `${big(item.ratings)} · mean ${short(item.mean)}` : many(item.ratings, "user")))));
		} catch (error) { replace(most, trouble(error, load)); }
	}
	async function biases() {
		replace(ends, skeleton(8, "row"));
		try {
			const found = (await get("biases", { n: 6 })).biases;
			const widest = Math.max(...found.map((b) => Math.abs(b.bias)), 1e-9);
			const part = (end, heading) => [el("h2", { class: "sub" }, heading), el("ul", { class: "plain lines" }, found.filter((b) => b.end === end).map((b) => el("li", {}, itemLink(b), el("span", { class: "meter" }, shareBar(Math.abs(b.bias) / widest, b.bias < 0)), el("span", { class: "aside n" }, signed(b.bias)))))];
			replace(ends, note("slim", "What the model adds to the prediction for any user: taste and generosity are accounted for already."), part("highest", "Liked by all users"), part("lowest", "Disliked by all users"));
		} catch (error) {
			replace(ends, error.status === 422 || error.status === 404 || error.status === 400 ? empty("No biases", error.message) : trouble(error, biases));
		}
	}
	load();
	biases();
	return {};
}

/** The bars of a histogram with those of the scale that nobody gave, so that the distances are true. */
function whole(bins, scale) {
	const levels = levelsOf(scale), given = new Map(bins.map((b) => [b.rating, b.count]));
	if (levels.length > 24 || bins.some((b) => !levels.includes(b.rating))) return bins;
	return levels.map((rating) => ({ rating, count: given.get(rating) ?? 0 }));
}

function one(root, item, { info, title }) {
	title(`Item ${item}`);
	const heading = head(words(String(item)));
	const body = el("div", {}, skeleton(1, "head"), skeleton(6, "row"));
	const where = el("div");
	let atlas = null;
	let gone = false;
	replace(root, el("p", { class: "crumb" }, el("a", { href: "#/item" }, "Items")), heading, body);

	async function load() {
		try {
			const found = await get("item", { item });
			if (gone) return;
			title(nameOf(found));
			replace(heading, words(nameOf(found)));
			show(found);
			if (info.can.map) map();
		} catch (error) {
			heading.textContent = error.status === 404 ? "Not known here" : "That did not work";
			replace(body, el("section", { class: "panel" }, trouble(error, error.status === 404 ? null : load), el("p", {}, el("a", { href: "#/item" }, "Find another item"))));
		}
	}

	function show(found) {
		const table = Object.entries(found.table ?? {}).map(([name, value]) => [name, info.groups.includes(name) && typeof value === "string" ? value.split("|") : value]).filter(([name, value]) => !["title", "item"].includes(name) && value !== null && value !== "" && !(Array.isArray(value) && !value.length));
		replace(body,
			facts([["ratings", big(found.ratings)], known(found.mean) && graded(info) ? ["mean rating", short(found.mean)] : null,
				known(found.bias) ? ["bias", signed(found.bias), found.bias >= 0 ? "liked by all users" : "disliked by all users"] : null,
				found.title !== null && found.title !== undefined ? ["id", String(found.item)] : null]),
			el("div", { class: "columns even" },
				el("div", { class: "pile" },
					found.histogram?.length > 1 && graded(info) ? section("How it was rated", null, histogram(whole(found.histogram, info.scale))) : null,
					table.length ? section("From the table of items", null, el("dl", { class: "pairs" }, table.map(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, Array.isArray(value) ? el("ul", { class: "chips" }, value.map((v) => el("li", { class: "chip still" }, words(String(v))))) : words(String(value), "span"))]))) : null,
					info.can.fold_in ? section("Your rating", "It joins your taste, in this tab only.", mine(found)) : null),
				el("div", { class: "pile" },
					section("Most like it", null, near(found.neighbours ?? [])), where)));
	}
	function near(list) {
		if (!list.length) return empty("Nothing is near", "No other item was rated by the same users.");
		const best = Math.max(...list.map((r) => r.similarity), 1e-9);
		return el("ul", { class: "plain lines" }, list.map((r) => el("li", {}, itemLink(r), el("span", { class: "meter" }, shareBar(r.similarity / best)), el("span", { class: "aside n", title: known(r.shared_raters) ? many(r.shared_raters, "shared rater") : null }, fix(r.similarity)))));
	}
	function mine(found) {
		const taste = tastes.restore(new URLSearchParams(), info);
		const before = taste.rated.find((r) => tastes.keyOf(r.item) === tastes.keyOf(found.item));
		const said = el("p", { class: "note slim", role: "status" });
		return el("div", {}, rater(info, nameOf(found), before ? before.rating : undefined, (value) => {
			tastes.rate(taste, found, value);
			tastes.remember(taste);
			replace(said, "Noted. ", el("a", { href: "#/taste" }, "See your list"));
		}), said);
	}
	async function map() {
		try {
			const found = await get("map", { limit: 100000 });
			if (gone) return;
			const at = found.items.findIndex((r) => r.item === item || r.title === item);
			if (at < 0) return;
			atlas = createMap(found, { chosen: at, small: true, pick: (k) => { location.hash = href("item", found.items[k].item); } });
			replace(where, section("Where it lies", null, atlas.node, el("p", { class: "slim" }, el("a", { href: href("map", item) }, "Open the map here"))));
			atlas.around(at, 3);
		} catch { /* the rest of the page stands without it */ }
	}
	load();
	return { leave() { gone = true; atlas?.leave(); } };
}
