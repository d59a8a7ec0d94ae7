# Lesson 07 as a user runs it.
# shellcheck disable=SC2154 # `run` and the helper set variables
load helper

titles=(
    "apply: wait for each task"
    "apply_async: hand over all, then close and join"
    "terminate after 2 u"
    "10 tasks on 5 workers"
)

# The claims of a run with WORKERS, TASKS, ROUNDS and KIND.
expected_claims() {
    local exactly=exactly rounds=rounds

    (($3 > 1)) || rounds=round
    (($2 >= 2 * $1)) || exactly="no more than"
    cat <<END
ok apply runs one task at a time
ok apply took at least $2 u
ok $3 $rounds of 1 u, and at most half as long again
ok never more than $1 tasks at once
ok $exactly $1 $4 did all $((2 * $2)) tasks
ok join before close is refused
ok apply_async after close is refused
ok each task finished or was dropped
ok terminate did not wait for the rest
ok after terminate no worker is left
ok apply took at least 10 u
ok 2 rounds of 1 u, and at most half as long again
END
}

# --------------------------------------------------------- claims --

@test "every claim holds, with processes" {
    run -0 --separate-stderr lesson 07
    assert_equal "$(claims <<<"$output")" \
        "$(expected_claims 3 30 10 processes)"
    assert_equal "$stderr" ""
}

@test "every claim holds, with threads" {
    run -0 --separate-stderr lesson 07 --threads
    assert_equal "$(claims <<<"$output")" \
        "$(expected_claims 3 30 10 threads)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many workers and tasks" {
    local kind

    for kind in "" --threads; do
        run -0 lesson 07 $kind --workers 1 --tasks 4
        run -0 lesson 07 $kind --workers 64 --tasks 3
        run -0 lesson 07 $kind --workers 2 --tasks 1
        run -0 lesson 07 $kind --workers=2 --tasks=100 --unit 0.002
    done
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 07 --tasks 5
    run -0 on_one_cpu lesson 07 --tasks 5 --threads
}

@test "every claim holds for an ordinary user" {
    require prlimit util-linux
    require setpriv util-linux
    run -0 as_ordinary_user "$BIN/lesson-07" --tasks 5
}

@test "every claim holds in thirty copies side by side" {
    local copy pids=()

    for copy in {1..30}; do
        LIMIT=60 lesson 07 --tasks 5 --unit 0.05 \
            >"$BATS_TEST_TMPDIR/out-$copy" &
        pids+=($!)
    done
    for copy in {1..30}; do
        wait "${pids[copy - 1]}" || {
            cat "$BATS_TEST_TMPDIR/out-$copy"
            return 1
        }
    done
}

# ----------------------------------------------------------- text --

@test "the parts have these titles, in the text and in the time line" {
    local picture

    run -0 lesson 07 --tasks 3
    assert_equal "$(sed '/^Time line/,$d' <<<"$output" | grep '^[^ ]')" \
        "$(printf '%s\n' "${titles[@]}")"
    picture=$(sed '1,/^Time line: 1 u is 0.01 s$/d' <<<"$output")
    assert_equal "$(grep -E '^  [a-z0-9].* ' <<<"$picture" | grep -v '^  worker ')" \
        "$(printf '  %s\n' "${titles[@]}")"
}

@test "no line is longer than 72 columns" {
    local kind

    for kind in "" --threads; do
        run -0 lesson 07 $kind --workers 64 --tasks 12
        assert_fits
    done
    run -0 lesson 07 --help
    assert_fits
}

# Whether the bytes are the same: see lesson_test.c, whose lesson says
# the same in every run.
@test "the text is the same in a pipe, in a file and on a terminal" {
    local file=$BATS_TEST_TMPDIR/out pipe

    require script bsdutils
    pipe=$(lesson 07 --tasks 3 | essence)
    lesson 07 --tasks 3 >"$file"
    assert_equal "$(essence <"$file")" "$pipe"
    guarded env -u NO_COLOR script -qec "'$BIN/lesson-07' --tasks 3" \
        /dev/null </dev/null >"$file"
    grep -qF $'\033[32mok' "$file"
    assert_equal "$(sed $'s/\033\\[[0-9]*m//g; s/\r//' "$file" | essence)" \
        "$pipe"
}

@test "--help opens with an example, which works" {
    local example

    run -0 --separate-stderr lesson 07 --help
    assert_line --index 0 --regexp '^Example: \./lesson-07 --'
    read -ra example <<<"${lines[0]#Example: ./lesson-07}"
    run -0 lesson 07 "${example[@]}"
}

@test "--help names every option with its range" {
    run -0 --separate-stderr lesson 07 --help
    assert_line --partial "--workers N   how many workers (1 to 64, default 3)"
    assert_line --partial "--tasks N     how many tasks (1 to 100, default 30)"
    assert_line --partial "--unit S      the length of 1 u in seconds (0.001 to 60"
    for option in threads step source svg trace help; do
        assert_line --regexp "^  --$option "
    done
    assert_equal "$stderr" ""
}

@test "--unit goes before LESSON_UNIT, and that before 0.2 s" {
    LESSON_UNIT=0.004 run -0 lesson 07 --tasks 1
    assert_line "Time line: 1 u is 0.004 s"
    LESSON_UNIT=5 run -0 lesson 07 --tasks 1 --unit 0.003
    assert_line "Time line: 1 u is 0.003 s"
    run -0 guarded env -u LESSON_UNIT "$BIN/lesson-07" --help
    assert_output --partial "default 0.2"
}

@test "--source prints each part's code, with no file beside the program" {
    local part source

    source=$(echo "$ROOT"/lessons/07-*/pool_apply.c)
    cp "$BIN/lesson-07" "$BATS_TEST_TMPDIR/"
    mkdir "$BATS_TEST_TMPDIR/empty"
    cd "$BATS_TEST_TMPDIR/empty"
    run -0 guarded ../lesson-07 --source --tasks 3
    for part in apply apply_async terminate figure; do
        assert_equal "$(grep -cFx "static void part_$part(void)" \
            <<<"$output")" 1
    done
    # The code is that of the file, down to the last blank.
    assert_equal "$(sed -n '/^static .*(/,/^}$/p' <<<"$output" |
        grep -vFxf "$source")" ""
    # Shown before its own part, after the title.
    assert_equal "$(grep -nE "^${titles[2]}$|part_terminate\(void\)$" \
        <<<"$output" | sed 's/.*:.*static.*/code/; s/.*:.*after.*/title/')" \
        $'title\ncode'
}

