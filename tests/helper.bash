# helper.bash -- what every bats file loads first: `load helper`.
#
# A test of a lesson reads like this:
#
#     @test "every claim holds" {
#         run -0 lesson 07 --workers 3
#         assert_line --partial "ok   all 30 tasks"
#     }
#
# Whatever is started through these functions has a time limit, and must
# leave no process and no name in /dev/shm behind.  A file with a setup
# or teardown of its own calls common_setup and common_teardown there.

bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

ROOT=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
VARIANT=${VARIANT:-normal}
OUT=$ROOT/build/$VARIANT
BIN=$OUT
[ "$VARIANT" != normal ] || BIN=$ROOT
SHM=/dev/shm
export LESSON_UNIT=${LESSON_UNIT:-0.01}

setup() { common_setup; }
teardown() { common_teardown; }

common_setup() {
    cd "$ROOT" || return
    shm_before=$(shm_names)
}

common_teardown() {
    nothing_left "$BATS_TEST_TMPDIR/"
}

# ------------------------------------------------------- programs --

# guarded COMMAND...: runs it for at most LIMIT seconds; status 124 says
# that it took longer, 99 that something was left.  Its processes can be
# told from others that run beside it by LESSON_TEST_ID, which they
# inherit.  Descriptor 3 leads to the runner of bats, which would wait
# for everybody who has it open.
guarded() {
    local status=0 mark=$BATS_TEST_TMPDIR/$BASHPID.

    LESSON_TEST_ID=$mark timeout -k 1 "${LIMIT:-20}" "$@" 3>&- ||
        status=$?
    # Before this returns: `run` waits for the end of all that write to
    # its pipe, and a process left behind would hold it open.
    nothing_left "$mark" || status=99
    return $status
}

# lesson 07 ARGUMENT...
lesson() {
    guarded "$BIN/lesson-$1" "${@:2}"
}

# twin 07 ARGUMENT...: the lesson's Python program.
twin() {
    PYTHONDONTWRITEBYTECODE=1 \
        guarded python3 "$ROOT"/lessons/"$1"-*/*.py "${@:2}"
}

# library_test PROGRAM NAME: one test of one of the tests/*.c.
library_test() {
    local status=0 log=$BATS_TEST_TMPDIR/log

    LIMIT=${LIMIT:-60} guarded "$OUT/tests/$1" "$2" >"$log" 2>&1 ||
        status=$?
    ((status != 77)) || skip "$(cat "$log")"
    cat "$log"
    ((status != 124)) || echo "it took longer than its time limit"
    return $status
}

# start_lesson 07 ARGUMENT...: in the background.  Its process is
# $lesson_pid; Ctrl-C goes to a whole group: kill -INT -- -$lesson_group
# shellcheck disable=SC2034 # for the test
start_lesson() {
    local pid_file=$BATS_TEST_TMPDIR/pid

    rm -f "$pid_file"
    # shellcheck disable=SC2016 # the inner shell expands it
    LESSON_TEST_ID=$BATS_TEST_TMPDIR/start. timeout -k 1 "${LIMIT:-20}" \
        sh -c 'echo $$ >"$0" && exec "$@"' "$pid_file" \
        "$BIN/lesson-$1" "${@:2}" >"$BATS_TEST_TMPDIR/stdout" \
        2>"$BATS_TEST_TMPDIR/stderr" </dev/null 3>&- &
    lesson_group=$!
    within 5 test -s "$pid_file"
    lesson_pid=$(cat "$pid_file")
}

# wait_for_line TEXT: until the lesson in the background has printed it.
wait_for_line() {
    within 10 grep -qF -- "$1" "$BATS_TEST_TMPDIR/stdout"
}

# finish_lesson: waits for the lesson in the background; its end is in
# $status, $output and $stderr, as after `run --separate-stderr`.
# shellcheck disable=SC2034 # for the test
finish_lesson() {
    status=0
    wait "$lesson_group" || status=$?
    nothing_left "$BATS_TEST_TMPDIR/start." || status=99
    output=$(cat "$BATS_TEST_TMPDIR/stdout")
    stderr=$(cat "$BATS_TEST_TMPDIR/stderr")
}

# --------------------------------------------------- requirements --

# require COMMAND [PACKAGE]
require() {
    command -v "$1" >/dev/null ||
        skip "needs $1: apt-get install ${2:-$1}"
}

# Some containers do not let a process trace another.
require_strace() {
    require strace
    strace -o /dev/null true 2>/dev/null ||
        skip "needs the right to trace processes (ptrace)"
}

# ------------------------------------------------------ left over --

# within SECONDS COMMAND...: repeats it until it succeeds.
within() {
    local end=$((SECONDS + $1 + 1))

    until "${@:2}"; do
        ((SECONDS < end)) || return 1
        sleep 0.02
    done
}

# processes_left MARK: the /proc entries of the processes whose
# LESSON_TEST_ID begins with it.
processes_left() {
    grep -lszF "LESSON_TEST_ID=$1" /proc/[0-9]*/environ
}

no_process_left() {
    [ -z "$(processes_left "$1")" ]
}

shm_names() {
    (shopt -s nullglob dotglob && printf '%s\n' "$SHM"/*)
}

# New names in /dev/shm that no process uses.  One in use may belong to
# a test that runs beside this one.
shm_left() {
    local name

    shm_names | while read -r name; do
        if [[ $'\n'$shm_before$'\n' == *$'\n'$name$'\n'* ]] ||
            [ ! -O "$name" ] ||
            grep -qsF "$name" /proc/[0-9]*/maps ||
            find /proc/[0-9]*/fd -lname "$name" 2>/dev/null | grep -q .; then
            continue
        fi
        echo "$name"
    done
}

no_shm_left() {
    [ "$(shm_names)" = "$shm_before" ] || [ -z "$(shm_left)" ]
}

# nothing_left MARK: whatever is left after a second is named, and ended
# for the sake of the tests that follow.
nothing_left() {
    local entry left=0

    within 1 no_process_left "$1" ||
        for entry in $(processes_left "$1"); do
            entry=${entry%/environ}
            echo "left behind: process ${entry#/proc/}:" \
                "$(tr '\0' ' ' <"$entry/cmdline")"
            kill -KILL "${entry#/proc/}" || true
            left=1
        done
    within 1 no_shm_left || {
        echo "left behind:" "$(shm_left)"
        left=1
    }
    return $left
}
