/* A search box with suggestions, by the ARIA combobox pattern: arrows choose, Enter takes, Escape closes. */

import { newest, stale } from "./api.js";
import { announce, debounce, el, fresh, many, replace, sentence } from "./dom.js";

/**
 * `find(text, signal)` gives {rows, total}; `draw(row)` the children of one suggestion; `take(row)` is called with the
 * one chosen. `keep` leaves the text in the box.
 */
export function combobox({ label, placeholder, find, draw, take, hideLabel = false }) {
	const id = fresh("box");
	const input = el("input", { type: "search", id, placeholder, autocomplete: "off", autocapitalize: "off", spellcheck: "false", role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list" });
	const list = el("ul", { class: "hits", id: `${id}-list`, role: "listbox", "aria-label": label, hidden: true });
	const said = el("p", { class: "hits said", hidden: true });
	const node = el("div", { class: "combobox" }, el("label", { for: id, class: hideLabel ? "unseen" : null }, label), input, list, said);
	const only = newest();
	let rows = [];
	let active = -1;

	function show(text = "") {
		const open = rows.length > 0;
		list.hidden = !open;
		said.hidden = !text;
		said.textContent = text;
		input.setAttribute("aria-expanded", String(open));
		mark();
	}
	function mark() {
		[...list.children].forEach((item, k) => item.setAttribute("aria-selected", String(k === active)));
		if (active >= 0) {
			input.setAttribute("aria-activedescendant", list.children[active].id);
			list.children[active].scrollIntoView({ block: "nearest" });
		} else input.removeAttribute("aria-activedescendant");
	}
	function close() {
		only.stop();
		look.cancel();
		rows = [];
		active = -1;
		replace(list);
		show();
	}
	function choose(row) {
		input.value = "";
		close();
		take(row);
	}
	const look = debounce(async () => {
		const text = input.value.trim();
		if (!text) return close();
		try {
			const found = await find(text, only.signal());
			if (input.value.trim() !== text || document.activeElement !== input) return;
			rows = found.rows;
			active = rows.length ? 0 : -1;
			replace(list, rows.map((row, k) => el("li", { role: "option", id: `${id}-${k}`, "aria-selected": "false", onpointerdown: (e) => e.preventDefault(), onclick: () => choose(row) }, draw(row))));
			show(rows.length ? "" : `Nothing is called “${text}”.`);
			announce(rows.length ? `${many(found.total ?? rows.length, "suggestion")}` : "no suggestions");
		} catch (error) {
			if (stale(error)) return;
			rows = [];
			active = -1;
			replace(list);
			show(sentence(error.message));
		}
	}, 160);

	input.addEventListener("input", () => { if (input.value.trim()) look(); else close(); });
	input.addEventListener("focus", () => { if (input.value.trim()) look(); });
	input.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== input) close(); }, 120));
	input.addEventListener("keydown", (event) => {
		const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (move) {
			event.preventDefault();
			if (rows.length) { active = (active + move + rows.length) % rows.length; mark(); } else look();
		} else if (event.key === "Enter") {
			event.preventDefault();
			if (active >= 0) choose(rows[active]);
		} else if (event.key === "Escape" && (rows.length || input.value)) {
			event.preventDefault();
			if (rows.length) close(); else input.value = "";
		}
	});
	return { node, input };
}
