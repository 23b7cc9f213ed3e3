/* JSON whose whole numbers keep all their digits: ids of 64 bits, which JavaScript's numbers would round, become BigInt. */

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARK = "\u0000whole:";
const marked = /^\0whole:(-?\d+)$/;

export function read(text) {
	if (!/(?:^|[^\d.])\d{16}/.test(text)) return JSON.parse(text);
	const whole = (token) => (/^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? JSON.stringify(MARK + token) : token);
	return JSON.parse(text.replace(TOKEN, whole), (_, value) => (typeof value === "string" && marked.test(value) ? BigInt(marked.exec(value)[1]) : value));
}

export function write(value) {
	return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? MARK + v : v)).replace(/"\\u0000whole:(-?\d+)"/g, "$1");
}
