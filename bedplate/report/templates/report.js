// Comfort only; the page is complete without it.
const box = document.querySelector(".filter");
if (box) {
  box.hidden = false;
  box.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of document.querySelectorAll("[data-host]")) {
      row.hidden = !words.every((word) => row.dataset.host.includes(word));
    }
    for (const rack of document.querySelectorAll("details.rack")) {
      rack.hidden = words.length > 0 && !rack.querySelector("[data-host]:not([hidden])");
      if (words.length) rack.open = true;
    }
    if (words.length) {
      document.querySelector("details.all").open = true;
    }
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
