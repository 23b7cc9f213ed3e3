/* Addresses such as #/user/196?n=20: what they say, and how to go there. */

export const VIEWS = ["taste", "user", "item", "map", "compare", "model", "experiment"];

export function parse(hash) {
	const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
	const [view, ...rest] = path.split("/");
	let id = rest.join("/");
	try { id = decodeURIComponent(id); } catch { /* a stray percent sign stands for itself */ }
	return { view: VIEWS.includes(view) ? view : "taste", id: id === "" ? null : id, params: new URLSearchParams(query) };
}

export function href(view, id = null, params = null) {
	const query = params ? String(params instanceof URLSearchParams ? params : new URLSearchParams(params)) : "";
	return `#/${view}${id === null ? "" : "/" + encodeURIComponent(String(id))}${query ? "?" + query : ""}`;
}

/** Changes the address without a step in the history: what one rates is one place, not twenty. */
export function settle(view, id, params) {
	const address = href(view, id, params);
	if (address !== location.hash) history.replaceState(history.state, "", address);
}

/** A step that the back button undoes. */
export function step(view, id, params) {
	history.pushState({ step: true }, "", href(view, id, params));
	dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The address without `name`: back where a step brought it, in place where it was opened like that. */
export function unstep(name) {
	if (history.state?.step) return history.back();
	const { view, id, params } = parse(location.hash);
	params.delete(name);
	settle(view, id, params);
}
