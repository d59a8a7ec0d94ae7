# Lesson 23 as a user runs it, and with the clients that a network has.
# shellcheck disable=SC2154 # `run` and the helper set variables
load helper

# The claims of a run with CLIENTS, WORKERS and THREADS.
expected_claims() {
    local workers=workers each=" each"

    (($2 > 1)) || workers=worker each=
    cat <<END
ok $1 clients got $((50 * $1)) answers
ok $2 $workers gave so many
ok a client's requests took one connection
ok $2 $workers had $3 requests in hand$each
ok those of the dead one are lost, and no other
ok a new worker took its place
ok no request was lost, and no connection refused
ok no worker of before is left
ok each client's last answer came from a new worker
ok the $(($2 * $3)) requests in hand were answered
ok each answer said that the connection ends
ok the last worker has gone, and the master with status 0
END
}

# serve ARGUMENT...: two workers in the background, at $url, $port.
serve() {
    start_server 23 --workers 2 "$@"
    url=http://127.0.0.1:$port
    within 5 two_workers
}

workers() {
    cat "/proc/$lesson_pid/task/$lesson_pid/children"
}

# Of what kind $1 the workers have descriptors.
descriptors() {
    local worker

    for worker in $(workers); do
        find "/proc/$worker/fd" -lname "$1" 2>/dev/null
    done | wc -l
}

two_workers() {
    (($(descriptors '*eventpoll*') == 2))
}

stop_serving() {
    stop_server 0
    assert_regex "$output" "stopped$"
}

# ask ARGUMENT...: the status that curl gets.
ask() {
    curl -s -m 5 -o /dev/null -w '%{http_code}\n' "$@" 3>&-
}

# wrk_for SECONDS: 16 connections at once; prints wrk's report.
wrk_for() {
    timeout 20 wrk -t 1 -c 16 -d "$1" "$url/" 3>&-
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 23 --workers 2
    assert_equal "$(claims <<<"$output")" "$(expected_claims 8 2 2)"
    assert_equal "$stderr" ""
    assert_line --regexp "^  worker 1.1 +\|?[slow=]*x"
}

@test "every claim holds with few and with many, and on one CPU" {
    run -0 lesson 23 --workers 1 --clients 1 --threads 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 1 1 1)"
    run -0 lesson 23 --workers 5 --clients 50 --threads 4
    assert_equal "$(claims <<<"$output")" "$(expected_claims 50 5 4)"
    assert_fits
    run -0 on_one_cpu lesson 23
    assert_equal "$(claims <<<"$output")" "$(expected_claims 8 1 2)"
}

@test "bad input is a usage error, and a port in use is refused" {
    assert_usage_error 23 \
        "--workers 17: a whole number from 1 to 16 is expected" --workers 17
    assert_usage_error 23 \
        "--threads 0: a whole number from 1 to 16 is expected" --threads 0
    serve
    run -3 --separate-stderr lesson 23 --port "$port"
    assert_refused "lesson-23: listen: EADDRINUSE.*choose another port"
    stop_serving
}

@test "curl gets its pages, and each mistake its status" {
    require curl
    serve
    run -0 curl -s -m 5 -v "$url/" "$url/"
    assert_output --partial "200 from worker"
    assert_output --partial "Re-using existing connection"
    run -0 curl -s -m 5 -I "$url/"
    assert_line --regexp "^Content-Length: 2[0-9]"
    refute_line --partial "from worker"
    assert_equal "$(ask "$url/none")" 404
    assert_equal "$(ask -d body "$url/")" 405
    assert_equal "$(ask -X GET -d body "$url/")" 413
    assert_equal "$(ask -H "Host:" "$url/")" 400
    assert_equal "$(ask -H "X: $(head -c 9000 /dev/zero | tr '\0' x)" "$url/")" 431
    assert_equal "$(ask -0 "$url/")" 200
    run -7 curl -s "http://127.0.0.2:$port/"
    stop_serving
}

# Two in one go, and one of which the last byte comes late.
@test "requests in a row, and a request in pieces" {
    require nc netcat-openbsd
    serve
    printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\nHost: x\n\nGET /3 HTTP/1.0\n\n' |
        talk >"$BATS_TEST_TMPDIR/answers"
    assert_equal "$(grep -o '^HTTP/1.1 [0-9]*' "$BATS_TEST_TMPDIR/answers")" \
        $'HTTP/1.1 200\nHTTP/1.1 200\nHTTP/1.1 404'
    (printf 'GET / HTTP/1.1\r\nHost: x\r' && sleep 0.1 && printf '\n\r' &&
        sleep 0.1 && printf '\n') | talk >"$BATS_TEST_TMPDIR/answers"
    run -0 grep -c '^HTTP/1.1 200' "$BATS_TEST_TMPDIR/answers"
    stop_serving
}

