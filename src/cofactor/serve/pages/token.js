/* Asks for the server's token, in a dialog, once however many requests wait for it. */

import { el, note } from "./dom.js";

let waiting = null;

export function askForToken(said) {
	waiting ??= new Promise((done) => {
		let given = "";
		const field = el("input", { type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
		const dialog = el("dialog", { class: "dialog small", "aria-labelledby": "token-title" },
			el("form", { method: "dialog", onsubmit: () => { given = field.value.trim(); } },
				el("h2", { id: "token-title" }, "This server asks for a token"),
				note("", said ? said + " " : "", "Ask whoever runs it. The token is kept in this tab alone, until you close it."),
				el("label", { for: "token" }, "Token"), field,
				el("div", { class: "actions" }, el("button", { type: "submit", class: "button main" }, "Continue"))));
		dialog.addEventListener("close", () => { dialog.remove(); waiting = null; done(given); });
		document.body.append(dialog);
		dialog.showModal();
	});
	return waiting;
}