asked() {
    [ "$(grep -c '\[Enter\]' "$1")" = "$2" ]
}

@test "--step waits for Enter before each part" {
    local out=$BATS_TEST_TMPDIR/out keys=$BATS_TEST_TMPDIR/keys part status=0

    require script bsdutils
    mkfifo "$keys"
    NO_COLOR=1 guarded script -qec "'$BIN/lesson-07' --step --tasks 3" \
        /dev/null <"$keys" >"$out" &
    exec 7>"$keys"
    for part in 1 2 3 4; do
        within 5 asked "$out" "$part"
        assert_regex "$(tail -n 2 "$out")" "^${titles[part - 1]}"
        echo >&7
    done
    wait $! || status=$?
    exec 7>&-
    assert_equal "$status" 0
    assert_equal "$(grep -c '\[Enter\]' "$out")" 4
    assert_equal "$(tr -d '\r' <"$out" | claims)" \
        "$(expected_claims 3 3 1 processes)"
}

# ------------------------------------------------------ bad input --

@test "a number out of its range is refused in one line" {
    local option value range

    for option in workers tasks; do
        range="1 to 64"
        [ $option = workers ] || range="1 to 100"
        for value in 0 -3 9999 x 3x 1.5 " 3" 99999999999999999999; do
            assert_usage_error 07 \
                "--$option $value: a whole number from $range is expected" \
                --$option "$value"
        done
        assert_usage_error 07 \
            "--$option '': a whole number from $range is expected" \
            --$option ""
        assert_usage_error 07 \
            "--$option '': a whole number from $range is expected" \
            --$option
    done
}

@test "a unit that is none is refused in one line" {
    local value

    for value in 0 -1 0.0009 61 x 1e-3 nan inf; do
        assert_usage_error 07 \
            "--unit $value: a number from 0.001 to 60 is expected" \
            --unit "$value"
        LESSON_UNIT=$value assert_usage_error 07 \
            "LESSON_UNIT $value: a number from 0.001 to 60 is expected"
    done
    assert_usage_error 07 "--unit '': a number from 0.001 to 60 is expected" \
        --unit ""
    LESSON_UNIT='' assert_usage_error 07 \
        "LESSON_UNIT '': a number from 0.001 to 60 is expected"
}

@test "an unknown option and a stray argument are refused in one line" {
    assert_usage_error 07 "--no-such: there is no such option, see --help" \
        --no-such
    assert_usage_error 07 "-w: there is no such option, see --help" -w
    assert_usage_error 07 "--threads=1: this option takes no value" \
        --threads=1
    assert_usage_error 07 "stray: only options are expected, see --help" stray
    assert_usage_error 07 "'': only options are expected, see --help" ""
    assert_usage_error 07 "stray: only options are expected, see --help" \
        --workers 2 -- stray
    assert_usage_error 07 "a?b: only options are expected, see --help" $'a\nb'
}

