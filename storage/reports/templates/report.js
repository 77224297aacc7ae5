"use strict";
// Divider, masks, full size, filter, sort, copying and deep links. The page can be read and printed without any of it.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

  // -- the divider ------------------------------------------------------------------------------------------------
  const place = (range) => {
    const at = Number(range.value);
    const compare = range.closest(".compare");
    compare.style.setProperty("--at", at + "%");
    compare.classList.toggle("all-before", at > 92);
    compare.classList.toggle("all-restored", at < 8);
    const after = one(".tag.right", compare).textContent.toLowerCase();
    range.setAttribute("aria-valuetext", at + " % before, " + (100 - at) + " % " + after);
    for (const side of all("[data-side]", range.closest(".plate, .full"))) {
      side.setAttribute("aria-pressed", String(Number(side.dataset.side) === at));
    }
  };
  const moveTo = (range, at) => {
    range.value = at;
    place(range);
  };

  // -- masks ------------------------------------------------------------------------------------------------------
  const allMasks = one("[data-all-masks]");
  const showMask = (plate, shown) => {
    const mask = one(".mask", plate);
    if (!mask) return;
    mask.hidden = !shown;
    one("[data-mask-toggle]", plate).setAttribute("aria-pressed", String(shown));
  };
  const maskIsShown = (plate) => one(".mask", plate)?.hidden === false;
  const tellAllMasks = () => {
    const plates = all(".plate").filter((plate) => one(".mask", plate));
    allMasks?.setAttribute("aria-pressed", String(plates.every(maskIsShown)));
  };
  const toggleMask = (plate) => {
    showMask(plate, !maskIsShown(plate));
    tellAllMasks();
  };

  // -- full size --------------------------------------------------------------------------------------------------
  const full = one(".full");
  const openFull = (plate) => {
    const picture = one(".picture", plate)?.cloneNode(true);
    if (!picture || full.open) return;
    const image = one("img", picture);
    picture.style.width = image.getAttribute("width") + "px"; // the page's pixels for the photo's, one for one
    picture.style.aspectRatio = image.getAttribute("width") + " / " + image.getAttribute("height");
    one("#full-name").textContent = plate.dataset.name;
    one(".scale", full).textContent = one("[data-full]", plate).dataset.full;
    one(".files-here", full).replaceChildren(...all(".files a", plate).map((link) => link.cloneNode(true)));
    one(".stage", full).replaceChildren(picture);
    const range = one(".divider", picture);
    one(".sides", full).hidden = !range;
    one("[data-mask-toggle]", full).hidden = !one(".mask", picture);
    showMask(full, maskIsShown(plate));
    full.showModal();
    if (!range) return;
    one("[data-side='0']", full).textContent = one(".tag.right", picture).textContent;
    moveTo(range, one(".divider", plate).value);
    range.focus({ preventScroll: true });
  };
  full?.addEventListener("close", () => one(".stage", full).replaceChildren());

  // -- filter and sort --------------------------------------------------------------------------------------------
  const form = one(".toolbar");
  const items = all("[data-item]");
  for (const item of items) {
    item.words = ((item.dataset.name ?? one(".name bdi", item).textContent) + " " + item.dataset.sha).toLowerCase();
  }
  const filter = () => {
    const outcome = form.elements.outcome?.value ?? "";
    const wanted = form.elements.search.value.trim().toLowerCase();
    let found = 0;
    for (const item of items) {
      const is = outcome === "needs_review" ? item.dataset.review : item.dataset.outcome;
      item.hidden = Boolean((outcome && is !== outcome) || (wanted && !item.words.includes(wanted)));
      if (!item.hidden) found += 1;
    }
    const every = found === items.length;
    one(".found").textContent = every ? "" : found.toLocaleString("en") + " of " + items.length.toLocaleString("en");
    one(".none-found").hidden = found > 0;
  };
  const sort = () => {
    const key = form.elements.sort.value;
    const order = {
      name: (a, b) => a.words.localeCompare(b.words, "en", { numeric: true }),
      number: (a, b) => a.dataset.number - b.dataset.number,
    }[key] ?? ((a, b) => b.dataset[key] - a.dataset[key]);
    const lineOrder = key === "number" ? (a, b) => a.line - b.line : order;
    one(".plates")?.append(...all(".plate").sort(order));
    one(".lines tbody")?.append(...all(".lines tbody tr").sort(lineOrder));
  };
  all(".lines tbody tr").forEach((row, number) => (row.line = number));
  const showAll = () => {
    form.reset();
    filter();
    sort();
  };

  // -- deep links -------------------------------------------------------------------------------------------------
  const follow = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (!/^photo-[0-9A-Za-z]{6,}$/.test(wanted)) return;
    const target = document.getElementById(wanted) ?? items.find((item) => item.id.startsWith(wanted));
    if (!target) return;
    if (target.hidden) showAll();
    for (const other of all(".linked")) other.classList.remove("linked");
    target.classList.add("linked");
    (one(".divider", target) ?? target).focus({ preventScroll: true });
    // Photos out of sight have no layout yet: as they get theirs, the target moves, so it is brought back.
    let left = 4;
    const bring = () => {
      target.scrollIntoView({ block: "start", behavior: "instant" });
      if (left-- > 0) requestAnimationFrame(bring);
    };
    bring();
  };

  // -- copying ----------------------------------------------------------------------------------------------------
  const copy = async (button) => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      const field = document.createElement("textarea"); // where a page from a file may not write the clipboard
      field.value = button.dataset.copy;
      document.body.append(field);
      field.select();
      copied = document.execCommand("copy");
      field.remove();
      button.focus();
    }
    const code = one("code", button);
    code.textContent = copied ? "copied" : "not copied";
    setTimeout(() => (code.textContent = button.dataset.copy.slice(0, 12)), 1500);
  };

  // -- one listener a kind of event, however many photos there are ------------------------------------------------
  document.addEventListener("input", (event) => {
    if (event.target.matches(".divider")) place(event.target);
    else if (event.target.name === "search") filter();
  });
  document.addEventListener("change", (event) => {
    if (event.target.name === "sort") sort();
    else if (event.target.name === "outcome") filter();
  });
  document.addEventListener("click", (event) => {
    const hit = event.target.closest("button, a[data-show]");
    if (!hit) return;
    const plate = hit.closest(".plate, .full");
    if (hit.dataset.side) {
      const range = one(".divider", plate);
      moveTo(range, hit.getAttribute("aria-pressed") === "true" ? 50 : hit.dataset.side);
    } else if ("maskToggle" in hit.dataset) toggleMask(plate);
    else if ("full" in hit.dataset) openFull(plate);
    else if ("close" in hit.dataset) full.close();
    else if ("allMasks" in hit.dataset) {
      const shown = hit.getAttribute("aria-pressed") !== "true";
      for (const each of all(".plate")) showMask(each, shown);
      tellAllMasks();
    } else if ("copy" in hit.dataset) copy(hit);
    else if ("reset" in hit.dataset) showAll();
    else if (hit.dataset.show && form?.elements.outcome) {
      const radio = all("[name=outcome]", form).find((each) => each.value === hit.dataset.show);
      if (radio) radio.click();
    }
  });
  document.addEventListener("keydown", (event) => {
    const plate = event.target.closest(".plate, .full");
    if (!plate || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "m") toggleMask(plate);
    else if (plate === full) return;
    else if (key === "f") openFull(plate);
    else if (key === "j" || key === "k") {
      const seen = all(".plate").filter((each) => !each.hidden);
      const next = seen[seen.indexOf(plate) + (key === "j" ? 1 : -1)];
      if (!next) return;
      next.scrollIntoView({ block: "nearest" });
      (one(".divider", next) ?? next).focus({ preventScroll: true });
    } else return;
    event.preventDefault();
  });
  form?.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);

  all(".divider").forEach(place);
  follow();
})();
