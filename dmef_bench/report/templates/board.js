
"use strict";
// Without this script the page says the same; with it, a click on a heading sorts.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const turned = { ascending: "descending", descending: "ascending" };
      const order = turned[head.getAttribute("aria-sort")] || head.dataset.first || "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const numeric = head.classList.contains("number");
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (a, b) => {
        // Rows without a figure stay below, whichever way the others run.
        if (a === "" || b === "") return (a === "") - (b === "");
        return sign * (numeric ? compareNumbers(Number(a), Number(b)) : a.localeCompare(b));
      };
      body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
    });
  });
}
function compareNumbers(a, b) {
  return a === b ? 0 : a < b ? -1 : 1; // two infinities have no difference to take
}
for (const box of document.querySelectorAll(".compare")) {
  const pictures = new Map([...box.querySelectorAll("img")].map((image) => [image.alt, image.src]));
  const names = [...pictures.keys()];
  const stage = document.createElement("div");
  stage.className = "stage";
  const sides = ["left", "right"].map((side) => {
    const image = document.createElement("img");
    const choice = document.createElement("select");
    choice.setAttribute("aria-label", `${side} picture of ${box.dataset.scene}`);
    choice.append(...names.map((name) => new Option(name, name)));
    const show = () => {
      image.src = pictures.get(choice.value);
      image.alt = choice.value;
    };
    choice.addEventListener("change", show);
    choice.value = box.dataset[side];
    show();
    image.draggable = false; // the pointer moves the cut, not the picture
    stage.append(image);
    return { choice, image };
  });
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 0.5, value: 50 });
  slider.setAttribute("aria-label", `share of the left picture of ${box.dataset.scene}`);
  const line = document.createElement("div");
  line.className = "cut";
  stage.append(line);
  const cut = () => {
    sides[1].image.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
    line.style.left = `${slider.value}%`;
  };
  slider.addEventListener("input", cut);
  cut();
  const follow = (event) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const place = stage.getBoundingClientRect();
    slider.value = (100 * (event.clientX - place.left)) / place.width;
    cut();
  };
  stage.addEventListener("pointerdown", follow);
  stage.addEventListener("pointermove", follow);
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.append(sides[0].choice, slider, sides[1].choice);
  box.before(bar, stage);
  box.hidden = true; // all of them are in the slider
}
