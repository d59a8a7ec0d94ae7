# Lesson 24 as a user runs it.
# shellcheck disable=SC2154 # `run` and the helper set variables
load helper

# The claims of a run with so many numbers.
expected_claims() {
    cat <<END
ok $1 numbers are right: it kept its place
ok each was made when it was asked for
ok all of it in one thread
ok all ways counted right
ok to switch at each step costs more than to call
ok a switch of threads costs many times a coroutine's
ok and so does a switch of processes
ok between coroutines the kernel put nobody to sleep
END
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 24
    assert_equal "$(claims <<<"$output")" "$(expected_claims 10)"
    assert_equal "$stderr" ""
    assert_line "  number 10 is 34"
    assert_line --regexp "^  a coroutine( +[0-9]+\.[0-9]){3}$"
}

@test "every claim holds with few and with many numbers, and on one CPU" {
    run -0 lesson 24 --numbers 1 --rounds 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 1)"
    run -0 lesson 24 --numbers 90 --rounds 3
    assert_equal "$(claims <<<"$output")" "$(expected_claims 90)"
    assert_line "  number 90 is 1779979416004714189"
    assert_fits
    run -0 on_one_cpu lesson 24 --rounds 5
    assert_equal "$(claims <<<"$output")" "$(expected_claims 10)"
}

@test "bad input is a usage error" {
    assert_usage_error 24 \
        "--numbers 91: a whole number from 1 to 90 is expected" --numbers 91
    assert_usage_error 24 \
        "--rounds 0: a whole number from 1 to 99 is expected" --rounds 0
}

# strace would show a call for each of the switches.
@test "a switch of coroutines makes no system call" {
    require_strace
    [ "$VARIANT" = normal ] || skip "sanitizers make calls of their own"
    run -0 guarded strace -f -c -o "$BATS_TEST_TMPDIR/calls" \
        "$BIN/lesson-24" --rounds 1
    # shellcheck disable=SC2016 # of awk
    run -0 awk '$NF == "total" { print ($4 < 15000) }' "$BATS_TEST_TMPDIR/calls"
    assert_output 1
}

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 24 "number 10 is 34" --rounds 99
}

# A generator's next() and a call cost Python about the same.
@test "the Python twin claims the same" {
    twin_claims_the_same 24 -- "all ways counted right" \
        "to switch at each step" "put nobody to sleep"
}

@test "the run shown in the README is current" {
    transcript_is_current 24
}
