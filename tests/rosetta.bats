# rosetta.bats -- lessons/rosetta.md names what is there.

load helper

# Each row as NUMBER|FOLDER|C NAMES|SYSTEM CALLS: what stands in
# backquotes there.
rows() {
    python3 - lessons/rosetta.md <<'PYTHON'
import re, sys

def names(cell):
    return " ".join(re.findall(r"[A-Za-z_]\w*", " ".join(re.findall("`(.*?)`", cell))))

for line in open(sys.argv[1], encoding="utf-8"):
    if line.startswith("| ") and not line.startswith(("| Python", "| ---")):
        python, c, calls, lesson = line.strip("| \n").split(" | ")
        link = re.fullmatch(r"\[(\d\d)\]\((.*)/README.md\)", lesson)
        assert names(c), line
        print(*link.groups(), names(c), names(calls), sep="|")
PYTHON
}

setup() {
    common_setup
    rows >"$BATS_TEST_TMPDIR/rows"
}

folders() {
    cut -d '|' -f 2 "$BATS_TEST_TMPDIR/rows" | sort -u
}

# names_of FOLDER FIELD: what its rows name, one in a line.
names_of() {
    awk -F '|' -v folder="$1" -v field="$2" '$2 == folder {
        print $field }' "$BATS_TEST_TMPDIR/rows" | tr ' ' '\n' | sort -u
}

# lacking: the C names that stand neither in a header of the library nor
# in the lesson.  Comments do not count, which may speak of what is no
# longer there.
lacking() {
    python3 - "$BATS_TEST_TMPDIR/rows" <<'PYTHON'
import glob, re, sys

def words(pattern):
    text = "".join(open(path, encoding="utf-8").read() for path in glob.glob(pattern))
    return set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", " ", text, flags=re.S)))

library = words("common/*.h")
for row in open(sys.argv[1], encoding="utf-8"):
    number, folder, names, calls = row.split("|")
    for name in set(names.split()) - library - words(f"lessons/{folder}/*.[ch]"):
        print(f"lesson {number}: {name}")
PYTHON
}

@test "each row of the Rosetta table has C names and a link to its lesson" {
    local number folder names

    while IFS='|' read -r number folder names; do
        assert [ -f "lessons/$folder/README.md" ]
        assert_equal "$number" "${folder%%-*}"
    done <"$BATS_TEST_TMPDIR/rows"
    assert [ "$(wc -l <"$BATS_TEST_TMPDIR/rows")" -gt 80 ]
}

@test "the Rosetta table leaves no lesson out" {
    run -0 sh -c "ls -d lessons/*/ | cut -d / -f 2"
    assert_output "$(folders)"
}

@test "each C name of the Rosetta table is the library's or the lesson's" {
    run -0 lacking
    assert_output ""
}

# traced NUMBER CALL...: a run with each of these in the log, as short
# as it can be.  A claim about time may fail meanwhile.
traced() {
    local log=$BATS_TEST_TMPDIR/strace number=$1 call options=()

    shift
    case $number in
    09) options=(--rounds 200) ;;
    16) options=(--items 1000) ;;
    17) options=(--starts 500) ;;
    19) options=(--rounds 1) ;;
    20) options=(--requests 1) ;;
    24) options=(--rounds 1) ;;
    26) options=(--clients 50) ;;
    esac
    LESSON_UNIT=0.002 guarded strace -f --seccomp-bpf -qq -o "$log" \
        -e trace="$(IFS=, && echo "$*")" "$BIN/lesson-$number" \
        "${options[@]}" >/dev/null || [ $? -eq 1 ]
    for call; do
        grep -q "\b$call(" "$log" || echo "lesson $number: no $call"
    done
}

# But for futex, which comes only when somebody has to wait.
@test "the lessons make the system calls of the Rosetta table" {
    local folder calls

    require_strace
    [ "$(uname -m)" = x86_64 ] || skip "other machines have other calls"
    [ "$VARIANT" = normal ] || skip "other builds have other calls"
    for folder in $(folders); do
        mapfile -t calls < <(names_of "$folder" 4 | grep -vxE 'futex|')
        ((${#calls[@]})) || continue
        run -0 traced "${folder%%-*}" "${calls[@]}"
        assert_output ""
    done
}

@test "the README links the Rosetta table" {
    run -0 grep -c "(lessons/rosetta.md)" README.md
    assert_output 1
}
