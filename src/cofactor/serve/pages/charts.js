/* Small drawings: a score with its interval, a histogram, a bar beside a number. */

import { big, el, fix, known, short, svg } from "./dom.js";

/** A score on the scale of the ratings; the paler band is the interval. */
export function scoreBar(score, low, high, scale) {
	const at = (v) => 100 * Math.min(1, Math.max(0, (v - scale.low) / (scale.high - scale.low || 1)));
	const drawing = svg("svg", { class: "score-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { class: "track", x: 0, y: 3, width: 100, height: 4, rx: 2 }));
	if (known(low) && known(high)) drawing.append(svg("rect", { class: "band", x: at(low), y: 1.5, width: Math.max(1, at(high) - at(low)), height: 7, rx: 2 }));
	else drawing.append(svg("rect", { class: "full", x: 0, y: 3, width: at(score), height: 4, rx: 2 }));
	drawing.append(svg("rect", { class: "tick", x: Math.min(98, Math.max(0, at(score) - 1)), y: 0, width: 2, height: 10 }));
	return drawing;
}

/** A share of the largest, for scores that only put items in order. */
export function shareBar(share, negative = false) {
	return svg("svg", { class: "share-bar" + (negative ? " negative" : ""), viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
		svg("rect", { class: "track", x: 0, y: 2, width: 100, height: 6, rx: 3 }),
		svg("rect", { class: "full", x: 0, y: 2, width: 100 * Math.min(1, Math.max(0.01, share)), height: 6, rx: 3 }));
}

/** How often each rating was given: a drawing, and the same as text for those who do not see it. */
export function histogram(bins) {
	const top = Math.max(...bins.map((b) => b.count), 1);
	const total = bins.reduce((sum, b) => sum + b.count, 0) || 1;
	const W = 420, B = 150, T = 22, gap = W / bins.length;
	const every = Math.ceil(bins.length / 12);
	const drawing = svg("svg", { viewBox: `0 0 ${W} 176`, role: "img", class: "chart", "aria-label": "How often each rating was given: " + bins.map((b) => `${short(b.rating)}: ${big(b.count)}`).join(", ") });
	bins.forEach((bin, k) => {
		const height = Math.max(1.5, (bin.count / top) * (B - T)), middle = (k + 0.5) * gap;
		const bar = svg("rect", { class: "bar", x: middle - Math.min(gap * 0.36, 34), y: B - height, width: Math.min(gap * 0.72, 68), height, rx: 3 });
		bar.append(svg("title", {}, `${short(bin.rating)}: ${big(bin.count)} (${fix((100 * bin.count) / total, 1)} %)`));
		drawing.append(bar);
		if (k % every === 0) drawing.append(svg("text", { x: middle, y: B + 18, "text-anchor": "middle" }, short(bin.rating)));
		if (bins.length <= 11) drawing.append(svg("text", { x: middle, y: B - height - 6, "text-anchor": "middle", class: "label" }, big(bin.count)));
	});
	drawing.append(svg("line", { class: "axis", x1: 0, x2: W, y1: B, y2: B }));
	return el("figure", {}, drawing);
}
