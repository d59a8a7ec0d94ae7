# Lesson 18 as a user runs it.
load helper

expected_claims() { # expected_claims processes|threads
    echo "\
ok each future gave the sum of its own task
ok one runs, and the other is pending
ok what runs can not be cancelled, and comes to its end
ok what is pending can, and its result is ECANCELED
ok both are done: cancelled counts as done
ok a time limit that passes is told
ok the task went on, and a later result succeeds
ok an error in the task comes out here
ok at first none is completed
ok to wait for the first does not wait for the others
ok as_completed gives them as they end, not as submitted
ok then all are completed
ok to wait for an error takes long where there is none
ok where there is one it does not wait for the others"
    [ "$1" = threads ] || echo "ok the parent runs the callback, not the worker"
    [ "$1" != threads ] || echo "ok the worker thread runs the callback"
    echo "ok on a future that is done the caller runs it, at once"
}

@test "every claim holds, with processes and with threads" {
    run -0 --separate-stderr lesson 18
    assert_equal "$(claims <<<"$output")" "$(expected_claims processes)"
    assert_equal "$stderr" ""
    assert_fits
    run -0 --separate-stderr lesson 18 --threads
    assert_equal "$(claims <<<"$output")" "$(expected_claims threads)"
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 18
    run -0 on_one_cpu lesson 18 --threads
}

@test "the lines tell what happened" {
    run -0 lesson 18
    assert_line "  after cancel: first running, second cancelled"
    assert_line --partial 'exception: EDOM, "base -1 is negative"'
    assert_equal "$(grep -oE 'completed: task [0-2]' <<<"$output")" \
        "$(printf 'completed: task %d\n' 2 0 1)"
}

@test "bad input is a usage error" {
    assert_usage_error 18 "--threads=2: this option takes no value" \
        --threads=2
}

@test "Ctrl-C and SIGKILL take its workers along" {
    assert_signal_ends KILL 18 "at the end" --unit 5
    assert_signal_ends INT 18 "at the end" --unit 5
}

@test "the Python twin claims the same" {
    local kind

    for kind in "" --threads; do
        LESSON_UNIT=0.02 twin_claims_the_same 18 $kind -- 'one runs' \
            'what runs' 'what is pending' 'both are done' \
            'does not wait for the others' 'then all' 'the callback'
    done
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 18
}
