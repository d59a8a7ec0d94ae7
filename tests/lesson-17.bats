# Lesson 17 as a user runs it.
load helper

expected_claims() { # expected_claims TASKS SENTENCE ENDED SHARE WORKERS STARTS
    echo "\
ok main goes on before any task is done
ok shutdown waits for all $1
ok $2
ok after shutdown main goes on as the last
ok submit after shutdown is refused
ok results come in the order of the arguments
ok map with a time limit of 1 u gives up, and not before
ok what had not begun never runs
ok cancelled: all but the $3 that had begun
ok each task found a worker that had prepared once
ok no worker did more than $4
ok so there were at least $5 of them
ok an initializer that fails breaks the pool: no task runs
ok no more than $6 workers were started for it
ok a process for each task costs more than twice the CPU time"
}

holds() { # holds TASKS SENTENCE ENDED SHARE WORKERS STARTS OPTION...
    run -0 --separate-stderr lesson 17 --starts 500 "${@:7}"
    assert_equal "$(claims <<<"$output")" "$(expected_claims "${@:1:6}")"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds, with processes and with threads" {
    holds 10 "exactly 4 processes did all tasks" 4 3 4 8
    holds 10 "one pid, and 4 threads, did all tasks" 4 3 4 8 --threads
}

@test "every claim holds with few and with many tasks and workers" {
    holds 100 "exactly 64 processes did all tasks" 64 3 34 128 --tasks 100 --workers 64
    holds 2 "exactly 1 processes did all tasks" 1 1 2 2 --share 1 --tasks 2 --workers 1
    holds 5 "exactly 4 processes did all tasks" 4 2 3 8 --share 2 --tasks 5 --chunk 5
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 17 --starts 500
    run -0 on_one_cpu lesson 17 --starts 500 --threads
}

@test "main goes on first, and then last" {
    run -0 lesson 17 --tasks 3 --starts 500
    assert_equal "$(sed -nE 's/^ +[0-9.]+ u  (main|task).*/\1/p' \
        <<<"$output" | uniq | head -4 | paste -sd ' ')" "main task main task"
}

@test "bad input is a usage error" {
    assert_usage_error 17 \
        "--workers 0: a whole number from 1 to 64 is expected" --workers 0
    assert_usage_error 17 \
        "--starts 499: a whole number from 500 to 100000 is expected" \
        --starts 499
}

@test "Ctrl-C and SIGKILL take its workers along" {
    assert_signal_ends KILL 17 "main goes on" --unit 5
    assert_signal_ends INT 17 "main goes on" --unit 5
}

# CPython starts a worker when there is a task for it.
@test "the Python twin claims the same" {
    LESSON_UNIT=0.02 twin_claims_the_same 17 --starts 500 -- 'exactly 4' \
        'after shutdown main' 'no worker did more' 'so there were at' \
        'cancelled: all' 'no more than' 'what had not'
    LESSON_UNIT=0.02 twin_claims_the_same 17 --starts 500 --threads -- \
        'one pid' 'after shutdown main' 'no worker did more' 'so there were at' \
        'cancelled: all' 'no more than' 'what had not'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 17
}
