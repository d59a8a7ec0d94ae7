# Lesson 20 as a user runs it.
load helper

expected_claims() {
    echo "\
ok one thread at a time is in the interpreter
ok who gives way comes back only after the other
ok and waits for at least the interval, 0.25 u
ok under one lock two threads get no more than one CPU
ok with a lock each they get what two processes get
ok each request waits for at least the interval, 0.5 ms
ok each request waits for at least the interval, 5 ms
ok each request waits for at least the interval, 50 ms
ok and moves the lock to and fro: two switches
ok with a lock each it need not: not half of 50 ms
ok x += 1 loses half of 10 updates
ok with a mutex of its own it loses none"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 20 --unit 0.005
    assert_equal "$(claims <<<"$output")" "$(expected_claims)"
    assert_equal "$stderr" ""
    assert_fits
    assert_line "  CPython is not measured: 1 u is 0.05 s or less."
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 20 --unit 0.005 --requests 1
}

# Whether it is quiet enough to compare both is not known here.
@test "CPython is measured beside it, where it is there" {
    require python3
    run -0 --separate-stderr lesson 20 --unit 0.051 --requests 1
    assert_line --regexp '^  With CPython 3\.[0-9.]+ it is [0-9.]+ times\.$'
    assert_line --regexp '^ +50.0 ms +[0-9.]+ ms +[0-9.]+ ms$'
    assert_equal "$(claims <<<"$output" | grep -vF "CPython's")" \
        "$(expected_claims)"
    assert_equal "$stderr" ""
    assert_fits
}

# Whatever CPython's end is, the lesson comes to its own.
@test "a CPython that is killed, is none, or is not there, harms nobody" {
    local place=$BATS_TEST_TMPDIR

    require python3
    start_lesson 20 --unit 0.051 --requests 1
    wait_for_line "With CPython"
    pkill -KILL -P "$lesson_pid" python3
    finish_lesson
    assert_equal "$status" 0
    assert_equal "$(claims <<<"$output" | grep -vF "CPython's")" \
        "$(expected_claims)"
    printf '#!/bin/sh\nprintf %%-16s 3.11.7; read line\n' >"$place/python3"
    chmod +x "$place/python3"
    run -0 guarded env PATH="$place:$PATH" \
        "$BIN/lesson-20" --unit 0.051 --requests 1
    rm "$place/python3"
    run -0 guarded env PATH="$place" \
        "$BIN/lesson-20" --unit 0.051 --requests 1
    assert_line "  CPython is not measured: there is no python3 with a GIL."
}

@test "bad input is a usage error" {
    assert_usage_error 20 \
        "--requests 0: a whole number from 1 to 333 is expected" --requests 0
    assert_usage_error 20 \
        "--python 2: a whole number from 0 to 1 is expected" --python 2
}

@test "Ctrl-C and SIGKILL take CPython along" {
    assert_signal_ends KILL 20 "turns:" --unit 0.2
    assert_signal_ends INT 20 "With CPython" --unit 0.051 --requests 50
}

@test "the Python twin claims the same" {
    twin_claims_the_same 20 --requests 1 -- 'one thread at a time' \
        'who gives way' 'and waits' 'with a lock each' 'each request' \
        'and moves'
}

@test "the run shown in the README is current" {
    transcript_is_current 20
}
