// What transformers.js answers, in Node and in a page alike.

/**
 * Opens a model by its name, below where the library looks, and asks it.
 *
 * @param {object} library transformers.js
 * @param {string} name
 * @param {string} task
 * @param {any[]} inputs texts, or pairs of a question and a context
 * @returns {Promise<any[]>} top answers
 */
export async function answer(library, name, task, inputs) {
  const kind = task === "sentence-embedding" ? "feature-extraction" : task;
  const ask = await library.pipeline(kind, name);
  const found = [];
  for (const each of inputs) {
    if (kind === "text-classification") {
      found.push((await ask(each))[0].label);
    } else if (kind === "token-classification") {
      const tokens = await ask(each, { ignore_labels: [] });
      found.push(tokens.map((token) => [token.word, token.entity]));
    } else if (kind === "question-answering") {
      found.push((await ask(each[0], each[1])).answer);
    } else {
      const vectors = await ask(each, { pooling: "mean", normalize: true });
      found.push(vectors.tolist()[0]);
    }
  }
  return found;
}
