# Lesson 14 as a user runs it.
load helper

# The claims of a run with N members.
expected_claims() {
    local kind others=others

    [ "$1" -gt 2 ] || others=other
    for kind in threads processes; do
        cat <<END
ok nobody passes while the gate is closed
ok opened once, it lets all $1 pass
ok who comes later need not wait
ok closed again, it lets nobody pass in 1 u
ok with if it takes an item that is not there
ok it looked before it slept, not after
ok with while nobody takes what is not there
ok called in vain, it slept again and got the next item
ok nobody begins a phase before all have done the last
ok all $1 go through all 3 phases
END
    done
    cat <<END
ok one process died of SIGKILL
ok the gate lets the $others pass
ok one process died of SIGKILL
ok its call died with it, and the other sleeps on
ok once all have to look, the other takes it
ok one process died of SIGKILL
ok pthread_barrier_wait waits for the dead
ok one process died of SIGKILL
ok barrier_leave lets the $others go on
END
}

# part TITLE: its lines, without the times.
part() {
    sed '/^Time line/,$d' <<<"$output" | awk -v title="$1" '
        /^[^ ]/ { inside = $0 == title; next }
        inside' | sed 's/^ *[0-9.]* u *//'
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 14
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many members" {
    local count

    for count in 2 9; do
        run -0 lesson 14 --members $count --unit 0.005
        assert_equal "$(claims <<<"$output")" "$(expected_claims $count)"
        assert_fits
    done
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 14
}

# ---------------------------------------------------------- lines --

@test "the wake-up is stolen every time, from threads and processes" {
    local round kind one

    for round in 1 2 3; do
        run -0 lesson 14 --unit 0.002
        for kind in Threads Processes; do
            one=thread
            [ $kind = Threads ] || one=process
            assert_equal "$(part "$kind: a condition with if" |
                grep -v ok)" "\
$one 1 finds no item
main puts an item: 1 there
$one 2 takes an item: 0 left
main calls $one 1
$one 1 takes an item: -1 left
main puts an item: 0 there
main calls nobody: none sleeps"
            assert_equal "$(part "$kind: a condition with while" |
                grep -v ok)" "\
$one 1 finds no item
main puts an item: 1 there
$one 2 takes an item: 0 left
main calls $one 1
$one 1 finds no item
main puts an item: 1 there
main calls $one 1
$one 1 takes an item: 0 left"
        done
    done
}

@test "the gate is passed after it was opened" {
    local kind

    run -0 lesson 14 --members 5
    for kind in Threads Processes; do
        assert_equal "$(part "$kind: a gate" |
            sed -nE 's/.*(is at|opens|has passed).*/\1/p' | uniq -c |
            tr -s ' ')" $' 5 is at\n 1 opens\n 5 has passed'
    done
}

@test "phases do not overlap" {
    local kind

    run -0 lesson 14 --members 4
    for kind in Threads Processes; do
        assert_equal "$(part "$kind: a barrier" |
            sed -n 's/.*done phase //p' | uniq -c | tr -s ' ')" \
            $' 4 1\n 4 2\n 4 3'
    done
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value range="a whole number from 2 to 9 is expected"

    for value in 1 0 -3 10 x; do
        assert_usage_error 14 "--members $value: $range" --members $value
    done
    assert_usage_error 14 "--members '': $range" --members ""
}

# The limit counts all processes and threads of a user.
@test "a thread or a process that is refused is told" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 1 3; do # the watchdog, thread 2
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-14"
        assert_refused "pthread_create: EAGAIN" "ulimit -u"
    done
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C and SIGKILL end it, its threads and its processes" {
    assert_signal_ends INT 14 "thread 3 is at the gate" --unit 0.1
    assert_signal_ends INT 14 "process 3 is at the gate" --unit 0.1
    assert_signal_ends KILL 14 "process 3 is at the gate" --unit 0.1
}

# ------------------------------------------------ Python and text --

# What Python does not keep, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    twin_claims_the_same 14 -- 'go through all 3' 'barrier_leave' \
        'called in vain' 'closed again' 'looked before' \
        'its call died' 'once all have' 'died of SIGKILL' \
        'pthread_barrier_wait' 'the gate lets' 'who comes later'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 14
}
