# Lesson 22 as a user runs it, and with the clients that a network has.
# shellcheck disable=SC2154 # `run` and the helper set variables
load helper

# The claims of a run with so many clients.
expected_claims() {
    cat <<END
ok $1 clients got the right answers
ok one client was served at a time
ok no client had an answer before the one before it left
ok the second client waited at least 1 u
ok $1 clients got the right answers
ok $1 clients were served at a time
ok each had an answer before any of them left
ok a good client got all 100 answers
ok a line of a megabyte was refused in so many words
ok only the silent one is still served
ok accept found no descriptor, and went on
ok who came too many waited, and was served
END
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 22 --unit 0.03
    assert_equal "$(claims <<<"$output")" "$(expected_claims 5)"
    assert_equal "$stderr" ""
    # Between the two there may be a moment of the scheduler's.
    assert_line --regexp "^  client 2 +\|[.]+\| *\|?2+\|$"
}

@test "every claim holds with few and with many clients, and on one CPU" {
    run -0 lesson 22 --clients 2
    assert_equal "$(claims <<<"$output")" "$(expected_claims 2)"
    run -0 lesson 22 --clients 50 --unit 0.002
    assert_equal "$(claims <<<"$output")" "$(expected_claims 50)"
    assert_fits
    run -0 on_one_cpu lesson 22
    assert_equal "$(claims <<<"$output")" "$(expected_claims 5)"
}

@test "bad input is a usage error" {
    assert_usage_error 22 \
        "--clients 1: a whole number from 2 to 50 is expected" --clients 1
    assert_usage_error 22 \
        "--port 65536: a whole number from 0 to 65535 is expected" --port 65536
    assert_usage_error 22 \
        "--patience 0: a whole number from 1 to 100000 is expected" --patience 0
}

@test "it serves real clients on loopback, and a line has 1024 bytes" {
    local line

    require nc netcat-openbsd
    require socat
    start_server 22
    assert_equal "$(printf 'one\nTwo\n' | talk)" $'ONE\nTWO'
    assert_equal "$(echo three | timeout 5 socat -t 5 - "TCP:127.0.0.1:$port")" \
        "THREE"
    line=$(head -c 1024 /dev/zero | tr '\0' x)
    assert_equal "$(echo "$line" | talk)" "${line^^}"
    assert_equal "$(printf 'a\n%sx' "$line" | talk)" $'A\nline too long'
    run -1 nc -z -w 1 127.0.0.2 "$port"
    stop_server 143
}

@test "a port in use is refused" {
    require nc netcat-openbsd
    start_server 22
    run -3 --separate-stderr lesson 22 --serve --port "$port"
    assert_refused "lesson-22: bind: EADDRINUSE.*choose another port"
    stop_server 143
}

# Each is there at the same time as a good client.
@test "bad clients of all kinds harm nobody" {
    local drip pids=()

    require nc netcat-openbsd
    require python3
    start_server 22 --patience 100000
    (printf 'half a' | timeout 1 nc -N 127.0.0.1 "$port") >/dev/null 3>&- &
    sleep 10 3>&- | timeout 10 nc 127.0.0.1 "$port" 3>&- &
    pids+=($!)
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
    within 5 one_client_is_served
    kill "${pids[@]}" 2>/dev/null || true
    stop_server 143
}

# Three threads are the lesson's own, and one is ThreadSanitizer's.
one_client_is_served() {
    local more=0

    [ "$VARIANT" != tsan ] || more=1
    (($(find "/proc/$lesson_pid/task" -mindepth 1 -maxdepth 1 | wc -l) <= 4 + more))
}

@test "who says nothing, or a byte now and then, has no seat for long" {
    require nc netcat-openbsd
    start_server 22 --patience 20 --serial
    run -0 timeout 5 nc -d 127.0.0.1 "$port"
    (while printf x; do sleep 0.1; done) 2>/dev/null 3>&- |
        timeout 5 nc 127.0.0.1 "$port" 3>&-
    assert_served
    stop_server 143
}

@test "no descriptors left: clients wait, and are served when some leave" {
    local descriptors

    require nc netcat-openbsd
    require python3
    descriptors=$(ulimit -Sn)
    ulimit -Sn 24
    start_server 22
    ulimit -Sn "$descriptors"
    run -0 timeout 10 python3 - "$port" <<'END'
import socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(40)]
for number, client in enumerate(clients):
    client.sendall(b"hello %d\n" % number)
for number, client in enumerate(clients):  # who leaves makes room
    assert client.recv(100) == b"HELLO %d\n" % number
    client.close()
END
    assert_served
    stop_server 143
}

@test "Ctrl-C ends it with 130" {
    assert_signal_ends INT 22 "client 1 has its first" --unit 5
}

@test "the Python twin claims the same" {
    twin_claims_the_same 22 -- "one client was served at a time" \
        "5 clients were served at a time" "a good client" "a megabyte" \
        "only the silent" "accept found" "who came too"
}

@test "the run shown in the README is current" {
    transcript_is_current 22
}
