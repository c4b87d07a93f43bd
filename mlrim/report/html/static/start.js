"use strict";
// The namespace of the page's own scripts, and the data that the page carries.
const mlrim = {};

mlrim.embedded = (id) => JSON.parse(document.getElementById(id).textContent);

/** A frequency as the tables write it: imaginary ones as 120.0i. */
mlrim.frequency = (value, digits = 1) => {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) > 0 ? `${text}i` : text;
};
