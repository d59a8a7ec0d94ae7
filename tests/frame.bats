# The frame: make, the folders, and how tests are written.
load helper

# make as a user would call it, without what `make test` and bats have
# put into the environment.
user_make() {
    env -i PATH="${PATH#"$BATS_LIBEXEC:"}" HOME="$HOME" make "$@" 3>&-
}

# A small course of one lesson, to build and change at will.
small_course() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p common lessons/01-one-two tests
    cp -r "$ROOT/Makefile" .
    cp "$ROOT/common/"{clock,cpu}.[ch] common
    cp "$ROOT/tests/"{run,test.h,test_run.h,helper.bash} tests
    cat >lessons/01-one-two/one_two.c <<'END'
/* "quoted", \ and ??/ and 'single', %s and äöü – as they are. */
#include <stdio.h>

extern const char *const lesson_source[];

int main(void)
{
    for (int i = 0; lesson_source[i] != 0; i++)
        puts(lesson_source[i]);
    return 0;
}
END
    cat >tests/toy.c <<'END'
#include "test.h"

static void good_one(void)
{
    expect(1 + 1 == 2);
}

static void bad_one(void)
{
    expect_int(1 + 1, 3);
}

static void other_one(void)
{
    test_skip("not today");
}

static const struct test tests[] = {
    TEST(good_one), TEST(bad_one), TEST(other_one), {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
END
}

lessons() {
    find lessons -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort
}

@test "make help names every target" {
    local target

    run -0 user_make help
    for target in lesson-07 test lint bench clean help asan ubsan tsan \
        clang musl; do
        assert_line --regexp "^make $target  "
    done
}

@test "make of an unknown lesson says which there are" {
    run -2 user_make lesson-99
    assert_line --index 0 "there is no lesson 99; there are: $(
        lessons | cut -d - -f 1 | paste -sd ' '
    )"
}

@test "make of an unknown test says so" {
    run -2 user_make test TESTS=no-such
    assert_output --partial "there is no tests/no-such.bats"
}

@test "make of a new lesson builds it, with its source in it" {
    small_course
    run -0 user_make -j8 WERROR=1
    refute_output --partial warning
    run -0 ./lesson-01
    assert_output "$(cat lessons/01-one-two/one_two.c)"
}

@test "make does nothing twice, and all again when the flags change" {
    small_course
    run -0 user_make
    run -0 user_make
    assert_output ""
    run -0 user_make CFLAGS=-O1
    assert_line --partial "cc common/clock.c"
    assert_line --partial "cc lessons/01-one-two/one_two.c"
    touch common/clock.h
    run -0 user_make CFLAGS=-O1
    assert_line --partial "cc common/clock.c"
    refute_line --partial "cc common/cpu.c"
}

@test "make cleans before it builds, where both are asked for" {
    small_course
    run -0 user_make
    run -0 user_make clean all
    assert [ -x lesson-01 ]
    assert [ -f build/normal/flags ]
}

@test "make of a variant leaves the normal programs alone" {
    small_course
    run -0 user_make
    cp -p lesson-01 before
    run -0 user_make ubsan
    run -0 build/ubsan/lesson-01
    run -0 user_make VARIANT=small CFLAGS=-Os lesson-01
    run -0 build/small/lesson-01
    [ ! lesson-01 -nt before ]
    run -0 user_make clean
    run -0 ls
    assert_output $'Makefile\nbefore\ncommon\nlessons\ntests'
}

@test "make says what to install where a compiler is missing" {
    small_course
    run -2 user_make CC=no-such-cc
    assert_line --index 0 "no-such-cc is missing: apt-get install no-such-cc"
}

@test "make of a lesson for MPI says what to install, and make skips it" {
    small_course
    mkdir lessons/02-far
    echo '#include <mpi.h>' >lessons/02-far/far.c
    run -0 user_make MPICC=no-such-cc
    assert_line --partial "without lesson-02: mpicc is missing: apt-get"
    run -0 ls
    assert_line lesson-01
    run -2 user_make MPICC=no-such-cc lesson-02
    assert_line --index 0 \
        "mpicc is missing: apt-get install libopenmpi-dev openmpi-bin"
    run -2 user_make CC=musl-gcc lesson-02
    assert_line --index 0 "there is no MPI for musl"
}

@test "make test counts, and shows why" {
    small_course
    run -2 --separate-stderr user_make test
    assert_line --regexp "^ok 1 toy: good one"
    assert_line --regexp "^not ok 2 toy: bad one"
    assert_line "# tests/toy.c:10: does not hold: 1 + 1 is 2, not 3"
    assert_line --regexp "^ok 3 toy: other one .*# skip not today"
    assert_equal "${lines[-1]}" "1 passed, 1 failed, 1 skipped"
    run -0 --separate-stderr user_make test FILTER='good|other'
    assert_equal "${lines[-1]}" "1 passed, 0 failed, 1 skipped"
    run -2 --separate-stderr user_make test FILTER='good|other' STRICT=1
    assert_equal "${lines[-1]}" "1 passed, 0 failed, 1 skipped"
    run -2 --separate-stderr user_make test FILTER=nothing
    assert_equal "${lines[-1]}" "0 passed, 0 failed, 0 skipped"
}

