/* The first view: the list on top, and what one likes beside it. A taste lives in the address and in this tab alone. */

import { get, idOf, nameOf, post } from "./api.js";
import { announce, big, button, el, empty, head, many, replace, sentence, short, skeleton, trouble, words } from "./dom.js";
import * as shape from "./options.js";
import { entry, kindOf, onDemand } from "./rating.js";
import { recommendations } from "./recommendations.js";
import { href, settle, step, unstep } from "./route.js";
import { itemLink, itemSearch } from "./search.js";
import { listBar } from "./bar.js";
import * as tastes from "./tastes.js";
import { openWhy } from "./why.js";

const STARTERS = 8;
const LATER = 1000;

export function open(root, route, { info, title, refreshInfo }) {
	title("For you");
	if (!info.can.fold_in) {
		replace(root, head("For you"), el("section", { class: "panel" }, empty("This model knows its users only", `A ${info.model} model cannot learn a new taste without training, so there is nothing to try here.`, el("p", {}, el("a", { class: "button", href: "#/user" }, "Look at known users")))));
		return {};
	}
	const { fresh, ...taste } = tastes.restore(route.params, info);
	const options = shape.read(route.params, info);
	const past = []; // what undo goes back to
	let dialog = null;
	let starters = null;
	let from = 0;
	let example = false;

	const rated = el("ul", { class: "rated" });
	const count = el("p", { class: "state" });
	const tools = el("p", { class: "tools" });
	const told = el("div", { class: "told", role: "status" });
	const turned = el("div", { class: "turned" });
	const begin = el("div", { class: "starters" });
	const store = el("div");
	const about = el("div");
	const drawAbout = () => replace(about, aboutYou());
	const likes = kindOf(info) === "like";
	const search = itemSearch(info, likes ? "Add what you like" : "Add what you know, and rate it", (row) => { rate(row, null); focusRated(row); });
	const recs = recommendations({
		info, options, kept: keep, rate: (row, rating) => rate(row, rating), who: person, title: "For you", level: "h1",
		deny: (row) => { change(() => tastes.deny(taste, row)); recs.now(); announce(`${nameOf(row)} is left out`); },
		why: (row) => (described() ? tell(`An explanation uses your ${entry(info)}s alone. Clear what you said about yourself to see it.`) : step("taste", null, parameters(row))),
		said: told, told: (rows) => bar.show(rows),
		waiting: empty("Your list will be here", likes ? "Choose one thing you like, from the search or the well-known ones, and it fills at once. Each further choice changes it while you watch." : "Rate one thing you know, from the search or the well-known ones, and it fills at once. Each further rating changes it while you watch."),
	});
	const bar = listBar(recs.node, recs.heading, () => recs.heading.focus({ preventScroll: true }));

	replace(root, el("div", { class: "columns taste" },
		el("div", { class: "find" }, search.node),
		el("div", { class: "mine" }, recs.node),
		el("section", { class: "panel yours", "aria-label": likes ? "You like" : "Your ratings" },
			el("div", { class: "panel-head" }, el("h2", {}, likes ? "You like" : "Your ratings"), count), about, rated, tools, turned,
			el("div", { class: "panel-head sub" }, el("h2", {}, "Well known"), info.items > STARTERS ? button({ class: "link", onclick: () => { from += STARTERS; fetchStarters(); } }, "Show others") : null), begin,
			store)), bar.node);

	draw();
	drawAbout();
	showWhy(route.params);
	if (fresh) begins();
	else {
		keep();
		fetchStarters();
		tastes.learnTitles(taste, info).then((lost) => { if (lost !== null) { draw(); keep(); } if (lost) tell(`${many(lost, "item")} of this address ${lost === 1 ? "is" : "are"} not known to the model, and left out.`); recs.now(); });
	}

	/** Whoever comes without a taste sees a list at once: that of an example, said to be one. */
	async function begins() {
		await fetchStarters(200);
		if (taste.rated.length) return recs.now();
		Object.assign(taste, tastes.example(starters ?? [], info));
		example = taste.rated.length > 0;
		draw();
		recs.now();
		tell(example ? ["An example taste. ", button({ class: "link", onclick: () => { clear(); search.input.focus(); } }, "Begin with your own")] : []);
	}
	function tell(...said) { replace(told, said); }

	function parameters(why = null) {
		const params = shape.write(options, tastes.write(taste, new URLSearchParams()));
		if (why) params.set("why", String(why.item));
		return params;
	}
	function keep() {
		if (example) return;
		tastes.remember(taste);
		settle("taste", null, parameters(dialog ? { item: dialog.item } : null));
	}
	function described() { return Object.keys(taste.features).length > 0; }
	function person() {
		if (!taste.rated.length && !described()) return null;
		return { ...(taste.rated.length ? { history: taste.rated.map(({ item, rating }) => ({ item, rating })) } : {}), ...(described() ? { features: taste.features } : {}), ...(taste.denied.length ? { deny: taste.denied.map((d) => d.item) } : {}) };
	}
	/** What one may say of oneself, where the model has learned from such columns: a list without a single rating. */
	function aboutYou() {
		const columns = Object.entries(info.user_features ?? {});
		if (!columns.length) return null;
		const say = (name, value) => { change(() => { taste.features = { ...taste.features }; if (value === null) delete taste.features[name]; else taste.features[name] = value; }); recs.later(); };
		return el("details", { class: "more", open: described() }, el("summary", {}, "About you"), el("div", { class: "knob-grid" }, columns.map(([name, { values, range }]) => {
			const field = values ? el("select", {}, el("option", { value: "" }, "not said"), values.map((v, k) => el("option", { value: String(k) }, String(v)))) : el("input", { type: "number", min: range[0], max: range[1], step: "any", placeholder: `${short(range[0])} – ${short(range[1])}` });
			const given = taste.features[name];
			field.value = given === undefined ? "" : values ? String(values.findIndex((v) => v === given)) : String(given);
			field.addEventListener("change", () => { if (field.reportValidity()) say(name, field.value === "" ? null : values ? values[Number(field.value)] : Number(field.value)); });
			return el("label", { class: "knob" }, shape.title(name), field);
		})));
	}
	/** A change of the taste that undo takes back. */
	function change(make) {
		past.push({ rated: taste.rated.map((r) => ({ ...r })), denied: [...taste.denied], features: taste.features });
		if (past.length > LATER) past.shift();
		example = false;
		tell();
		make();
		draw();
		keep();
	}
	function undo() {
		if (!past.length) return;
		Object.assign(taste, past.pop());
		example = false;
		draw();
		drawAbout();
		keep();
		recs.now();
		announce("Undone");
	}
	function clear() {
		change(() => { taste.rated = []; taste.denied = []; taste.features = {}; });
		drawAbout();
		recs.now();
		tell("All cleared. ", button({ class: "link", onclick: () => { undo(); tell(); } }, "Undo"));
		announce("All cleared");
	}
	function rate(row, rating) {
		change(() => tastes.rate(taste, row, rating));
		recs.later();
	}
	const lineOf = (item) => [...rated.children].find((node) => node.dataset.key === tastes.keyOf(item));
	function focusRated(row) {
		const line = lineOf(row.item);
		line?.querySelector(".rate[aria-expanded=false]")?.click();
		if (!line?.contains(document.activeElement)) (line?.querySelector("button") ?? search.input).focus({ preventScroll: true });
		search.input.value = "";
	}

	function draw() {
		const held = rated.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.key : null;
		count.textContent = taste.rated.length ? big(taste.rated.length) : "";
		replace(rated, taste.rated.length ? taste.rated.map((row) => {
			const place = el("div", { class: "rate-place", hidden: true });
			return el("li", { class: "own", "data-key": tastes.keyOf(row.item) },
				itemLink(row, "title"), likes ? null : onDemand(info, nameOf(row), row.rating, (value) => rate(row, value), place),
				button({ class: "icon", "aria-label": `Remove ${nameOf(row)}`, title: "Remove", onclick: () => drop(row) }, "×"), place);
		}) : el("li", { class: "none" }, "Nothing yet."));
		if (held) [...rated.children].find((node) => node.dataset.key === held)?.querySelector("button")?.focus({ preventScroll: true });
		replace(tools, past.length ? button({ class: "link", onclick: () => { undo(); (tools.querySelector("button") ?? search.input).focus(); } }, "Undo") : null,
			taste.rated.length || taste.denied.length || described() ? button({ class: "link", onclick: () => { clear(); search.input.focus(); } }, "Clear all") : null);
		replace(turned, taste.denied.length ? el("details", { class: "more" }, el("summary", {}, `${big(taste.denied.length)} turned down`),
			el("ul", { class: "plain" }, taste.denied.map((row) => el("li", {}, words(nameOf(row)), " ", button({ class: "link", onclick: () => { change(() => tastes.allow(taste, row)); recs.now(); } }, "allow again"))))) : null);
		drawStarters();
		drawStore();
	}
	function drop(row) {
		const at = taste.rated.indexOf(row);
		change(() => tastes.drop(taste, row));
		recs.later();
		(rated.children[Math.min(at, rated.children.length - 1)]?.querySelector("button") ?? search.input).focus({ preventScroll: true });
		announce(`${nameOf(row)} is removed`);
	}

	async function fetchStarters(limit = STARTERS * 2) {
		if (!starters) replace(begin, skeleton(STARTERS, "row"));
		try {
			const found = await get("items", { limit, offset: from });
			if (from >= found.total) from = 0;
			starters = found.items;
			drawStarters();
		} catch (error) {
			replace(begin, trouble(error, () => fetchStarters()));
		}
	}
	function drawStarters() {
		if (!starters) return;
		const rows = starters.filter((row) => !tastes.has(taste, row.item)).slice(0, STARTERS);
		replace(begin, el("ul", { class: "rated" }, rows.map((row) => {
			const place = el("div", { class: "rate-place", hidden: true });
			return el("li", { class: "own" }, itemLink(row, "title"), onDemand(info, nameOf(row), undefined, (value) => rate(row, value), place), place);
		})));
	}

	/** A taste becomes a user of the server only here, when one says so. */
	function drawStore() {
		const possible = info.can.update && !info.read_only && taste.rated.length > 0 && !example;
		if (!possible) return replace(store);
		if (store.firstChild) return;
		const field = el("input", { id: "store-as", type: info.id_types.user === "int" ? "number" : "text", autocomplete: "off", required: true, placeholder: info.id_types.user === "int" ? "a number" : "a name" });
		const said = el("p", { class: "note slim", role: "status" });
		replace(store, el("details", { class: "more" }, el("summary", {}, "Keep or share this taste"),
			el("p", { class: "note slim" }, "It is in this tab and in the address of the page; the server stores it only when you say so."),
			navigator.clipboard ? el("p", {}, button({ class: "button", onclick: async (e) => { await navigator.clipboard.writeText(location.href); e.target.textContent = "Copied"; } }, "Copy the link")) : null,
			el("form", { class: "line", onsubmit: async (event) => {
				event.preventDefault();
				const user = idOf(field.value.trim(), info.id_types.user);
				try {
					await post("events", { events: taste.rated.map(({ item, rating }) => ({ user, item, rating, time: null })) });
					replace(said, `${many(taste.rated.length, entry(info))} stored. `, el("a", { href: href("user", user) }, `Look at user ${user}`));
					refreshInfo().catch(() => {});
				} catch (error) { said.textContent = sentence(error.message); }
			} }, el("label", { for: "store-as" }, `Store these ${entry(info)}s on the server, for user`), field, el("button", { type: "submit", class: "button" }, "Store")), said));
	}

	function showWhy(params) {
		const wanted = params.get("why");
		if (dialog && String(dialog.item) !== wanted) { dialog.end(); dialog = null; }
		if (!wanted || dialog || !taste.rated.length) return;
		const item = idOf(wanted, info.id_types.item);
		dialog = openWhy({ info, item, person: { history: person().history }, closed: () => { dialog = null; unstep("why"); } });
	}

	return {
		leave() { dialog?.end(); recs.leave(); bar.leave(); },
		update(next) {
			const wanted = tastes.write(tastes.read(next.params, info, taste), new URLSearchParams()).toString();
			if ((next.params.has("r") || next.params.has("f")) && wanted !== tastes.write(taste, new URLSearchParams()).toString()) {
				Object.assign(taste, tastes.read(next.params, info, taste)); // somebody opened another link
				tastes.learnTitles(taste, info).then(() => { draw(); drawAbout(); keep(); recs.now(); });
			}
			showWhy(next.params);
			if (!next.params.has("why")) keep();
		},
	};
}
