/* On a phone the list is out of sight while one rates below it: a bar at the foot says what it has become. */

import { nameOf } from "./api.js";
import { button, calm, el, replace, words } from "./dom.js";

/** `list` holds the list and `top` is its heading; `seen()` is called when the bar has brought it back. */
export function listBar(list, top, seen) {
	const text = el("span", { class: "bar-text" });
	const node = button({ class: "now-bar", hidden: true, onclick: () => { list.scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" }); seen(); } }, text, el("span", { class: "bar-up", "aria-hidden": "true" }, "↑ list"));
	let rows = [];
	let below = false;
	const draw = () => { node.hidden = !below || !rows.length; };
	const watch = new IntersectionObserver(([entry]) => { below = !entry.isIntersecting && entry.boundingClientRect.top < 0; draw(); });
	watch.observe(top);
	return {
		node,
		show(found) {
			rows = found;
			const moved = found.filter((r) => r.moved).length;
			replace(text, el("b", {}, moved ? `${moved} of ${found.length} moved` : "Your list"), " ", found.slice(0, 3).map((r, k) => [k ? ", " : "", `${r.rank} `, words(nameOf(r)), r.moved === "new" ? " (new)" : ""]));
			draw();
		},
		leave() { watch.disconnect(); },
	};
}
