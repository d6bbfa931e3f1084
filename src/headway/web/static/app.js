// What the pages need beyond htmx: the live log follows its end unless somebody reads further up, and stays short.
"use strict";
(() => {
  const KEEP = 2000;
  const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const toEnd = (box) => { box.scrollTop = box.scrollHeight; };
  let follow = true;
  document.addEventListener("scroll", (event) => {
    if (event.target instanceof Element && event.target.id === "live-log") follow = atEnd(event.target);
  }, true);
  const look = () => {
    const box = document.getElementById("live-log");
    if (!box) return;
    while (box.childElementCount > KEEP) box.firstElementChild.remove();
    if (follow) toEnd(box);
  };
  const watch = () => {
    look();
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watch); else watch();
})();
