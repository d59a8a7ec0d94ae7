# Lesson 01 as a user runs it.
load helper

expected_claims() { # expected_claims COUNT
    local naps="\
ok $1 different pids
ok all $1 have this program as parent
ok they slept at the same time, not one after another"

    echo "$naps
ok waitpid brought $1 times exit status 0
$naps
ok what run returns, 4, is the exit code
ok return 0: the code is the exit status, 0
ok exit(3): the code is the exit status, 3
ok abort(): the code is minus the signal, -6
ok terminate: the code is minus the signal, -15
ok kill: the code is minus the signal, -9
ok not alive before the start
ok alive while it runs
ok just terminated, it may still be alive
ok not alive once it was joined"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 01
    assert_equal "$(claims <<<"$output")" "$(expected_claims 10)"
    assert_equal "$stderr" ""
    assert_fits
    run -0 lesson 01 --processes 64
    assert_equal "$(claims <<<"$output")" "$(expected_claims 64)"
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 01
    assert_equal "$(claims <<<"$output")" "$(expected_claims 10)"
}

@test "each child names its pid and its parent" {
    run -0 lesson 01 --processes 3
    run -0 grep -cE 'u  child [0-2]   pid [0-9]+, parent [0-9]+$' \
        <<<"$output"
    assert_output 6
}

@test "bad input is a usage error" {
    assert_usage_error 01 \
        "--processes 1: a whole number from 2 to 64 is expected" \
        --processes 1
}

@test "fork refused is told, and nothing is left" {
    local LIMITS

    require prlimit util-linux
    for limit in 1 2 5; do
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-01"
        assert_refused EAGAIN "ulimit -u"
    done
}

@test "Ctrl-C and SIGKILL take its children along" {
    assert_signal_ends KILL 01 "child 1 " --unit 5
    assert_signal_ends INT 01 "child 1 " --unit 5
}

# What Python does by itself, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    twin_claims_the_same 01 -- 'waitpid brought' 'what run returns' \
        'return 0' 'exit(3)' 'abort()' 'just terminated'
}

@test "the run shown in the README is current" {
    transcript_is_current 01
}
