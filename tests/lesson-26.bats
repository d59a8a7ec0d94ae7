# Lesson 26 as a user runs it, and with the clients that a network has.
# shellcheck disable=SC2154 # `run` and the helper set variables
load helper

# The claims of a run with so many clients at last.
expected_claims() {
    cat <<END
ok 5 clients got the right answers
ok 5 were served at a time, by one thread
ok $1 clients got the right answers
ok $1 were served at a time, by one thread
ok a client costs less than a thread
ok a good client got all 100 answers
ok a line of a megabyte was refused in so many words
ok only the silent one is still served
ok accept found no descriptor, and went on
ok who came too many waited, and was served
END
}

# Its open descriptors tell how many clients it has.
descriptors() {
    find "/proc/$lesson_pid/fd" -mindepth 1 | wc -l
}

has_descriptors() {
    (($(descriptors) <= $1))
}

@test "every claim holds, with five thousand clients" {
    local most=5000

    [ "$VARIANT" != tsan ] ||
        skip "ThreadSanitizer takes a megabyte for each"
    (($(ulimit -Hn) >= 5050)) || most=$(($(ulimit -Hn) - 50))
    run -0 --separate-stderr lesson 26
    assert_equal "$(claims <<<"$output")" "$(expected_claims $most)"
    assert_equal "$stderr" ""
    assert_fits
    assert_line --regexp "^  a client +[0-9.]+ +0.0 +[0-9.]+$"
}

@test "every claim holds with few clients, and on one CPU" {
    run -0 on_one_cpu lesson 26 --clients 300
    assert_equal "$(claims <<<"$output")" "$(expected_claims 300)"
}

@test "where fewer clients are possible it says so" {
    LIMITS=(--nofile=200:300)
    run -0 as_ordinary_user "$BIN/lesson-26"
    assert_line "  Only 250: a process may have 300 descriptors (ulimit -Hn)."
    assert_equal "$(claims <<<"$output")" "$(expected_claims 250)"
    LIMITS=(--nofile=30:30)
    run -3 --separate-stderr as_ordinary_user "$BIN/lesson-26"
    assert_refused "descriptors for 5 clients: EMFILE"
}

@test "bad input is a usage error, and a port in use is refused" {
    assert_usage_error 26 \
        "--clients 20001: a whole number from 1 to 20000 is expected" \
        --clients 20001
    assert_usage_error 26 \
        "--port 65536: a whole number from 0 to 65535 is expected" --port 65536
    start_server 26
    run -3 --separate-stderr lesson 26 --serve --port "$port"
    assert_refused "lesson-26: listen: EADDRINUSE.*choose another port"
    stop_server 143
}

# Each is there at the same time as a good client.
@test "bad clients of all kinds harm nobody" {
    local drip before silent

    require nc netcat-openbsd
    require python3
    start_server 26 --patience 100000
    before=$(descriptors)
    sleep 10 3>&- | timeout 10 nc 127.0.0.1 "$port" 3>&- &
    silent=$!
    (for drip in s l o w; do
        printf %s $drip
        sleep 0.2
    done && echo) 3>&- | talk >"$BATS_TEST_TMPDIR/slow" &
    drip=$!
    assert_served
    head -c 1048576 /dev/zero | tr '\0' x | talk >"$BATS_TEST_TMPDIR/long" ||
        true
    assert_equal "$(cat "$BATS_TEST_TMPDIR/long")" "line too long"
    head -c 100000 /dev/urandom | talk >/dev/null || true
    run -0 timeout 10 python3 - "$port" <<'END'
import os, socket, struct, sys
where = "127.0.0.1", int(sys.argv[1])
for end in range(200):  # half of them reset the connection
    with socket.create_connection(where) as client:
        client.sendall(os.urandom(end))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", end % 2, 0))
deaf = socket.create_connection(where)
deaf.settimeout(0.2)
try:
    while True:
        deaf.sendall(b"never read\n" * 1000)
except TimeoutError:
    pass
END
    assert_served
    wait $drip
    assert_equal "$(cat "$BATS_TEST_TMPDIR/slow")" "SLOW"
    within 5 has_descriptors $((before + 2)) # the silent one, and the loop's
    kill $silent 2>/dev/null || true
    stop_server 143
}

@test "a client that says nothing is sent away when patience is over" {
    require nc netcat-openbsd
    start_server 26 --patience 1
    run -0 timeout 5 nc -d 127.0.0.1 "$port"
    stop_server 143
}

@test "no descriptors left: clients wait, and are served when some leave" {
    require python3
    start_server 26
    # Not before: it takes as many as it may have.
    prlimit --pid "$lesson_pid" --nofile=24:24
    run -0 timeout 10 python3 - "$port" <<'END'
import socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(40)]
for number, client in enumerate(clients):
    client.sendall(b"hello %d\n" % number)
for number, client in enumerate(clients):  # who leaves makes room
    assert client.recv(100) == b"HELLO %d\n" % number
    client.close()
END
    stop_server 143
}

@test "it speaks HTTP: curl, wrk, and what is not HTTP" {
    local page

    require curl
    require nc netcat-openbsd
    start_server 26 --http
    page=http://127.0.0.1:$port
    run -0 curl -s -w '%{http_code} %{num_connects} ' "$page/" "$page/no"
    assert_output $'200 from a coroutine\n200 1 404 from a coroutine\n404 0 '
    run -0 curl -sI "$page/"
    assert_line --partial "Content-Length: 21"
    run -0 curl -s -o /dev/null -w '%{http_code}' -d x=1 "$page/"
    assert_output 405
    run -0 curl -s -o /dev/null -w '%{http_code}' -H "X: $(printf %09000d 0)" "$page/"
    assert_output 431
    assert_regex "$(echo "what?" | talk)" "^HTTP/1.1 400 "
    require wrk
    run -0 wrk -t 1 -c 64 -d 1 "$page/"
    refute_line --partial "Socket errors"
    refute_line --partial "Non-2xx"
    stop_server 143
}

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 26 "5 clients have had an answer" --unit 5
}

twin_claims_as_much() {
    twin_claims_the_same 26 --clients 300 -- "a client costs" \
        "a good client" "a megabyte" "only the silent" "accept found" \
        "who came too"
}

@test "the Python twin claims the same with asyncio" {
    without_gevent twin_claims_as_much
}

@test "the Python twin claims the same with gevent" {
    with_gevent twin_claims_as_much
}

@test "the run shown in the README is current" {
    transcript_is_current 26
}
