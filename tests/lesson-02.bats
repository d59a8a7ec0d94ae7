# Lesson 02 as a user runs it.
load helper

expected_claims="\
ok a join that times out returns
ok but not before its time limit
ok the child lives on
ok a join without a limit waits for the end
ok before the join it is a zombie
ok a zombie's pid is still taken
ok the join has removed it
ok and brought its exit code, 7
ok the program came to its end
ok its worker was waited for
ok its daemon was killed: minus SIGTERM, -15
ok the program came to its end
ok a daemon may have no children
ok and none was started"

@test "every claim holds" {
    run -0 --separate-stderr lesson 02
    assert_equal "$(claims <<<"$output")" "$expected_claims"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 02
    assert_equal "$(claims <<<"$output")" "$expected_claims"
}

@test "the lines tell what happened" {
    run -0 lesson 02 --unit 0.05
    assert_line --partial "main   join with a limit of 1 u: ETIMEDOUT"
    assert_line --regexp "^  pid [0-9]+, dead and not joined: state Z$"
    assert_line --partial "worker  is joined: exit code 0"
    assert_line --partial "daemon  is joined: exit code -15"
    assert_line --regexp "^  daemon +\|serves=*x$"
}

# There is a program with two children of its own.
@test "Ctrl-C and SIGKILL take children and grandchildren along" {
    assert_signal_ends KILL 02 "program has nothing" --unit 1
    assert_signal_ends INT 02 "program has nothing" --unit 1
}

# For the rest its thirty lines have no room.
@test "the Python twin claims the same" {
    twin_claims_the_same 02 -- 'but not before' "zombie's pid" \
        'the program came' 'its worker' 'its daemon' 'and none was'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 02
}
