// Keeps the parts of a page that are marked `data-live` as the node has them, every two seconds while somebody looks.
"use strict";
(() => {
  const INTERVAL = 2000;

  async function refresh() {
    if (document.hidden) return;
    let text;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, cache: "no-store" });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) return;
      text = await answer.text();
    } catch {
      return; // Cisco Tomcat restarts; the next try finds it
    }
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      // Where the keyboard is, nothing is replaced.
      if (!other || part.innerHTML === other.innerHTML || part.contains(document.activeElement)) continue;
      const chosen = new Set([...part.querySelectorAll("input:checked")].map((input) => input.value));
      part.replaceChildren(...other.childNodes);
      for (const input of part.querySelectorAll("input")) input.checked = chosen.has(input.value);
    }
  }

  setInterval(refresh, INTERVAL);
})();
