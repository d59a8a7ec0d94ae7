# Lesson 11 as a user runs it.
load helper

# The claims of a run with N threads, and those of --wild.
expected_claims() {
    cat <<END
ok x was 1, and x - 1 is 9999: it was changed in between
ok all $1 threads are between load and store at once
ok all $1 loaded 1
ok x ends at 0: of $1 changes one is left
ok one thread at a time is between load and store
ok each loaded what the one before it stored
ok x ends at $((1 - $1)): no change is lost
ok the price: $1 times 1 u took at least $1 u
END
}

expected_wild() {
    cat <<END
ok unlocked x came to no more than $1, no less than 2
ok locked x always came to $1
END
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 11
    assert_equal "$(claims <<<"$output")" "$(expected_claims 10)"
    assert_equal "$stderr" ""
}

@test "every claim holds with few and with many threads, and by luck" {
    local count

    for count in 2 20; do
        run -0 lesson 11 --threads $count --wild 5
        assert_equal "$(claims <<<"$output")" \
            "$(expected_claims $count && expected_wild ${count}000)"
        assert_fits
    done
}

@test "every claim holds on one CPU" {
    local cpus

    require taskset util-linux
    cpus=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    run -0 guarded taskset -c "$cpus" "$BIN/lesson-11" --wild 5
    assert_equal "$(claims <<<"$output")" \
        "$(expected_claims 10 && expected_wild 10000)"
}

@test "the lines tell what happened" {
    run -0 lesson 11 --threads 5 --wild 7 --unit 0.03
    assert_equal "$(grep -c 'loads  1$' <<<"$output")" 6
    assert_equal "$(grep -c 'stores  0$' <<<"$output")" 6
    assert_line --regexp "thread [1-5]   loads -3$"
    assert_line "  x is -4"
    assert_line --regexp "^  unlocked +[0-7] of +7 runs lost something"
    assert_line --partial "0 of    7 runs lost something; x came to 5000 to 5000"
    assert_line --regexp "^  thread [1-5] +\|t=-3=*\|$"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value range="a whole number from 2 to 20 is expected"

    for value in 1 21 ten; do
        assert_usage_error 11 "--threads $value: $range" --threads $value
    done
    for value in -1 1001 2.5; do
        assert_usage_error 11 \
            "--wild $value: a whole number from 0 to 1000 is expected" \
            --wild $value
    done
}

# The limit counts all processes and threads of a user.
@test "threads that are refused are told" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 2 5; do # the first thread; one that others wait for
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-11"
        assert_refused EAGAIN "ulimit -u" "lesson-11: pthread_create: "
    done
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C ends it with 130, whoever has the mutex" {
    assert_signal_ends INT 11 "With the mutex" --unit 0.3 --threads 2
}

# ------------------------------------------------ Python and text --

# What its thirty lines have no room for.
@test "the Python twin claims the same" {
    require python3
    run -0 twin 11
    claims <<<"$output" | sort >"$BATS_TEST_TMPDIR/python"
    run -1 diff <(expected_claims 10 | sort) "$BATS_TEST_TMPDIR/python"
    refute_line --regexp '^>'
    assert_equal "$(grep '^<' <<<"$output")" "\
< ok all 10 threads are between load and store at once
< ok one thread at a time is between load and store
< ok x was 1, and x - 1 is 9999: it was changed in between"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.02 transcript_is_current 11
}
