# Lesson 16 as a user runs it.
load helper

expected_claims() { # expected_claims ITEMS
    echo "\
ok FIFO: laotie laoxiong tuhao
ok LIFO: tuhao laoxiong laotie
ok priority: laoxiong laotie tuhao
ok equals: c e a b d
ok when join returned, all 3 tasks were done
ok one task_done too many is an error
ok a put into a full queue times out, and puts nothing
ok and not before its limit of 1 u
ok a get from an empty queue times out
ok FIFO: each of $1 items was taken once
ok LIFO: each of $1 items was taken once
ok priority: each of $1 items was taken once"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 16
    assert_equal "$(claims <<<"$output")" "$(expected_claims 100000)"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds with one place, and with many threads" {
    run -0 lesson 16 --items 2000 --capacity 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 2000)"
    run -0 lesson 16 --items 20000 --producers 32 --consumers 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 20000)"
    run -0 lesson 16 --items 1 --producers 1 --consumers 32
    assert_equal "$(claims <<<"$output")" "$(expected_claims 1)"
    run -0 lesson 16 --items 50000 --capacity 1000 --producers 2
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 16 --items 10000
}

@test "bad input is a usage error" {
    assert_usage_error 16 \
        "--capacity 0: a whole number from 1 to 1000 is expected" \
        --capacity 0
    assert_usage_error 16 \
        "--consumers 33: a whole number from 1 to 32 is expected" \
        --consumers 33
}

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 16 "equals" --unit 5
}

@test "the Python twin claims the same" {
    twin_claims_the_same 16 -- 'FIFO: each' 'LIFO: each' 'priority: each'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 16
}
