// expand.mjs -- puts the real thing into a deck.
//
// A deck names what it shows, and never types it:
//
//     @code pool_apply.c task                  a function, struct or def
//     @code pool_apply.c "pool = " .. "join"   lines, from .. to
//     @code pool_apply.c task "say" .. "sleep" lines of a function
//     @run --tasks 6 | "apply:" .. "FAILED"    what ./lesson-NN prints
//     @python | "ok" .. "ok"                   what its Python twin prints
//     @timeline --tasks 6 | "apply: wait"      a part of its time line
//
// @code, @run and @python stand in a fenced block, @timeline alone in a
// line.  A quoted text names the line that holds it.  Without "..": the
// one line; without any: all lines.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

// What is wrong with a slide; expand() puts the slide's name before it.
class Mistake extends Error {}

function lines(text) {
    return text.replace(/\n$/, "").split("\n");
}

function dedent(some) {
    const depths = some.filter((line) => line.trim() !== "")
        .map((line) => line.search(/\S/));
    return some.map((line) => line.slice(Math.min(...depths)));
}

// '"a" .. "b"' -> the lines from the first that holds a to the next
// that holds b.
function between(some, anchors, what) {
    const [, from, , to] =
        anchors.match(/^"([^"]*)"( \.\. "([^"]*)")?$/) ?? [];
    if (from === undefined)
        throw new Mistake(`not understood: ${anchors}`);
    const first = some.findIndex((line) => line.includes(from));
    if (first < 0)
        throw new Mistake(`there is no "${from}" in ${what}`);
    if (to === undefined)
        return [some[first]];
    const last = some.findIndex(
        (line, at) => at >= first && line.includes(to));
    if (last < 0)
        throw new Mistake(`there is no "${to}" after "${from}" in ${what}`);
    return some.slice(first, last + 1);
}

// -------------------------------------------------------- sources --

// The lines of the function, struct or enum of this name.
function named(some, name, file) {
    const c = new RegExp(
        `^(static )?((struct|enum) ${name} \\{|[^ #/}].*\\b${name}\\()`);
    const python = new RegExp(`^(async )?(def|class) ${name}\\b`);
    const begins = file.endsWith(".py") ? python : c;
    // A prototype is no definition.
    const first = some.findIndex((line, at) => begins.test(line) &&
        !line.endsWith(";") && !some[at + 1]?.endsWith(");"));
    if (first < 0)
        throw new Mistake(`there is no ${name} in ${file}`);
    const ends = file.endsWith(".py") ? /^\S/ : /^\}/;
    let last = some.findIndex((line, at) => at > first && ends.test(line));
    if (file.endsWith(".py")) {
        last = last < 0 ? some.length - 1 : last - 1;
        while (some[last].trim() === "")
            last--;
    }
    return some.slice(first, last + 1);
}

