/* A prediction as a waterfall: from everything else, over each rating, to the sum. Drawn for the width there is. */

import { clip, el, fix, note, signed, svg } from "./dom.js";

/** `steps` are {label, given, value}, of which the label is cut where it is too long; `start` and `end` the two whole bars {label, value}. */
export function waterfall(start, steps, end, digits, width) {
	const narrow = width < 520;
	const row = narrow ? 42 : 30;
	const left = narrow ? 2 : Math.round(width * 0.4), right = width - 58;
	let at = start.value;
	const bars = [{ ...start, from: 0, to: start.value, kind: "base" }];
	for (const step of steps) { bars.push({ ...step, from: at, to: at + step.value, kind: step.value < 0 ? "down" : "up" }); at += step.value; }
	bars.push({ ...end, from: 0, to: end.value, kind: "sum" });
	// Small steps on a tall base would be slivers: the axis begins a little below the lowest step.
	const levels = bars.slice(1, -1).flatMap((b) => [b.from, b.to]).concat(start.value, end.value);
	let low = Math.min(...levels), high = Math.max(...levels);
	const spread = high - low || Math.abs(high) || 1;
	const cut = low - spread * 0.35 > 0;
	low = cut ? low - spread * 0.35 : Math.min(0, low);
	high = Math.max(high + spread * 0.05, cut ? -Infinity : 0);
	const X = (v) => left + ((Math.max(low, Math.min(high, v)) - low) / (high - low || 1)) * (right - left);
	const height = bars.length * row + 6;
	const drawing = svg("svg", { class: "waterfall", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
		"aria-label": `From ${start.label} ${fix(start.value, digits)} by ${steps.length} steps to ${end.label} ${fix(end.value, digits)}; the table below has the figures` });
	bars.forEach((bar, k) => {
		const top = k * row, y = narrow ? top + 20 : top + 6, thick = narrow ? 14 : 18;
		const x0 = X(bar.from), x1 = X(bar.to), whole = bar.kind === "base" || bar.kind === "sum";
		const room = narrow ? Math.floor(width / 7.4) : Math.floor((left - 12) / 7.1);
		const text = svg("text", { x: narrow ? 0 : left - 12, y: narrow ? top + 13 : top + 20, "text-anchor": narrow ? "start" : "end", class: whole ? "label strong" : "label" }, clip(bar.label, Math.max(8, room - (bar.given ?? "").length)) + (bar.given ?? ""));
		text.append(svg("title", {}, bar.label + (bar.given ?? "")));
		if (k && !narrow) drawing.append(svg("line", { class: "link", x1: X(bar.kind === "sum" ? bar.to : bar.from), x2: X(bar.kind === "sum" ? bar.to : bar.from), y1: y - (row - thick), y2: y }));
		drawing.append(text, svg("rect", { class: bar.kind, x: Math.min(x0, x1), y, width: Math.max(2, Math.abs(x1 - x0)), height: thick, rx: 3 }),
			svg("text", { x: Math.max(x0, x1) + 6, y: y + thick - 4.5, class: whole ? "value strong" : "value" }, whole ? fix(bar.value, digits) : signed(bar.value, digits)));
	});
	const said = cut ? note("slim", `The bars begin at ${fix(low, digits)}, not at 0, so that the steps can be seen.`) : null;
	return el("div", {}, drawing, said);
}
