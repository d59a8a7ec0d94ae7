#!/usr/bin/env node
// check.mjs -- part of `make test-slides`: looks at every slide of every deck
// in a real browser, at 1280x720.  Prints TAP.  Decks can be named.
//
// What is measured is the HTML of Marp's bare template, where all slides
// stand below each other; the arrow keys are tried in the shipped one.
import { execSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { root } from "./expand.mjs";

const out = path.join(root, "build/slides");
const { chromium } = createRequire(path.join(out, "package.json"))(
    "playwright-core");
const decks = fs.readdirSync(path.join(out, "bare"))
    .filter((name) => name.endsWith(".html"))
    .map((name) => name.replace(/\.html$/, ""));

let number = 0;

function report(title, mistakes) {
    number++;
    console.log(`${mistakes.length > 0 ? "not " : ""}ok ${number} ${title}`);
    for (const mistake of mistakes)
        console.log(`# ${mistake}`);
}

// Runs in the browser: what is wrong with each slide.
function measure() {
    const inside = (box, frame) =>
        box.left >= frame.left - 1 && box.right <= frame.right + 1 &&
        box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
    const named = (element) => element.tagName.toLowerCase() + " \"" +
        element.textContent.trim().replace(/\s+/g, " ").slice(0, 40) + "\"";

    return [...document.querySelectorAll("section")].map((slide) => {
        const frame = slide.getBoundingClientRect();
        const scale = frame.width / 1280;
        const mistakes = [];

        for (const element of slide.querySelectorAll("*")) {
            const box = element.getBoundingClientRect();
            if (box.width > 0 && !element.closest("defs") &&
                !inside(box, frame))
                mistakes.push(`leaves the slide: ${named(element)}`);
            if (!element.closest("svg") &&
                (element.scrollWidth > element.clientWidth + 1 ||
                 element.scrollHeight > element.clientHeight + 1) &&
                getComputedStyle(element).display !== "inline")
                mistakes.push(`is cut: ${named(element)}`);
        }
        for (const code of slide.querySelectorAll("pre")) {
            const text = document.createRange();
            text.selectNodeContents(code);
            if (!inside(text.getBoundingClientRect(),
                code.getBoundingClientRect()))
                mistakes.push(`is cut: ${named(code)}`);
            const size = parseFloat(getComputedStyle(code).fontSize);
            if (size * scale < 23.9)
                mistakes.push(`code at ${size * scale} px: ${named(code)}`);
            if (/^@(code|run|python)/m.test(code.textContent))
                mistakes.push(`not put in: ${named(code)}`);
        }
        // Text that should have been a drawing.
        if (/<svg|data:image|^@timeline/m.test(slide.innerText))
            mistakes.push("markup stands on the slide as text");
        return mistakes;
    });
}

// "2 min" begins the notes of each slide, and the first slide has their
// sum.  Marp keeps the notes of the presenter in the shipped HTML.
function minutes(page, deck) {
    return page.evaluate(() => ({
        notes: [...document.querySelectorAll(".bespoke-marp-note")]
            .map((note) => note.textContent.trim()),
        slides: document.querySelectorAll("section").length,
        first: document.querySelector("section").textContent,
    })).then(({ notes, slides, first }) => {
        const mistakes = [];
        const each = notes.map((note) => note.match(/^(\d+) min\b/)?.[1]);
        const sum = each.reduce((all, one) => all + Number(one ?? 0), 0);
        if (deck === "index")
            return mistakes;
        if (notes.length !== slides)
            mistakes.push(`${slides} slides, ${notes.length} with notes`);
        if (each.includes(undefined))
            mistakes.push(`notes without minutes: ${
                notes[each.indexOf(undefined)].slice(0, 40)}`);
        if (!first.includes(`${sum} minutes`))
            mistakes.push(`the first slide does not say "${sum} minutes"`);
        if (slides < 5 || slides > 8)
            mistakes.push(`${slides} slides, not 5 to 8`);
        return mistakes;
    });
}

async function keys(page, slides) {
    const shown = () => page.evaluate(() => location.hash.slice(1) || "1");
    const mistakes = [];
    for (let slide = 2; slide <= slides; slide++) {
        await page.keyboard.press("ArrowRight");
        if (await shown() !== String(slide))
            mistakes.push(`arrow right leads to ${await shown()}, ` +
                `not to ${slide}`);
    }
    await page.keyboard.press("ArrowLeft");
    if (slides > 1 && await shown() !== String(slides - 1))
        mistakes.push("arrow left does not lead back");
    return mistakes;
}

async function open(browser, file, mistakes) {
    const page = await browser.newPage({
        viewport: { width: 1280, height: 720 } });
    page.on("pageerror", (error) => mistakes.push(`error: ${error}`));
    page.on("request", (request) => {
        if (!/^(data|blob|about):/.test(request.url()) &&
            request.url().split(/[?#]/)[0] !== `file://${file}`)
            mistakes.push(`asks for ${request.url()}`);
    });
    await page.goto(`file://${file}`);
    return page;
}

async function check(browser, deck) {
    const mistakes = [];
    const bare = await open(browser, path.join(out, "bare", `${deck}.html`),
        mistakes);
    const slides = await bare.evaluate(measure);
    slides.forEach((wrong, at) =>
        report(`${deck}: slide ${at + 1}`, wrong));
    await bare.close();

    const shipped = await open(browser, path.join(out, `${deck}.html`),
        mistakes);
    mistakes.push(...await minutes(shipped, deck));
    mistakes.push(...await keys(shipped, slides.length));
    await shipped.close();
    if (!fs.existsSync(path.join(out, `${deck}.pdf`)))
        mistakes.push("there is no PDF");
    report(`${deck}: notes, minutes, keys, nothing from outside`, mistakes);
}

const program = process.env.CHROME_PATH ??
    execSync("command -v chromium || command -v google-chrome",
        { encoding: "utf8", shell: "/bin/sh" }).trim();
const browser = await chromium.launch({
    executablePath: program,
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
for (const deck of decks)
    await check(browser, deck);
await browser.close();
console.log(`1..${number}`);
