# Lesson 27 as a user runs it.
load helper

# What Open MPI allocates for the life of the process it does not free.
# Its files in /dev/shm would puzzle the tests beside these.  To start
# mpirun takes half a second of a CPU, and much longer on a busy one.
setup() {
    common_setup
    LIMIT=60
    require mpicc "libopenmpi-dev openmpi-bin"
    [ "$VARIANT" != musl ] || skip "there is no MPI for musl"
    export ASAN_OPTIONS=detect_leaks=0
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    export OMPI_MCA_btl=self,tcp OMPI_MCA_shmem=mmap
}

expected_claims() { # expected_claims RANKS SHORT MESSAGES
    local others=others

    (($1 > 2)) || others=other
    echo "\
ok each of the $1 ranks is a process of its own
ok results come in the order of the arguments
ok a pool on this machine gives the same, byte for byte
ok rank 0 hands out, and $(($1 - 1)) $others did all tasks
ok of two errors it tells the first, as a pool here does
ok the other 8 tasks were done
ok one by one, each task costs two messages
ok in chunks of 100, $2 tasks cost $3 messages
ok one rank is killed, and MPI ends the whole job"
}

# --------------------------------------------------------- claims --

@test "every claim holds, and the picture and the trace are good" {
    local place=$BATS_TEST_TMPDIR

    require python3
    run -0 --separate-stderr lesson 27 --svg "$place/a.svg" \
        --trace "$place/a.json"
    assert_equal "$(claims <<<"$output")" "$(expected_claims 4 1000 20)"
    assert_equal "$stderr" ""
    assert_fits
    assert_svg "$place/a.svg"
    assert_trace "$place/a.json"
}

@test "every claim holds on one CPU, with two ranks, chunks and odd numbers" {
    run -0 on_one_cpu lesson 27 --ranks 2 --chunk 3 --short 101
    assert_equal "$(claims <<<"$output")" "$(expected_claims 2 101 4)"
}

@test "mpirun by hand runs it, too" {
    export TMPDIR=$BATS_TEST_TMPDIR OMPI_MCA_btl_tcp_if_include=lo
    run -0 --separate-stderr guarded mpirun --oversubscribe -n 3 \
        "$BIN/lesson-27"
    assert_equal "$(claims <<<"$output")" "$(expected_claims 3 1000 20)"
    assert_equal "$stderr" ""
    refute_output --partial $'\033'
    run -3 guarded mpirun -n 1 "$BIN/lesson-27"
    assert_line --partial "lesson-27: mpirun -n, from 2 to 64: EDOM"
}

# --------------------------------------------------- two machines --

# Becomes a machine with the name one, makes another, two, and a cable
# between them; both are gone with their last process.  Open MPI starts
# its part on the other one by an agent, which is ssh otherwise.
# shellcheck disable=SC2016 # the inner shells expand it
two_machines='
    place=$1
    hostname one
    unshare --net --uts sleep 60 &
    two=$!
    trap "kill $two" EXIT
    until [ "$(readlink /proc/$two/ns/uts)" != "$(readlink /proc/$$/ns/uts)" ]; do
        sleep 0.01
    done
    there="nsenter --target $two --net --uts"
    $there hostname two
    ip link add to-two type veth peer name to-one netns $two
    ip address add 10.27.0.1/24 dev to-two
    $there ip address add 10.27.0.2/24 dev to-one
    for device in lo to-two; do ip link set $device up; done
    for device in lo to-one; do $there ip link set $device up; done
    printf "#!/bin/sh\nshift\nexec %s sh -c \"\$*\"\n" "$there" >"$place/agent"
    chmod +x "$place/agent"
    export OMPI_MCA_plm_rsh_agent=$place/agent TMPDIR=$place
    mpirun --host 10.27.0.1:2,10.27.0.2:2 -n 4 "${@:2}"
'

@test "every claim holds over two machines" {
    require_root "to make two machines of this one"
    require ip iproute2
    unshare --net --uts true || skip "needs the right to make namespaces"
    run -0 guarded unshare --net --uts bash -euc "$two_machines" - \
        "$BATS_TEST_TMPDIR" "$BIN/lesson-27"
    assert_equal "$(claims <<<"$output")" "$(expected_claims 4 1000 20)"
    assert_equal "$(grep -c '^  rank [01] on this machine, ' <<<"$output")" 2
    assert_equal "$(grep -c '^  rank [23] on two, ' <<<"$output")" 2
}

@test "every claim holds on a machine without a network" {
    require_root "to take the network away"
    require ip iproute2
    unshare --net true || skip "needs the right to make namespaces"
    run -0 guarded unshare --net sh -c 'ip link set lo up && exec "$@"' - \
        "$BIN/lesson-27" --short 100
}

# ------------------------------------------------- input and output --

@test "bad input is a usage error, told once" {
    assert_usage_error 27 \
        "--ranks 1: a whole number from 2 to 64 is expected" --ranks 1
    assert_usage_error 27 \
        "--short 0: a whole number from 1 to 100000 is expected" --short 0
    assert_usage_error 27 "doomed: only options are expected, see --help" \
        doomed
    assert_usage_error 27 \
        "--step: waits for Enter, so stdin must be a terminal" --step
    run -0 --separate-stderr lesson 27 --help
    assert_line --index 0 --regexp '^Example: \./lesson-27 --'
    run -3 --separate-stderr lesson 27 --svg /no/such/file
    assert_refused "open /no/such/file: ENOENT"
}

@test "rank 0 has the terminal, and sees a stdout that is full" {
    local out=$BATS_TEST_TMPDIR/out

    require script bsdutils
    yes '' | head -n 5 | guarded env -u NO_COLOR script -qec \
        "'$BIN/lesson-27' --step --short 1" /dev/null >"$out"
    grep -qF $'\033[32mok' "$out"
    assert_equal "$(grep -c '\[Enter\]' "$out")" 5
    # shellcheck disable=SC2016 # the inner shell expands it
    run -3 --separate-stderr guarded sh -c 'exec "$@" >/dev/full' sh \
        "$BIN/lesson-27"
    assert_refused "lesson-27: write to stdout: ENOSPC"
    MPIRUN=no-such-mpirun run -3 --separate-stderr lesson 27
    assert_refused "lesson-27: no-such-mpirun: ENOENT"
}

# ----------------------------------------------------- early ends --

@test "Ctrl-C and SIGKILL take the whole job along" {
    assert_signal_ends KILL 27 "rank 2 on" --unit 5
    assert_signal_ends INT 27 "rank 2 on" --unit 5
}

@test "when a rank or mpirun is killed, all is over, and it says so" {
    local rank

    start_lesson 27 --unit 5
    wait_for_line "rank 2 on"
    rank=$(sed -nE 's/^  rank 2 .* pid ([0-9]+),.*/\1/p' \
        "$BATS_TEST_TMPDIR/stdout")
    kill -KILL "$rank"
    finish_lesson
    assert_equal "$status" 3
    assert_regex "$stderr" "lesson-27: a rank, killed by signal 9: EOWNERDEAD"

    start_lesson 27 --unit 5
    wait_for_line "rank 2 on"
    pkill -KILL -P "$lesson_pid" -x mpirun
    finish_lesson
    assert_equal "$status" 3
    assert_regex "$stderr" "lesson-27: a process, killed by signal 9: EOWNERDEAD"
}

# ------------------------------------------------ Python and text --

# Ranks that only sockets tie together do not die together.
@test "the Python twin claims the same" {
    twin_claims_the_same 27 -- "MPI ends the whole job"
}

@test "the run shown in the README is current" {
    LESSON_UNIT=0.02 transcript_is_current 27
}
