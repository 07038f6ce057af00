// What transformers.js answers, in Node and in a page alike.

/**
 * Opens a model by its name, below where the library looks, and asks it.
 *
 * @param {object} library transformers.js
 * @param {string} name
 * @param {string} task
 * @param {any[]} inputs texts, or pairs of a question and a context
 * @param {string} side where batches of eight are padded; "" asks one by one
 * @returns {Promise<any[]>} top answers
 */
export async function answer(library, name, task, inputs, side = "") {
  const kind = task === "sentence-embedding" ? "feature-extraction" : task;
  const ask = await library.pipeline(kind, name);
  if (side) ask.tokenizer.padding_side = side;
  const found = [];
  for (let start = 0; start < inputs.length; start += side ? 8 : 1) {
    const texts = side ? inputs.slice(start, start + 8) : inputs[start];
    found.push(...(side ? await several(ask, kind, texts) : [await one(ask, kind, texts)]));
  }
  return found;
}

async function one(ask, kind, text) {
  if (kind === "text-classification") return (await ask(text))[0].label;
  if (kind === "token-classification") return tokens(await ask(text, { ignore_labels: [] }));
  if (kind === "question-answering") return (await ask(text[0], text[1])).answer;
  return (await ask(text, { pooling: "mean", normalize: true })).tolist()[0];
}

async function several(ask, kind, texts) {
  if (kind === "text-classification") return (await ask(texts)).map((each) => each.label);
  if (kind === "token-classification") {
    return (await ask(texts, { ignore_labels: [] })).map(tokens);
  }
  if (kind === "question-answering") {
    const [questions, contexts] = [0, 1].map((part) => texts.map((each) => each[part]));
    return (await ask(questions, contexts)).map((each) => each.answer);
  }
  return (await ask(texts, { pooling: "mean", normalize: true })).tolist();
}

function tokens(found) {
  return found.map((token) => [token.word, token.entity]);
}
