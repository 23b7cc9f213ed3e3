/* Two lists side by side: two versions of the model for one taste, or two users, with what was measured above each. */

import { about, get, idOf, newest, post, stale } from "./api.js";
import { announce, aside, button, el, empty, fresh, head, known, lede, many, note, replace, skeleton, squeezed, trouble, words } from "./dom.js";
import { measure, shared } from "./figures.js";
import * as shape from "./options.js";
import { settle } from "./route.js";
import { itemLink, userSearch } from "./search.js";
import * as tastes from "./tastes.js";

const SIDES = ["left", "right"];
const keyOf = (row) => tastes.keyOf(row.item);

export function open(root, route, { info, title }) {
	title("Compare");
	const params = route.params;
	const options = shape.read(params, info);
	const sides = SIDES.map((name) => ({
		name, only: newest(), rows: null,
		user: params.has(`${name}-user`) ? idOf(params.get(`${name}-user`), info.id_types.user) : null,
		version: params.has(name) && Number.isSafeInteger(Number(params.get(name))) ? Number(params.get(name)) : null,
		box: el("section", { class: "panel", "aria-label": name === "left" ? "Left list" : "Right list" }),
	}));
	let versions = [];
	let taste = { rated: [], denied: [] };
	let example = false;
	const verdict = el("div", { class: "between", role: "status" }, skeleton(1, "row"));
	const controls = shape.knobs(info, options, () => { keep(); lists(); });
	replace(root, head("Compare"), lede("Two versions of the model for one taste, or two users of one model: both lists, what moved, and how good each version is."),
		controls.node, verdict, el("div", { class: "columns even sides" }, sides.map((s) => s.box)));
	start();

	async function start() {
		try {
			versions = (await get("versions")).versions.sort((a, b) => b.version - a.version);
			taste = tastes.restore(new URLSearchParams(), info);
			if (!taste.rated.length) { taste = tastes.example((await get("items", { limit: 200 })).items, info); example = true; }
		} catch (error) { return replace(verdict, trouble(error, start)); }
		const [left, right] = sides;
		left.version ??= info.version;
		right.version ??= params.has("right-user") ? left.version : (versions.find((v) => v.version !== left.version)?.version ?? left.version);
		for (const side of sides) draw(side);
		lists();
	}

	function keep() {
		const now = shape.write(options, new URLSearchParams());
		for (const { name, user, version } of sides) {
			if (version !== null) now.set(name, version);
			if (user !== null) now.set(`${name}-user`, String(user));
		}
		settle("compare", null, now);
	}
	const factsOf = (side) => versions.find((v) => v.version === side.version);
	const whose = (side) => (side.user !== null ? `User ${side.user}` : example ? "An example taste" : "Your taste");

	/** The heading of a side, what it asks, and the place of its list. */
	function draw(side) {
		const id = fresh(side.name);
		const which = el("select", { id: `${id}-version` }, versions.map((v) => el("option", { value: v.version }, `Version ${v.version} · ${v.model}${v.active ? " (live)" : ""}`)));
		which.value = String(side.version);
		which.addEventListener("change", () => { side.version = Number(which.value); keep(); quality(); list(side); });
		side.heading = el("h2", {}, words(whose(side)));
		side.quality = el("div", { class: "side-quality" });
		side.body = el("div", { class: "recs-body" }, skeleton(10, "row"));
		const search = userSearch(info, "Another user", (row) => { side.user = row.user; keep(); draw(side); quality(); list(side); });
		replace(side.box, side.heading,
			el("div", { class: "by" }, el("label", { for: which.id }, "Model"), which),
			el("details", { class: "more" }, el("summary", {}, "Another user"), search.node,
				side.user !== null ? button({ class: "link", onclick: () => { side.user = null; keep(); draw(side); quality(); list(side); } }, example ? "The example taste" : "Your taste") : null),
			side.quality, side.body);
		if (side.rows) show();
	}

	/** Above each list: what was measured of both versions on the same rows; figures of other rows would mislead. */
	function quality() {
		const [left, right] = sides;
		const [ours, theirs] = [factsOf(left), factsOf(right)];
		const pairs = ours && theirs ? shared(ours.figures, theirs.figures) : [];
		for (const [k, side] of sides.entries()) {
			const facts = k ? theirs : ours;
			if (pairs.length) replace(side.quality, el("dl", { class: "measures" }, pairs.slice(0, 3).map((pair) => measure(pair[k].metric, pair[k].value, { ...pair[k], brief: true }))), note("slim", `On ${pairs[0][k].rows}.`));
			else replace(side.quality, note("slim", !facts?.figures?.length ? "This version was not measured. cofactor evaluate MODEL TEST --save writes figures into a model." : !(k ? ours : theirs)?.figures?.length ? "This version was measured, and the other one was not: there is nothing to hold its figures against." : "The two versions were measured on different rows, so their figures cannot be compared."));
		}
	}

	function lists() { quality(); for (const side of sides) list(side); }
	async function list(side) {
		side.body.setAttribute("aria-busy", "true");
		const who = side.user !== null ? { user: side.user } : { history: taste.rated.map(({ item, rating }) => ({ item, rating })), ...(taste.denied?.length ? { deny: taste.denied.map((d) => d.item) } : {}) };
		try {
			const asked = { ...who, ...shape.body(options, info), ...(side.version === info.version ? {} : { version: side.version }) };
			side.rows = (await post("recommend", asked, side.only.signal())).recommendations;
			side.failed = null;
			controls.wrong("");
		} catch (error) {
			if (stale(error)) return;
			side.rows = null;
			side.failed = error;
			if (options.where && [400, 422].includes(error.status)) controls.wrong(error.message);
		}
		side.body.removeAttribute("aria-busy");
		show();
	}

	function show() {
		const [left, right] = sides;
		for (const [k, side] of sides.entries()) {
			const other = sides[1 - k].rows;
			const places = new Map((other ?? []).map((r) => [keyOf(r), r.rank]));
			if (side.failed) replace(side.body, trouble(side.failed, () => list(side)));
			else if (side.rows) replace(side.body, side.rows.length ? el("ol", { class: "recs" }, side.rows.map((row) => line(row, other ? places.get(keyOf(row)) ?? null : undefined, k, side.user))) : empty("Nothing to recommend"));
		}
		if (!left.rows || !right.rows) return replace(verdict);
		const there = new Map(right.rows.map((r) => [keyOf(r), r.rank]));
		const both = left.rows.filter((r) => there.has(keyOf(r)));
		const same = both.filter((r) => there.get(keyOf(r)) === r.rank).length;
		const alone = left.version === right.version && left.user === right.user;
		const said = alone ? "Both sides ask the same. Choose another version or another user on one of them."
			: `${both.length} of ${many(Math.max(left.rows.length, right.rows.length), "item")} ${both.length === 1 ? "is" : "are"} in both lists, ${same} in the same place.`;
		replace(verdict, el("p", { class: "notice" }, said, alone && versions.length < 2 ? " There is one version so far: a refit makes another, and cofactor serve MODEL --beside OTHER keeps a second model." : ""));
		announce(said);
	}

	/** `place`: where the other list has it (null: nowhere, undefined: not known yet). On the right, how it moved. */
	function line(row, place, k, user) {
		const because = about(user, row.reason || "");
		const by = known(place) ? place - row.rank : 0;
		const mark = place === null ? el("span", { class: "moved new" }, "only here") : !known(place) ? null
			: k === 0 ? (by ? el("span", { class: "moved" }, `right: ${place}`) : null)
				: by ? el("span", { class: `moved ${by > 0 ? "up" : "down"}` }, `${by > 0 ? "▲" : "▼"}${Math.abs(by)}`) : el("span", { class: "moved" }, "=");
		return el("li", { class: place === null ? "rec beside alone" : by ? "rec beside shifted" : "rec beside" },
			el("span", { class: "rank" }, String(row.rank)), el("div", { class: "what" }, itemLink(row, "title"), because ? el("p", { class: "reason", title: because }, squeezed(because)) : aside()), el("div", { class: "mark-place" }, mark));
	}

	return { leave() { for (const side of sides) side.only.stop(); } };
}