function code(deck, argument) {
    const [, file, name, anchors] =
        argument.match(/^(\S+)(?: ([A-Za-z_]\w*))?(?: (".*))?$/) ?? [];
    if (file === undefined)
        throw new Mistake(`not understood: @code ${argument}`);
    const places = [path.join(deck.folder, file),
        path.join(root, "common", file)];
    const found = places.find((place) => fs.existsSync(place));
    if (found === undefined)
        throw new Mistake(`there is no ${file} in ${deck.folder}`);
    let some = lines(fs.readFileSync(found, "utf8"));
    if (name !== undefined)
        some = named(some, name, file);
    if (anchors !== undefined)
        some = between(some, anchors, name ?? file);
    return dedent(some);
}

// ----------------------------------------------------------- runs --

const runs = new Map();

// Runs a command once, however many slides show of it.
function run(command, ...options) {
    const key = [command, ...options].join(" ");
    if (!runs.has(key)) {
        const end = spawnSync(command, options, {
            cwd: root, encoding: "utf8", timeout: 120000,
            env: { ...process.env, LC_ALL: "C.UTF-8", LESSON_UNIT: unit },
        });
        if (end.error?.code === "ENOENT")
            throw new Mistake(`there is no ${command}: see \`make\``);
        if (end.status !== 0)
            throw new Mistake(`${key} ended with ` +
                `${end.status ?? end.signal ?? end.error}: ` +
                `${end.stdout}${end.stderr}`);
        runs.set(key, end.stdout);
    }
    return runs.get(key);
}

const unit = process.env.LESSON_UNIT ?? "0.1";

// '--tasks 6 | "a" .. "b"' -> [["--tasks", "6"], '"a" .. "b"']
function split(argument) {
    const [options, anchors] = argument.split(/\s*\|\s*/, 2);
    return [options.split(/\s+/).filter((option) => option !== ""), anchors];
}

function output(deck, argument, program) {
    const [options, anchors] = split(argument);
    const some = lines(run(...program(deck), ...options));
    return anchors === undefined ? some :
        between(some, anchors, `the run of lesson ${deck.number}`);
}

const lesson = (deck) => [`./lesson-${deck.number}`];
const twin = (deck) => ["python3", ...fs.readdirSync(deck.folder)
    .filter((name) => name.endsWith(".py"))
    .map((name) => path.join(deck.folder, name))];

// One part of the SVG picture that a lesson draws, or the only one.
function timeline(deck, argument) {
    const [options, title] = split(argument);
    const file = path.join(root, "build/slides", `${deck.name}.svg`);
    run(`./lesson-${deck.number}`, ...options, "--svg", file);
    const svg = fs.readFileSync(file, "utf8");
    const parts = svg.split(/(?=<text class="part")/);
    const wanted = title?.replace(/^"|"$/g, "");
    const part = parts.slice(1).find(
        (text) => wanted === undefined || text.includes(`>${wanted}`));
    if (part === undefined)
        throw new Mistake(`there is no part "${wanted}" in the time line`);
    const heights = [...part.matchAll(/ y="([\d.]+)"/g)]
        .map((match) => Number(match[1]));
    const top = Math.min(...heights) - 20;
    const height = Math.max(...heights) + 12 - top;
    const body = part.replace(/<\/svg>\s*$/, "").replace(/\n+/g, "\n");
    // Long names of rows reach a little beyond the left edge.
    return [`<svg class="timeline" xmlns="http://www.w3.org/2000/svg" ` +
        `viewBox="-12 ${top} 972 ${height}">`, body.trim(), "</svg>"];
}

// --------------------------------------------------------- a deck --

const directives = {
    code,
    run: (deck, argument) => output(deck, argument, lesson),
    python: (deck, argument) => output(deck, argument, twin),
    timeline,
};

// The Markdown of slides/NAME.md with everything put in.
export function expand(name) {
    const number = name.slice(0, 2);
    const folder = path.join(root, "lessons", name);
    const deck = { name, number, folder };
    // The index links decks as they lie here; built, they are HTML.
    const text = fs.readFileSync(path.join(root, "slides", `${name}.md`),
        "utf8").replace(/\]\((\d\d-[^)]*)\.md\)/g, "]($1.html)");
    let slide = 0;
    let title = "";

    return lines(text).flatMap((line, at, all) => {
        if (line === "---" && at > 0)
            slide++;
        if (/^#+ /.test(line))
            title = line.replace(/^#+ /, "");
        const [, directive, argument] =
            line.match(/^@(code|run|python|timeline)(?: (.*))?$/) ?? [];
        if (directive === undefined)
            return [line];
        try {
            const some = directives[directive](deck, argument ?? "");
            // Two pieces in one block have a line between them.
            return all[at + 1]?.startsWith("@") ? [...some, ""] : some;
        } catch (error) {
            if (!(error instanceof Mistake))
                throw error;
            error.message = `slides/${name}.md, slide ${slide} ` +
                `(${title}): ${error.message}`;
            throw error;
        }
    }).join("\n") + "\n";
}
