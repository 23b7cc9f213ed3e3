/* The list as a file, and the same request as a command or as a program. */

import { nameOf, shellToken } from "./api.js";
import { announce, button, el, replace } from "./dom.js";
import * as json from "./json.js";

const COLUMNS = ["rank", "item", "title", "score", "low", "high", "reason"];
/* What a spreadsheet would take for a formula gets an apostrophe before it, where it is not a number. */
const plain = (value) => (typeof value === "string" && /^(?:[=@\t\r]|[+-].*[(|!])/s.test(value) ? `'${value}` : String(value ?? ""));
const field = (value) => { const text = plain(value); return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };

/** RFC 4180, with the columns that any row has. */
export function csv(rows) {
	const columns = COLUMNS.filter((c) => rows.some((row) => row[c] !== null && row[c] !== undefined));
	return [columns, ...rows.map((row) => columns.map((c) => row[c]))].map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
export function command(request, address, token = "") {
	return ["curl -sS " + quoted(address), "-H 'Content-Type: application/json'", token ? `-H ${token}` : null, "-d " + quoted(json.write(request))].filter(Boolean).join(" \\\n  ");
}

function literal(value) {
	if (value === null || value === undefined) return "None";
	if (value === true || value === false) return value ? "True" : "False";
	if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
	if (typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${literal(k)}: ${literal(v)}`).join(", ")}}`;
	return typeof value === "string" ? JSON.stringify(value) : String(value); // JSON's escapes are Python's
}
/** `tuples`: names of options that are pairs in Python, and lists in JSON. */
export function python(request, tuples = [], bundle = "model.cofactor") {
	const { user, history, features, interval, ...options } = request;
	const rest = Object.entries({ ...(features ? { features } : {}), ...options, ...(interval ? { interval } : {}) });
	const given = history ? `history={${history.map((r) => `${literal(r.item)}: ${literal(r.rating)}`).join(", ")}}` : user === undefined ? null : `user=${literal(user)}`;
	const named = [given, ...rest.map(([k, v]) => `${k}=${tuples.includes(k) ? literal(v).replace(/^\[(.*)\]$/, "($1)") : literal(v)}`)].filter(Boolean);
	return `import cofactor as cf\n\nrec = cf.load(${literal(bundle)})\nprint(rec.recommend(${named.join(", ")}))\n`;
}

export function takeAway({ info, rows, request }) {
	const said = el("p", { class: "note slim", role: "status" });
	const code = el("div");
	const tell = (text) => { said.textContent = text; announce(text); };
	const copy = (name, make) => button({ class: "button", onclick: async () => {
		const now = request();
		if (!now) return tell("Rate something first.");
		const text = make(now);
		replace(code, el("pre", { tabindex: "0", "aria-label": name }, text));
		try { await navigator.clipboard.writeText(text); tell(`Copied: the list as ${name}.`); } catch { tell("Select and copy it here:"); }
	} }, `Copy as ${name}`);
	const file = button({ class: "button", onclick: () => {
		if (!rows().length) return tell("There is no list yet.");
		const link = el("a", { href: URL.createObjectURL(new Blob([csv(rows())], { type: "text/csv;charset=utf-8" })), download: "recommendations.csv" });
		document.body.append(link);
		link.click();
		link.remove();
		setTimeout(() => URL.revokeObjectURL(link.href), 10000);
		tell(`recommendations.csv: ${rows().length} items, first ${nameOf(rows()[0])}.`);
	} }, "Download CSV");
	const address = new URL("v1/recommend", document.baseURI.split("#")[0]).href;
	return el("div", {}, el("div", { class: "actions" }, file, copy("curl", (r) => command(r, address, shellToken())), copy("Python", (r) => python(r, (info.options ?? []).filter((o) => o.kind === "cap").map((o) => o.name)))), said, code);
}
