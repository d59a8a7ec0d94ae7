# Lesson 10 as a user runs it.
load helper

# LeakSanitizer can not stop a main thread that has ended, and says so.
export ASAN_OPTIONS=detect_leaks=0

# The claims of a run with N threads.
expected_claims() {
    cat <<END
ok one thread at a time is asleep
ok one after another they took at least $(($1 * ($1 + 1) / 2)) u
ok all $1 threads are asleep at once
ok together they took at least $1 u
ok and less than the sum of all
ok when main returned, no thread came to its end
ok all $1 threads went on after main had ended
ok the process ended with its last thread
ok a thread is alive from its start to its end
ok 3 threads were alive, and 1 after two joins
ok enumerate names them, main among them
ok the kernel knows them by their names
ok the process waited for the thread
ok but not for the daemon
END
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 10
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many threads" {
    local count

    for count in 2 6; do
        run -0 lesson 10 --threads $count
        assert_equal "$(claims <<<"$output")" "$(expected_claims $count)"
        assert_fits
    done
}

@test "every claim holds on one CPU" {
    local cpus

    require taskset util-linux
    cpus=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    run -0 guarded taskset -c "$cpus" "$BIN/lesson-10"
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3)"
}

@test "the lines tell what happened" {
    run -0 lesson 10 --unit 0.05
    assert_line --partial "u  main has joined thread 3, which slept 3 u"
    assert_line --partial "u  main calls pthread_exit"
    assert_line --partial "u  thread 2 sees that main is in state Z"
    assert_line --partial "u  3 are alive: Zhang San, thread 1, thread 2"
    assert_line --partial "alive: MainThread, daemon, thread"
    assert_line --regexp "^  thread 1 +\|runs=+x$"
    assert_line --regexp "^  daemon +\|serves=+x$"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value range="a whole number from 2 to 6 is expected"

    for value in 1 7 many; do
        assert_usage_error 10 "--threads $value: $range" --threads $value
    done
}

# The limit counts all processes and threads of a user.
@test "threads and processes that are refused are told" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 2 5 6; do # the first; the last; the last in the child
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-10" \
            --threads 4
        assert_refused EAGAIN "ulimit -u" "lesson-10: pthread_create: "
    done
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 10 "Start and join" --unit 5
}

# Its main thread has ended, which is the one that has a parent.
@test "SIGKILL of the lesson takes the process without main along" {
    assert_signal_ends KILL 10 "is in state Z" --unit 0.06
}

# On a busy machine it may be over before it is killed.
@test "SIGKILL of the process without main turns claims red" {
    local unit

    for unit in 0.06 0.3; do
        start_lesson 10 --unit $unit
        wait_for_line "is in state Z"
        kill -KILL "$(cut -d " " -f 1 \
            "/proc/$lesson_pid/task/$lesson_pid/children")" || true
        finish_lesson
        ((status == 0)) || break
    done
    assert_equal "$status" 1
    assert_regex "$output" "the process has ended, exit code -9"
    assert_regex "$output" "FAILED  "
}

# ------------------------------------------------ Python and text --

# What Python does not keep, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    require python3
    LESSON_UNIT=0.02 run -0 twin 10
    claims <<<"$output" | sort -u >"$BATS_TEST_TMPDIR/python"
    run -1 diff <(expected_claims 3 | sort) "$BATS_TEST_TMPDIR/python"
    refute_line --regexp '^>'
    assert_equal "$(grep '^<' <<<"$output")" "\
< ok all 3 threads are asleep at once
< ok all 3 threads went on after main had ended
< ok and less than the sum of all
< ok enumerate names them, main among them
< ok one after another they took at least 6 u
< ok one thread at a time is asleep
< ok the kernel knows them by their names
< ok the process ended with its last thread
< ok when main returned, no thread came to its end"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.02 transcript_is_current 10
}
