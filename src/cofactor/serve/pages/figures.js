/* What was measured of a model, in words: names and meanings of metrics, and the figures that two versions share. */

import { big, el, fix, known, note, sentence, svg, when } from "./dom.js";

const MEANING = {
	rmse: "root of the mean squared error: how far predictions are off, large errors counting more; lower is better",
	mse: "mean squared error of the predictions; lower is better",
	mae: "mean absolute error: how far predictions are off; lower is better",
	ndcg: "how near the lists are to the best ones possible, from 0 to 1",
	recall: "share of what people went on to like that the lists found",
	precision: "share of the lists that people went on to like",
	hit_rate: "share of the lists in which somebody found something to like",
	mrr: "how early the first thing that people like comes: 1 is first, 0.5 second",
	auc: "how often an item that people like stands above another one; 0.5 is chance",
	item_coverage: "share of the items that are in any list",
	gini: "how unevenly the lists use the items: 0 is evenly, 1 is one item for everybody",
	novelty: "how rare the listed items are, in bits: the mean of −log₂ of the share of users who have them",
	popularity: "how many users have a listed item, on average",
	diversity: "how unlike the items of a list are: 1 − the mean cosine of its pairs",
	interval_score: "width of the intervals, plus a penalty for each rating outside; lower is better",
	calibration_error: "how far the intervals of each level are from holding their share of the ratings; 0 is best",
	map: "how early in the lists what people like comes, from 0 to 1",
	interval_coverage: "share of held-out ratings inside their interval; it should be near the level of the interval",
	interval_width: "mean width of the intervals; narrow is good where the coverage holds",
	embedding_shift: "how far items' vectors moved at the last refit: mean of 1 − cosine; 0 is not at all",
	warm_start: "whether the last refit began with the vectors of the model before",
	epochs: "passes over the rows in training",
};

/** What a metric says, or null. */
export function meaning(name) {
	const stem = name.replace(/@\d+$/, "").replace(/^(inner|valid|test|random_tenth)_/, "");
	const found = MEANING[stem];
	if (!found) return null;
	if (name.startsWith("inner_")) return `${found}. On a held-out part of the training rows, by which the model was chosen, so slightly optimistic`;
	if (name.startsWith("random_tenth_")) return `${found}. On a random tenth of the rows, held out of training; not a figure of the future`;
	if (name.startsWith("valid_") || name.startsWith("test_")) return `${found}. On rows held out of training`;
	return found;
}

export const called = (name) => name.replace(/^(inner|valid|test|random_tenth)_(.*)/, "$2, $1").replaceAll("_", " ").replace(/^(rmse|mse|mae|ndcg|map|mrr|auc)\b/, (t) => t.toUpperCase()).replace(/^gini/, "Gini index");

/** A name, a value with its interval, and what it means. */
export const measure = (name, value, { low = null, high = null, brief = false, digits = Math.abs(value) >= 100 ? 0 : 4 } = {}) => el("div", {}, el("dt", {}, called(name)), el("dd", { class: "figure" }, fix(value, digits)),
	known(low) ? el("dd", { class: "more n" }, `${fix(low, digits)} to ${fix(high, digits)}`) : null, !brief && meaning(name) ? el("dd", { class: "more" }, sentence(meaning(name))) : null);

const RUNS = ["warm_start", "embedding_shift", "epochs"];
/** Whether a figure says how a model was trained, and not how good it is. */
export const trained = (name) => RUNS.includes(name);
export const training = (name, value) => el("div", {}, el("dt", {}, called(name)), el("dd", { class: "figure" }, name === "warm_start" ? (value ? "yes" : "no") : name === "epochs" ? big(value) : fix(value, 4)), el("dd", { class: "more" }, sentence(meaning(name))));

/** All figures of a model, by the rows they were measured on. */
export function figureLists(figures) {
	const groups = new Map();
	for (const f of figures ?? []) { const key = `${f.rows}|${f.measured}`; groups.set(key, [...(groups.get(key) ?? []), f]); }
	return [...groups.values()].map((list) => el("div", {},
		note("slim", `On ${list[0].rows}: ${big(list[0].n_rows ?? 0)} rows, measured ${when(list[0].measured)}. The range is the 95 % interval.`),
		el("dl", { class: "measures" }, list.filter((f) => known(f.value)).map((f) => measure(f.metric, f.value, f)))));
}

/** Figures of two models of the same metric on the same rows: the only ones to hold against each other. */
export function shared(ours, theirs) {
	return (ours ?? []).filter((f) => known(f.value)).map((f) => [f, (theirs ?? []).find((g) => g.rows === f.rows && g.metric === f.metric && g.n_rows === f.n_rows && known(g.value))]).filter(([, g]) => g);
}

/** The figures that two versions or more have of the same rows: a table for each metric, oldest version first. */
export function history(versions) {
	const groups = new Map();
	for (const v of [...versions].sort((a, b) => a.version - b.version)) {
		for (const f of v.figures ?? []) {
			const key = `${f.metric}|${f.rows}|${f.n_rows}`;
			if (known(f.value)) groups.set(key, [...(groups.get(key) ?? []), { version: v.version, model: v.model, ...f }]);
		}
	}
	return [...groups.values()].filter((list) => list.length > 1).map((list) => {
		const ends = list.flatMap((f) => [f.low, f.value, f.high]).filter(known);
		const low = Math.min(...ends);
		const at = (x) => 4 + (152 * (x - low)) / (Math.max(...ends) - low || 1);
		const digits = Math.max(...ends.map(Math.abs)) >= 100 ? 0 : 4;
		const line = (f) => svg("svg", { viewBox: "0 0 160 12", class: "interval", "aria-hidden": "true" },
			known(f.low) && known(f.high) ? svg("line", { x1: at(f.low), x2: at(f.high), y1: 6, y2: 6 }) : null, svg("circle", { cx: at(f.value), cy: 6, r: 4 }));
		return el("div", {}, el("h3", {}, called(list[0].metric)), note("slim", `On ${list[0].rows}.`), el("div", { class: "scroll" }, el("table", { class: "past" },
			el("thead", { class: "unseen" }, el("tr", {}, ["Version", "Value", "Interval", "Drawn"].map((name) => el("th", { scope: "col" }, name)))),
			el("tbody", {}, list.map((f) => el("tr", {}, el("th", { scope: "row" }, `${f.version} · ${f.model}`), el("td", { class: "n" }, fix(f.value, digits)), el("td", { class: "n" }, known(f.low) ? `${fix(f.low, digits)} to ${fix(f.high, digits)}` : "–"), el("td", {}, line(f))))))));
	});
}
