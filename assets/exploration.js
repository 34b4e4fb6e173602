// Explorations on a page without a kernel. d2l.explore wrote each figure with native controls, its
// default frame, and all frames packed in a script element (see d2l.explore.pack); this swaps them.
"use strict";

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

class Exploration {
  constructor(root, parameters, content) {
    this.root = root;
    this.parameters = parameters;
    this.content = content;
    this.state = this.defaults();
    this.drawing = root.querySelector(".exploration-frame g");
    this.sentence = root.querySelector(".exploration-sentence");
    this.playButton = root.querySelector(".exploration-play");
    this.controls = parameters.map((p) => root.querySelector(`[data-parameter="${p.name}"]`));
    this.controls.forEach((control, i) => control?.addEventListener("input", () => {
      this.pause();
      this.set(i, this.read(i));
    }));
    this.first = this.controls.findIndex((control) => control);
    this.playButton.addEventListener("click", () => this.timer ? this.pause() : this.play());
    root.querySelector(".exploration-reset").addEventListener("click", () => {
      this.pause();
      this.go(this.defaults());
    });
    root.querySelector(".exploration-controls").hidden = false;
    root.querySelector(".exploration-still").hidden = true;
    this.go(this.fromAddress() ?? this.state, false);
  }

  defaults() {
    return this.parameters.map((parameter) => parameter.default);
  }

  read(i) {
    const control = this.controls[i];
    if (control.type === "checkbox") return this.parameters[i].values.indexOf(control.checked ? "True" : "False");
    return control.type === "range" ? Number(control.value) : control.selectedIndex;
  }

  // Row-major position of a state in the list of frames, the last parameter moving fastest.
  frame(state) {
    return state.reduce((position, index, i) => position * this.parameters[i].values.length + index, 0);
  }

  draw(state) {
    const number = this.frame(state);
    this.drawing.innerHTML = this.content.frames[number].map((line) => this.content.lines[line]).join("");
    if (this.sentence.textContent !== this.content.sentences[number])
      this.sentence.textContent = this.content.sentences[number];
  }

  set(i, index) {
    this.go(this.state.map((old, j) => j === i ? index : old));
  }

  go(state, remember = true) {
    this.state = state;
    this.controls.forEach((control, i) => {
      if (!control) return;
      const text = this.parameters[i].texts[state[i]];
      if (control.type === "checkbox") control.checked = this.parameters[i].values[state[i]] === "True";
      else if (control.type !== "range") control.selectedIndex = state[i];
      else {
        control.value = state[i];
        control.setAttribute("aria-valuetext", text);
        control.nextElementSibling.textContent = text;
      }
    });
    this.draw(state);
    if (remember) {
      // Browsers limit how often the address may change, so only where the reader comes to rest.
      clearTimeout(this.resting);
      this.resting = setTimeout(() => this.toAddress(), 250);
    }
  }

  play() {
    const count = this.parameters[this.first].values.length;
    this.playButton.textContent = "Pause";
    this.playButton.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => this.set(this.first, (this.state[this.first] + 1) % count), 600);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = "Play";
    this.playButton.setAttribute("aria-pressed", "false");
  }

  key(parameter) {
    return `${this.root.id}.${parameter.name}`;
  }

  // The address keeps what differs from the defaults: #degree.degree=12&degree.examples=20
  toAddress() {
    const address = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    this.parameters.forEach((parameter, i) => {
      if (this.state[i] === parameter.default) address.delete(this.key(parameter));
      else address.set(this.key(parameter), parameter.values[this.state[i]]);
    });
    if (address.size || location.hash.includes("="))
      history.replaceState(null, "", address.size ? `#${address}` : location.pathname + location.search);
  }

  // The state in the address, or null if it names none of this exploration; bad values are ignored.
  fromAddress() {
    const address = new URLSearchParams(location.hash.slice(1));
    if (!this.parameters.some((parameter) => address.has(this.key(parameter)))) return null;
    return this.parameters.map((parameter) => {
      const index = parameter.values.indexOf(address.get(this.key(parameter)));
      return index < 0 ? parameter.default : index;
    });
  }
}

addEventListener("DOMContentLoaded", async () => {
  if (typeof DecompressionStream === "undefined") return; // the page says what could be moved
  const explorations = await Promise.all([...document.querySelectorAll(".exploration")].map(async (root) => {
    const { parameters, frames } = JSON.parse(root.querySelector(".exploration-data").textContent);
    return new Exploration(root, parameters, await unpack(frames));
  }));
  explorations.find((exploration) => exploration.fromAddress())?.root.scrollIntoView();
  addEventListener("hashchange", () => explorations.forEach((exploration) => {
    const state = exploration.fromAddress();
    if (state) exploration.go(state, false);
  }));
  addEventListener("beforeprint", () => explorations.forEach((e) => e.draw(e.defaults())));
  addEventListener("afterprint", () => explorations.forEach((e) => e.draw(e.state)));
});
