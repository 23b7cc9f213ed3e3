/* An item: what is known of it, how it was rated, what is like it, and where it lies on the map. */

import { get, idOf, nameOf, newest, stale } from "./api.js";
import { histogram, shareBar } from "./charts.js";
import { announce, aside, big, button, clip, debounce, digitsFor, el, empty, facts, fix, fresh, head, known, lede, many, note, replace, section, signed, skeleton, trouble, words } from "./dom.js";
import { createMap } from "./atlas.js";
import { graded, kindOf, levelsOf, rater, standing } from "./rating.js";
import * as shape from "./options.js";
import { href, settle } from "./route.js";
import { itemLink, itemSearch } from "./search.js";
import * as tastes from "./tastes.js";

export function open(root, route, context) {
	return route.id === null ? choose(root, context, route.params) : one(root, idOf(route.id, context.info.id_types.item), context);
}

const row = (item, more) => el("li", {}, itemLink(item), aside(more));

const PAGE = 24;
const orders = (info) => ({ ratings: graded(info) ? "most rated first" : "most users first", mean: "best rated first", title: "by title" });

function choose(root, { title, info }, params) {
	title("Items");
	const found = el("div", {}, skeleton(8, "row"));
	const ends = el("div", { class: "halves" });
	const search = itemSearch(info, "Find an item", (row) => { location.hash = href("item", row.item); });
	const wanted = shape.read(params, { ...info, options: [] });
	wanted.order = (info.orders ?? []).includes(params.get("order")) ? params.get("order") : "ratings";
	let shown = PAGE;
	const only = newest();
	const id = fresh("order");
	const order = el("select", { id }, (info.orders ?? ["ratings"]).map((o) => el("option", { value: o }, orders(info)[o] ?? `highest ${o.replaceAll("_", " ")} first`)));
	order.value = wanted.order;
	const turned = () => { shown = PAGE; const now = shape.write(wanted, new URLSearchParams()); if (wanted.order !== "ratings") now.set("order", wanted.order); settle("item", null, now); later(); };
	order.addEventListener("change", () => { wanted.order = order.value; turned(); });
	const byOrder = el("div", { class: "by" }, el("label", { for: id }, "Order"), order);
	const filters = el("div", { class: "filters" },
		info.groups?.length ? el("details", { class: "more", open: wanted.groups.length > 0 }, el("summary", {}, shape.title(info.groups[0])), shape.groupChips(info, wanted.groups, turned)) : null,
		info.ranges?.year ? el("details", { class: "more", open: wanted.from !== null || wanted.to !== null }, el("summary", {}, "Year"), shape.yearFields(info, wanted, (key, value) => { wanted[key] = value; turned(); })) : null);
	replace(root, head("Items"), lede(`${many(info.items, "item")}, ${graded(info) ? "rated" : "chosen"} by ${many(info.users, "user")}.`),
		el("div", { class: info.can.biases ? "columns even" : "alone even" }, el("section", { class: "panel", "aria-label": "Browse the items" }, el("div", { class: "finder" }, search.node, byOrder), filters, found), info.can.biases ? el("section", { class: "panel", "aria-label": "Biases" }, ends) : null));
	async function load() {
		const where = shape.condition(wanted, info);
		found.setAttribute("aria-busy", "true");
		try {
			const { items, total } = await get("items", { limit: shown, order: wanted.order, ...(where ? { where } : {}) }, only.signal());
			replace(found, note("slim", many(total, "item")), total ? el("ul", { class: "plain lines browse" }, items.map((item) => row(item, standing(info, item)))) : empty("No item fits", "Remove a genre or widen the years."),
				items.length < total && shown < 1000 ? button({ class: "button quiet", onclick: async () => { const at = shown; shown = Math.min(1000, shown + PAGE * 2); await load(); found.querySelectorAll("a")[at]?.focus(); } }, "Show more") : null);
			announce(many(total, "item"));
		} catch (error) { if (!stale(error)) replace(found, trouble(error, load)); }
		found.removeAttribute("aria-busy");
	}
	const later = debounce(load, 150);
	async function biases() {
		replace(ends, skeleton(8, "row"));
		try {
			const found = (await get("biases", { n: 6 })).biases;
			const widest = Math.max(...found.map((b) => Math.abs(b.bias)), 1e-9);
			const part = (end, heading) => [el("h2", { class: "sub" }, heading), el("ul", { class: "plain lines aligned" }, found.filter((b) => b.end === end).map((b) => el("li", {}, itemLink(b), el("span", { class: "meter" }, shareBar(Math.abs(b.bias) / widest, b.bias < 0)), el("span", { class: "aside n" }, signed(b.bias)))))];
			replace(ends, note("slim", "What the model adds to every prediction for an item, whoever the user is. Tastes, and how strictly users rate, are accounted for already."), part("highest", "Highest biases"), part("lowest", "Lowest biases"));
		} catch (error) { replace(ends, trouble(error, biases)); }
	}
	load();
	if (info.can.biases) biases();
	return { leave() { later.cancel(); only.stop(); }, update() { /* its own filters are in the address */ } };
}

