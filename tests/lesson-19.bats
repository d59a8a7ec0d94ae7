# Lesson 19 as a user runs it.
load helper

way() { # way TASKS AT-ONCE LEAST
    echo "\
ok all $1 squares came, in order
ok $2 at a time
ok it took $3 u or more"
}

expected_claims() { # expected_claims TASKS WORKERS ALONE TOGETHER
    way "$1" 1 "$3"
    way "$1" "$2" "$4"
    way "$1" "$2" "$4"
    echo "ok $1 looks were in vain, or more"
    way "$1" "$2" "$4"
    echo "ok the other three took about 1/$2 of the time of the first"
}

burns="ok polling burns more than twice the CPU time of the others"

@test "every claim holds, with processes and with threads" {
    for kind in "" --threads; do
        run -0 --separate-stderr lesson 19 --unit 0.05 $kind
        assert_equal "$(claims <<<"$output")" \
            "$(expected_claims 20 4 4.0 1.0 && echo "$burns")"
        assert_equal "$stderr" ""
        assert_fits
    done
}

@test "every claim holds with other numbers" {
    run -0 lesson 19 --tasks 7 --workers 3 --rounds 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 7 3 1.4 0.6)"
    assert_line "  Too short to compare CPU times: take a longer --unit."
    run -0 lesson 19 --tasks 2 --workers 64 --rounds 2 --nap 1000
    assert_equal "$(claims <<<"$output")" "$(expected_claims 2 2 0.4 0.2)"
    assert_line --partial "With a nap between two looks polling costs less"
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 19 --unit 0.05
    assert_line --partial "polling burns"
    run -0 on_one_cpu lesson 19 --threads
}

@test "the table has a row for each way" {
    run -0 lesson 19
    assert_equal "$(sed -nE 's/^  (submit[a-z ,]*[a-z]) +[0-9.]+ u +[0-9.]+ ms +[0-9]+ +[0-9]+$/\1/p' \
        <<<"$output")" "\
submit and wait, each
submit all, then wait
submit all, and poll
submit all, be called"
}

@test "bad input is a usage error" {
    assert_usage_error 19 \
        "--workers 1: a whole number from 2 to 64 is expected" --workers 1
    assert_usage_error 19 \
        "--nap -1: a whole number from 0 to 1000000 is expected" --nap -1
}

@test "Ctrl-C and SIGKILL take its workers along" {
    assert_signal_ends KILL 19 "Submit and wait" --unit 5
    assert_signal_ends INT 19 "Submit and wait" --unit 5
}

# CPython's clock is fine, but it can not count how many ran at once.
@test "the Python twin claims the same" {
    for kind in "" --threads; do
        LESSON_UNIT=0.05 twin_claims_the_same 19 $kind -- 'at a time' \
            'the other three' 'polling burns'
    done
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 19
}
