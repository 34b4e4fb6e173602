// Sets formulas for katex.py: a line of JSON in, {latex, options}, a line of JSON out, {html} or {error}.
// It ends with its input, so no killed build leaves it behind.
const katex = require("katex");
const lines = require("readline").createInterface({ input: process.stdin });

lines.on("line", (line) => {
  const { latex, options } = JSON.parse(line);
  let answer;
  try {
    answer = { html: katex.renderToString(latex, options) };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
});
