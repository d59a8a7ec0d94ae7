# Lesson 04 as a user runs it.
load helper

# The claims of a run with LENGTH and INDEX.
expected_claims() {
    cat <<END
ok each process sees its own change
ok main sees none of them
ok each process sees its own change
ok main sees all $1 of them
ok the elements lie side by side, whatever their type
ok one mapping holds all elements
ok B H I L are as large as b h i l, and have no sign
ok the unknown type code x is refused
ok element $2 was set to 99
ok the index -1 is refused
ok the index behind the last is refused
ok an element of another type is refused
ok what was refused has changed no byte
ok beyond the end a writer dies of SIGBUS
ok with a length and memory it does not
ok ftruncate takes no memory
ok posix_fallocate takes all of it
ok ftruncate promises more than there is in /dev/shm
ok posix_fallocate refuses it: ENOSPC
ok a process was killed before its shm_unlink
ok its name is still there, and its number
ok the guard has removed the name
END
}

# part TITLE: its lines.
part() {
    awk -v title="$1" '
        /^[^ ]/ { inside = $0 == title; next }
        inside' <<<"$output"
}

@test "every claim holds" {
    run -0 --separate-stderr lesson 04
    assert_equal "$(claims <<<"$output")" "$(expected_claims 5 0)"
    assert_equal "$stderr" ""
}

@test "every claim holds for a short and for a long array" {
    run -0 lesson 04 --length 1
    assert_equal "$(claims <<<"$output")" "$(expected_claims 1 0)"
    run -0 lesson 04 --length 100 --index 99
    assert_equal "$(claims <<<"$output")" "$(expected_claims 100 99)"
    assert_fits
}

@test "every claim holds on one CPU" {
    run -0 on_one_cpu lesson 04
}

@test "every claim holds for an ordinary user" {
    require prlimit util-linux
    require setpriv util-linux
    run -0 as_ordinary_user "$BIN/lesson-04"
}

# ---------------------------------------------------------- lines --

@test "the lines tell what happened" {
    run -0 lesson 04 --index 3
    assert_equal "$(part "Each writes one element: MAP_PRIVATE" |
        grep reads)" "  main reads  [1, 2, 3, 4, 5]"
    assert_equal "$(part "Each writes one element: MAP_SHARED" |
        grep reads)" "  main reads  [10, 11, 12, 13, 14]"
    assert_equal "$(part "Each writes one element: MAP_SHARED" |
        grep -oE 'pid [0-9]+' | sort -u | wc -l)" 5
    assert_line "  main reads  [0, 0, 0, 99, 0]"
    assert_line "  set element -1, type code i: ERANGE"
    assert_line "  set element 5, type code i: ERANGE"
    assert_line "  set element 0, type code d: EINVAL"
}

# What Python says of the same codes, in the same order.
@test "the table is that of this machine" {
    require python3
    run -0 lesson 04
    assert_equal "$(part "The types" |
        sed -nE 's/^  (.)  .*(c_[a-z]+) +([0-9]+) .*/\1 \2 \3/p')" \
        "$(python3 -c '
import ctypes
for code, name in zip("cubBhHiIlLfd", "char wchar byte ubyte short ushort "
                      "int uint long ulong float double".split()):
    name = "c_" + name
    print(code, name, ctypes.sizeof(getattr(ctypes, name)))')"
}

# ------------------------------------------------------ bad input --

@test "bad input is a usage error" {
    local value

    for value in 0 101 x; do
        assert_usage_error 04 \
            "--length $value: a whole number from 1 to 100 is expected" \
            --length $value
    done
    for value in -1 100 ""; do
        assert_usage_error 04 "--index ${value:-''}:\
 a whole number from 0 to 99 is expected" --index "$value"
    done
    assert_usage_error 04 \
        "--index 5: a whole number from 0 to 4 is expected" --index 5
    assert_usage_error 04 \
        "--index 2: a whole number from 0 to 1 is expected" \
        --length 2 --index 2
}

# ---------------------------------------------- the system refuses --

# The limit counts all processes and threads of a user.
@test "fork that is refused is told, and nothing is left" {
    local limit

    require_root "to be a user of whom there is no process"
    require prlimit util-linux
    require setpriv util-linux
    for limit in 1 2 3; do # the watchdog, the guard, the second writer
        LIMITS=("--nproc=$limit:$limit")
        run -3 --separate-stderr as_ordinary_user "$BIN/lesson-04"
        assert_refused EAGAIN "ulimit -u"
    done
}

@test "a full /dev/shm, or none, is told, and nobody dies of SIGBUS" {
    require_root "to mount another /dev/shm"
    require unshare util-linux
    unshare -m true || skip "needs the right to mount"
    run -3 --separate-stderr guarded unshare -m sh -c '
        mount -t tmpfs -o size=4k x /dev/shm &&
        { cat /dev/zero >/dev/shm/full; } 2>/dev/null; "$@"' sh \
        "$BIN/lesson-04"
    assert_refused "lesson-04: posix_fallocate: ENOSPC"
    # shellcheck disable=SC2016 # the inner shell expands it
    run -3 --separate-stderr guarded unshare -m sh -c '
        mount -t tmpfs -o mode=0 x /dev && mknod /dev/null c 1 3 &&
        "$@"' sh "$BIN/lesson-04"
    assert_refused "lesson-04: shm_open: ENO"
}

# ----------------------------------------------------- early ends --

# injected SIGNAL SYSCALLS WHEN: it comes as the lesson's own process
# begins that one of its calls; its children are not traced.
injected() {
    local log=$BATS_TEST_TMPDIR/strace

    guarded strace -o "$log" -e "trace=$2" \
        -e "inject=$2:signal=$1:when=$3" "$BIN/lesson-04" >/dev/null
}

# shm_unlink is unlink or unlinkat; the process does not come back from
# it, and the name would be there still.
@test "SIGKILL between shm_open and shm_unlink leaves no name" {
    local when

    [ "$VARIANT" != tsan ] || skip "ThreadSanitizer has files of its own"
    require_strace
    for when in 1 4; do
        run -137 injected SIGKILL unlink,unlinkat $when
        run -0 tail -n 2 "$BATS_TEST_TMPDIR/strace"
        assert_line --index 0 --regexp '/dev/shm/lesson-04-.* = \?$'
        assert_line --index 1 "+++ killed by SIGKILL +++"
    done
}

@test "Ctrl-C ends it with 130" {
    require_strace
    run -130 --separate-stderr injected SIGINT ftruncate 3
    assert_equal "$stderr" ""
}

# ------------------------------------------------ Python and text --

# For the rest its thirty lines have no room.
@test "the Python twin claims the same" {
    twin_claims_the_same 04 -- 'B H I L' 'was killed' 'dies of SIGBUS' \
        'element 0 was set' 'more than there is' 'ftruncate takes' \
        'its name is' 'one mapping' 'refuses it: ENOSPC' \
        'takes all of it' 'side by side' 'the guard' 'the index -1' \
        'changed no byte' 'with a length'
}

@test "the run shown in the README is current" {
    transcript_is_current 04
}
