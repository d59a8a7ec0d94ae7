# Lesson 08 as a user runs it.
load helper

# The claims of a run with TASKS, the one that FAILED, and KIND.
expected_claims() {
    echo "ok when join returned, all $1 results were printed, once each"
    case $3 in
    processes) echo "ok the parent printed all of them, a worker none" ;;
    threads) echo "ok the worker that made a result printed it" ;;
    esac
    cat <<END
ok only filename$2 failed, and the message says "can not be read"
ok the other $(($1 - 1)) tasks were done
ok only filename1 failed, and the message says "was killed by signal 9"
ok the other $(($1 - 1)) tasks were done
ok a new worker took the place of the dead one
ok all $1 results were there while the first callback ran
END
    case $3 in
    processes) echo "ok the other $(($1 - 1)) callbacks waited for it" ;;
    threads) echo "ok the other $(($1 - 1)) callbacks did not wait for it" ;;
    esac
    echo "ok after join none is missing"
}

# part TITLE: its lines.
part() {
    awk -v title="$1" '
        /^[^ ]/ { inside = $0 == title; next }
        inside' <<<"$output"
}

# pids WORD: those after it in the first part, each once.
pids() {
    part "A callback prints each result" |
        sed -n "s/.*$1 by [pt]id \([0-9]*\).*/\1/p" | sort -u
}

# --------------------------------------------------------- claims --

@test "every claim holds, with processes" {
    run -0 --separate-stderr lesson 08
    assert_equal "$(claims <<<"$output")" \
        "$(expected_claims 10 5 processes)"
    assert_equal "$stderr" ""
}

@test "every claim holds, with threads" {
    run -0 --separate-stderr lesson 08 --threads
    assert_equal "$(claims <<<"$output")" \
        "$(expected_claims 10 5 threads)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many workers and tasks" {
    local kind

    for kind in processes threads; do
        set -- --unit 0.002
        [ $kind = processes ] || set -- "$@" --threads
        run -0 lesson 08 "$@" --workers 2 --tasks 2
        assert_equal "$(claims <<<"$output")" \
            "$(expected_claims 2 1 $kind)"
        run -0 lesson 08 "$@" --workers 64 --tasks 100
        assert_equal "$(claims <<<"$output")" \
            "$(expected_claims 100 50 $kind)"
        assert_fits
    done
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 08 --tasks 5
    run -0 on_one_cpu lesson 08 --tasks 5 --threads
}

# ---------------------------------------------------------- lines --

@test "the lines tell what happened, with processes" {
    run -0 lesson 08 --tasks 3
    assert_equal "$(pids printed | wc -l)" 1
    refute grep -qxF "$(pids printed)" <<<"$(pids made)"
    assert_line --partial "u  error: filename2 can not be read"
    assert_line --regexp \
        "main kills worker [1-3] \(pid [0-9]+\), which is in filename1$"
    assert_line --regexp "error: worker .* was killed by signal 9 \(Kill"
    assert_line --partial "Python's Pool would wait for filename1 for ever"
    assert_line --regexp "^  callbacks +[|=#]"
}

@test "the lines tell what happened, with threads" {
    run -0 lesson 08 --tasks 3 --threads
    assert_equal "$(pids printed)" "$(pids made)"
    assert_line --partial "u  error: filename2 can not be read"
    refute_line --partial "  callbacks"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    assert_usage_error 08 \
        "--workers 1: a whole number from 2 to 64 is expected" --workers 1
    assert_usage_error 08 \
        "--tasks 101: a whole number from 2 to 100 is expected" --tasks 101
    assert_usage_error 08 "--threads=2: this option takes no value" \
        --threads=2
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends it with 130 and all its processes" {
    local kind

    for kind in "" --threads; do
        assert_signal_ends INT 08 "main has handed over" $kind --unit 5
    done
}

# ------------------------------------------------ Python and text --

# What Python does not keep, or its thirty lines have no room for.
@test "the Python twin claims the same" {
    LESSON_UNIT=0.02 twin_claims_the_same 08 -- "a new worker took" \
        "after join none" "all 10 results were there" \
        "only filename1 failed" "the other 9 callbacks"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 08
}
