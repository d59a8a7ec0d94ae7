# Lesson 03 as a user runs it.
load helper

expected_claims() { # expected_claims PROCESSES CAPACITY
    echo "\
ok $1 processes appended, and no list is longer than 1
ok main's own list is still empty
ok the queue gave each number back once
ok its size was never above $2"
    (($1 > $2)) || echo "ok the sizes were 1 to $1, in some order"
    echo "\
ok a get from an empty queue times out
ok and not before its limit of 1 u
ok a put into a full queue times out, and puts nothing
ok all letters came, in their order
ok when the last writer is gone, read returns 0"
}

holds() { # holds PROCESSES CAPACITY OPTION...
    run -0 --separate-stderr lesson 03 "${@:3}"
    assert_equal "$(claims <<<"$output")" "$(expected_claims "$1" "$2")"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds, with much room and with little" {
    holds 10 20
    holds 10 1 --capacity 1
    holds 99 99 --processes 99 --capacity 99
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 03
    run -0 on_one_cpu lesson 03 --capacity 3
}

@test "each process sees a list of one, and each size comes once" {
    run -0 lesson 03 --processes 5
    assert_equal "$(grep -oE 'process [0-4]: \[[0-4]\], a list of 1$' \
        <<<"$output" | sort -u | wc -l)" 5
    assert_equal "$(grep -oE 'size [1-5]$' <<<"$output" | sort)" \
        "$(printf 'size %d\n' {1..5})"
}

@test "bad input is a usage error" {
    assert_usage_error 03 "--capacity 0: a whole number \
from 1 to 2000000000 is expected" --capacity 0
    assert_usage_error 03 \
        "--processes 100: a whole number from 2 to 99 is expected" \
        --processes 100
}

@test "a queue larger than the memory is refused" {
    case $VARIANT in
    asan | tsan) skip "the sanitizer itself needs all the addresses" ;;
    esac
    require prlimit util-linux
    run -3 --separate-stderr guarded prlimit --as=1000000000 \
        "$BIN/lesson-03" --capacity 2000000000
    assert_output ""
    assert_refused "lesson-03: queue_create: ENOMEM"
}

@test "Ctrl-C and SIGKILL end it" {
    assert_signal_ends KILL 03 "list is still empty" --unit 5
    assert_signal_ends INT 03 "list is still empty" --unit 5
}

# For the rest its thirty lines have no room; and multiprocessing.Queue
# holds what was put into it in the sender, so its size is not bounded.
@test "the Python twin claims the same" {
    twin_claims_the_same 03 -- 'never above' 'a put into a full' \
        'all letters came' 'when the last writer'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 03
}