@test "--step without a terminal is refused in one line" {
    assert_usage_error 07 \
        "--step: waits for Enter, so stdin must be a terminal" --step </dev/null
}

# ---------------------------------------------------------- files --

@test "--svg writes a picture of each part" {
    local file=$BATS_TEST_TMPDIR/a.svg title

    require python3
    run -0 --separate-stderr lesson 07 --tasks 5 --svg "$file"
    assert_svg "$file"
    for title in "${titles[@]}"; do
        grep -qF ">$title<" "$file"
    done
}

# drawn <FILE: titles, rows and tasks of a picture, without the tasks
# that terminate has let begin, which differ from run to run.  A worker
# that came late to a part may have no row there.
drawn() {
    awk '/class="part"/ { cut = /terminate/ }
         /class="(head|part|row)"/ {
             gsub(/<[^>]*>/, "")
             if (!seen[$0]++) print
         }
         /<title>worker/ && !cut {
             match($0, /task [0-9]+/)
             print substr($0, RSTART, RLENGTH) " was drawn"
         }' | sort
}

@test "the picture in the README is current" {
    local file=$BATS_TEST_TMPDIR/a.svg

    run -0 lesson 07 --svg "$file"
    assert_equal "$(drawn <lessons/07-pool-apply/timeline.svg)" \
        "$(drawn <"$file")"
    run -0 grep -c 'lessons/07-pool-apply/timeline.svg' README.md
    run -0 grep -c ' was drawn$' <(drawn <"$file")
    assert_output 80
}

@test "--trace writes what Perfetto opens" {
    local file=$BATS_TEST_TMPDIR/a.json kind row

    require python3
    for kind in "" --threads; do
        run -0 lesson 07 $kind --tasks 5 --trace "$file"
        assert_trace "$file"
        for row in main "worker 1" "worker 5"; do
            grep -qF "\"args\": {\"name\": \"$row\"}" "$file"
        done
    done
}

@test "a file that is there already is written anew" {
    local file=$BATS_TEST_TMPDIR/old

    require python3
    head -c 1000000 /dev/zero >"$file"
    run -0 lesson 07 --tasks 1 --svg "$file"
    assert_svg "$file"
    head -c 1000000 /dev/zero >"$file"
    run -0 lesson 07 --tasks 1 --trace "$file"
    assert_trace "$file"
}

@test "a file that can not be written is refused before the lesson starts" {
    local option place=$BATS_TEST_TMPDIR

    for option in --svg --trace; do
        run -3 --separate-stderr lesson 07 $option "$place/no/such/file"
        assert_output ""
        assert_refused "open $place/no/such/file: ENOENT"
        run -3 --separate-stderr lesson 07 $option "$place"
        assert_output ""
        assert_refused "open $place: EISDIR"
        run -3 --separate-stderr lesson 07 $option ""/dev/null/file
        assert_output ""
        assert_refused "open /dev/null/file: ENOTDIR"
        assert_usage_error 07 "$option '': the name of a file is expected" \
            $option ""
    done
}

@test "a file that is full at the end is an error, and none is left" {
    run -3 --separate-stderr lesson 07 --tasks 1 --svg /dev/full
    assert_refused "write /dev/full: ENOSPC"
    run -3 --separate-stderr lesson 07 --tasks 1 --trace /dev/full
    assert_refused "write /dev/full: ENOSPC"
}

@test "a lesson that ends early leaves no empty file" {
    start_lesson 07 --svg "$BATS_TEST_TMPDIR/a.svg" --unit 1
    wait_for_line "task 1"
    kill -KILL "$lesson_pid"
    finish_lesson
    refute [ -e "$BATS_TEST_TMPDIR/a.svg" ]
}

# --------------------------------------------- the system refuses --

# The limit counts all processes and threads of a user.
@test "fork that is refused is told, and no process is left" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 1 2 3 4; do # the watchdog, workers 1, 2 and 3
        # shellcheck disable=SC2034 # for as_ordinary_user
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-07"
        assert_refused EAGAIN "ulimit -u"
        assert_regex "$stderr" "lesson-07: p(ool_open|thread_create): "
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-07" --threads
        assert_refused EAGAIN "ulimit -u"
    done
}

