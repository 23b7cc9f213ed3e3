/* What is live: the model and its figures in words, its versions, and the ways to a newer or an older one. */

import { get, post } from "./api.js";
import { announce, big, button, el, empty, facts, fix, head, known, lede, note, replace, section, sentence, short, skeleton, trouble, when } from "./dom.js";

const MEANING = {
	rmse: "root of the mean squared error: how far predictions are off, large errors counting more; lower is better",
	mse: "mean squared error of the predictions; lower is better",
	mae: "mean absolute error: how far predictions are off; lower is better",
	ndcg: "how near the lists are to the best ones possible, from 0 to 1",
	recall: "share of what people went on to like that the lists found",
	precision: "share of the lists that people went on to like",
	map: "how early in the lists what people like comes, from 0 to 1",
	interval_coverage: "share of held-out ratings inside their interval; near the level promised is good",
	interval_width: "mean width of the intervals; narrow is good where the coverage holds",
	drift: "how far items' vectors moved at the last refit: mean of 1 − cosine; 0 is not at all",
	warm_start: "1 where the last refit began with the vectors of the model before",
	epochs: "passes over the ratings in training",
};
const SOURCE = { given: "given at the start", refit: "refitted here", reload: "loaded again" };

function meaning(name) {
	const stem = name.replace(/@\d+$/, "").replace(/^(inner|valid|test)_/, "");
	const found = MEANING[stem];
	if (!found) return null;
	if (name.startsWith("inner_")) return `${found}. On a held-out part of the training ratings, by which the model was chosen, so slightly optimistic`;
	if (name.startsWith("valid_") || name.startsWith("test_")) return `${found}. On ratings held out of training`;
	return found;
}

const called = (name) => name.replace(/^(inner|valid|test)_(.*)/, "$2, $1").replaceAll("_", " ").replace(/^(rmse|mse|mae|ndcg|map)\b/, (t) => t.toUpperCase());

