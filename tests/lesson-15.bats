# Lesson 15 as a user runs it.
load helper

expected_claims() { # expected_claims DELAY TIMERS
    echo "\
ok it does not run before $1 u are over
ok it runs in another thread
ok to cancel it afterwards is harmless
ok cancelled before it is due, it never runs
ok to cancel it twice is harmless
ok a negative delay is refused
ok none was early
ok they ran in the order in which they were due
ok each ran once, or was cancelled and never ran
ok one thread served all $2"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 15
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3 1000)"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds for one timer and for ten thousand" {
    run -0 lesson 15 --timers 1 --delay 0
    assert_equal "$(claims <<<"$output")" "$(expected_claims 0 1)"
    run -0 lesson 15 --timers 10000 --seed 5
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3 10000)"
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 15
}

@test "the task is running in a thread that is not main's" {
    local main

    run -0 lesson 15
    main=$(sed -n 's/.*main, thread \([0-9]*\), goes on/\1/p' <<<"$output")
    assert_line --regexp "10 is running in thread [0-9]+$"
    refute_line --partial "10 is running in thread $main"
}

@test "bad input is a usage error" {
    assert_usage_error 15 \
        "--delay -1: a whole number from 0 to 100 is expected" --delay -1
    assert_usage_error 15 \
        "--timers 0: a whole number from 1 to 10000 is expected" --timers 0
}

@test "a thread refused is told" {
    require prlimit util-linux
    # shellcheck disable=SC2034 # for as_ordinary_user
    LIMITS=(--nproc=2:2) # main and the watchdog
    run -3 --separate-stderr as_ordinary_user "$BIN/lesson-15"
    assert_refused EAGAIN "ulimit -u"
}

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 15 "goes on" --unit 5
}

@test "the Python twin claims the same" {
    twin_claims_the_same 15 -- 'negative delay' 'in which they were due' \
        'each ran once' 'one thread served'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 15
}
