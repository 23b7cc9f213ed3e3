/* What is live: the model and its figures in words, its versions, and the ways to a newer or an older one. */

import { get, post } from "./api.js";
import { announce, big, button, el, empty, facts, fix, head, known, lede, note, replace, section, sentence, short, signed, skeleton, trouble, when } from "./dom.js";
import { called, figureLists, history, measure, trained, training } from "./figures.js";
import { data, graded } from "./rating.js";
import { href } from "./route.js";

const SOURCE = { given: "given at the start", refit: "refitted here", reload: "loaded again", beside: "kept beside it" };

export function open(root, route, { info, title, refreshInfo }) {
	title("Model");
	const about = el("div");
	const versions = el("div", {}, skeleton(3, "row"));
	const past = section("How good each version was", "Only figures measured on the same rows stand together. The lines are 95 % intervals.", el("div", { class: "columns even" }));
	past.classList.add("history");
	past.hidden = true;
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
			try { const text = await run(); await refresh(); replace(said, text); } catch (error) { said.textContent = sentence(error.message); announce(said.textContent); }
			knob.disabled = false;
		} }, label);
		return knob;
	};
	const refit = action(`Refit with the newer ${data(info)}`, "main", async () => { await post("refit", { warm: null }); return "Training has begun; the present version answers meanwhile."; }, `Train on everything, newer ${data(info)} included`);
	const reload = action("Reload the bundle", "", async () => `Version ${(await post("reload", { path: null })).version} is live.`, "Read the bundle again from where it was given");
	replace(root, head("The model"), lede("The model that is live, how good it is, and its earlier versions."), about,
		section("Versions", info.read_only ? "This server is read-only: versions cannot be changed from here." : null, info.read_only ? null : el("div", { class: "actions" }, refit, reload, el("a", { class: "button", href: "#/experiment" }, "Try two versions")), busy, said, versions), past);

	function draw(now) {
		const [metrics, runs] = [false, true].map((of) => Object.entries(now.metrics ?? {}).filter(([name, v]) => known(v) && trained(name) === of));
		const can = [["fold_in", "serves new users without training"], ["explain", "explains its predictions"], ["intervals", "says how sure it is"], ["map", "draws a map of the items"], ["update", `takes newer ${data(now)} at once`]];
		replace(about,
			now.last_error ? el("div", { class: "trouble", role: "alert" }, el("p", {}, el("b", {}, "The last change did not work. "), sentence(now.last_error))) : null,
			facts([["model", now.model, now.task === "rating" ? "predicts ratings" : "puts items in order"], ["version", String(now.version)], [data(now), big(now.ratings), now.newer_ratings ? `and ${big(now.newer_ratings)} newer` : "none newer"], ["users", big(now.users)], ["items", big(now.items)],
				[graded(now) ? "scale" : "values", now.scale.low < now.scale.high ? `${short(now.scale.low)} – ${short(now.scale.high)}` : "chosen or not"], now.created ? ["made", ...day(now.created)] : null, ["live since", ...day(now.loaded)]]),
			el("div", { class: "columns even" },
				el("div", { class: "pile" },
					section("How good it is", null, figureLists(now.figures), metrics.length || now.figures?.length ? null : empty("Not measured yet", "The bundle holds no figures. This command writes some into it: ", el("code", {}, "cofactor evaluate MODEL TEST --save"), el("p", {}, "A server that was started with ", el("code", {}, "--require-not-worse"), ` tries each refit on the latest ${data(info)}, and keeps the figure.`)), metrics.length ? el("dl", { class: "measures" }, metrics.map(([name, value]) => measure(name, value))) : null),
					runs.length ? section("How it was trained", null, el("dl", { class: "measures" }, runs.map(([name, value]) => training(name, value)))) : null),
				el("div", { class: "pile" },
					section("What it can do", null, el("ul", { class: "can" }, can.map(([key, text]) => el("li", { class: now.can[key] ? "yes" : "no" }, el("span", { "aria-hidden": "true" }, now.can[key] ? "✓" : "–"), el("span", {}, text, now.can[key] ? null : el("span", { class: "unseen" }, ": no")))))),
					Object.keys(now.config ?? {}).length ? section("Parameters", null, el("dl", { class: "pairs parameters" }, Object.entries(now.config).map(([name, value]) => [el("dt", {}, el("code", {}, name), now.parameters?.[name] ? el("span", { class: "aside" }, now.parameters[name]) : null), el("dd", { class: "n" }, setting(value))]))) : null)));
	}
	function table(rows) {
		if (!rows.length) return replace(versions, empty("No versions yet"));
		replace(versions, el("div", { class: "scroll" }, el("table", { class: "stack" }, el("thead", {}, el("tr", {}, ["Version", "Model", "Made", "Came from", `Newer ${data(info)}`, "Drift", "Against the one before", ""].map((h) => el("th", { scope: "col" }, h || el("span", { class: "unseen" }, "Action"))))),
			el("tbody", {}, [...rows].sort((a, b) => b.version - a.version).map((v) => el("tr", { class: v.active ? "active" : null },
				el("th", { scope: "row" }, String(v.version), v.active ? el("span", { class: "tag" }, "live") : null), cell("Model", v.model), cell("Made", when(v.created)), cell("Came from", SOURCE[v.source] ?? v.source ?? "–"), cell(`Newer ${data(info)}`, known(v.events) ? big(v.events) : "–"), cell("Drift", el("span", { class: "n" }, known(v.drift) ? fix(v.drift, 3) : "–")), cell("Against the one before", v.trial ? trial(v.trial) : "–"),
				el("td", { class: "end" }, v.active ? null : el("a", { class: "button quiet", href: href("compare", null, { left: liveNow, right: v.version }) }, "Compare"), v.active || info.read_only ? null : action("Make live", "quiet", () => makeLive(v.version)))))))));
	}
	/** What a trial on the latest ratings showed, before the version went live. */
	const trial = (t) => el("span", { title: `${called(t.metric)} ${fix(t.candidate, 4)} against ${fix(t.live, 4)} on ${big(t.events)} newer ${data(info)} of ${big(t.users)} users; 95 % interval of the gain` },
		`${t.low > 0 ? "better" : t.high < 0 ? "worse" : "no clear change"} in ${called(t.metric)}: `, el("span", { class: "n" }, `${signed(t.gain, 4)} (${signed(t.low, 4)} to ${signed(t.high, 4)})`));
	/** Another version, with the way back to the one that was live. What is said comes after the page shows it. */
	async function makeLive(version) {
		const before = liveNow;
		const { version: now } = await post("rollback", { version });
		return [`Version ${now} is live. `, before === null || before === now ? null : button({ class: "link", onclick: async () => { try { const text = await makeLive(before); await refresh(); replace(said, text); } catch (error) { said.textContent = sentence(error.message); } } }, `Undo: back to version ${before}`)];
	}
	const setting = (value) => (value === null ? "chosen from the data" : value === true ? "yes" : value === false ? "no" : Array.isArray(value) ? value.join(", ") || "none" : typeof value === "number" ? value.toLocaleString("en", { maximumSignificantDigits: 6 }) : String(value));
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
			const over = history(found.versions);
			past.hidden = !over.length;
			replace(past.lastChild, over);
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
