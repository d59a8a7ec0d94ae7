# What is wrong with a deck is seen and named.
load ../tests/helper

# A tree with a copy of the deck of lesson 07.
setup() {
    common_setup
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p build/slides lessons slides
    cp "$ROOT"/slides/*.{mjs,css} "$ROOT/slides/07-pool-apply.md" slides
    cp -r "$ROOT/lessons/07-pool-apply" lessons
    ln -s "$ROOT/common" common
    ln -s "$ROOT/lesson-07" lesson-07
    ln -s "$ROOT/build/slides/node_modules" build/slides/node_modules
    cp "$ROOT/slides/package.json" build/slides
}

build() {
    LIMIT=100 guarded node slides/build.mjs 07-pool-apply
}

@test "a name that is gone stops the build, and names the slide" {
    sed -i 's/apply_all/apply_each/' lessons/07-pool-apply/pool_apply.c
    run -1 build
    assert_output "slides/07-pool-apply.md, slide 3 (In Python, and in C): \
there is no apply_all in pool_apply.c"
}

@test "a line that is gone stops the build, and names the slide" {
    sed -i 's/after close"$/after the end"/' slides/07-pool-apply.md
    run -1 build
    assert_output --partial "slide 5 (apply_async: all of them at once): \
there is no \"after the end\" after"
}

@test "a lesson that fails stops the build, and names the slide" {
    rm lesson-07
    printf '#!/bin/sh\necho broken >&2; exit 1\n' >lesson-07
    chmod +x lesson-07
    run -1 build
    assert_output --partial "slide 4 (apply: two rest while one works): \
./lesson-07"
    assert_output --partial "ended with 1: broken"
}

@test "a part that is gone stops the build, and names the slide" {
    sed -i 's/| "apply: wait"$/| "no such part"/' slides/07-pool-apply.md
    run -1 build
    assert_output --partial \
        "slide 4 (apply: two rest while one works): there is no part"
}

@test "the check in the browser sees what is wrong" {
    local long

    long=$(printf 'x%.0s' {1..80})
    {
        printf -- '---\nmarp: true\ntheme: course\n---\n'
        printf '# Title\n\n3 minutes\n\n<!-- 2 min -->\n\n---\n'
        # shellcheck disable=SC2016 # a fence of Markdown
        printf '```c\n%s\n```\n\n<!-- none -->\n\n---\n' "$long"
        printf '<pre style="font-size: 20px">small</pre>\n\n---\n'
        printf '![](data:image/png;base64,x y)\n'
        printf '<img src="http://192.0.2.1/a.png">\n\n---\n'
        printf 'a line\n\n%.0s' {1..20}
    } >slides/07-pool-apply.md
    run -0 build
    run -0 guarded node slides/check.mjs
    assert_line "ok 1 07-pool-apply: slide 1"
    assert_line --partial "is cut: pre \"xxx"
    assert_line "# code at 20 px: pre \"small\""
    assert_line "# markup stands on the slide as text"
    assert_line --partial "leaves the slide: p \"a line\""
    assert_line --partial "asks for http://192.0.2.1/a.png"
    assert_line "# 5 slides, 2 with notes"
    assert_line "# notes without minutes: none"
    assert_line --partial "the first slide does not say \"2 minutes\""
    assert_line --partial "07-pool-apply: notes"
    assert_line "1..6"
}
