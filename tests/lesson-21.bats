# Lesson 21 as a user runs it.
load helper

# As the lesson in $output counted them.
cpus() {
    sed -nE 's/^  CPUs that this program may use: ([0-9]+) .*/\1/p' \
        <<<"$output"
}

expected_claims() { # expected_claims TASKS LENGTH
    local waits=$((20 * $1))

    [ "$(cpus)" = 1 ] || echo "\
ok CPU, threads: they get what bare loops get
ok CPU, processes: so do they"
    echo "\
ok CPU, threads, one lock: they get no more than one CPU
ok I/O, serial: they take at least $(($1 * $2)) u
ok I/O, threads: less than half of that
ok I/O, threads, one lock: less than half of that
ok I/O, processes: less than half of that
ok who waits gives the CPU up, $((waits / 2)) times or more
ok who computes does not: fewer than $((waits / 4)) times
ok to wait takes less than a tenth of the CPU time"
}

holds() { # holds TASKS LENGTH
    run -0 --separate-stderr lesson 21 --tasks "$1" --length "$2"
    assert_equal "$(claims <<<"$output")" "$(expected_claims "$1" "$2")"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds" {
    holds 4 2
    holds 2 1
}

@test "every claim holds with many tasks" {
    LESSON_UNIT=0.002 holds 16 5
}

@test "with one CPU it claims no speed-up" {
    run -0 on_one_cpu lesson 21
    assert_equal "$(cpus)" 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 4 2)"
    assert_line "  One CPU: no speed-up is possible, and none is claimed."
}

@test "one table and one chart, in the terminal and as a picture" {
    local svg=$BATS_TEST_TMPDIR/bars.svg ways=("processes" "serial"
        "threads" "threads, one lock")

    run -0 lesson 21 --length 1 --svg "$svg"
    assert_equal "$(sed -nE 's/^  (CPU|I\/O)  (.*[a-z])( +[0-9.]+ u){2}( +[0-9]+){2}$/\1 \2/p' \
        <<<"$output" | sort -u)" "$(printf 'CPU %s\n' "${ways[@]}"
        printf 'I/O %s\n' "${ways[@]}")"
    assert_equal "$(sed -nE 's/^  (CPU|I\/O) (.*[a-z]) +[|=#].*/\1 \2/p' \
        <<<"$output")" "$(printf 'CPU %s\n' "${ways[@]}"
        printf 'I/O %s\n' "${ways[@]}")"
    require python3
    assert_svg "$svg"
    assert_equal "$(grep -c '<rect .*rx=.* fill="#' "$svg")" 8
}

@test "a process that is killed is told" {
    start_lesson 21 --unit 0.02 --length 2
    wait_for_line "load way"
    within 5 pkill -KILL -P "$lesson_pid"
    finish_lesson
    assert_equal "$status" 1
    assert_equal "$(claims <<<"$output" | grep -F 'come to their end')" \
        "FAILED all processes come to their end; seen: one of them was killed"
}

@test "bad input is a usage error" {
    assert_usage_error 21 \
        "--tasks 1: a whole number from 2 to 16 is expected" --tasks 1
    assert_usage_error 21 \
        "--length 21: a whole number from 1 to 20 is expected" --length 21
}

@test "Ctrl-C and SIGKILL take its processes along" {
    assert_signal_ends INT 21 "load way" --unit 1
    assert_signal_ends KILL 21 "load way" --unit 1
}

@test "the Python twin claims the same" {
    (($(nproc) > 1)) || skip "needs two CPUs"
    twin_claims_the_same 21 -- 'CPU, threads: ' 'CPU, processes: ' \
        'I/O, threads: ' 'to wait takes'
}

@test "the run shown in the README is current" {
    run -0 lesson 21 --length 1
    grep -qE '[2-9] by affinity, no quota' <<<"$output" ||
        skip "needs two CPUs and no quota"
    transcript_is_current 21
}
