/* Why an item is recommended: a dialog with the account of the prediction, and what the list would be without some ratings. */

import { about, nameOf, newest, post, stale } from "./api.js";
import { shareBar } from "./charts.js";
import { announce, aside, big, button, counted, digitsFor, el, fix, fresh, known, many, note, replace, short, signed, skeleton, trouble, words } from "./dom.js";
import { entry, graded, inWords } from "./rating.js";
import { href } from "./route.js";
import { itemLink } from "./search.js";
import { waterfall } from "./waterfall.js";

const name = (...children) => el("th", { scope: "row" }, children);
const cell = (...children) => el("td", { class: "n" }, children);
const extra = (...children) => el("td", { class: "n wide-only" }, children);

/** `person` is {user} or {history}; `closed()` is called when the dialog is closed by the reader. */
export function openWhy({ info, person, item, title, closed }) {
	const id = fresh("why");
	const body = el("div", { class: "why-body" }, skeleton(1, "head"), skeleton(7, "row"));
	const heading = el("h2", { id, tabindex: "-1" }, "Why ", words(title ?? String(item)), "?");
	const dialog = el("dialog", { class: "dialog wide", "aria-labelledby": id },
		el("div", { class: "dialog-head" }, heading, button({ class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "×")), body);
	const only = newest();
	const opener = document.activeElement;
	let quiet = false;
	dialog.addEventListener("close", () => {
		only.stop();
		dialog.remove();
		watch.disconnect();
		if (opener?.isConnected) opener.focus({ preventScroll: true });
		if (!quiet) closed();
	});
	dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
	let redraw = () => {};
	let wide = 0;
	const watch = new ResizeObserver(() => { if (Math.abs(body.clientWidth - wide) > 4) { wide = body.clientWidth; redraw(); } });
	document.body.append(dialog);
	dialog.showModal();
	heading.focus();
	load();
	return { item, end() { quiet = true; dialog.close(); } };

	async function load() {
		replace(body, skeleton(1, "head"), skeleton(7, "row"));
		try {
			const found = await post("explain", { ...person, item, n: 5 }, only.signal());
			replace(heading, "Why ", words(found.label ?? title ?? String(item)), "?");
			show(found);
		} catch (error) {
			if (!stale(error)) replace(body, trouble(error, load));
		}
	}

	function show(found) {
		const ranking = info.task !== "rating";
		const digits = digitsFor([...found.rated.map((r) => r.contribution), ...(ranking ? [found.prediction] : [])]);
		const steps = found.strongest.map((r) => ({ label: nameOf(r), given: known(r.rating) && info.scale.low < info.scale.high ? ` · ${given(r)}` : "", value: r.contribution }));
		for (const { label, value } of others(found)) steps.push({ label, value });
		const place = el("div", { class: "waterfall-place" });
		redraw = () => replace(place, waterfall({ label: found.rest_is, value: found.rest }, steps, { label: ranking ? "score" : "prediction", value: found.prediction }, digits, Math.max(280, place.clientWidth)));
		replace(body,
			el("p", { class: "lead" }, el("b", {}, fix(found.prediction, ranking ? digits : 2)), " ", ranking ? "is its score, which only orders items." : `predicted, on a scale from ${short(info.scale.low)} to ${short(info.scale.high)}.`),
			found.because?.length ? el("ul", { class: "because" }, found.because.slice(0, 3).map((b) => el("li", {}, counted(about(person.user, b).replace(/([+:] ?)-(?=[\d.]+$)/, "$1−"))))) : null,
			found.rated.length ? place : note("", `No ${entry(info)} contributes to this: it is the model's view of the item itself.`),
			found.rated.length ? account(found, digits) : null,
			terms(found), neighbours(found),
			el("p", {}, el("a", { href: href("item", item) }, "More about this item")));
		watch.observe(body);
		redraw();
		announce(`Predicted ${fix(found.prediction, digits)}. ${about(person.user, found.because?.[0] ?? "")}`);
	}

	/** What the ratings besides the strongest come to: those that speak for the item, and those against it. */
	function others(found) {
		const shown = new Set(found.strongest.map((r) => r.item));
		const rest = found.rated.filter((r) => !shown.has(r.item));
		const part = (list, way) => (list.length ? [{ label: `${many(list.length, `other ${entry(info)}`)} ${way} it`, value: list.reduce((t, r) => t + r.contribution, 0) }] : []);
		return [...part(rest.filter((r) => r.contribution >= 0), "for"), ...part(rest.filter((r) => r.contribution < 0), "against")];
	}
	function given(row) { return row.stated === false ? "liked" : inWords(info, row.rating); }

	/** The same as figures, with a box to leave ratings out. */
	function account(found, digits) {
		const out = new Map();
		const changes = el("div", { class: "what-if", "aria-live": "polite" });
		const rows = el("tbody");
		const more = button({ class: "button quiet", onclick: () => { fillRows(found.rated); more.remove(); } }, `Show all ${many(found.rated.length, entry(info))}`);
		function fillRows(list) {
			replace(rows, list.map((r) => {
				const box = el("input", { type: "checkbox", "aria-label": `Leave out ${nameOf(r)}` });
				box.checked = out.has(r.item);
				box.addEventListener("change", () => { if (box.checked) out.set(r.item, nameOf(r)); else out.delete(r.item); whatIf(out, changes); });
				return el("tr", {}, info.can.fold_in ? el("td", { class: "leave" }, el("label", { class: "box" }, box)) : null, name(words(nameOf(r))),
					cell(given(r)), cell(el("b", { class: r.contribution < 0 ? "down" : "up" }, signed(r.contribution, digits))), extra(fix(r.similarity)), extra(big(r.shared_raters)));
			}),
			list === found.rated || found.rated.length <= found.strongest.length ? null : others(found).map(({ label, value }) => el("tr", {}, info.can.fold_in ? el("td") : null, name(label), el("td"), cell(signed(value, digits)), extra(), extra())),
			el("tr", {}, info.can.fold_in ? el("td") : null, name(found.rest_is), el("td"), cell(signed(found.rest, digits)), extra(), extra()),
			el("tr", { class: "sum" }, info.can.fold_in ? el("td") : null, name("together"), el("td"), cell(fix(found.prediction, digits)), extra(), extra()));
		}
		fillRows(found.strongest);
		return el("div", {}, el("h3", {}, "The same in figures"),
			info.can.fold_in ? note("slim", `Leave ${entry(info)}s out to see how the whole list would change.`) : null,
			el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, info.can.fold_in ? el("th", { scope: "col", class: "leave" }, "Leave out") : null, el("th", { scope: "col" }, graded(info) ? "Rated" : "Chosen"), el("th", { scope: "col", class: "n" }, graded(info) ? "Rating" : "How often"), el("th", { scope: "col", class: "n" }, "Contribution"), el("th", { scope: "col", class: "n wide-only" }, "Similarity"), el("th", { scope: "col", class: "n wide-only" }, "Shared users"))), rows)),
			found.rated.length > found.strongest.length ? more : null, changes);
	}

	async function whatIf(out, place) {
		if (!out.size) return replace(place);
		place.setAttribute("aria-busy", "true");
		if (!place.firstChild) replace(place, skeleton(4, "row"));
		try {
			const { changes } = await post("what-if", { ...person, without: [...out.keys()], n: 10 }, only.signal());
			const rows = changes.filter((c) => c.rank_before !== c.rank_after);
			replace(place, el("h3", {}, "Without ", [...out.values()].map((left, k) => [k ? ", " : "", words(left)])),
				rows.length ? el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Item"), el("th", { scope: "col", class: "n" }, "Place now"), el("th", { scope: "col", class: "n" }, "Then"))),
					el("tbody", {}, rows.map((c) => el("tr", {}, name(words(nameOf(c))), cell(c.rank_before ?? "–"), cell(moved(c))))))
					: note("", "The ten best stay the same."));
		} catch (error) {
			if (!stale(error)) replace(place, trouble(error, () => whatIf(out, place)));
		}
		place.removeAttribute("aria-busy");
	}
	function moved({ rank_before: before, rank_after: after }) {
		if (!known(after)) return el("span", { class: "down" }, "leaves");
		if (!known(before)) return el("span", { class: "up" }, `${after}, new`);
		return el("span", { class: after < before ? "up" : "down" }, `${after} ${after < before ? "▲" : "▼"}`);
	}

	/** What the model itself adds up, where it does. */
	function terms(found) {
		if (!found.terms?.length) return null;
		const kept = found.terms.filter((t) => !t.term.startsWith("factor"));
		const factors = found.terms.filter((t) => t.term.startsWith("factor"));
		if (factors.length) kept.push({ term: factors.length > 1 ? `taste (${factors.length} factors)` : factors[0].term, value: factors.reduce((s, t) => s + t.value, 0) });
		const widest = Math.max(...kept.map((t) => Math.abs(t.value)), 1e-9);
		const digits = digitsFor(kept.map((t) => t.value));
		return el("details", { class: "more" }, el("summary", {}, "The model's own terms"),
			el("table", {}, el("tbody", {}, kept.map((t) => el("tr", {}, name(t.term), el("td", { class: "meter-cell" }, shareBar(Math.abs(t.value) / widest, t.value < 0)), cell(signed(t.value, digits)))))),
			found.link === "sigmoid" && found.y_range ? note("slim", `Their sum goes through a sigmoid that keeps predictions from ${short(found.y_range[0])} to ${short(found.y_range[1])}.`) : null);
	}

	function neighbours(found) {
		if (!found.neighbours?.length) return null;
		return el("details", { class: "more" }, el("summary", {}, graded(info) ? "The most similar rated items" : "The most similar chosen items"),
			el("ul", { class: "plain" }, found.neighbours.map((r) => el("li", {}, itemLink(r), aside(`${r.stated === false ? "liked" : `${graded(info) ? "rated " : ""}${inWords(info, r.rating)}`}, similarity ${fix(r.similarity)}, ${many(r.shared_raters, "shared user")}`)))));
	}
}
