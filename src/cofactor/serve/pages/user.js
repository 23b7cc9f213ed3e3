/* A known user: what they rated, what they would be recommended, and why; a new rating goes to the server. */

import { get, idOf, nameOf, post, remove } from "./api.js";
import { shareBar } from "./charts.js";
import { announce, aside, big, button, el, empty, fix, head, known, lede, many, note, replace, sentence, short, skeleton, trouble, when, words } from "./dom.js";
import * as shape from "./options.js";
import { activity, entry, graded, rater, inWords, status } from "./rating.js";
import { recommendations } from "./recommendations.js";
import { href, settle, step, unstep } from "./route.js";
import { itemLink, itemSearch, userSearch } from "./search.js";
import { openWhy } from "./why.js";

const SHOWN = 12;

export function open(root, route, context) {
	return route.id === null ? choose(root, context) : person(root, route, context);
}

function choose(root, { title, info }) {
	title("Users");
	const list = el("div", {}, skeleton(8, "row"));
	const go = (row) => { location.hash = href("user", row.user); };
	replace(root, head("Users"), lede("Look at one user: the history, the recommendations and their reasons."),
		el("section", { class: "panel slim-panel", "aria-label": "Find a user" }, userSearch(info, "Find a user", go).node, el("h2", { class: "sub" }, graded(info) ? "Users with the most ratings" : "Users with the most items"), list));
	async function load() {
		try {
			const { users } = await get("users", { limit: 12 });
			replace(list, users.length ? el("ul", { class: "cards" }, users.map((row) => el("li", {}, el("a", { class: "card", href: href("user", row.user) }, words(String(row.user)), aside(activity(info, row.ratings)))))) : empty("No users yet", "Store a taste or send events, and they are here."));
		} catch (error) { replace(list, trouble(error, load)); }
	}
	load();
	return {};
}

