/* The one place that talks to the server: a token where it asks for one, its own sentences as errors. */

import * as json from "./json.js";
import { askForToken } from "./token.js";

const KEY = "cofactor.token";
const PATIENCE = 60; // so often is asked again for what the server says is under way
let live = null;

export class ApiError extends Error {
	constructor(status, message, again = 0) { super(message); this.status = status; this.again = again; }
}
export const stale = (error) => error && error.name === "AbortError";

const remembered = () => { try { return sessionStorage.getItem(KEY); } catch { return null; } };
const remember = (token) => { try { sessionStorage.setItem(KEY, token); } catch { /* private windows may refuse */ } };

/** The header for a shell, where this server asks for a token: the token itself stays in the tab. */
export const shellToken = () => (remembered() ? '"Authorization: Bearer $COFACTOR_TOKEN"' : "");

let answers = true;
/** Whether the server answers, told to the page whenever that changes. */
function reached(now) {
	if (now !== answers) document.dispatchEvent(new CustomEvent("reached", { detail: now }));
	answers = now;
}

async function once(method, path, body, signal) {
	const headers = { Accept: "application/json" };
	const token = remembered();
	if (token) headers.Authorization = `Bearer ${token}`;
	if (body !== undefined) headers["Content-Type"] = "application/json";
	let answer;
	try {
		answer = await fetch(new URL(path, document.baseURI.split("#")[0]), { method, headers, signal, body: body === undefined ? undefined : json.write(body), credentials: "same-origin" });
	} catch (error) {
		if (stale(error)) throw error;
		reached(false);
		throw new ApiError(0, navigator.onLine === false ? "You are offline; the server cannot be reached." : "The server does not answer. It may be starting, or have stopped.");
	}
	reached(true);
	const text = await answer.text();
	let found = null;
	try { found = text ? json.read(text) : {}; } catch { /* a proxy's page, say */ }
	if (!answer.ok) throw new ApiError(answer.status, (found && found.error) || `The server answered ${answer.status} ${answer.statusText}`.trim(), Number(answer.headers.get("Retry-After")) || 0);
	if (found === null) throw new ApiError(answer.status, "The server's answer cannot be read; is this cofactor?");
	return found;
}

async function ask(method, path, body, signal) {
	for (let tries = 0; ; tries++) {
		const before = remembered();
		try {
			const found = await once(method, path, body, signal);
			if (body?.version === undefined) notice(found.version); // else it was asked of a version that is not live
			return found;
		} catch (error) {
			if (error.status === 503 && error.again && path.startsWith("v1/map") && tries < PATIENCE) { // a map that is being computed, say
				await new Promise((go) => setTimeout(go, 1000 * Math.min(error.again, 5)));
				if (signal?.aborted) throw new DOMException("", "AbortError");
				continue;
			}
			if (error.status !== 401) throw error;
			if (remembered() !== before) continue; // given meanwhile, for another request
			const token = await askForToken(before ? "That token was not accepted." : "");
			if (!token) throw error;
			remember(token);
		}
	}
}

/** Where an answer comes from a newer model than the page knows, the page is told. */
function notice(version) {
	if (typeof version !== "number") return;
	if (live !== null && version !== live) document.dispatchEvent(new CustomEvent("newversion", { detail: version }));
	live = version;
}

const query = (params) => {
	const kept = Object.entries(params).filter(([, v]) => v !== undefined && v !== null);
	return kept.length ? "?" + new URLSearchParams(kept.map(([k, v]) => [k, String(v)])) : "";
};

export const get = (path, params = {}, signal = undefined) => ask("GET", `v1/${path}${query(params)}`, undefined, signal);
export const post = (path, body = {}, signal = undefined) => ask("POST", `v1/${path}`, body, signal);
export const remove = (path, params = {}) => ask("DELETE", `v1/${path}${query(params)}`);

/** Runs only the newest of several requests: each call ends the one before. */
export function newest() {
	let controller = null;
	return {
		signal() { controller?.abort(); controller = new AbortController(); return controller.signal; },
		stop() { controller?.abort(); controller = null; },
	};
}

/** Ids keep their type in JSON, and are text in addresses. */
export function idOf(text, type) {
	if (type === "int" && /^[+-]?\d{1,19}$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text.replace("+", ""));
	if (type === "float" && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
	return text;
}
/** What is said of a list, about a known user and not to them: "they gave 9 to Heat". */
export const about = (user, said) => (user === undefined || user === null ? said : said.replace(/^((?:because |although )?|.*, which )you /, "$1they "));
export function nameOf(row) {
	const name = String(row.title === null || row.title === undefined || row.title === "" ? row.item : row.title);
	return name.trim() ? name : `“${name}”`; // a blank would leave nothing to see or press
}
