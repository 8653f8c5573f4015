"use strict";
// The first use of each term leads to the glossary, which explains it with scripts or without.
(() => {
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const terms = [...document.querySelectorAll("#glossary dt")].map((name) => {
    const names = name.textContent.split(/[,()]/).map((text) => escaped(text.trim()));
    const any = names.filter(Boolean).join("|");
    // Whole words, with an ending of up to two letters.
    return { name, pattern: new RegExp(`(?<![\\p{L}\\d-])(?:${any})\\p{L}{0,2}(?![\\p{L}\\d-])`, "iu") };
  });
  const not = "a, button, summary, thead, .cards, h1, h2, h3, h4, svg, pre, #glossary, #lists, [translate=no]";
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walk.nextNode()) if (!walk.currentNode.parentElement.closest(not)) nodes.push(walk.currentNode);
  const isFolded = (node) => Boolean(node.parentElement.closest("details:not([open])"));
  for (const node of nodes.sort((a, b) => isFolded(a) - isFolded(b))) {
    for (const [place, { name, pattern }] of terms.entries()) {
      const found = pattern.exec(node.data);
      if (!found) continue;
      const used = node.splitText(found.index);
      used.splitText(found[0].length);
      const link = Object.assign(document.createElement("a"), {
        className: "term",
        href: `#${name.id}`,
        title: name.nextElementSibling.textContent,
      });
      used.replaceWith(link);
      link.append(used);
      terms.splice(place, 1);
      break; // one a sentence
    }
  }
})();