function person(root, route, { info, title, refreshInfo }) {
	const user = idOf(route.id, info.id_types.user);
	title(`User ${route.id}`);
	const options = shape.read(route.params, info);
	const writable = info.can.update && !info.read_only;
	const about = el("div", {}, lede("…"));
	const list = el("div", {}, skeleton(8, "row"));
	const said = el("p", { class: "note slim", role: "status" });
	let dialog = null;
	let all = false;
	let stranger = false;
	const alike = el("div", {}, skeleton(4, "row"));
	let forgotten = null; // what undo would send again

	const parameters = (why = null) => { const params = shape.write(options, new URLSearchParams()); if (why !== null) params.set("why", String(why)); return params; };
	const keep = () => settle("user", user, parameters(dialog ? dialog.item : null));
	const recs = recommendations({ info, options, kept: keep, who: () => (stranger ? null : { user }), title: "Recommended", waiting: empty("No list yet", `There are no ${entry(info)}s to go by.`), rate: writable ? add : null, why: (row) => step("user", user, parameters(row.item)) });
	const search = writable ? itemSearch(info, graded(info) ? "Add a rating" : "Add an item", (row) => ask(row)) : null;
	const asked = el("div", { class: "asked" });

	replace(root, el("p", { class: "crumb" }, el("a", { href: "#/user" }, "Users")), head("User ", words(String(user))), about,
		el("div", { class: "columns" },
			el("section", { class: "panel yours", "aria-label": graded(info) ? "Ratings" : "Items" }, search?.node, asked, said, el("div", { class: "panel-head sub" }, el("h2", {}, graded(info) ? "Ratings" : "Items")), list,
				el("div", { class: "panel-head sub" }, el("h2", {}, graded(info) ? "Users with similar ratings" : "Users with similar choices")), alike),
			recs.node));

	async function load() {
		try {
			const found = await whole();
			stranger = false;
			replace(about, lede(`${activity(info, found.total)}${known(found.mean) && graded(info) ? `, ${short(found.mean)} on average` : ""}; ${found.status === "known" ? "known to the model" : status(info, found.status)}.`));
			draw(found);
		} catch (error) {
			replace(about);
			if (error.status === 404) return unknown(error);
			replace(list, trouble(error, load));
		}
	}
	/** Nobody has this id: said once, in place of what three requests would say. */
	function unknown(error) {
		stranger = true;
		replace(list, empty("Nobody with this id", sentence(error.message), writable ? el("p", {}, `A first ${entry(info)}, added above, makes this user known.`) : null, el("p", {}, el("a", { href: "#/user" }, "Find another user"))));
		replace(alike, note("slim", `Users are compared by their ${entry(info)}s.`));
		recs.now();
	}
	/** All ratings: an answer holds so many, and says how many there are. */
	async function whole() {
		const found = await get("user", { user });
		while (found.ratings.length < found.total) {
			const next = await get("user", { user, offset: found.ratings.length });
			if (!next.ratings.length) break;
			found.ratings.push(...next.ratings);
		}
		return found;
	}
	function draw(found) {
		const newer = found.ratings.filter((r) => r.newer).length;
		const rows = all ? found.ratings : found.ratings.slice(0, SHOWN);
		replace(list, found.ratings.length ? el("ul", { class: "rated" }, rows.map((row) => el("li", { class: "own" },
			itemLink(row, "title"),
			row.newer ? el("span", { class: "tag", title: row.time ? when(row.time) : null }, "newer") : null,
			el("span", { class: "value", title: row.time ? when(row.time) : null }, inWords(info, row.rating))))) : empty(`No ${entry(info)}s yet`),
		found.ratings.length > SHOWN && !all ? button({ class: "button quiet", onclick: () => { all = true; draw(found); list.querySelectorAll("a")[SHOWN]?.focus(); } }, `Show all ${big(found.ratings.length)}`) : null,
		newer && writable ? el("p", {}, button({ class: "button quiet", onclick: () => forget(found.ratings.filter((r) => r.newer)) }, `Forget the ${newer === 1 ? `newer ${entry(info)}` : many(newer, `newer ${entry(info)}`)}`)) : null);
	}

	/** Users by what they rated in common, each beside this one. */
	async function near() {
		try {
			const { similar } = await get("similar-users", { user, n: 6 });
			const best = Math.max(...similar.map((r) => r.similarity), 1e-9);
			replace(alike, similar.length ? el("ul", { class: `plain lines aligned alike${similar.some((r) => String(r.user).length > 12) ? " long" : ""}` }, similar.map((r) => el("li", {}, el("a", { href: href("user", r.user) }, words(String(r.user))),
				el("span", { class: "meter" }, shareBar(Math.abs(r.similarity) / best, r.similarity < 0)), el("span", { class: "aside n", title: `cosine ${fix(r.similarity)}` }, many(r.shared_items, "shared item")),
				el("a", { class: "aside", href: href("compare", null, { "left-user": user, "right-user": r.user }), "aria-label": `Compare with user ${r.user}` }, "compare")))) : empty("Nobody shares an item with this user"));
		} catch (error) { replace(alike, stranger ? note("slim", `Users are compared by their ${entry(info)}s.`) : error.status === 404 ? note("slim", "Similar users are shown from the next refit on.") : error.status === 403 ? note("slim", "Ids of other users are shown to tokens with the scope admin only.") : trouble(error, near)); }
	}

	function ask(row) {
		replace(asked, el("div", { class: "own lifted" }, el("span", { class: "title" }, words(nameOf(row))), rater(info, nameOf(row), undefined, (value) => { replace(asked); add(row, value); search.input.focus(); }),
			button({ class: "icon", "aria-label": "Rather not", onclick: () => { replace(asked); search.input.focus(); } }, "×")));
		asked.querySelector("input, button")?.focus();
	}
	async function add(row, rating) {
		said.textContent = "";
		try {
			await post("events", { events: [{ user, item: row.item, rating, time: null }] });
			said.textContent = `Stored: ${nameOf(row)}${known(rating) ? ", " + short(rating) : ""}.`;
			stranger = false;
			await Promise.all([load(), recs.now(), refreshInfo()]);
		} catch (error) {
			said.textContent = sentence(error.message);
			announce(said.textContent);
		}
	}
	async function forget(newer) {
		try {
			const { deleted } = await remove("events", { user });
			forgotten = newer;
			replace(said, `${many(deleted, `newer ${entry(info)}`)} forgotten. `, button({ class: "link", onclick: restore }, "Undo"));
			announce(said.textContent);
			await Promise.all([load(), recs.now(), refreshInfo()]);
		} catch (error) { said.textContent = sentence(error.message); }
	}
	async function restore() {
		try {
			const seconds = (iso) => (iso ? Math.floor(Date.parse(iso) / 1000) : null);
			await post("events", { events: forgotten.map((r) => ({ user, item: r.item, rating: r.rating, time: seconds(r.time) })) });
			said.textContent = `${many(forgotten.length, `newer ${entry(info)}`)} restored.`;
			forgotten = null;
			await Promise.all([load(), recs.now(), refreshInfo()]);
		} catch (error) { said.textContent = sentence(error.message); }
	}
	function showWhy(params) {
		const wanted = params.get("why");
		if (dialog && String(dialog.item) !== wanted) { dialog.end(); dialog = null; }
		if (!wanted || dialog) return;
		dialog = openWhy({ info, item: idOf(wanted, info.id_types.item), person: { user }, closed: () => { dialog = null; unstep("why"); } });
	}

	load().then(() => { if (!stranger) { near(); recs.now(); } });
	showWhy(route.params);
	return {
		leave() { dialog?.end(); recs.leave(); },
		update(next) { showWhy(next.params); },
	};
}
