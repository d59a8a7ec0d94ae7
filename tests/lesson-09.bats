# Lesson 09 as a user runs it.
load helper

expected_claims="\
ok main went on before either was done
ok each way ran its function in a thread of its own
ok a process costs more to start than a thread, by a fifth at least
ok main sees what a thread has set
ok the process sees its own 20
ok main still sees 100 after the process
ok all threads have main's pid
ok each thread has an id of its own
ok each process has another pid, and main as its parent
ok a new process has one thread, and that has the pid as its id"

# ratio OUTPUT: of all starts.
ratio() {
    sed -n 's/.*In CPU time,.*: \([0-9]*\)\..* times\./\1/p' <<<"$1"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 09
    assert_equal "$(claims <<<"$output")" "$expected_claims"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 09
    assert_equal "$(claims <<<"$output")" "$expected_claims"
}

@test "the lines tell what happened" {
    [ "$VARIANT" != tsan ] || skip "ThreadSanitizer makes threads dear"
    run -0 lesson 09 --rounds 207
    assert_line --regexp "egon is running \(tid [0-9]+\)$"
    assert_line --partial "alex is done"
    assert_line --regexp "^  1 to 41 .* us .* us +[0-9]+\.[0-9]$"
    assert_line --regexp "^  166 to 207 .* us .* us +[0-9]+\.[0-9]$"
    assert_line "  x = 100; a thread sets 20:  main sees 20"
    assert_line "  x = 100; a process sets 20: main sees 100"
    assert_line --regexp "^  egon +\|running=+\|$"
}

@test "a process with more memory in use costs more to start" {
    local small

    case $VARIANT in
    asan | tsan) skip "the sanitizer itself uses much memory" ;;
    esac
    run -0 lesson 09
    small=$(ratio "$output")
    run -0 lesson 09 --megabytes 100 --rounds 200
    assert [ "$(ratio "$output")" -gt "$small" ]
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local range="a whole number from 200 to 5000 is expected"

    assert_usage_error 09 "--rounds 199: $range" --rounds 199
    assert_usage_error 09 "--rounds '': $range" --rounds
    assert_usage_error 09 \
        "--megabytes 201: a whole number from 0 to 200 is expected" \
        --megabytes 201
}

# The limit counts all processes and threads of a user.
@test "threads and processes that are refused are told" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 2 3; do # the watchdog, egon
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-09"
        assert_refused EAGAIN "ulimit -u" "lesson-09: pthread_create: "
    done
}

@test "memory that is refused is told" {
    case $VARIANT in
    asan | tsan) skip "the sanitizer itself needs all the addresses" ;;
    esac
    require prlimit util-linux
    run -3 --separate-stderr guarded prlimit --as=150000000:150000000 \
        "$BIN/lesson-09" --megabytes 200
    assert_refused "lesson-09: mmap: ENOMEM"
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 09 "main goes on" --unit 5
}

@test "SIGKILL while processes are started leaves none" {
    assert_signal_ends KILL 09 "1 to 200" --rounds 1000
}

# ------------------------------------------------ Python and text --

# What Python does not keep, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    twin_claims_the_same 09 -- "a new process has one thread" \
        "each thread has an id" "main went on" "its own 20"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 09
}
