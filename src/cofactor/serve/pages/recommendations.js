/* A live list of recommendations: asked for again whenever taste or options change, only the newest answer counts. */

import { about, nameOf, newest, post, stale } from "./api.js";
import { scoreBar, shareBar } from "./charts.js";
import { announce, aside, button, calm, debounce, digitsFor, el, empty, fix, known, many, note, replace, skeleton, squeezed, trouble, words } from "./dom.js";
import * as shape from "./options.js";
import { graded, onDemand, status } from "./rating.js";
import { href } from "./route.js";
import { takeAway } from "./takeaway.js";

const LEVEL = 0.9;
const keyOf = (item) => `${typeof item}:${item}`;

/**
 * `who()` gives {user} or {history, deny}, or null where there is nothing to go by yet; `rate(row, rating)`,
 * `deny(row)` and `why(row)` may be left out. `kept(options)` keeps the options in the address; `told(rows)` is
 * called with each new list, with `moved` (places up, or "new") in the rows; `said` is an element beside the heading.
 */
export function recommendations({ info, options, who, rate, deny, why, kept, title = "Recommended", level = "h2", waiting, said = null, told = () => {} }) {
	const ranking = info.task !== "rating";
	const heading = el(level, { tabindex: "-1" }, title);
	const state = el("p", { class: "state" });
	const list = el("ol", { class: "recs" });
	const body = el("div", { class: "recs-body" }, skeleton(10, "row"));
	const failed = el("div");
	const only = newest();
	const rows = new Map();
	let shown = [];
	const request = () => ({ ...who(), ...shape.body(options, info), ...(info.can.intervals && !ranking ? { interval: LEVEL } : {}) });
	const controls = shape.knobs(info, options, () => { kept(options); later(); }, [{ name: "Take away", draw: () => takeAway({ info, rows: () => shown, request: () => (who() ? request() : null) }) }]);
	const node = el("section", { class: "panel recommended", "aria-label": title }, el("div", { class: "panel-head" }, heading, said, state), controls.node, failed, body);

	function line(row) {
		const title = nameOf(row);
		const score = el("div", { class: ranking ? "score order" : "score" });
		const rank = el("span", { class: "rank", "aria-hidden": "true" });
		const name = el("a", { class: "title", href: href("item", row.item) }, words(title));
		const also = aside();
		const place = el("div", { class: "rate-place", hidden: true });
		const rating = rate ? onDemand(info, title, undefined, (value) => rate(row, value), place) : null;
		const asks = why && info.can.explain;
		const says = el("span", {});
		const reason = asks ? button({ class: "reason", "aria-haspopup": "dialog", onclick: () => why(row) }, el("span", { class: "unseen" }, `Why ${title}? `), says) : el("p", { class: "reason" }, says);
		const away = deny ? button({ class: "icon away", title: "Not this", "aria-label": `Not ${title}`, onclick: () => deny(row) }, "×") : null;
		const item = el("li", { class: "rec" }, rank, el("div", { class: "what" }, name, also, reason), score, el("div", { class: "do" }, rating, away), place);
		return {
			item,
			update(now, best, digits, twice) {
				replace(rank, String(now.rank), now.moved ? el("span", { class: `moved ${now.moved === "new" ? "new" : now.moved > 0 ? "up" : "down"}` }, now.moved === "new" ? "new" : `${now.moved > 0 ? "▲" : "▼"}${Math.abs(now.moved)}`) : null);
				replace(also, twice ? ` id ${row.item}` : ""); // two items of one name would look like one listed twice
				const because = about(who()?.user, now.reason || "");
				replace(says, squeezed(because || (asks ? "why?" : "")));
				reason.title = because;
				if (!known(now.score)) return replace(score, el("span", { class: "value" }, "–"));
				const interval = known(now.low) && known(now.high);
				const said = interval ? `${LEVEL * 100} % sure it is between ${fix(now.low, 1)} and ${fix(now.high, 1)}` : ranking ? `score ${fix(now.score, digits)}, which only puts items in order` : "";
				score.title = said;
				replace(score, el("span", { class: ranking ? "unseen" : "value" }, fix(now.score, digits), said ? el("span", { class: "unseen" }, `, ${said}`) : null),
					ranking ? shareBar(best > 0 ? now.score / best : 1) : scoreBar(now.score, now.low, now.high, info.scale));
			},
		};
	}

	function show(found) {
		const before = new Map([...rows].map(([key, row]) => [key, row.item.isConnected ? row.item.getBoundingClientRect().top : null]));
		const places = new Map(shown.map((r) => [keyOf(r.item), r.rank]));
		for (const row of found) {
			const was = places.get(keyOf(row.item));
			row.moved = !shown.length ? 0 : was === undefined ? "new" : was - row.rank;
		}
		shown = found;
		told(found);
		if (!found.length) {
			rows.clear();
			return replace(body, empty("Nothing is left to recommend", changedOptions() ? "The conditions leave no item; loosen them." : `Everything this model knows has been ${graded(info) ? "rated" : "chosen"} or turned down.`));
		}
		const focused = document.activeElement;
		const held = list.contains(focused);
		const best = Math.max(...found.map((r) => r.score ?? 0));
		const digits = ranking ? digitsFor(found.map((r) => r.score)) : 2;
		const keep = new Set(found.map((r) => keyOf(r.item)));
		const names = new Map();
		for (const row of found) names.set(nameOf(row), (names.get(nameOf(row)) ?? 0) + 1);
		for (const key of [...rows.keys()]) if (!keep.has(key)) rows.delete(key);
		for (const row of found) {
			if (!rows.has(keyOf(row.item))) rows.set(keyOf(row.item), line(row));
			rows.get(keyOf(row.item)).update(row, best, digits, names.get(nameOf(row)) > 1);
		}
		replace(list, found.map((r) => rows.get(keyOf(r.item)).item));
		if (!list.isConnected) replace(body, list);
		if (held) (focused.isConnected ? focused : heading).focus({ preventScroll: true });
		move(before);
	}

	/** Rows glide to their new places, so that one sees what a rating changed. */
	function move(before) {
		if (calm()) return;
		for (const [key, row] of rows) {
			const was = before.get(key);
			if (was === undefined || was === null) row.item.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 260, easing: "ease-out" });
			else {
				const by = was - row.item.getBoundingClientRect().top;
				if (Math.abs(by) > 1) row.item.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" });
			}
		}
	}

	const changedOptions = () => shape.changed(options) > 0;

	async function now() {
		if (!who()) {
			only.stop();
			rows.clear();
			shown = [];
			state.textContent = "";
			told([]);
			replace(failed);
			return replace(body, waiting ?? empty("Nothing to go by yet"));
		}
		body.setAttribute("aria-busy", "true");
		try {
			const found = await post("recommend", request(), only.signal());
			controls.wrong("");
			replace(failed);
			show(found.recommendations);
			const top = found.recommendations[0];
			const whose = top?.status && top.status !== "known" && top.status !== "from the history" ? status(info, top.status) : "";
			state.textContent = [whose, found.version === info.version ? "" : `by version ${found.version}`].filter(Boolean).join("; ");
			announce(top ? `${many(found.recommendations.length, "recommendation")}, first ${nameOf(top)}` : "Nothing to recommend");
		} catch (error) {
			if (stale(error)) return;
			if (options.where && [400, 422].includes(error.status)) {
				controls.wrong(error.message);
				if (!shown.length) replace(body);
			} else {
				replace(failed, trouble(error, now), shown.length ? note("slim", "The list below is the one before this failed.") : null); // what is there stays
				if (!shown.length) replace(body);
			}
		}
		body.removeAttribute("aria-busy");
	}
	const later = debounce(now, 220);
	return { node, heading, later, now, leave: () => { later.cancel(); only.stop(); } };
}
