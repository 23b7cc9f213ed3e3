/* The first view: say what you like, and see the list answer. A taste lives in the address and in this tab alone. */

import { get, idOf, nameOf, post } from "./api.js";
import { announce, big, button, el, empty, head, lede, many, replace, sentence, skeleton, trouble, words } from "./dom.js";
import * as shape from "./options.js";
import { kindOf, rater } from "./rating.js";
import { recommendations } from "./recommendations.js";
import { href, settle, step, unstep } from "./route.js";
import { itemLink, itemSearch } from "./search.js";
import * as tastes from "./tastes.js";
import { openWhy } from "./why.js";

const STARTERS = 8;

export function open(root, route, { info, title, refreshInfo }) {
	title("Taste");
	const taste = tastes.restore(route.params, info);
	const options = shape.read(route.params);
	let dialog = null;
	let starters = null;
	let from = 0;

	const rated = el("ul", { class: "rated" });
	const count = el("p", { class: "state" });
	const turned = el("div", { class: "turned" });
	const begin = el("div", { class: "starters" });
	const store = el("div");
	const search = itemSearch(kindOf(info) === "like" ? "What do you like?" : "What have you seen, read, played?", (row) => { rate(row, null); focusRated(row); });
	const recs = recommendations({
		info, options, kept: keep, rate, who: person, title: "For you",
		deny: (row) => { tastes.deny(taste, row); drawTurned(); keep(); recs.now(); announce(`${nameOf(row)} is left out`); },
		why: (row) => step("taste", null, parameters(row)),
		waiting: empty("Your list will be here", "Rate one thing you know, from the search or the well-known ones, and it fills at once. Each further rating changes it while you watch."),
	});

	replace(root,
		head("Tell me what you like"),
		lede("Recommendations follow as you rate. Your taste stays in this tab and in the address of the page; it is stored nowhere unless you ask for it."),
		info.can.fold_in ? el("div", { class: "columns" },
			el("section", { class: "panel yours", "aria-label": "Your taste" },
				search.node,
				el("div", { class: "panel-head sub" }, el("h2", {}, "Your ratings"), count), rated, turned,
				el("div", { class: "panel-head sub" }, el("h2", {}, "Well known"), button({ class: "link", onclick: () => { from += STARTERS; fetchStarters(); } }, "Show others")), begin,
				store),
			recs.node)
			: el("section", { class: "panel" }, empty("This model knows its users only", `A ${info.model} model cannot learn a new taste without training, so there is nothing to try here.`, el("p", {}, el("a", { class: "button", href: "#/user" }, "Look at known users")))));
	if (!info.can.fold_in) return {};

	draw();
	keep();
	fetchStarters();
	tastes.learnTitles(taste, info).then((changed) => { if (changed) { draw(); keep(); } recs.now(); });
	showWhy(route.params);

	function parameters(why = null) {
		const params = shape.write(options, tastes.write(taste, new URLSearchParams()));
		if (why) params.set("why", String(why.item));
		return params;
	}
	function keep() {
		tastes.remember(taste);
		settle("taste", null, parameters(dialog ? { item: dialog.item } : null));
	}
	function person() {
		return taste.rated.length ? { history: taste.rated.map(({ item, rating }) => ({ item, rating })), ...(taste.denied.length ? { deny: taste.denied.map((d) => d.item) } : {}) } : null;
	}
	function rate(row, rating) {
		tastes.rate(taste, row, rating);
		draw();
		keep();
		recs.later();
	}
	function focusRated(row) {
		const line = [...rated.children].find((node) => node.dataset.key === tastes.keyOf(row.item));
		(line?.querySelector("input, button") ?? search.input).focus({ preventScroll: true });
		search.input.value = "";
	}

	function draw() {
		const held = rated.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.key : null;
		count.textContent = taste.rated.length ? big(taste.rated.length) : "";
		replace(rated, taste.rated.length ? taste.rated.map((row) => el("li", { class: "own", "data-key": tastes.keyOf(row.item) },
			itemLink(row, "title"),
			rater(info, nameOf(row), row.rating, (value) => rate(row, value)),
			button({ class: "icon", "aria-label": `Remove ${nameOf(row)}`, title: "Remove", onclick: () => drop(row) }, "×"))) : el("li", { class: "none" }, "Nothing yet."));
		if (held) [...rated.children].find((node) => node.dataset.key === held)?.querySelector("input:checked, input, button")?.focus({ preventScroll: true });
		drawTurned();
		drawStarters();
		drawStore();
	}
	function drop(row) {
		const at = taste.rated.indexOf(row);
		tastes.drop(taste, row);
		draw();
		keep();
		recs.later();
		(rated.children[Math.min(at, rated.children.length - 1)]?.querySelector("button") ?? search.input).focus({ preventScroll: true });
		announce(`${nameOf(row)} is removed`);
	}
	function drawTurned() {
		replace(turned, taste.denied.length ? el("details", { class: "more" }, el("summary", {}, `${big(taste.denied.length)} turned down`),
			el("ul", { class: "plain" }, taste.denied.map((row) => el("li", {}, words(nameOf(row)), " ", button({ class: "link", onclick: () => { tastes.allow(taste, row); drawTurned(); keep(); recs.now(); } }, "allow again"))))) : null);
	}

	async function fetchStarters() {
		if (!starters) replace(begin, skeleton(STARTERS, "row"));
		try {
			const found = await get("items", { limit: STARTERS * 2, offset: from });
			if (from >= found.total) from = 0;
			starters = found.items;
			drawStarters();
		} catch (error) {
			replace(begin, trouble(error, fetchStarters));
		}
	}
	function drawStarters() {
		if (!starters) return;
		const rows = starters.filter((row) => !tastes.has(taste, row.item)).slice(0, taste.rated.length && matchMedia("(max-width: 980px)").matches ? 3 : STARTERS); // a phone has the list below
		replace(begin, el("ul", { class: "rated" }, rows.map((row) => el("li", { class: "own" }, itemLink(row, "title"), rater(info, nameOf(row), undefined, (value) => rate(row, value))))));
	}

	/** A taste becomes a user of the server only here, when one says so. */
	function drawStore() {
		const possible = info.can.update && !info.read_only && taste.rated.length > 0;
		if (!possible) return replace(store);
		if (store.firstChild) return;
		const field = el("input", { id: "store-as", type: info.id_types.user === "int" ? "number" : "text", autocomplete: "off", required: true, placeholder: info.id_types.user === "int" ? "a number" : "a name" });
		const said = el("p", { class: "note slim", role: "status" });
		replace(store, el("details", { class: "more" }, el("summary", {}, "Keep or share this taste"),
			navigator.clipboard ? el("p", {}, button({ class: "button", onclick: async (e) => { await navigator.clipboard.writeText(location.href); e.target.textContent = "Copied"; } }, "Copy the link")) : null,
			el("form", { class: "line", onsubmit: async (event) => {
				event.preventDefault();
				const user = idOf(field.value.trim(), info.id_types.user);
				try {
					await post("events", { events: taste.rated.map(({ item, rating }) => ({ user, item, rating, time: null })) });
					replace(said, `${many(taste.rated.length, "rating")} stored. `, el("a", { href: href("user", user) }, `Look at user ${user}`));
					refreshInfo().catch(() => {});
				} catch (error) { said.textContent = sentence(error.message); }
			} }, el("label", { for: "store-as" }, "Store the ratings on the server as those of user"), field, el("button", { type: "submit", class: "button" }, "Store")), said));
	}

	function showWhy(params) {
		const wanted = params.get("why");
		if (dialog && String(dialog.item) !== wanted) { dialog.end(); dialog = null; }
		if (!wanted || dialog || !taste.rated.length) return;
		const item = idOf(wanted, info.id_types.item);
		dialog = openWhy({ info, item, person: { history: person().history }, closed: () => { dialog = null; unstep("why"); } });
	}

	return {
		leave() { dialog?.end(); recs.leave(); },
		update(next) {
			const wanted = tastes.write(tastes.read(next.params, info, taste), new URLSearchParams()).toString();
			if (next.params.has("r") && wanted !== tastes.write(taste, new URLSearchParams()).toString()) {
				Object.assign(taste, tastes.read(next.params, info, taste)); // somebody opened another link
				tastes.learnTitles(taste, info).then(() => { draw(); keep(); recs.now(); });
			}
			showWhy(next.params);
			if (!next.params.has("why")) keep();
		},
	};
}
