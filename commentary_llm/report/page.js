(() => {
  "use strict";
  const $ = (selector) => document.querySelector(selector);
  const lines = [...document.querySelectorAll("#lines > li")];
  const audio = $("#sound");
  const player = $("#player");

  // Listening: a line's minute starts the sound there, and the line being spoken is marked.
  if (audio) {
    const lost = () => {
      player.classList.add("lost");
      $("#sound-note").hidden = false;
    };
    audio.addEventListener("error", lost);
    if (audio.error || audio.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) lost();
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.play");
      if (!link || player.classList.contains("lost")) return;
      event.preventDefault();
      audio.currentTime = Number(link.closest("li").dataset.s);
      audio.play().catch(lost);
    });
    const timed = lines.filter((line) => line.dataset.s);
    const order = timed.map((line) => [Number(line.dataset.s), Number(line.dataset.e), line]);
    order.sort((a, b) => a[0] - b[0]);
    let now = null;
    const mark = () => {
      const t = audio.currentTime;
      const hit = audio.paused && t === 0 ? null : order.find(([s, e]) => t >= s - 0.05 && t < e);
      const line = hit ? hit[2] : null;
      if (line === now) return;
      if (now) {
        now.classList.remove("now");
        now.removeAttribute("aria-current");
      }
      now = line;
      if (!now) return;
      now.classList.add("now");
      now.setAttribute("aria-current", "true");
      $("#now-text").textContent = now.querySelector(".text").textContent;
      if ($("#follow").checked && !audio.paused) now.scrollIntoView({ block: "center" });
    };
    audio.addEventListener("timeupdate", mark);
    audio.addEventListener("seeked", mark);
    $("#follow-label").hidden = false;
  }

  // Filtering the lines.
  const filters = $("#filters");
  if (filters) {
    filters.hidden = false;
    const search = $("#search");
    const apply = () => {
      const off = [...filters.querySelectorAll("input[type=checkbox]:not(:checked)")].map((box) => box.value);
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const line of lines) {
        const text = line.textContent.toLowerCase();
        line.hidden = off.some((name) => line.classList.contains(name)) || !words.every((word) => text.includes(word));
        shown += line.hidden ? 0 : 1;
      }
      $("#shown").textContent = `${shown} of ${lines.length} shown`;
    };
    filters.addEventListener("input", apply);
    filters.addEventListener("reset", () => setTimeout(apply));
    filters.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  // A mark on a chart tells its line; the native titles stay as accessible names.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  for (const link of document.querySelectorAll("svg a")) {
    const title = link.querySelector("title");
    if (title) {
      link.setAttribute("aria-label", title.textContent);
      title.remove();
    }
  }
  const lineOf = (link) => document.getElementById(link.getAttribute("href").slice(1));
  const show = (event) => {
    const link = event.target.closest && event.target.closest("svg a");
    const line = link && lineOf(link);
    if (!line) {
      tip.hidden = true;
      return;
    }
    tip.replaceChildren();
    const add = (tag, text) => {
      if (!text) return;
      const part = document.createElement(tag);
      part.textContent = text;
      tip.append(part);
    };
    add("b", link.getAttribute("aria-label"));
    add("p", line.querySelector(".text").textContent.trim());
    const stages = line.querySelector(".stages");
    add("small", stages ? stages.textContent : "");
    tip.hidden = false;
    const box = link.getBoundingClientRect();
    const left = Math.min(Math.max(8, (event.clientX || box.left) - 20), innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 10;
    tip.style.left = `${left}px`;
    tip.style.top = `${below + tip.offsetHeight > innerHeight ? box.top - tip.offsetHeight - 10 : below}px`;
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.hidden = true;
  });
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });

  // A jump to a line that a filter hides would lead nowhere.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("svg a, table a[href^='#c']");
    const line = link && lineOf(link);
    if (line && line.hidden) filters.reset(), (line.hidden = false);
  });

  // Paper cannot be clicked: refusals are printed open.
  addEventListener("beforeprint", () => {
    for (const more of document.querySelectorAll("details.refused")) more.open = true;
  });
})();
