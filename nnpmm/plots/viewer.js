// A molecule in a canvas: sticks that turn with the mouse or a finger, and frames to step through.
// The data are written by nnpmm/plots/viewer.py. Nothing is fetched.
"use strict";
function nnpmmViewer(root, data) {
  const canvas = root.querySelector("canvas"), pen = canvas.getContext("2d");
  const slider = root.querySelector("input"), caption = root.querySelector("output");
  const button = root.querySelector("button");
  const raw = Uint8Array.from(atob(data.positions), (c) => c.charCodeAt(0));
  const values = new Int16Array(raw.buffer); // picometres
  const count = data.symbols.length, frames = data.frames.length;
  const colors = { C: "#5b6770", N: "#3050e0", O: "#e0281c", S: "#c8a415", P: "#e07b1a",
    F: "#4fa83d", Cl: "#2f9b3a", Br: "#96321f", I: "#7a3294", H: "#b5bcc2" };
  const ligand = "#009E73", trace = "#c9d3dc";
  const centre = [0, 0, 0];
  let own = 0;
  for (let a = 0; a < count; a++) if (data.groups[a] === 0) {
    own++;
    for (let x = 0; x < 3; x++) centre[x] += values[3 * a + x];
  }
  for (let x = 0; x < 3; x++) centre[x] /= own;
  let reach = 0;
  for (let a = 0; a < count; a++) if (data.groups[a] < 2)
    reach = Math.max(reach, Math.hypot(...[0, 1, 2].map((x) => values[3 * a + x] - centre[x])));
  let turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]], zoom = 1, frame = 0, timer = null;

  const product = (p, q) => p.map((row) => [0, 1, 2].map((c) =>
    row[0] * q[0][c] + row[1] * q[1][c] + row[2] * q[2][c]));
  function rotate(dx, dy) {
    const [cy, sy, cx, sx] = [Math.cos(dx), Math.sin(dx), Math.cos(dy), Math.sin(dy)];
    turn = product(product([[1, 0, 0], [0, cx, -sx], [0, sx, cx]],
      [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]), turn);
  }
  function mixed(color, share) { // with white, farther atoms are paler
    const n = parseInt(color.slice(1), 16);
    const mix = (v) => Math.round(v + (255 - v) * share);
    return `rgb(${mix(n >> 16)},${mix((n >> 8) & 255)},${mix(n & 255)})`;
  }
  function draw() {
    const wide = canvas.clientWidth, high = canvas.clientHeight;
    const dots = window.devicePixelRatio || 1;
    canvas.width = wide * dots; canvas.height = high * dots;
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, wide, high);
    const scale = zoom * 0.47 * Math.min(wide, high * 1.25) / reach;
    const at = new Array(count), start = 3 * count * frame;
    for (let a = 0; a < count; a++) {
      const p = [0, 1, 2].map((x) => values[start + 3 * a + x] - centre[x]);
      const [x, y, z] = turn.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
      at[a] = [wide / 2 + scale * x, high / 2 - scale * y, z];
    }
    const fog = (z) => Math.min(0.8, Math.max(0, 0.38 - 0.42 * z / reach));
    const width = [0.021, 0.011, 0.006].map((nm) => Math.max(1, 1000 * nm * scale * 2));
    const paint = (a) => data.groups[a] === 2 ? trace
      : data.groups[a] === 0 && data.symbols[a] === "C" ? ligand : colors[data.symbols[a]] || "#a050a0";
    const parts = [];
    for (const [a, b] of data.bonds) {
      const middle = [0, 1, 2].map((x) => (at[a][x] + at[b][x]) / 2);
      for (const end of [a, b]) parts.push([(at[end][2] + middle[2]) / 2, end, middle]);
    }
    parts.sort((p, q) => p[0] - q[0]);
    pen.lineCap = "round";
    for (const [z, end, middle] of parts) {
      const thin = data.symbols[end] === "H" ? 0.6 : 1;
      pen.strokeStyle = mixed(paint(end), fog(z));
      pen.lineWidth = width[data.groups[end]] * thin;
      pen.beginPath(); pen.moveTo(at[end][0], at[end][1]); pen.lineTo(middle[0], middle[1]);
      pen.stroke();
    }
    pen.font = "12px system-ui, sans-serif"; pen.textAlign = "center";
    for (const [a, text] of data.labels) {
      const [x, y, z] = at[a];
      if (fog(z) > 0.6) continue;
      pen.lineWidth = 3; pen.strokeStyle = "rgba(255,255,255,.85)"; pen.strokeText(text, x, y - 4);
      pen.fillStyle = mixed("#222222", fog(z)); pen.fillText(text, x, y - 4);
    }
    caption.textContent = data.captions[frame];
  }
  function show(next) {
    frame = (next + frames) % frames; slider.value = frame; draw();
  }
  function stop() { clearInterval(timer); timer = null; button.textContent = "▶ play"; }
  button.onclick = () => {
    if (timer) { stop(); return; }
    button.textContent = "❚❚ stop"; timer = setInterval(() => show(frame + 1), 150);
  };
  slider.max = frames - 1;
  slider.oninput = () => { stop(); show(Number(slider.value)); };
  const fingers = new Map();
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => fingers.delete(event.pointerId);
  const gap = () => {
    const [p, q] = [...fingers.values()];
    return Math.hypot(p[0] - q[0], p[1] - q[1]);
  };
  canvas.onpointermove = (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const apart = fingers.size === 2 ? gap() : 0;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 2) zoom = Math.min(8, Math.max(0.3, zoom * gap() / apart));
    else rotate((event.clientX - before[0]) / 120, (event.clientY - before[1]) / 120);
    draw();
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom = Math.min(8, Math.max(0.3, zoom * Math.exp(-event.deltaY / 600)));
    draw();
  }, { passive: false });
  canvas.tabIndex = 0;
  canvas.onkeydown = (event) => {
    if (event.key === "ArrowRight") show(frame + 1);
    else if (event.key === "ArrowLeft") show(frame - 1);
  };
  window.addEventListener("resize", draw);
  rotate(0.5, 0.35); draw();
}