/** The address that a text is, where it is one of the web; a link never goes anywhere else. */
function webAddress(text) {
	if (typeof text !== "string" || !URL.canParse(text.trim())) return null;
	const address = new URL(text.trim());
	return ["http:", "https:"].includes(address.protocol) ? address.href : null;
}
/** The picture of an item, where the server was told that pages may load them. */
function picture(found, info) {
	const address = info.image_column ? webAddress(found.table?.[info.image_column]) : null;
	if (!address) return null;
	const image = el("img", { class: "picture", src: address, alt: "", referrerpolicy: "no-referrer", loading: "lazy" });
	image.addEventListener("error", () => image.remove());
	return image;
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
			facts([[graded(info) ? "ratings" : "users", big(found.ratings)], known(found.mean) && graded(info) ? ["mean rating", fix(found.mean)] : null,
				known(found.bias) ? ["bias", signed(found.bias), found.bias >= 0 ? "raises every prediction" : "lowers every prediction"] : null,
				found.title !== null && found.title !== undefined ? ["id", String(found.item).length > 12 ? el("span", { class: "long" }, String(found.item)) : String(found.item)] : null]),
			picture(found, info),
			el("div", { class: "columns even" },
				el("div", { class: "pile" },
					found.histogram?.length > 1 && graded(info) ? section("How it was rated", "How many users gave each rating.", histogram(whole(found.histogram, info.scale))) : null,
					table.length ? section("From the table of items", null, el("dl", { class: "pairs" }, table.map(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, Array.isArray(value) ? el("ul", { class: "chips" }, value.map((v) => el("li", { class: "chip still" }, words(String(v))))) : webAddress(value) ? el("a", { href: webAddress(value), target: "_blank", rel: "noopener noreferrer" }, words(clip(value, 48), "span")) : words(String(value), "span"))]))) : null,
					info.can.fold_in ? section(kindOf(info) === "like" ? "Do you like it?" : "Your rating", "It becomes part of your taste, in this tab alone.", mine(found)) : null),
				el("div", { class: "pile" },
					section("Most similar", "By the model's own similarity.", near(found.neighbours ?? [])), where)));
	}
	function near(list) {
		if (!list.length) return empty("Nothing is near", `No other item was ${graded(info) ? "rated" : "chosen"} by the same users.`);
		const best = Math.max(...list.map((r) => r.similarity), 1e-9), digits = digitsFor(list.map((r) => r.similarity));
		return el("ul", { class: "plain lines aligned" }, list.map((r) => el("li", {}, itemLink(r), el("span", { class: "meter" }, shareBar(r.similarity / best)), el("span", { class: "aside n", title: known(r.shared_raters) ? many(r.shared_raters, "shared user") : null }, fix(r.similarity, digits)))));
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
			const found = { ...(await get("map", { limit: 100000 })), says: (r) => standing(info, r) };
			if (gone) return;
			const at = found.items.findIndex((r) => r.item === item || r.title === item);
			if (at < 0) return;
			atlas = createMap(found, { chosen: at, small: true, pick: (k) => { location.hash = href("item", found.items[k].item); } });
			replace(where, section("Its place on the map", null, atlas.node, el("p", { class: "slim" }, el("a", { href: href("map", item) }, "Open the map here"))));
			atlas.around(at, 3);
		} catch { /* the rest of the page stands without it */ }
	}
	load();
	return { leave() { gone = true; atlas?.leave(); } };
}
