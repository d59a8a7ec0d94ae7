# Lesson 12 as a user runs it.
load helper

# The claims of a run with N threads, and those of --wild.
expected_claims() {
    local part

    for part in plain recursive; do
        cat <<END
ok a cycle of $1: a deadlock
ok 1 u later nobody had gone on
ok one waited for an earlier lock than its own
ok only the end of the process ended it
END
    done
    cat <<END
ok no deadlock: all $1 threads came through
ok each counted 1, 2, 1, 0, with nobody in between
ok no deadlock: all $1 threads came through
ok nobody waited for an earlier lock than its own
ok no deadlock: all $1 threads came through
ok somebody gave its first lock back
ok no deadlock: all $1 threads came through
ok somebody gave its first lock back
ok after a wait of 1 u or more
END
}

expected_wild="\
ok each run was found in a deadlock or came to its end
ok in the same order all came to their end"

@test "every claim holds" {
    run -0 --separate-stderr lesson 12
    assert_equal "$(claims <<<"$output")" "$(expected_claims 2)"
    assert_equal "$stderr" ""
}

@test "every claim holds with five and with nine threads, and by luck" {
    local count

    for count in 5 9; do
        run -0 lesson 12 --threads $count --wild 5
        assert_equal "$(claims <<<"$output")" \
            "$(expected_claims $count && echo "$expected_wild")"
        assert_fits
    done
}

@test "every claim holds on one CPU" {
    local cpus

    require taskset util-linux
    cpus=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    run -0 guarded taskset -c "$cpus" "$BIN/lesson-12" --wild 5
    assert_equal "$(claims <<<"$output")" \
        "$(expected_claims 2 && echo "$expected_wild")"
}

@test "the cycle is named, and so are the steps of each cure" {
    run -0 lesson 12 --threads 5
    assert_line "  thread 1 holds A and waits for B, held by thread 2"
    assert_line "  thread 4 holds D and waits for E, held by thread 5"
    assert_line "  thread 5 holds E and waits for A, held by thread 1"
    assert_line --partial "u  main kills the process"
    assert_line --partial "u  thread 5 has A, counter 2"
    assert_line --partial "u  thread 5 releases E, counter 0"
    assert_line --regexp "u  thread [1-5] gives way$"
    assert_line --regexp "^  thread 5 +\|E+x$"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value range="a whole number from 2 to 9 is expected"

    for value in 1 10 two; do
        assert_usage_error 12 "--threads $value: $range" --threads $value
    done
    assert_usage_error 12 \
        "--wild -1: a whole number from 0 to 1000 is expected" --wild -1
}

# The limit counts all processes and threads of a user.
@test "threads and processes that are refused are told" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 2 4; do # the process; its second thread
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-12"
        assert_refused EAGAIN "ulimit -u" "lesson-12: (fork|pthread_create): "
    done
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends the deadlock, too, with 130" {
    assert_signal_ends INT 12 "thread 2 has B" --unit 5
}

@test "SIGKILL of the lesson takes the deadlocked process along" {
    assert_signal_ends KILL 12 "waits for A, held by thread 1" --unit 0.5
}

# It may be over before one of its processes was killed.
@test "SIGKILL of its processes at any moment: nothing hangs or is left" {
    local round child

    for round in 1 2 3; do
        start_lesson 12 --unit 0.005 --wild 30
        wait_for_line "Its own lock"
        sleep "0.$((round * 7 % 10))$((round * 3 % 10))"
        child=$(cat /proc/"$lesson_pid"/task/*/children | tr ' ' '\n' |
            tail -n 1) || child=
        [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
        finish_lesson
        ((status == 0 || status == 1)) ||
            fail "status $status: $output$stderr"
    done
}

# ------------------------------------------------ Python and text --

# What Python does not tell, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    require python3
    run -0 twin 12
    claims <<<"$output" | sort -u >"$BATS_TEST_TMPDIR/python"
    run -1 diff <(expected_claims 2 | sort -u) "$BATS_TEST_TMPDIR/python"
    assert_equal "$(grep '^[<>]' <<<"$output" | sort)" "\
< ok 1 u later nobody had gone on
< ok a cycle of 2: a deadlock
< ok after a wait of 1 u or more
< ok each counted 1, 2, 1, 0, with nobody in between
< ok nobody waited for an earlier lock than its own
< ok one waited for an earlier lock than its own
< ok only the end of the process ended it
> ok CPython: both wait, and nobody is told"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.02 transcript_is_current 12
}