export function open(root, route, { info, title, refreshInfo }) {
	title("Model");
	const about = el("div");
	const versions = el("div", {}, skeleton(3, "row"));
	const said = el("p", { class: "note", role: "status" });
	const busy = el("p", { class: "busy", role: "status", hidden: true }, el("i", { class: "spinner", "aria-hidden": "true" }), el("span", {}, ""));
	let timer = 0;
	let gone = false;
	let wasBusy = false;
	let liveNow = info.version;

	const action = (label, kind, run, hint) => {
		const knob = button({ class: "button" + (kind ? ` ${kind}` : ""), title: hint, onclick: async () => {
			knob.disabled = true;
			said.textContent = "";
			try { const text = await run(); replace(said, text); await refresh(); } catch (error) { said.textContent = sentence(error.message); announce(said.textContent); }
			knob.disabled = false;
		} }, label);
		return knob;
	};
	const refit = action("Refit with the newer ratings", "main", async () => { await post("refit", { warm: null }); return "Training has begun; the present version answers meanwhile."; }, "Train on everything, newer ratings included");
	const reload = action("Reload the bundle", "", async () => `Version ${(await post("reload", { path: null })).version} is live.`, "Read the bundle again from where it was given");
	replace(root, head("The model"), lede("What answers now, how good it is, and what stood here before."), about,
		section("Versions", info.read_only ? "This server is read-only: versions cannot be changed from here." : null, info.read_only ? null : el("div", { class: "actions" }, refit, reload, el("a", { class: "button", href: "#/experiment" }, "Try two versions")), busy, said, versions));

	function draw(now) {
		const metrics = Object.entries(now.metrics ?? {}).filter(([, v]) => known(v));
		const can = [["fold_in", "learns a new taste without training"], ["explain", "explains its predictions"], ["intervals", "says how sure it is"], ["map", "draws a map of the items"], ["update", "takes new ratings at once"]];
		replace(about,
			now.last_error ? el("div", { class: "trouble", role: "alert" }, el("p", {}, el("b", {}, "The last change did not work. "), sentence(now.last_error))) : null,
			facts([["model", now.model, now.task === "rating" ? "predicts ratings" : "puts items in order"], ["version", String(now.version)], ["ratings", big(now.ratings), now.newer_ratings ? `and ${big(now.newer_ratings)} newer` : "none newer"], ["users", big(now.users)], ["items", big(now.items)],
				["scale", now.scale.low < now.scale.high ? `${short(now.scale.low)} – ${short(now.scale.high)}` : "liked or not"], now.created ? ["made", ...day(now.created)] : null, ["live since", ...day(now.loaded)]]),
			el("div", { class: "columns even" },
				section("How good it is", null, figures(now), metrics.length || now.figures?.length ? null : empty("Nothing was measured", "The bundle came without figures; cofactor evaluate MODEL TEST --save writes them into it."), metrics.length ? el("dl", { class: "measures" }, metrics.map(([name, value]) => el("div", {}, el("dt", {}, called(name)), el("dd", { class: "figure" }, fix(value, Math.abs(value) >= 100 ? 0 : 4)), meaning(name) ? el("dd", { class: "more" }, sentence(meaning(name))) : null))) : null),
				section("What it can do", null, el("ul", { class: "can" }, can.map(([key, text]) => el("li", { class: now.can[key] ? "yes" : "no" }, el("span", { "aria-hidden": "true" }, now.can[key] ? "✓" : "–"), el("span", {}, text, now.can[key] ? null : el("span", { class: "unseen" }, ": no"))))))));
	}
	/** What was measured on held-out rows, with the interval, the rows and the day. */
	function figures(now) {
		const groups = Map.groupBy ? Map.groupBy(now.figures ?? [], (f) => `${f.rows}|${f.measured}`) : new Map([["", now.figures ?? []]]);
		return [...groups.values()].filter((list) => list.length).map((list) => el("div", {},
			note("slim", `On ${list[0].rows}: ${big(list[0].n_rows ?? 0)} rows, measured ${when(list[0].measured)}. The range is the 95 % interval.`),
			el("dl", { class: "measures" }, list.filter((f) => known(f.value)).map((f) => el("div", {}, el("dt", {}, called(f.metric)), el("dd", { class: "figure" }, fix(f.value, 4)),
				known(f.low) ? el("dd", { class: "more n" }, `${fix(f.low, 4)} to ${fix(f.high, 4)}`) : null, meaning(f.metric) ? el("dd", { class: "more" }, sentence(meaning(f.metric))) : null)))));
	}
	function table(rows) {
		if (!rows.length) return replace(versions, empty("No versions yet"));
		replace(versions, el("div", { class: "scroll" }, el("table", { class: "stack" }, el("thead", {}, el("tr", {}, ["Version", "Model", "Made", "Came from", "Newer ratings", "Drift", ""].map((h) => el("th", { scope: "col" }, h || el("span", { class: "unseen" }, "Action"))))),
			el("tbody", {}, [...rows].sort((a, b) => b.version - a.version).map((v) => el("tr", { class: v.active ? "active" : null },
				el("th", { scope: "row" }, String(v.version), v.active ? el("span", { class: "tag" }, "live") : null), cell("Model", v.model), cell("Made", when(v.created)), cell("Came from", SOURCE[v.source] ?? v.source ?? "–"), cell("Newer ratings", known(v.events) ? big(v.events) : "–"), cell("Drift", known(v.drift) ? fix(v.drift, 3) : "–"),
				el("td", { class: "end" }, v.active || info.read_only ? null : action("Make live", "quiet", () => makeLive(v.version)))))))));
	}
	/** Another version, with the way back to the one that was live. */
	async function makeLive(version) {
		const before = liveNow;
		const { version: now } = await post("rollback", { version });
		return [`Version ${now} is live. `, before === null || before === now ? null : button({ class: "link", onclick: async () => { try { replace(said, await makeLive(before)); await refresh(); } catch (error) { said.textContent = sentence(error.message); } } }, `Undo: back to version ${before}`)];
	}
	const day = (iso) => { const [date, time] = when(iso).split(", "); return [date, time]; };
	const cell = (name, value) => el("td", { "data-name": name }, value);

	async function refresh() {
		clearTimeout(timer);
		try {
			const [found, now] = await Promise.all([get("versions"), refreshInfo()]);
			if (gone) return;
			liveNow = now.version;
			draw(now);
			table(found.versions);
			busy.hidden = !found.busy;
			busy.lastChild.textContent = found.busy ? sentence(found.busy.replace(/\d{4}-\d\d-\d\dT\S+/, (t) => when(t))) : "";
			refit.disabled = Boolean(found.busy);
			if (wasBusy && !found.busy) {
				said.textContent = now.last_error ? sentence(now.last_error) : `Done: version ${now.version} is live.`;
				announce(said.textContent);
			}
			wasBusy = Boolean(found.busy);
			if (found.busy) timer = setTimeout(refresh, 1500);
		} catch (error) {
			if (!gone) replace(versions, trouble(error, refresh));
		}
	}
	draw(info);
	refresh();
	return { leave() { gone = true; clearTimeout(timer); } };
}
