/* Two versions beside each other: who gets which, what came of their lists, and whether the events still look alike. */

import { get, post, remove } from "./api.js";
import { announce, big, button, el, empty, facts, fix, head, known, lede, note, replace, section, sentence, signed, skeleton, trouble, when } from "./dom.js";
import { data, graded } from "./rating.js";

const NAMES = { hit_rate: "Hit rate", ndcg: "NDCG" };

export function open(root, route, { info, title }) {
	title("Experiment");
	const state = el("div", {}, skeleton(2, "row"));
	const figures = el("div", {}, skeleton(3, "row"));
	const drift = el("div");
	const said = el("p", { class: "note", role: "status" });
	let gone = false;
	replace(root, el("p", { class: "crumb" }, el("a", { href: "#/model" }, "Model")), head("Try two versions"),
		lede("A version can be tried on a share of the users before it goes live. Your application reports which lists it showed, and what was clicked or bought."),
		el("div", { class: "pile" }, section("Experiment", null, state, said), section("What came of the lists", "Hit rate: the share of lists from which something was clicked or bought. NDCG: how near the top of the list that was, from 0 to 1. Coverage: the share of the items that were in any list.", figures),
		section("Drift", "How far the latest events are from the training data. 0: not at all; above 0.25: far.", drift)));

	const action = (label, kind, run) => {
		const knob = button({ class: `button ${kind}`, onclick: async () => {
			knob.disabled = true;
			try { const text = await run(); await refresh(); said.textContent = text; announce(text); } catch (error) { said.textContent = sentence(error.message); announce(said.textContent); }
			knob.disabled = false;
		} }, label);
		return knob;
	};

	function begin(versions, live) {
		const others = versions.filter((v) => v.version !== live).sort((a, b) => b.version - a.version);
		if (!others.length) return empty("There is no other version yet", "Refit the model, or load another bundle, to have one to try.");
		const which = el("select", {}, others.map((v) => el("option", { value: String(v.version) }, `version ${v.version}, ${v.model}`)));
		const share = el("input", { type: "number", min: "1", max: "100", value: "50" });
		const mode = el("select", {}, el("option", { value: "ab" }, "show its lists (A/B)"), el("option", { value: "shadow" }, "ask it unseen (shadow)"));
		const field = (label, node) => el("label", {}, `${label} `, node);
		return el("div", { class: "actions" }, field("Try", which), field("on % of the users", share), field("and", mode),
			action("Begin", "main", async () => {
				const found = await post("experiment", { version: Number(which.value), share: Number(share.value) / 100, mode: mode.value });
				return `Version ${found.experiment.version} is tried on ${fix(100 * found.experiment.share, 0)} % of the users.`;
			}));
	}

	function draw(now, kept) {
		const running = now.experiment;
		replace(state, running
			? [facts([["live", `version ${now.live}`], ["tried", `version ${running.version}`, running.mode === "ab" ? "its lists are shown" : "its lists are not shown"], ["users", `${fix(100 * running.share, 0)} %`], ["since", when(running.started)]]),
				el("div", { class: "actions" }, action("End it", "", async () => { await remove("experiment"); return "Everybody gets the live version again."; }),
					action(`Make version ${running.version} live`, "main", async () => `Version ${(await post("rollback", { version: running.version })).version} is live.`))]
			: info.read_only ? empty("This server is read-only") : begin(kept, now.live),
			now.last_trial ? note("", "The last trial: ", sentence(now.last_trial)) : null);
		const rows = now.versions;
		replace(figures, rows.length ? el("div", { class: "scroll" }, el("table", { class: "stack" },
			el("thead", {}, el("tr", {}, ["Version", "Lists shown", "Hit rate", "NDCG", "Coverage", "Clicked", "Bought"].map((h) => el("th", { scope: "col" }, h)))),
			el("tbody", {}, rows.map((v) => el("tr", {}, el("th", { scope: "row" }, String(v.version), v.version === now.live ? el("span", { class: "tag" }, "live") : null),
				[["Lists shown", big(v.lists)], ["Hit rate", fix(v.hit_rate, 3)], ["NDCG", fix(v.ndcg, 3)], ["Coverage", fix(v.coverage, 3)], ["Clicked", big(v.clicked)], ["Bought", big(v.bought)]].map(([name, text]) => el("td", { "data-name": name }, text)))))))
			: empty("No list has been reported yet", "Applications report the lists they show with POST /v1/feedback."),
			now.difference ? el("ul", { class: "differences" }, Object.entries(now.difference).map(([name, [off, low, high]]) => el("li", {}, `${NAMES[name] ?? name}: ${signed(off, 3)} for the version that is tried (95 % from ${signed(low, 3)} to ${signed(high, 3)}), ${low > 0 ? "better" : high < 0 ? "worse" : "no difference beyond chance"}`))) : null,
			byDay(now.days));
		const d = now.drift;
		replace(drift, d.alarms.map((text) => el("p", { class: "trouble", role: "alert" }, sentence(text))),
			d.events ? facts([["items", fix(d.items, 2), "popularity of the items"], [graded(info) ? "ratings" : "values", fix(d.ratings, 2)], ["unknown items", `${fix(100 * d.unknown, 0)} %`], ["events", big(d.events), "looked at"]]) : empty(`No newer ${data(info)} yet`));
	}
	function byDay(days) {
		if (!days.length) return null;
		return el("details", {}, el("summary", {}, "Day by day"), el("table", { class: "stack" }, el("thead", {}, el("tr", {}, ["Day", "Version", "Lists shown", "Hit rate", "NDCG"].map((h) => el("th", { scope: "col" }, h)))),
			el("tbody", {}, [...days].sort((a, b) => (a.day < b.day ? 1 : a.day > b.day ? -1 : a.version - b.version)).map((v) => el("tr", {}, el("th", { scope: "row" }, v.day), [["Version", String(v.version)], ["Lists shown", big(v.lists)], ["Hit rate", fix(v.hit_rate, 3)], ["NDCG", known(v.ndcg) ? fix(v.ndcg, 3) : "–"]].map(([name, text]) => el("td", { "data-name": name }, text)))))));
	}
	async function refresh() {
		try {
			const [now, kept] = await Promise.all([get("outcomes"), get("versions")]);
			if (!gone) draw(now, kept.versions);
		} catch (error) {
			if (!gone) { replace(state, trouble(error, refresh)); replace(figures); }
		}
	}
	refresh();
	return { leave() { gone = true; } };
}
