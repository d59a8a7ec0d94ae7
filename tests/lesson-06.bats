# Lesson 06 as a user runs it.
load helper

# The claims of a run with N processes.
expected_claims() {
    cat <<END
ok without the lock all $1 are inside at once
ok each of the $1 prints shows all $1 changes
ok with the lock there is never more than one inside
ok each print shows one change more than the one before
ok $1 visits of 1 u took at least $1 u
ok a normal lock keeps out its own holder too
ok a recursive lock lets its holder in again
ok release by another process is refused
ok taken twice, it is free after the second release only
ok the holder died of SIGKILL
ok nobody else gets the lock of the dead
ok the holder died of SIGKILL
ok the next gets the lock and is told: EOWNERDEAD
ok it found half a change
ok once repaired, the lock is as good as new
ok the array has the two changes that were completed
ok the holder died of SIGKILL
ok released without a repair, it is lost: ENOTRECOVERABLE
END
}

# part TITLE: its lines.
part() {
    awk -v title="$1" '
        /^[^ ]/ { inside = $0 == title; next }
        inside' <<<"$output"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 06
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many processes" {
    local count

    for count in 2 9; do
        run -0 lesson 06 --processes $count
        assert_equal "$(claims <<<"$output")" "$(expected_claims $count)"
        assert_fits
    done
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 06
}

# ---------------------------------------------------------- lines --

@test "without the lock every print is [11, 12, 13], time after time" {
    local round

    for round in 1 2 3; do
        run -0 lesson 06 --unit 0.001
        run -0 grep -c 'prints \[11, 12, 13\]$' \
            <<<"$(part "Without the lock")"
        assert_output 3
    done
}

@test "the lines tell what happened" {
    local prints=() first i

    run -0 lesson 06
    mapfile -t prints < <(part "With the lock" |
        sed -n 's/.* prints //p')
    assert_equal "${#prints[@]}" 3
    for i in 0 1 2; do
        assert_equal "$(grep -oE '1[123]' <<<"${prints[i]}" | wc -l)" \
            "$((i + 1))"
    done

    first=$(part "The holder is killed: a stalled lock")
    assert_regex "$first" "process 1 is half done: \[11, 12, 3\]"
    assert_regex "$first" "process 2 gets ETIMEDOUT"
    assert_line --partial "process 2 gets the lock and EOWNERDEAD"
    assert_line --partial "process 2 repairs the array: [1, 2, 3]"
    assert_line --partial "process 3 adds 10 to all: [21, 22, 23]"
    assert_line --partial "process 3 gets ENOTRECOVERABLE"
    assert_line --regexp "^  process 1 +\|[a-z]*=*x"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value range="a whole number from 2 to 9 is expected"

    for value in 1 10 x; do
        assert_usage_error 06 "--processes $value: $range" \
            --processes $value
    done
    assert_usage_error 06 "--processes '': $range" --processes ""
}

# The limit counts all processes and threads of a user.
@test "fork that is refused is told, and no process is left" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 1 3; do # the watchdog, process 2
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-06"
        assert_refused EAGAIN "ulimit -u"
    done
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends it with 130 and all its processes" {
    assert_signal_ends INT 06 "process 3 adds" --unit 5
}

@test "SIGKILL of the lesson takes its processes along" {
    assert_signal_ends KILL 06 "process 3 adds" --unit 5
}

# On a busy machine it may be over before it is killed.
@test "SIGKILL of a process inside turns claims red, and nothing hangs" {
    local unit

    for unit in 0.1 0.3 1; do
        start_lesson 06 --unit $unit
        wait_for_line "process 2 adds"
        kill -KILL "$(sed -n 's/.*2 adds 10 (pid \(.*\))/\1/p' \
            "$BATS_TEST_TMPDIR/stdout")" || true
        finish_lesson
        ((status == 0)) || break
    done
    assert_equal "$status" 1
    assert_regex "$output" "FAILED  each of the 3 prints .*; seen: [0-2] of 2"
}

# ------------------------------------------------ Python and text --

# What Python does not keep, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    LESSON_UNIT=0.02 twin_claims_the_same 06 -- "took at least 3 u" \
        "a normal lock keeps out" "half a change" "once repaired" \
        ENOTRECOVERABLE "two changes that were completed" EOWNERDEAD \
        "never more than one inside" "all 3 are inside at once"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 06
}