@test "memory that is refused is told" {
    case $VARIANT in
    asan | tsan) skip "the sanitizer itself needs all the addresses" ;;
    esac
    local limit=2000000 status=127 stdout=$BATS_TEST_TMPDIR/stdout

    require prlimit util-linux
    while ((status == 127)); do # so little that it can not be loaded
        limit=$((limit + limit / 10)) status=0
        guarded prlimit --as=$limit:$limit "$BIN/lesson-07" >"$stdout" \
            2>"$BATS_TEST_TMPDIR/stderr" || status=$?
    done
    assert_equal "$status" 3
    assert_equal "$(cat "$stdout")" ""
    mapfile -t stderr_lines <"$BATS_TEST_TMPDIR/stderr"
    assert_equal "${#stderr_lines[@]}" 1
    assert_regex "${stderr_lines[0]}" \
        "^lesson-07: [a-z_]+: E(NOMEM|AGAIN), "
}

@test "without free descriptors every claim holds" {
    require prlimit util-linux
    run -0 guarded prlimit --nofile=4:4 "$BIN/lesson-07" --tasks 5
    run -0 guarded prlimit --nofile=4:4 "$BIN/lesson-07" --tasks 5 --threads
}

@test "a full /dev/shm, or none, is no matter" {
    require_root "to mount another /dev/shm"
    require unshare util-linux
    unshare -m true || skip "needs the right to mount"
    run -0 guarded unshare -m sh -c 'mount -t tmpfs -o size=4k x /dev/shm &&
        { cat /dev/zero >/dev/shm/full; } 2>/dev/null; "$@"' sh \
        "$BIN/lesson-07" --tasks 5
    # shellcheck disable=SC2016 # the inner shell expands it
    run -0 guarded unshare -m sh -c 'mount -t tmpfs -o mode=0 x /dev &&
        [ ! -e /dev/shm ] && mknod /dev/null c 1 3 && "$@"' sh \
        "$BIN/lesson-07" --tasks 5
}

@test "stdout that is closed or full is an error" {
    # shellcheck disable=SC2016 # the inner shell expands it
    run -3 --separate-stderr guarded sh -c 'exec "$@" >&-' sh "$BIN/lesson-07"
    assert_refused "lesson-07: write to stdout: EBADF"
    # shellcheck disable=SC2016
    run -3 --separate-stderr guarded sh -c 'exec "$@" >/dev/full' sh \
        "$BIN/lesson-07"
    assert_refused "lesson-07: write to stdout: ENOSPC"
    # shellcheck disable=SC2016
    run -3 --separate-stderr guarded sh -c 'exec "$@" --help >/dev/full' sh \
        "$BIN/lesson-07"
    assert_refused "lesson-07: write to stdout: ENOSPC"
}

@test "a pipe that is closed early is an error" {
    local kind states

    for kind in "" --threads; do
        lesson 07 $kind 2>"$BATS_TEST_TMPDIR/stderr" | head -n 2 >/dev/null &&
            states=("${PIPESTATUS[@]}")
        assert_equal "${states[0]}" 3
        run -0 cat "$BATS_TEST_TMPDIR/stderr"
        assert_line --index 0 --partial "write to stdout: EPIPE"
    done
}

# ----------------------------------------------------- early ends --

# A lesson with 1 u = 1 s lasts a minute: it did not end by itself.
@test "Ctrl-C ends it with 130 and all its processes" {
    local kind

    for kind in "" --threads; do
        assert_signal_ends INT 07 "task 1" $kind --unit 1
    done
}

@test "SIGTERM and SIGKILL of the lesson take its workers along" {
    local signal

    for signal in TERM KILL; do
        assert_signal_ends "$signal" 07 "task 1" --unit 1
    done
}

worker_of_line() {
    sed -n "s/.*(pid \([0-9]*\))  $1\$/\1/p" "$BATS_TEST_TMPDIR/stdout" |
        tail -n 1
}

@test "SIGKILL of the worker that apply waits for is told" {
    start_lesson 07 --unit 1
    wait_for_line "task 1"
    kill -KILL "$(worker_of_line 'task 1')"
    finish_lesson
    assert_equal "$status" 3
    assert_regex "$stderr" "pool_apply: EOWNERDEAD"
}

# Its successor is a fourth process.
@test "SIGKILL of a worker turns claims red, and nothing hangs" {
    start_lesson 07 --unit 0.1 --tasks 12
    wait_for_line "has handed over 12 tasks"
    kill -KILL "$(worker_of_line 'task 1')"
    finish_lesson
    assert_equal "$status" 1
    assert_regex "$output" \
        "FAILED  exactly 3 processes did all 24 tasks; seen: 4"
}

# ------------------------------------------------ Python and text --

# What Python does not keep, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    local kind

    for kind in "" --threads; do
        twin_claims_the_same 07 $kind -- "apply runs one task" \
            "each task finished or was" "did all 60 tasks" \
            "never more than 3" "terminate did not wait"
    done
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 07
}
