// Solves Sudoku by oscillators: the graphs start.onnx and step.onnx, looped here. Nothing leaves the page.
"use strict";
(() => {
  const SIZE = 9, CELLS = 81, CHANNELS = 96, N = 4;
  const FOLDER = new URL(".", document.currentScript.src).href;
  const EXAMPLES = {
    easy: "2.7..6.1868.1........2..7.........917.9.186525.16..8.7..2..1483.1.84.2...58372...",
    usual: "...18...27....2.85.......3.5..7.68..19.2......4.9...5...35............9.68...3...",
    few: "...86.....2....5.7.....9......12...81.9.............3..8.23..6...158......5...7..",
    hard: "..2...8..6...7..9...39..5....68.4....3......5......1....9.82..6...14.....5...63.1",
  };
  const at = (id) => document.getElementById(`solver-${id}`);
  const status = at("status"), text = at("text"), energy = at("energy"), canvas = at("oscillators");
  const cells = [];
  let sessions = null, running = 0;

  // --- The board

  for (let index = 0; index < CELLS; index++) {
    const [row, column] = [Math.floor(index / SIZE), index % SIZE];
    const cell = document.createElement("input");
    Object.assign(cell, { type: "text", inputMode: "numeric", autocomplete: "off", tabIndex: index ? -1 : 0 });
    cell.setAttribute("aria-label", `Row ${row + 1}, column ${column + 1}`);
    if (column === 2 || column === 5) cell.classList.add("right");
    if (row === 2 || row === 5) cell.classList.add("bottom");
    if (column === 8) cell.classList.add("last-column");
    if (row === 8) cell.classList.add("last-row");
    cell.addEventListener("focus", () => {
      cells.forEach((other) => { other.tabIndex = other === cell ? 0 : -1; });
      cell.select();
    });
    cell.addEventListener("keydown", (event) => {
      // The cells are no part of the form.
      if (event.key === "Enter" && !at("solve").disabled) document.querySelector("#solver form").requestSubmit();
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIZE, ArrowDown: SIZE }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = cells[index + step];
      if (next && !(Math.abs(step) === 1 && Math.floor((index + step) / SIZE) !== row)) next.focus();
    });
    cell.addEventListener("input", () => {
      // The last key counts, so that a digit is written over.
      const typed = cell.value.trim().slice(-1);
      edit(() => setCell(cell, /[1-9]/.test(typed) ? Number(typed) : 0));
      if (typed && !/[0-9.]/.test(typed)) refuse(`A cell takes a digit from 1 to 9, and not “${typed}”.`);
      text.value = asText();
    });
    cell.addEventListener("paste", (event) => {
      const pasted = event.clipboardData.getData("text").trim();
      if (pasted.length < 2) return;
      event.preventDefault();
      text.value = pasted;
      readText();
    });
    cells.push(cell);
    at("board").append(cell);
  }

  function setCell(cell, digit) {
    cell.value = digit || "";
    cell.classList.toggle("given", digit > 0);
    cell.classList.remove("found");
  }

  const given = () => cells.map((cell) => (cell.classList.contains("given") ? Number(cell.value) : 0));
  const asText = () => given().map((digit) => digit || ".").join("");

  /** Stops what runs, forgets what was found, and makes a change. */
  function edit(change) {
    stop();
    cells.forEach((cell) => { if (!cell.classList.contains("given")) setCell(cell, 0); });
    change();
    at("example").value = "";
    const wrong = firstConflict(given());
    mark(wrong ? wrong.cells : []);
    if (wrong) refuse(wrong.words);
    else say("Ready.");
  }

  function show(board) {
    edit(() => cells.forEach((cell, index) => setCell(cell, board[index])));
  }

  /** The board as text, or a sentence that says what is wrong with it. */
  function parse(line) {
    const characters = [...line.replace(/[\s|+-]/g, "")];
    const strange = characters.find((character) => !/[0-9._*]/.test(character));
    if (strange) return `A board is written in digits, with 0 or . for a blank cell, and not with “${strange}”.`;
    if (characters.length !== CELLS) return `A board has 81 cells, row by row; these are ${characters.length}.`;
    return characters.map((character) => (/[1-9]/.test(character) ? Number(character) : 0));
  }

  function readText() {
    const board = parse(text.value);
    if (typeof board === "string") {
      stop();
      refuse(board);
    } else show(board);
  }

  const UNITS = [];
  for (let k = 0; k < SIZE; k++) {
    const range = [...Array(SIZE).keys()];
    const [top, left] = [3 * Math.floor(k / 3), 3 * (k % 3)];
    UNITS.push({ name: `Row ${k + 1}`, cells: range.map((i) => SIZE * k + i) });
    UNITS.push({ name: `Column ${k + 1}`, cells: range.map((i) => SIZE * i + k) });
    UNITS.push({
      name: `The 3×3 box at row ${top + 1}, column ${left + 1}`,
      cells: range.map((i) => SIZE * (top + Math.floor(i / 3)) + left + (i % 3)),
    });
  }

  function firstConflict(board) {
    for (const unit of UNITS) {
      for (let digit = 1; digit <= SIZE; digit++) {
        const twice = unit.cells.filter((index) => board[index] === digit);
        if (twice.length > 1) {
          return { cells: twice, words: `${unit.name} has the digit ${digit} more than once: no solution is possible.` };
        }
      }
    }
    return null;
  }

  const mark = (wrong) => cells.forEach((cell, index) => cell.setAttribute("aria-invalid", wrong.includes(index)));

  function say(words) {
    status.textContent = words;
    status.classList.remove("wrong");
  }

  function refuse(words) {
    status.textContent = words;
    status.classList.add("wrong");
  }

  // --- The network

  async function load() {
    if (location.protocol === "file:") {
      throw new Error("Browsers load the network only over HTTP: run python -m http.server in the site's folder.");
    }
    ort.env.wasm.wasmPaths = FOLDER;
    ort.env.wasm.numThreads = 1;
    const open = (name) => ort.InferenceSession.create(`${FOLDER}${name}.onnx`);
    sessions = { start: await open("start"), step: await open("step") };
  }

  function normalNoise(count) {
    // Box and Muller's.
    return Float32Array.from({ length: count }, () =>
      Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
  }

  const state = (data) => new ort.Tensor("float32", data, [1, SIZE, SIZE, CHANNELS]);

  /** The digits that logits give, given ones kept, and how sure each is, from 0 to 1. */
  function read(board, logits) {
    const digits = [], sure = [];
    for (let index = 0; index < CELLS; index++) {
      const scores = logits.slice(SIZE * index, SIZE * (index + 1));
      const most = Math.max(...scores);
      digits.push(board[index] || scores.indexOf(most) + 1);
      sure.push(1 / scores.reduce((sum, score) => sum + Math.exp(score - most), 0));
    }
    return { digits, sure };
  }

  async function solve() {
    const board = given(), mine = ++running;
    const wrong = firstConflict(board);
    if (wrong) return refuse(wrong.words);
    const steps = wholeNumber("steps"), starts = wholeNumber("starts");
    if (!steps || !starts) return undefined;
    at("solve").disabled = true;
    at("stop").disabled = false;
    const began = performance.now();
    let fewest = CELLS;
    for (let start = 1; start <= starts; start++) {
      const inputs = {
        board: new ort.Tensor("int32", Int32Array.from(board), [1, SIZE, SIZE]),
        noise: state(normalNoise(CELLS * CHANNELS)),
      };
      let { oscillators, stimuli } = await sessions.start.run(inputs);
      const energies = [];
      for (let step = 1; step <= steps; step++) {
        const found = await sessions.step.run({ oscillators, stimuli });
        if (mine !== running) return undefined;
        oscillators = found.next;
        energies.push(found.energy.data[0]);
        const { digits, sure } = read(board, found.logits.data);
        draw(board, digits, sure, oscillators.data, energies, steps);
        if (!firstConflict(digits)) {
          const seconds = ((performance.now() - began) / 1000).toFixed(1);
          return end(`Solved after ${step} steps of start ${start}, in ${seconds} s. The rules were checked.`);
        }
        fewest = Math.min(fewest, conflicts(digits));
        say(`Start ${start} of ${starts}, step ${step} of ${steps}: energy ${energies.at(-1).toFixed(0)}.`);
        const pace = Number(at("pace").value);
        if (pace || step % 8 === 0) await new Promise((resolve) => setTimeout(resolve, pace));
        if (mine !== running) return undefined;
      }
    }
    return end(`Not solved in ${starts} starts of ${steps} steps; the best answer breaks the rules in ${fewest} cells. `
      + "The board may have no solution, or be too hard for this network: more starts or steps can help.");
  }

  function wholeNumber(id) {
    const field = at(id), value = Number(field.value);
    if (Number.isInteger(value) && value >= Number(field.min) && value <= Number(field.max)) return value;
    refuse(`“${field.labels[0].firstChild.textContent.trim()}” takes a whole number from ${field.min} to ${field.max}.`);
    field.focus();
    return 0;
  }

  function conflicts(board) {
    const wrong = new Set();
    for (const unit of UNITS) {
      for (const index of unit.cells) {
        if (unit.cells.some((other) => other !== index && board[other] === board[index])) wrong.add(index);
      }
    }
    return wrong.size;
  }

  function end(words) {
    stop();
    say(words);
  }

  function stop() {
    running++;
    at("solve").disabled = sessions === null;
    at("stop").disabled = true;
  }

  // --- What is drawn

  function draw(board, digits, sure, oscillators, energies, steps) {
    cells.forEach((cell, index) => {
      if (board[index]) return;
      cell.value = digits[index];
      cell.classList.add("found");
      cell.style.setProperty("--sure", `${Math.round(100 * Math.max(0, (sure[index] - 0.2) / 0.8))}%`);
    });
    drawOscillators(oscillators);
    drawEnergy(energies, steps);
  }

  function drawOscillators(values) {
    const pen = canvas.getContext("2d"), size = canvas.width / SIZE;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineWidth = 4;
    pen.lineCap = "round";
    for (let index = 0; index < CELLS; index++) {
      const [x, y] = [(index % SIZE + 0.5) * size, (Math.floor(index / SIZE) + 0.5) * size];
      const [u, v] = values.slice(index * CHANNELS, index * CHANNELS + N);
      pen.strokeStyle = pen.fillStyle = `hsl(${180 + 180 * Math.atan2(v, u) / Math.PI} 70% 50%)`;
      pen.globalAlpha = 0.18;
      pen.beginPath();
      pen.arc(x, y, 0.42 * size, 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + 0.4 * size * u, y - 0.4 * size * v);
      pen.stroke();
    }
  }

  function drawEnergy(energies, steps) {
    const [left, right, top, bottom] = [90, 520, 20, 490];
    const most = Math.max(...energies, 0), least = Math.min(...energies) - 1;
    const x = (step) => left + (right - left) * step / Math.max(1, Math.min(steps, Math.max(32, energies.length)) - 1);
    const y = (value) => top + (bottom - top) * (most - value) / (most - least);
    const points = energies.map((value, step) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    const label = (px, py, words, anchor) =>
      `<text x="${px}" y="${py}" text-anchor="${anchor}" fill="currentColor">${words}</text>`;
    energy.innerHTML = `<path d="M${left},${top}V${bottom}H${right}" fill="none" stroke="currentColor"/>`
      + label(left - 8, top + 8, most.toFixed(0), "end") + label(left - 8, bottom, least.toFixed(0), "end")
      + label((left + right) / 2, bottom + 32, `${energies.length} steps`, "middle")
      + `<polyline points="${points}" fill="none" stroke="#e08a1e" stroke-width="4"/>`
      + `<circle cx="${x(energies.length - 1)}" cy="${y(energies.at(-1))}" r="7" fill="#e08a1e"/>`;
    energy.setAttribute("aria-label", `Energy after ${energies.length} steps: ${energies.at(-1).toFixed(0)}`);
  }

  // --- Start

  document.querySelector("#solver form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (text.value.trim() && text.value.replace(/\s/g, "") !== asText()) {
      const board = parse(text.value);
      if (typeof board === "string") return refuse(board);
      show(board);
    }
    return solve().catch((error) => { stop(); refuse(`The network failed: ${error.message}`); });
  });
  at("stop").addEventListener("click", () => end("Stopped."));
  at("clear").addEventListener("click", () => {
    show(Array(CELLS).fill(0));
    text.value = "";
    say("The board is empty. Type digits, or paste a board.");
    cells[0].focus();
  });
  text.addEventListener("input", readText);
  at("example").addEventListener("change", (event) => {
    const name = event.target.value;
    if (!name) return;
    text.value = EXAMPLES[name];
    readText();
    event.target.value = name;
  });
  text.value = EXAMPLES.easy;
  show(parse(text.value));
  at("example").value = "easy";
  at("solve").disabled = true;
  say("Loading the network …");
  load().then(() => { at("solve").disabled = false; say("Ready."); }, (error) => refuse(error.message));
})();