@test "bad clients of all kinds harm nobody" {
    local slow status

    require nc netcat-openbsd
    require curl
    require python3
    serve
    sleep 5 3>&- | timeout 5 nc 127.0.0.1 "$port" >/dev/null 3>&- &
    slow=$!
    head -c 1048576 /dev/zero | tr '\0' x | talk \
        >"$BATS_TEST_TMPDIR/long" || true
    assert_regex "$(cat "$BATS_TEST_TMPDIR/long")" "^HTTP/1.1 431"
    head -c 100000 /dev/urandom | talk >/dev/null || true
    run -0 timeout 10 python3 - "$port" <<'END'
import os, socket, struct, sys
where = "127.0.0.1", int(sys.argv[1])
for end in range(200):  # half of them reset the connection
    with socket.create_connection(where) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + os.urandom(end))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", end % 2, 0))
deaf = socket.create_connection(where)
deaf.settimeout(0.2)
try:
    while True:
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
except OSError:
    pass
END
    assert_equal "$(ask "$url/")" 200
    kill $slow 2>/dev/null || true
    stop_serving
    refute_regex "$output" "was killed"
}

@test "a head that is never complete, and silence, are ended" {
    require nc netcat-openbsd
    serve --patience 10
    run -0 timeout 5 nc -d 127.0.0.1 "$port"
    assert_output ""
    (printf 'GET / HTTP/1.1\nX:' && for _ in {1..40}; do
        printf x
        sleep 0.05
    done) 2>/dev/null 3>&- | talk >"$BATS_TEST_TMPDIR/late" &
    within 3 grep -q '^HTTP/1.1 408' "$BATS_TEST_TMPDIR/late"
    stop_serving
}

@test "SIGHUP under wrk loses none" {
    local round

    require wrk
    serve
    wrk_for 1 >"$BATS_TEST_TMPDIR/wrk" &
    for round in 1 2 3; do
        sleep 0.2
        kill -HUP "$lesson_pid"
    done
    wait $!
    run -0 cat "$BATS_TEST_TMPDIR/wrk"
    assert_line --regexp "requests in"
    refute_line --partial "Socket errors"
    refute_line --partial "Non-2xx"
    stop_serving
}

# wrk has 16 connections, so a worker can hold 16 requests.
@test "kill -9 under wrk loses at most what the worker held" {
    local errors victim

    require wrk
    serve
    wrk_for 1 >"$BATS_TEST_TMPDIR/wrk" &
    sleep 0.3
    victim=$(workers | cut -d ' ' -f 1)
    kill -KILL "$victim"
    wait $!
    run -0 cat "$BATS_TEST_TMPDIR/wrk"
    refute_line --partial "Non-2xx"
    errors=$(grep -o 'read [0-9]*\|write [0-9]*' <<<"$output" |
        awk '{ sum += $2 } END { print sum + 0 }')
    ((errors <= 16)) || fail "$output"
    refute_regex "$output" "connect [1-9]"
    within 5 two_workers
    stop_serving
    assert_regex "$output" "worker $victim was killed by signal 9"
}

# Each worker has the listener.
one_is_accepted() {
    (($(descriptors 'socket:*') == 3))
}

@test "SIGTERM finishes the requests in hand" {
    require curl
    serve --unit 0.3
    ask "$url/slow" "$url/" >"$BATS_TEST_TMPDIR/slow" &
    within 5 one_is_accepted
    kill -TERM "$lesson_pid"
    wait $! || true
    finish_lesson
    assert_equal "$status" 0
    assert_equal "$(head -n 1 "$BATS_TEST_TMPDIR/slow")" 200
}

@test "no descriptors left: clients wait, and are served when some leave" {
    local descriptors

    require python3
    descriptors=$(ulimit -Sn)
    ulimit -Sn 16
    serve
    ulimit -Sn "$descriptors"
    run -0 timeout 10 python3 - "$port" <<'END'
import socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(40)]
for client in clients:
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
waiting = list(clients)
while waiting:  # in whatever order they are served; who leaves makes room
    import select
    for client in select.select(waiting, [], [], 8)[0]:
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.close()
        waiting.remove(client)
END
    stop_serving
}

@test "Ctrl-C ends it with 130 and all its processes" {
    assert_signal_ends INT 23 "requests are in hand" --unit 5
}

@test "SIGKILL of its processes at any moment: nothing hangs or is left" {
    local round child

    for round in 1 2 3; do
        start_lesson 23 --workers 2
        wait_for_line "kill -9"
        sleep "0.0$((round * 3 % 10))"
        child=$(cat /proc/"$lesson_pid"/task/*/children | tr ' ' '\n' |
            tail -n 1) || child=
        ((round == 3)) || child=$(cut -d ' ' -f 1 \
            "/proc/$child/task/$child/children") || child=
        [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
        finish_lesson
        [[ $status == [013] ]] || fail "status $status: $output$stderr"
    done
}

@test "the Python twin claims the same" {
    twin_claims_the_same 23 --workers 2 -- "gave so many" "took one" \
        "in hand each" "no request was" \
        "no worker of before" "each client's last" "the 4 requests" \
        "each answer said" "the last worker"
}

@test "the run shown in the README is current" {
    transcript_is_current 23
}