@test "a test that can not run has failed" {
    small_course
    {
        echo 'load no-such-file'
        printf '@test "%s" { true; }\n' one two
    } >tests/broken.bats
    run -2 --separate-stderr user_make test TESTS=broken
    assert_equal "${lines[-1]}" "0 passed, 2 failed, 0 skipped"
}

@test "a test that fails names its line, and its function's" {
    local test=@test

    small_course
    cat >tests/lines.bats <<END
load helper
of_its_own() {
    assert_equal 1 2
    true
}
$test "wrong" {
    of_its_own
    true
}
END
    run -2 --separate-stderr user_make test TESTS=lines
    assert_line "# (from function \`of_its_own' in file tests/lines.bats, line 3,"
    assert_line "#  in test file tests/lines.bats, line 7)"
}

@test "a test sees what a program leaves behind" {
    small_course
    cat >lessons/01-one-two/one_two.c <<'END'
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "process") == 0 && fork() == 0)
        pause();
    if (argc > 2 && strcmp(argv[1], "file") == 0)
        return fopen(argv[2], "w") == NULL;
    return 0;
}
END
    run -0 user_make
    BIN=$PWD
    run -0 lesson 01
    run -99 lesson 01 process
    assert_output --partial "left behind: process"

    # Not the real /dev/shm, where the tests beside this one would see it.
    SHM=$PWD/shm
    mkdir shm
    shm_before=
    run -99 lesson 01 file shm/name
    assert_output "left behind: $SHM/name"
    rm shm/name
}

@test "the top of the tree holds what it should and nothing else" {
    local allowed='Makefile|README\.md|LICENSE|common|lessons|tests|slides'

    allowed+='|\.ci|\.clang-format|\.clang-tidy|\.editorconfig|\.gitignore'
    # Without git, what it would ignore is there too.
    run -0 sh -c "{ git ls-files -co --exclude-standard 2>/dev/null ||
        ls -A | grep -vxE 'build|lesson-[0-9]+|\.git'; } |
        cut -d / -f 1 | sort -u | grep -vxE '$allowed' || true"
    assert_output ""
}

@test "every lesson has its C program, its Python twin, text, tests, deck" {
    local lesson name

    for lesson in $(lessons); do
        name=${lesson#??-}
        assert [ -f "lessons/$lesson/${name//-/_}.c" ]
        assert [ -f "lessons/$lesson/${name//-/_}.py" ]
        assert [ "$(wc -l <"lessons/$lesson/${name//-/_}.py")" -le 30 ]
        assert [ -f "lessons/$lesson/README.md" ]
        assert [ -f "tests/mutations/${lesson%%-*}" ]
        assert [ -f "tests/lesson-${lesson%%-*}.bats" ]
        assert [ -f "slides/$lesson.md" ]
        assert_equal "$(grep -c "($lesson.md)" slides/index.md)" 1
        assert_equal "$(find "lessons/$lesson" -name '*.c' | wc -l)" 1
    done
}

# What the tests ask for, or else skip; but those of this file, which
# has such words as text.  bsdutils is on every Debian.
packages() {
    awk '$1 == "require" && $2 !~ /\$/ {
            for (i = NF > 2 ? 3 : 2; i <= NF; i++) print $i
        }
        sub(/.*skip "needs .*: apt-get install /, "") { print }' \
        tests/[!f]*.bats tests/helper.bash | tr -d '"' | tr ' ' '\n' |
        sort -u | grep -vxE '\$.*|bsdutils'
}

@test "whatever a test asks for is installed by the README and by CI" {
    local command package

    command=$(grep -F "&& make test" README.md)
    assert_regex "$(packages | paste -sd ' ')" "^curl .*python3-gevent.* wrk$"
    for package in $(packages); do
        assert_regex "$command " " $package "
        assert grep -qw -- "$package" .ci/run
    done
}

@test "the README lists every lesson, in one line, and no other" {
    run -0 sed -nE 's|^[-0-9].*\(lessons/([0-9]{2}-[a-z0-9-]+).*|\1|p' \
        README.md
    assert_output "$(lessons)"
}

# In bats, `run` without a status hides a failure, and a line that
# begins with `!` never fails.
@test "tests say which status they want" {
    run -1 grep -nE '^[[:blank:]]*(run [^-!]|run --[a-z-]+ [^-!]|! )' \
        tests/*.bats
}
