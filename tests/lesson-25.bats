# Lesson 25 as a user runs it, and with servers of others.
# shellcheck disable=SC2154 # `run` and the helper set variables
load helper

sleeping_claims() {
    cat <<END
ok eat left "full", and play left "tired"
ok both slept at the same time
ok together they took at least 2 u
ok but less than one after the other
ok eat left "full", and play left "tired"
ok play could not begin before eat was done
ok together they took at least 3 u
END
}

expected_claims() {
    sleeping_claims
    cat <<END
ok all pages came, and each as late as its server sent it
ok all of them were waited for at once
ok that took less than one after the other
END
}

# web_server PYTHON: one that does this with each client; its port is
# $port.  It ends with the test.
web_server() {
    rm -f "$BATS_TEST_TMPDIR/port"
    LESSON_TEST_ID=$BATS_TEST_TMPDIR/server timeout 20 python3 - "$BATS_TEST_TMPDIR/port" "$1" <<'END' 3>&- &
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + "~", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename(sys.argv[1] + "~", sys.argv[1])
while True:
    client, _ = listener.accept()
    request = client.recv(10000)
    exec(sys.argv[2])
    client.close()
END
    servers+=($!)
    within 10 test -s "$BATS_TEST_TMPDIR/port"
    port=$(cat "$BATS_TEST_TMPDIR/port")
}

teardown() {
    [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
    common_teardown
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 25
    assert_equal "$(claims <<<"$output")" "$(expected_claims)"
    assert_equal "$stderr" ""
    assert_fits
    assert_line --regexp "^  play  +\|"
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 25
    assert_equal "$(claims <<<"$output")" "$(expected_claims)"
}

@test "bad input is a usage error" {
    local url=http://127.0.0.1:9/

    assert_usage_error 25 \
        "--url https://[::1]/: a text that begins with http:// is expected" \
        --url 'https://[::1]/'
    assert_usage_error 25 "--url $url: at most 8 of them are expected" \
        --url={$url,$url,$url,$url,$url,$url,$url,$url,$url}
    assert_usage_error 25 \
        "--patience 0: a whole number from 1 to 100000 is expected" --patience 0
    run -3 --separate-stderr lesson 25 --url http://127.0.0.1:nowhere/
    assert_refused "lesson-25: http://127.0.0.1:nowhere/: "
}

@test "it fetches pages of other servers, all at once" {
    local size='b"x" * 3000000'

    require python3
    web_server "client.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n' + request)"
    run -0 --separate-stderr lesson 25 --url "http://127.0.0.1:$port" \
        --url "http://localhost:$port/a?b#c"
    assert_equal "$(claims <<<"$output")" \
        "$(sleeping_claims && echo "ok each server answered")"
    assert_line --regexp "page 1: [0-9]+ bytes, no error$"
    assert_equal "$stderr" ""
    # The end of what is endless, and the beginning of what never comes.
    web_server "[client.sendall($size) for _ in range(9)]"
    run -1 lesson 25 --url "http://127.0.0.1:$port"
    assert_line --partial "FAILED  each server answered"
}

@test "a server that says nothing, and none at all, is an error" {
    local silent

    require python3
    web_server "time.sleep(20)"
    silent=$port
    web_server "client.close()"
    kill "${servers[1]}"
    run -1 --separate-stderr lesson 25 --patience 20 \
        --url "http://127.0.0.1:$silent" --url "http://127.0.0.1:$port"
    assert_line --regexp "page 1: 0 bytes, ETIMEDOUT$"
    assert_line --regexp "page 2: 0 bytes, ECONNREFUSED$"
    assert_line "    FAILED  each server answered; seen: 0 of 2"
}

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 25 "play begins" --unit 5
}

@test "the Python twin claims the same with asyncio" {
    without_gevent twin_claims_the_same 25
}

@test "the Python twin claims the same with gevent" {
    with_gevent twin_claims_the_same 25
}

@test "the run shown in the README is current" {
    transcript_is_current 25
}
