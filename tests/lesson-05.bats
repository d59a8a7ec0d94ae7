# Lesson 05 as a user runs it.
load helper

expected_claims() { # expected_claims CLIENTS
    echo "\
ok all $1 clients were connected at the same time
ok each client saw its own key among the keys
ok the dictionary has $1 keys, each with its value
ok the kernel told the server the pid of each client
ok of two values the last one counts
ok add changes the number and returns the sum
ok a missing key is an error
ok what was deleted does not count any more
ok what is no request is an error, too
ok garbage gets an error
ok who sends a line without end is cut off
ok who asks and asks and takes no reply is cut off
ok who sent garbage may go on with a request
ok the others are served, and nothing has changed
ok half a request counts when its other half has come
ok 4 times get, then set: it was counted once
ok 4 times add: it was counted 4 times
ok the client did not hang, and no signal killed it
ok each of 8 later calls failed: broken connection"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 05
    assert_equal "$(claims <<<"$output")" "$(expected_claims 10)"
    assert_equal "$stderr" ""
    assert_fits
}

@test "every claim holds for one client, and for 200 at once" {
    run -0 lesson 05 --clients 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 1)"
    run -0 lesson 05 --clients 200
    assert_equal "$(claims <<<"$output")" "$(expected_claims 200)"
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 05
}

@test "the lines tell what happened" {
    run -0 lesson 05 --clients 3
    run -0 grep -cE '^  client [0-2] \(pid [0-9]+\)  k.*  v' <<<"$output"
    assert_output 3
    run -0 lesson 05
    assert_line --regexp "get colour +missing key"
    assert_line --regexp "client: get k0 +broken connection$"
    assert_line --regexp "^  server +\|serves=*x$"
}

@test "another user is refused" {
    require_root "to play another user"
    run -0 lesson 05 --stranger 65534
    assert_line "    ok      another user gets no answer"
    assert_line "    ok      the server has refused one client"
}

@test "bad input is a usage error" {
    assert_usage_error 05 \
        "--clients 0: a whole number from 1 to 200 is expected" --clients 0
    assert_usage_error 05 \
        "--clients 201: a whole number from 1 to 200 is expected" \
        --clients 201
}

@test "who is not root can not play another user" {
    require prlimit util-linux
    # shellcheck disable=SC2034 # for as_ordinary_user
    LIMITS=(--core=0)
    run -3 --separate-stderr as_ordinary_user "$BIN/lesson-05" --stranger 1
    assert_output ""
    assert_refused "lesson-05: --stranger" EPERM
}

@test "Ctrl-C and SIGKILL take the server and its clients along" {
    assert_signal_ends KILL 05 "main stops the server" --unit 5
    assert_signal_ends INT 05 "main stops the server" --unit 1
}

@test "the Python twin claims the same" {
    twin_claims_the_same 05 -- 'connected at the same time' \
        'the pid of each' 'of two values' 'add changes' \
        'was deleted' 'is no request' 'garbage gets' 'without end' \
        'asks and asks' 'may go on' 'the others are served' \
        'its other half' '4 times add' 'did not hang' 'later calls failed'
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.05 transcript_is_current 05
}
