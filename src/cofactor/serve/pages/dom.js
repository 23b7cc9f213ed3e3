/* Small helpers. Every text goes into the page as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, children) {
	for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) node.append(child);
	return node;
}

function set(node, props) {
	for (const [name, value] of Object.entries(props)) {
		if (value === null || value === undefined || value === false) continue;
		if (name === "class") node.setAttribute("class", value);
		else if (name === "css") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
		else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else if (name === "value") node.value = value;
		else node.setAttribute(name, value === true ? "" : value);
	}
	return node;
}

export const el = (tag, props = {}, ...children) => fill(set(document.createElement(tag), props), children);
/** A button that sends no form. */
export const button = (props, ...children) => el("button", { type: "button", ...props }, ...children);
export const aside = (...children) => el("span", { class: "aside" }, ...children);
export const head = (...children) => el("h1", { tabindex: "-1" }, ...children);
export const lede = (...children) => el("p", { class: "lede" }, ...children);
export const note = (kind, ...children) => el("p", { class: `note ${kind}` }, ...children);
export const svg = (tag, props = {}, ...children) => fill(set(document.createElementNS(SVG, tag), props), children);
export const replace = (node, ...children) => fill((node.replaceChildren(), node), children);

/** Text in the direction it is written in: titles may be of any script. */
export const words = (text, tag = "bdi") => el(tag, { dir: "auto" }, text);

const WHOLE = /[\u0590-\u08ff\ufb1d-\ufefc\u200b-\u202e\u2066-\u2069]|\p{M}/u; // from right to left, or letters that change with the next
/** A line that loses its middle, and not its end, where it is too long: ids, years and numbers are told apart by their ends. */
export function squeezed(text) {
	const letters = Array.from(String(text).replace(/\s+/g, " "));
	const often = /, [^,]{1,12}$/.exec(text)?.[0].length ?? 0;
	const end = often ? 4 + often : 7;
	if (letters.length < end + 16 || WHOLE.test(text)) return counted(text);
	return el("span", { dir: "auto" }, el("span", { class: "start", css: { "--end": `${end + 1}ch` } }, letters.slice(0, -end).join("")), letters.slice(-end).join(""));
}
/** A sentence about an item, and a number after it, which stays after it whatever way the title is written. */
export function counted(text) {
	const [, said, number] = /^(.*?)(: [+−-][\d.,]+|, [\d.,]+ times)?$/s.exec(String(text));
	return number ? el("span", {}, words(said), words(number)) : words(text, "span");
}

export const big = (n) => Number(n).toLocaleString("en");
export const known = (x) => x !== null && x !== undefined && Number.isFinite(Number(x));
export const fix = (x, digits = 2) => (known(x) ? Number(x).toFixed(digits).replace("-", "−") : "–");
export function signed(x, digits = 2) {
	const text = Math.abs(x).toFixed(digits);
	return (Number(text) === 0 ? "" : x < 0 ? "−" : "+") + text;
}
export const short = (x) => String(+Number(x).toFixed(2));
/** Digits after the point that a few numbers need: scores of ranking models are often far below 1. */
export const digitsFor = (values) => {
	const top = Math.max(...values.filter(known).map((v) => Math.abs(v)), 0);
	return top >= 0.5 || top === 0 ? 2 : top >= 0.05 ? 3 : 4;
};
export const many = (n, one, several = one + "s") => `${big(n)} ${Number(n) === 1 ? one : several}`;
export const clip = (text, length = 60) => {
	const letters = Array.from(String(text));
	return letters.length > length ? letters.slice(0, length - 1).join("") + "…" : String(text);
};

export function when(iso) {
	const date = iso ? new Date(iso) : null;
	if (!date || Number.isNaN(date.getTime())) return "–";
	return date.toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** Said to those who hear the page rather than see it. */
let saying = 0;
export function announce(text) {
	clearTimeout(saying);
	const place = document.getElementById("announce");
	place.textContent = "";
	saying = setTimeout(() => { place.textContent = text; }, 60);
}

export function debounce(run, wait) {
	let timer = 0;
	const later = (...args) => { clearTimeout(timer); timer = setTimeout(() => run(...args), wait); };
	later.cancel = () => clearTimeout(timer);
	return later;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

let counter = 0;
export const fresh = (stem) => `${stem}-${++counter}`;

/** Lines where text will stand, of about its size, so that nothing jumps when it comes. */
export const skeleton = (rows, kind = "line") =>
	el("div", { class: "skeletons", "aria-hidden": "true" }, Array.from({ length: rows }, () => el("div", { class: `skeleton ${kind}` })));

/** What went wrong, in the server's words, and a way to try again. */
export function trouble(error, again) {
	return el("div", { class: "trouble", role: "alert" },
		el("p", {}, sentence(error.message)),
		again ? el("button", { type: "button", class: "button", onclick: again }, "Try again") : null);
}
export const sentence = (text) => {
	const t = String(text || "Something went wrong").trim();
	return t.charAt(0).toUpperCase() + t.slice(1) + (/[.!?…]$/.test(t) ? "" : ".");
};

export const empty = (title, text, ...more) => el("div", { class: "empty" }, el("p", { class: "strong" }, title), text ? el("p", {}, text) : null, more);

export function section(title, note, ...children) {
	const id = fresh("h");
	return el("section", { "aria-labelledby": id }, el("h2", { id }, title), note ? el("p", { class: "note" }, note) : null, children);
}
export const facts = (pairs) => el("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value, more]) => el("div", {}, el("dt", {}, name), el("dd", {}, value), more ? el("dd", { class: "more" }, more) : null)));
