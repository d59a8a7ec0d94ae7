// build.mjs -- `make slides`: HTML and PDF of every deck, or of those
// that are named, in build/slides.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { expand, root } from "./expand.mjs";

const out = path.join(root, "build/slides");
const decks = process.argv.length > 2 ? process.argv.slice(2) :
    fs.readdirSync(path.join(root, "slides"))
        .filter((name) => /^\d\d-.*\.md$/.test(name) || name === "index.md")
        .map((name) => name.replace(/\.md$/, ""));

function fail(message) {
    console.error(message);
    process.exit(1);
}

function marp(folder, ...options) {
    const end = spawnSync(path.join(out, "node_modules/.bin/marp"), [
        "--no-config-file", "--html", "--allow-local-files",
        "--theme-set", path.join(root, "slides/theme.css"),
        "--input-dir", path.join(out, "source"), "--output", folder,
        ...options,
    ], { cwd: out, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

    if (end.status !== 0)
        fail(`marp: ${end.stderr}${end.error ?? ""}`);
}

fs.rmSync(path.join(out, "source"), { recursive: true, force: true });
fs.mkdirSync(path.join(out, "source"), { recursive: true });
for (const deck of decks) {
    try {
        fs.writeFileSync(path.join(out, "source", `${deck}.md`),
            expand(deck));
    } catch (error) {
        fail(error.message);
    }
}
marp(out);
marp(path.join(out, "bare"), "--template", "bare"); // what check.mjs reads
marp(out, "--pdf");
console.log(`build/slides: ${decks.length} decks, HTML and PDF`);
