/* The shell: what the model is, which view is shown, and where the focus goes when it changes. */

import { get } from "./api.js";
import { announce, button, el, head, many, note, replace, sentence, skeleton, trouble, words } from "./dom.js";
import { rows } from "./rating.js";
import { parse } from "./route.js";

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const LOAD = {
	taste: () => import("./taste.js"),
	user: () => import("./user.js"),
	item: () => import("./item.js"),
	map: () => import("./map.js"),
	compare: () => import("./compare.js"),
	model: () => import("./model.js"),
	experiment: () => import("./experiment.js"),
};
const context = { info: null, refreshInfo };
let shown = null;
let turn = 0;

async function refreshInfo() {
	context.info = await get("info");
	const info = context.info;
	sign(true);
	document.getElementById("about").textContent =
		`${rows(info, info.ratings + (info.newer_ratings || 0))} by ${many(info.users, "user")} of ${many(info.items, "item")} · cofactor ${info.cofactor}. This page loads nothing from other hosts.`;
	return info;
}

/** What is live, with a dot that says whether it answers: filled or crossed, not by its colour alone. */
function sign(answers) {
	const info = context.info;
	replace(document.getElementById("live"), el("a", { href: "#/model", title: answers ? "What is live" : "The server does not answer" }, el("i", { class: answers ? "pulse" : "pulse gone", "aria-hidden": "true" }), answers ? [words(info.model), ` · version ${info.version}`] : "no answer"));
}

function title(text) {
	document.title = text ? `${text} · cofactor` : "cofactor";
}

async function show(first = false) {
	const route = parse(location.hash);
	for (const link of document.querySelectorAll("nav a")) {
		if (link.getAttribute("href") === `#/${route.view === "experiment" ? "model" : route.view}`) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
	if (shown && shown.view === route.view && shown.id === route.id && shown.page?.update) return shown.page.update(route);
	const mine = ++turn;
	shown?.page?.leave?.();
	shown = { view: route.view, id: route.id, page: null };
	const fresh = el("div", { class: `view view-${route.view}` });
	replace(main, fresh);
	try {
		const module = await LOAD[route.view]();
		if (mine !== turn) return;
		shown.page = module.open(fresh, route, { ...context, info: context.info, title });
	} catch (error) {
		replace(fresh, trouble(error, () => show()));
	}
	if (!first) {
		scrollTo(0, 0);
		const heading = fresh.querySelector("h1");
		(heading ?? main).focus({ preventScroll: true });
	}
}

async function start() {
	replace(main, el("div", { class: "view" }, skeleton(1, "head"), skeleton(6, "row")));
	try {
		await refreshInfo();
	} catch (error) {
		const waits = error.status === 503 || error.status === 0;
		replace(main, el("div", { class: "view" }, head(waits ? "Not there yet" : "That did not work"), trouble(error, start),
			waits ? note("", "This page tries again every few seconds.") : null));
		if (waits) setTimeout(() => { if (!context.info) start(); }, 4000);
		return;
	}
	await show(true);
}

document.addEventListener("newversion", async (event) => {
	const before = context.info?.version;
	if (before === undefined || before === event.detail) return;
	try { await refreshInfo(); } catch { return; }
	if (context.info.version === before) return; // a version that an experiment tries on this user: the list says so
	const text = `Version ${context.info.version} of the model is live now.`;
	replace(banner, el("p", { class: "notice" }, text, " ", button({ class: "link", onclick: () => { replace(banner); shown?.page?.leave?.(); shown = null; show(); } }, "Show its answers")));
	announce(text);
});
let asking = 0;
document.addEventListener("reached", ({ detail: answers }) => {
	clearInterval(asking);
	if (!context.info) return;
	sign(answers);
	announce(answers ? "The server answers again." : "The server does not answer.");
	if (!answers) asking = setInterval(() => { refreshInfo().catch(() => {}); }, 4000);
});
addEventListener("hashchange", () => { if (context.info) { replace(banner); show(); } });
addEventListener("offline", () => replace(banner, el("p", { class: "notice" }, sentence("You are offline; what is shown stays"))));
addEventListener("online", () => replace(banner));
if (!location.hash) history.replaceState(null, "", "#/taste");
start();
