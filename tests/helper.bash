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
# What is used of them, file by file: all of it, by their load.bash,
# takes longer than most tests.
for file in bats-support/src/{output,error,lang} \
    bats-assert/src/{assert,refute}{,_line,_output,_regex} \
    bats-assert/src/assert_equal; do
    bats_load_library "$file.bash"
done
unset file

ROOT=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
VARIANT=${VARIANT:-normal}
OUT=$ROOT/build/$VARIANT
BIN=$OUT
[ "$VARIANT" != normal ] || BIN=$ROOT
SHM=/dev/shm
shm_before=
export LESSON_UNIT=${LESSON_UNIT:-0.01}

setup() { common_setup; }
teardown() { common_teardown; }

# bats takes note of each command before it is run, by a trap that costs
# more than most commands; here only of those in the file of the test.
# In one line, or the lines that it names are not those that failed.
# shellcheck disable=SC2016 # the trap expands it
common_setup() {
    trap '[[ $BASH_SOURCE != "$BATS_TEST_SOURCE" ]] || bats_debug_trap "$BASH_SOURCE"' DEBUG
    cd "$ROOT" || return
    list_shm shm_before
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

# on_one_cpu lesson 07 ARGUMENT...: after `run`, which has a process of
# its own for it.
on_one_cpu() {
    local cpus

    cpus=$(taskset -cp $BASHPID | sed 's/.*: //; s/[-,].*//')
    taskset -cp "$cpus" $BASHPID >/dev/null
    "$@"
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

has_printed() {
    local text

    mapfile -d '' text <"$BATS_TEST_TMPDIR/stdout"
    [[ ${text[0]-} == *"$1"* ]]
}

# wait_for_line TEXT: until the lesson in the background has printed it.
wait_for_line() {
    within 10 has_printed "$1"
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

# -------------------------------------------------------- servers --

# start_server 22 ARGUMENT...: in the background; its port is $port.
start_server() {
    start_lesson "$1" --serve "${@:2}"
    wait_for_line "127.0.0.1 port"
    port=$(grep -o 'port [0-9]*' "$BATS_TEST_TMPDIR/stdout")
    port=${port#port }
}

# stop_server STATUS: it ends by SIGTERM, and has nothing to complain of.
stop_server() {
    kill -TERM "$lesson_pid"
    finish_lesson
    assert_equal "$status" "$1"
    assert_equal "$stderr" ""
}

# talk <INPUT: what the server answers, until it hangs up.
talk() {
    timeout 5 nc -N 127.0.0.1 "$port" 3>&-
}

# It repeats a line in capitals, as the servers of 22 and 26 do.
assert_served() {
    assert_equal "$(echo "are you there?" | talk)" "ARE YOU THERE?"
}

# --------------------------------------------- what a lesson says --

# claims <OUTPUT: "ok SENTENCE" or "FAILED SENTENCE", a line each.
claims() {
    awk '
        function flush() { if (claim != "") print claim; claim = "" }
        /^    (ok|FAILED) / { flush(); $1 = $1; claim = $0; next }
        /^            [^ ]/ && claim != "" {
            $1 = $1; claim = claim " " $0; next
        }
        { flush() }
        END { flush() }'
}

# essence <OUTPUT: what is the same in every run with these options:
# titles and claims in their order, the other lines without numbers,
# and a word that comes several times in a row only once.
essence() {
    local text same='^([^ ]|    (ok|FAILED) |            [^ ])'

    text=$(sed '/^Time line:/,$d')
    grep -E "$same" <<<"$text"
    grep -vE "$same" <<<"$text" |
        sed -E 's/0x[0-9a-f]+|[0-9]+(\.[0-9]+)?/N/g; s/ +/ /g; s/( [^ ]+)\1+/\1/g' |
        sort -u
}

# transcript_is_current 07: the run shown in the lesson's README.md,
# from "$ ./lesson-07 ..." on, is what the lesson prints today.
transcript_is_current() {
    local shown command

    shown=$(awk -v start="\$ ./lesson-$1" '
        index($0, start) == 1 { inside = 1 }
        inside && /^```$/ { exit }
        inside' "$ROOT/lessons/$1"-*/README.md)
    read -ra command <<<"${shown%%$'\n'*}"
    assert_equal "${command[1]}" "./lesson-$1"
    run -0 lesson "$1" "${command[@]:2}"
    assert_equal "$(essence <<<"${shown#*$'\n'}")" \
        "$(essence <<<"$output")"
}

# twin_claims_the_same 07 [OPTION...] [-- TEXT...]: the Python twin
# prints the lesson's claims in the same words, but for those that hold
# a TEXT.  What only it prints begins with "CPython: ".
twin_claims_the_same() {
    local number=$1 options=() text place=$BATS_TEST_TMPDIR

    require python3
    shift
    while (($# > 0)) && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    run -0 lesson "$number" "${options[@]}"
    claims <<<"$output" | sort -u >"$place/c"
    run -0 twin "$number" "${options[@]}"
    claims <<<"$output" | sort -u >"$place/python"
    grep -vF 'ok CPython: ' "$place/python" | comm -13 "$place/c" - \
        >"$place/more"
    assert_equal "$(cat "$place/more")" ""
    comm -23 "$place/c" "$place/python" >"$place/missing"
    for text in "${@:2}"; do
        assert grep -qF -- "$text" "$place/missing"
        grep -vF -- "$text" "$place/missing" >"$place/rest" || true
        mv "$place/rest" "$place/missing"
    done
    assert_equal "$(cat "$place/missing")" ""
}

# assert_fits: after `run`, no line is longer than 72 columns.
assert_fits() {
    refute_line --regexp '^.{73}'
}

# assert_usage_error 07 MESSAGE ARGUMENT...: it says this, in one line,
# and does nothing else.
assert_usage_error() {
    run -2 --separate-stderr lesson "$1" "${@:3}"
    assert_output ""
    assert_equal "$stderr" "lesson-$1: $2"
}

# assert_signal_ends INT 07 TEXT ARGUMENT...: once it has printed TEXT,
# the signal ends the lesson and all its processes within a second, with
# the status that belongs to it.  Ctrl-C goes to the whole group.
assert_signal_ends() {
    local signal=$1 to

    [ "$VARIANT $signal" != "tsan INT" ] ||
        skip "ThreadSanitizer lets handlers wait"
    start_lesson "$2" "${@:4}"
    wait_for_line "$3"
    to=$lesson_pid
    [ "$signal" != INT ] || to=-$lesson_group
    kill -s "$signal" -- "$to"
    within 1 no_process_left "$BATS_TEST_TMPDIR/start."
    finish_lesson
    assert_equal "$status" $((128 + $(kill -l "$signal")))
    assert_equal "$stderr" ""
}

# assert_refused TEXT...: after `run -3 --separate-stderr`, one line on
# stderr that holds each TEXT.
# shellcheck disable=SC2154 # `run` sets them
assert_refused() {
    local text

    assert_equal "${#stderr_lines[@]}" 1
    for text in "$@"; do
        assert_regex "$stderr" "$text"
    done
}

# assert_svg FILE: it is well-formed, and a picture.
assert_svg() {
    run -0 python3 - "$1" <<'END'
import sys, xml.etree.ElementTree as tree
assert tree.parse(sys.argv[1]).getroot().tag.endswith("}svg")
END
}

# assert_trace FILE: bars nest, arrows lead from a bar to a later one,
# and every row has a name.
assert_trace() {
    run -0 python3 - "$1" <<'END'
import json, sys
with open(sys.argv[1], encoding="ascii") as file:
    events = json.load(file)["traceEvents"]

def of(*phases):
    return [event for event in events if event["ph"] in phases]

def nanoseconds(microseconds):
    return round(microseconds * 1000)

rows = {e["tid"] for e in of("M") if e["name"] == "thread_name"}
assert {e["tid"] for e in of("X", "s", "f")} <= rows, "a row has no name"
bars = {row: [] for row in rows}
for e in of("X"):
    begin = nanoseconds(e["ts"])
    bars[e["tid"]].append((begin, begin + nanoseconds(e["dur"])))
assert any(bars.values()), "there is no bar"
for row in rows:
    around = []
    for begin, end in sorted(bars[row], key=lambda bar: (bar[0], -bar[1])):
        while around and around[-1] <= begin:
            around.pop()
        assert begin <= end <= (around or [end])[-1], "bars overlap"
        around.append(end)

arrows = {phase: {e["id"]: e for e in of(phase)} for phase in "sf"}
assert arrows["s"].keys() == arrows["f"].keys(), "half an arrow"
assert len(of("s", "f")) == 2 * len(arrows["s"]), "an arrow comes twice"
for e in of("s", "f"):
    at = nanoseconds(e["ts"])
    assert any(b <= at <= end for b, end in bars[e["tid"]]), "no bar at it"
for key, start in arrows["s"].items():
    assert start["ts"] <= arrows["f"][key]["ts"], "it leads back"
END
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

# with_gevent COMMAND...: Debian's python3 may have it where another one
# comes first in the PATH.
with_gevent() {
    /usr/bin/python3 -c "import gevent" 2>/dev/null ||
        skip "needs gevent: apt-get install python3-gevent"
    PATH=/usr/bin:$PATH "$@"
}

# without_gevent COMMAND...: as if it were not installed.
without_gevent() {
    echo "raise ImportError" >"$BATS_TEST_TMPDIR/gevent.py"
    PYTHONPATH=$BATS_TEST_TMPDIR "$@"
}

# require_root WHY
require_root() {
    ((EUID == 0)) || skip "needs root, $1"
}

# as_ordinary_user PROGRAM ARGUMENT...: for root, as a user of whom
# there is no other process; with a copy of the program, which lies
# where that user can read it.  The array LIMITS has options of prlimit.
as_ordinary_user() {
    local user=$((20000 + BASHPID % 20000)) place=$BATS_TEST_TMPDIR
    local as_user=()

    if ((EUID == 0)); then
        cp "$1" "$place/"
        set -- "$place/${1##*/}" "${@:2}"
        until [ "$place" = "${BATS_RUN_TMPDIR%/*}" ]; do
            chmod a+rx "$place"
            place=${place%/*}
        done
        as_user=(setpriv "--reuid=$user" "--regid=$user" --clear-groups)
    fi
    guarded prlimit "${LIMITS[@]}" "${as_user[@]}" "$@"
}

# ------------------------------------------------------ left over --

# within SECONDS COMMAND...: repeats it until it succeeds.
within() {
    local end=$((SECONDS + $1 + 1))

    until "${@:2}"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

# processes_left MARK: the /proc entries of the processes whose
# LESSON_TEST_ID begins with it.
processes_left() {
    grep -lszF "LESSON_TEST_ID=$1" /proc/[0-9]*/environ
}

# Without a shell of its own, as all that is asked after each test; and
# -q: one that was found counts, whatever has gone meanwhile.
no_process_left() {
    ! grep -qszF "LESSON_TEST_ID=$1" /proc/[0-9]*/environ
}

# list_shm VARIABLE: the names in /dev/shm, also hidden ones; and the
# patterns themselves where none is like it.
list_shm() {
    printf -v "$1" '%s\n' "$SHM"/{..?,.[!.],}*
}

# New names in /dev/shm that no process uses.  One in use may belong to
# a test that runs beside this one.
shm_left() {
    local name names

    list_shm names
    while read -r name; do
        if [[ $'\n'$shm_before == *$'\n'$name$'\n'* ]] ||
            [ ! -O "$name" ] ||
            grep -qsF "$name" /proc/[0-9]*/maps ||
            find /proc/[0-9]*/fd -lname "$name" 2>/dev/null | grep -q .; then
            continue
        fi
        echo "$name"
    done <<<"${names%$'\n'}"
}

no_shm_left() {
    local now

    list_shm now
    [ "$now" = "$shm_before" ] || [ -z "$(shm_left)" ]
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
