// Makes elements. Text is always text: nothing here, or elsewhere on this page, is parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Fill an element: `on…` are listeners, what is false or null is left out, all others are attributes. */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element with attributes and children; a child is a node or text. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** Show these children instead of those that an element has. */
export const show = (element, ...children) => element.replaceChildren(...children.flat().filter(Boolean));

/** Tell people who listen to the page. */
export const announce = (text) => {
  $("live").textContent = text;
};
