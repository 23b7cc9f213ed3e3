/* A live list of recommendations: asked for again whenever taste or options change, only the newest answer counts. */

import { nameOf, newest, post, stale } from "./api.js";
import { scoreBar, shareBar } from "./charts.js";
import { announce, button, calm, debounce, digitsFor, el, empty, fix, known, many, note, replace, skeleton, trouble, words } from "./dom.js";
import * as shape from "./options.js";
import { rater } from "./rating.js";
import { href } from "./route.js";

const LEVEL = 0.9;
const keyOf = (item) => `${typeof item}:${item}`;

/**
 * `who()` gives {user} or {history, deny}, or null where there is nothing to go by yet; `rate(row, rating)`,
 * `deny(row)` and `why(row)` may be left out. `kept(options)` keeps the options in the address.
 */
export function recommendations({ info, options, who, rate, deny, why, kept, title = "Recommended", waiting }) {
	const ranking = info.task !== "rating";
	const heading = el("h2", { tabindex: "-1" }, title);
	const state = el("p", { class: "state" });
	const list = el("ol", { class: "recs" });
	const body = el("div", { class: "recs-body" }, skeleton(6, "row"));
	const only = newest();
	const rows = new Map();
	const controls = shape.knobs(info, options, () => { kept(options); later(); });
	const node = el("section", { class: "panel recommended", "aria-label": title }, el("div", { class: "panel-head" }, heading, state), controls.node,
		ranking ? note("slim", `${info.model} puts items in order; its scores mean nothing on a scale of ratings, so the bars only compare.`) : null, body);

	function line(row) {
		const title = nameOf(row);
		const score = el("div", { class: "score" });
		const reason = el("p", { class: "reason" });
		const rank = el("span", { class: "rank", "aria-hidden": "true" });
		const rating = rate ? rater(info, title, undefined, (value) => rate(row, value)) : null;
		const whyButton = why && info.can.explain ? button({ class: "button quiet", "aria-label": `Why ${title}?`, "aria-haspopup": "dialog", onclick: () => why(row) }, "Why?") : null;
		const away = deny ? button({ class: "icon", title: "Not this", "aria-label": `Not ${title}`, onclick: () => deny(row) }, "×") : null;
		const item = el("li", { class: "rec" }, rank, el("div", { class: "what" }, el("a", { class: "title", href: href("item", row.item) }, words(title)), reason), score, el("div", { class: "do" }, rating, el("span", { class: "do-more" }, whyButton, away)));
		return {
			item,
			update(now, best, digits) {
				rank.textContent = String(now.rank);
				replace(reason, words(now.reason || "", "span"));
				reason.title = now.reason || "";
				if (!known(now.score)) return replace(score, el("span", { class: "value" }, "–"));
				const interval = known(now.low) && known(now.high);
				const said = interval ? `${LEVEL * 100} % sure it is between ${fix(now.low, 1)} and ${fix(now.high, 1)}` : "";
				score.title = said;
				replace(score, el("span", { class: "value" }, fix(now.score, digits), interval ? el("span", { class: "unseen" }, `, ${said}`) : null),
					ranking ? shareBar(best > 0 ? now.score / best : 1) : scoreBar(now.score, now.low, now.high, info.scale));
			},
		};
	}

	function show(found) {
		if (!found.length) {
			rows.clear();
			return replace(body, empty("Nothing is left to recommend", changedOptions() ? "The conditions leave no item; loosen them." : "Everything this model knows has been rated or turned down."));
		}
		const before = new Map([...rows].map(([key, row]) => [key, row.item.isConnected ? row.item.getBoundingClientRect().top : null]));
		const focused = document.activeElement;
		const held = list.contains(focused);
		const best = Math.max(...found.map((r) => r.score ?? 0));
		const digits = ranking ? digitsFor(found.map((r) => r.score)) : 2;
		const keep = new Set(found.map((r) => keyOf(r.item)));
		for (const key of [...rows.keys()]) if (!keep.has(key)) rows.delete(key);
		for (const row of found) {
			if (!rows.has(keyOf(row.item))) rows.set(keyOf(row.item), line(row));
			rows.get(keyOf(row.item)).update(row, best, digits);
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
		const person = who();
		if (!person) {
			only.stop();
			rows.clear();
			state.textContent = "";
			return replace(body, waiting ?? empty("Nothing to go by yet"));
		}
		body.setAttribute("aria-busy", "true");
		try {
			const interval = info.can.intervals && !ranking ? { interval: LEVEL } : {};
			const found = await post("recommend", { ...person, ...shape.body(options, info), ...interval }, only.signal());
			controls.wrong("");
			show(found.recommendations);
			const top = found.recommendations[0];
			state.textContent = top?.status && top.status !== "known" && top.status !== "from the history" ? top.status : "";
			announce(top ? `${many(found.recommendations.length, "recommendation")}, first ${nameOf(top)}` : "Nothing to recommend");
		} catch (error) {
			if (stale(error)) return;
			if (options.where && [400, 422].includes(error.status)) controls.wrong(error.message);
			else { rows.clear(); replace(body, trouble(error, now)); }
		}
		body.removeAttribute("aria-busy");
	}
	const later = debounce(now, 220);
	return { node, heading, later, now, leave: () => { later.cancel(); only.stop(); } };
}
