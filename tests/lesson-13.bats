# Lesson 13 as a user runs it.
load helper

# The claims of a run with PLACES and VISITORS.
expected_claims() {
    local who wave=$(($1 < $2 ? $1 : $2)) waves=$((($1 + $2 - 1) / $1))
    local s=s

    ((waves > 1)) || s=
    cat <<END
ok each wait takes 1 from the counter
ok at 0 nobody gets in, and it is never less
ok one post too many, and there is a place too many
END
    for who in "threads created: $2" \
        "threads that did it: $wave, and a pool creates no more" \
        "processes created: $2"; do
        cat <<END
ok inside at once: $wave, and never more
ok no wave came in before 3 u for each one before it
ok $waves wave$s of 3 u took at least $((3 * waves)) u
ok $who
END
    done
    echo "ok the name was gone before they came"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 13
    assert_equal "$(claims <<<"$output")" "$(expected_claims 5 20)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many places and visitors" {
    local places visitors

    while read -r places visitors; do
        run -0 lesson 13 --places "$places" --visitors "$visitors"
        assert_equal "$(claims <<<"$output")" \
            "$(expected_claims "$places" "$visitors")"
        assert_fits
    done <<<$'1 4\n40 40\n5 1'
}

@test "every claim holds on one CPU" {
    local cpus

    require taskset util-linux
    cpus=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    run -0 guarded taskset -c "$cpus" "$BIN/lesson-13"
    assert_equal "$(claims <<<"$output")" "$(expected_claims 5 20)"
}

@test "the lines tell what happened" {
    run -0 lesson 13 --places 2 --visitors 5
    assert_line "  at first    2"
    assert_line "  one more try gets EAGAIN"
    assert_line "  3 times sem_post: 3"
    assert_equal "$(grep -c "visitor [1-5]  is in, wave 1$" <<<"$output")" 4
    assert_equal "$(grep -c "visitor [1-5]  is in, wave 3$" <<<"$output")" 2
    assert_line --regexp "worker [12]   has task 5$"
    assert_line --regexp "/lesson-13-[0-9]+-0 can not be opened again: ENOENT$"
    assert_line --regexp "^  visitor [1-5] +\|3[3=]+\|$"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value range="a whole number from 1 to 40 is expected"

    for value in 0 -1 41 five; do
        assert_usage_error 13 "--places $value: $range" --places $value
    done
    assert_usage_error 13 "--visitors 0: $range" --visitors 0
}

# The name of a semaphore is made by link.
@test "a semaphore that is refused is told" {
    local log=$BATS_TEST_TMPDIR/strace

    require_strace
    run -3 --separate-stderr guarded strace -f -o "$log" -e trace=link \
        -e inject=link:error=ENOSPC "$BIN/lesson-13" --visitors 1
    assert_refused "lesson-13: sem_open: ENOSPC"
    grep -q INJECTED "$log"
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends it with 130 and all its processes" {
    assert_signal_ends INT 13 "can not be opened again" --places 40 --unit 0.1
}

four_came_in() {
    (($(grep -c "is in" "$BATS_TEST_TMPDIR/stdout") >= 4))
}

# A semaphore has no owner who would give the only place back.  On a
# busy machine the visitor may have left before it is killed, and the
# one that is may be another.
@test "SIGKILL of who has the only place: the others get in" {
    local unit visitor

    for unit in 0.05 0.3 1; do
        start_lesson 13 --places 1 --visitors 3 --unit $unit
        within 10 four_came_in
        visitor=$(grep "is in" "$BATS_TEST_TMPDIR/stdout" |
            sed -n '4s/.*visitor \([0-9]*\) .*/\1/p')
        kill -KILL "$(cut -d " " -f "$visitor" \
            "/proc/$lesson_pid/task/$lesson_pid/children")" || true
        finish_lesson
        if ((status == 1 && $(grep -c "is in" <<<"$output") == 6)); then
            break
        fi
    done
    assert_equal "$status" 1
    assert_equal "$(grep -c "is in" <<<"$output")" 6
    assert_regex "$output" "FAILED  "
}

# It may be over before one of its processes was killed.
@test "SIGKILL of its processes at any moment: nothing hangs or is left" {
    local round child

    for round in 1 2 3; do
        start_lesson 13 --unit 0.005
        wait_for_line "can not be opened again"
        sleep "0.0$((round * 3 % 10))"
        child=$(cat /proc/"$lesson_pid"/task/*/children | tr ' ' '\n' |
            tail -n 2 | head -n 1) || child=
        [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
        finish_lesson
        ((status == 0 || status == 1)) ||
            fail "status $status: $output$stderr"
    done
}

# ------------------------------------------------ Python and text --

# What its thirty lines have no room for.
@test "the Python twin claims the same" {
    require python3
    run -0 twin 13
    claims <<<"$output" | sort -u >"$BATS_TEST_TMPDIR/python"
    run -1 diff <(expected_claims 5 20 | sort -u) "$BATS_TEST_TMPDIR/python"
    assert_equal "$(grep '^[<>]' <<<"$output")" "\
< ok at 0 nobody gets in, and it is never less
< ok each wait takes 1 from the counter
< ok no wave came in before 3 u for each one before it
< ok one post too many, and there is a place too many
< ok the name was gone before they came"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.02 transcript_is_current 13
}
