/* Points by the graphics card: as many as a catalogue has, each with a size, a colour and a shape. */

const VERTEX = `
attribute vec2 place; attribute float size; attribute float shape; attribute vec4 colour;
uniform vec2 room; uniform vec3 view; uniform vec2 pad; uniform float ratio; uniform float grow;
varying vec4 paint; varying float kind;
void main() {
	vec2 at = (pad + place * (room - 2.0 * pad)) * view.z + view.xy;
	gl_Position = vec4(at.x / room.x * 2.0 - 1.0, 1.0 - at.y / room.y * 2.0, 0.0, 1.0);
	gl_PointSize = max(2.0, size * grow * 2.4) * ratio;
	paint = colour; kind = shape;
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 paint; varying float kind;
void main() {
	vec2 p = gl_PointCoord * 2.0 - 1.0;
	float d = length(p) - 0.83;
	if (kind > 0.5) d = max(abs(p.x), abs(p.y)) - 0.72;
	if (kind > 1.5) d = max(abs(p.x) * 1.2 - p.y * 0.7, p.y) - 0.62;
	if (kind > 2.5) d = abs(p.x) + abs(p.y) - 0.98;
	if (kind > 3.5) d = max(min(abs(p.x), abs(p.y)) - 0.26, max(abs(p.x), abs(p.y)) - 0.92);
	if (kind > 4.5) d = abs(length(p) - 0.66) - 0.2;
	float cover = clamp(0.5 - d * 6.0, 0.0, 1.0);
	if (cover <= 0.0) discard;
	gl_FragColor = vec4(paint.rgb, 1.0) * paint.a * cover;
}`;
export const SHAPES = 6;

/** The same shapes as a path of a 2D canvas, for few points or no graphics card: around (x, y), within `r` of it. */
export function outline(pen, shape, x, y, r) {
	const path = (...corners) => { corners.forEach(([dx, dy], k) => pen[k ? "lineTo" : "moveTo"](x + dx * r, y + dy * r)); pen.closePath(); };
	pen.beginPath();
	if (shape === 1) path([-0.72, -0.72], [0.72, -0.72], [0.72, 0.72], [-0.72, 0.72]);
	else if (shape === 2) path([-0.88, 0.62], [0.88, 0.62], [0, -0.89]);
	else if (shape === 3) path([0, -0.98], [0.98, 0], [0, 0.98], [-0.98, 0]);
	else if (shape === 4) path([-0.26, -0.92], [0.26, -0.92], [0.26, -0.26], [0.92, -0.26], [0.92, 0.26], [0.26, 0.26], [0.26, 0.92], [-0.26, 0.92], [-0.26, 0.26], [-0.92, 0.26], [-0.92, -0.26], [-0.26, -0.26]);
	else if (shape === 5) { pen.arc(x, y, 0.86 * r, 0, 7); pen.moveTo(x + 0.46 * r, y); pen.arc(x, y, 0.46 * r, 0, 2 * Math.PI, true); }
	else pen.arc(x, y, 0.83 * r, 0, 7);
}

/** Draws `n` points; null where there is no WebGL. `places` float32 (2 n) in [0, 1], `sizes` and `shapes` float32 (n). */
export function createDots(canvas, places, sizes, shapes) {
	const gl = canvas.getContext("webgl", { premultipliedAlpha: true, antialias: false });
	if (!gl) return null;
	const build = (type, source) => { const part = gl.createShader(type); gl.shaderSource(part, source); gl.compileShader(part); return part; };
	const program = gl.createProgram();
	gl.attachShader(program, build(gl.VERTEX_SHADER, VERTEX));
	gl.attachShader(program, build(gl.FRAGMENT_SHADER, FRAGMENT));
	gl.linkProgram(program);
	if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
	gl.useProgram(program);
	const feed = (name, values, width, type = gl.FLOAT, unit = false) => {
		const buffer = gl.createBuffer(), at = gl.getAttribLocation(program, name);
		gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
		gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
		gl.enableVertexAttribArray(at);
		gl.vertexAttribPointer(at, width, type, unit, 0, 0);
		return buffer;
	};
	feed("place", places, 2);
	feed("size", sizes, 1);
	const shapeBuffer = feed("shape", shapes, 1);
	const paints = new Uint8Array(sizes.length * 4);
	const paintBuffer = feed("colour", paints, 4, gl.UNSIGNED_BYTE, true);
	const uniform = (name) => gl.getUniformLocation(program, name);
	const at = { room: uniform("room"), view: uniform("view"), pad: uniform("pad"), ratio: uniform("ratio"), grow: uniform("grow") };
	gl.enable(gl.BLEND);
	gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
	return {
		/** `colours` uint8 (4 n): red, green, blue, how opaque. */
		paint(colours, shapes) {
			gl.bindBuffer(gl.ARRAY_BUFFER, paintBuffer);
			gl.bufferSubData(gl.ARRAY_BUFFER, 0, colours);
			gl.bindBuffer(gl.ARRAY_BUFFER, shapeBuffer);
			gl.bufferSubData(gl.ARRAY_BUFFER, 0, shapes);
		},
		draw(W, H, ratio, pad, view, grow) {
			gl.viewport(0, 0, canvas.width, canvas.height);
			gl.clearColor(0, 0, 0, 0);
			gl.clear(gl.COLOR_BUFFER_BIT);
			gl.uniform2f(at.room, W, H);
			gl.uniform3f(at.view, view.x, view.y, view.k);
			gl.uniform2f(at.pad, ...pad);
			gl.uniform1f(at.ratio, ratio);
			gl.uniform1f(at.grow, grow);
			gl.drawArrays(gl.POINTS, 0, sizes.length);
		},
		lose() { gl.getExtension("WEBGL_lose_context")?.loseContext(); },
	};
}
