// Opens an artifact in Node:  node node.mjs LIBRARY_FOLDER FOLDER TASK [SIDE] < inputs.json > answers.json

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { answer } from "./answer.mjs";

const [installed, folder, task, side] = process.argv.slice(2);
const require = createRequire(pathToFileURL(resolve(installed, "package.json")));
const library = require("@huggingface/transformers");
library.env.allowRemoteModels = false;
library.env.localModelPath = `${dirname(resolve(folder))}/`;
const inputs = JSON.parse(readFileSync(0, "utf-8"));
const found = await answer(library, basename(folder), task, inputs, side);
process.stdout.write(JSON.stringify(found));
