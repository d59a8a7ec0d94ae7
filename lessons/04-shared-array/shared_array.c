/*
 * shared_array.c -- five processes, one array.
 *
 * An array of one type and a fixed length, in memory that several
 * processes share: what one writes the others see.  The memory is a
 * file in /dev/shm, which is never on a disk: shm_open makes it,
 * ftruncate gives it a length, posix_fallocate its memory, and mmap
 * makes it appear between the variables of the program.  Its name is
 * needed only for a moment, and shm_unlink takes it away.
 *
 * Look at: the one flag that differs between the first two parts; the
 * offsets in the table; what a process that is killed leaves behind,
 * and who clears it away.
 * Compare with: 05-shared-dict, where a server holds the data, any
 * type and any number of them, and everybody has to ask.
 * Try: --length 50, --index 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "checked.h"
#include "crowd.h"
#include "lesson.h"
#include "shared.h"
#include "timeline.h"

enum { LENGTH_MAX = 100, NAME_SIZE = 40 };

static int length = 5; /* elements, and processes that write them */
static int index_to_set;

/* ------------------------------------------------------ the types */

struct type {
    const char *python_type, *c_type;
    size_t size; /* of one element, in bytes */
    char code;   /* as Python has it */
    bool is_signed;
};

#define TYPE(code, type, python_type)                                  \
    {                                                                  \
        python_type, #type, sizeof(type), code, (type)-1 < (type)1     \
    }

static const struct type types[] = {
    TYPE('c', char, "c_char"),
    TYPE('u', wchar_t, "c_wchar"),
    TYPE('b', signed char, "c_byte"),
    TYPE('B', unsigned char, "c_ubyte"),
    TYPE('h', short, "c_short"),
    TYPE('H', unsigned short, "c_ushort"),
    TYPE('i', int, "c_int"),
    TYPE('I', unsigned, "c_uint"),
    TYPE('l', long, "c_long"),
    TYPE('L', unsigned long, "c_ulong"),
    TYPE('f', float, "c_float"),
    TYPE('d', double, "c_double"),
};

enum { TYPES = sizeof types / sizeof types[0] };

/* NULL: there is no such code. */
static const struct type *find_type(char code)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].code == code)
            return &types[i];
    return NULL;
}

/* ---------------------------------------------- the name's guard */

/*
 * A name in /dev/shm outlives the process that made it.  SIGKILL can
 * come between shm_open and shm_unlink, nobody can catch it, and the
 * name would stay there for good.  So a guard waits beside, until the
 * last copy of the lifeline, a pipe, is closed: the kernel does that
 * for the dead, too.  Then the guard removes the name.
 */
struct guard {
    pid_t pid;
    int lifeline;
};

static _Noreturn void stand_guard(const char *name, int lifeline)
{
    char nothing;

    setsid(); /* a kill of the whole process group is not for it */
    while (read(lifeline, &nothing, 1) < 0 && errno == EINTR)
        continue;
    shm_unlink(name); /* ENOENT when all went well */
    _exit(0);
}

/*
 * Not with process_start, whose children die with their parent: this
 * one must outlive it.  It blocks all signals that can be blocked.
 */
static struct guard guard_start(const char *name)
{
    struct guard guard;
    sigset_t all, before;
    int ends[2];

    xpipe(ends);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    guard.pid = check_call(fork(), "fork");
    if (guard.pid == 0) {
        close(ends[1]);
        stand_guard(name, ends[0]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    xclose(ends[0]);
    guard.lifeline = ends[1];
    return guard;
}

/* Returns when the guard has gone. */
static void guard_dismiss(const struct guard *guard)
{
    xclose(guard->lifeline);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* ------------------------------------------------------ the memory */

/* With 64 random bits, so that nobody else has the same. */
static void make_name(char name[NAME_SIZE])
{
    uint64_t number;

    check_call((int)getrandom(&number, sizeof number, 0), "getrandom");
    snprintf(name, NAME_SIZE, "/lesson-04-%020" PRIu64, number);
}

static int open_named(const char *name)
{
    return check_call(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600),
                      "shm_open");
}

/* Returns the descriptor of memory that has no name any more. */
static int open_and_unlink(void)
{
    char name[NAME_SIZE];
    struct guard guard;
    int memory;

    make_name(name);
    guard = guard_start(name);
    memory = open_named(name);
    check_call(shm_unlink(name), "shm_unlink");
    guard_dismiss(&guard);
    return memory;
}

static int set_length(int memory, size_t size)
{
    return ftruncate(memory, (off_t)size) == 0 ? 0 : errno;
}

/*
 * A length alone is a promise: pages come when they are first written
 * to, and when /dev/shm is full by then, the writer dies of SIGBUS.
 * Here the pages are taken, or refused with an error.
 */
static int reserve(int memory, size_t size)
{
    int error;

    do
        error = posix_fallocate(memory, 0, (off_t)size);
    while (error == EINTR);
    return error;
}

/* `sharing` is MAP_SHARED or MAP_PRIVATE. */
static void *map(int memory, size_t size, int sharing)
{
    void *address =
        mmap(NULL, size, PROT_READ | PROT_WRITE, sharing, memory, 0);

    check_call(address == MAP_FAILED ? -1 : 0, "mmap");
    return address;
}

/* ------------------------------------------------------- the array */

/* All of it is fixed when the array is opened. */
struct array {
    const struct type *type;
    int length;
    size_t size; /* of all elements, in bytes */
    unsigned char *elements;
};

/*
 * Takes over the descriptor; the mapping keeps the memory when it is
 * closed.  Returns 0, or EINVAL: no type has this code.
 */
static int array_open(struct array *array, int memory, char code,
                      int sharing)
{
    *array = (struct array){.type = find_type(code), .length = length};
    if (array->type == NULL) {
        xclose(memory);
        return EINVAL;
    }
    array->size = array->type->size * (size_t)length;
    check_error(set_length(memory, array->size), "ftruncate");
    check_error(reserve(memory, array->size), "posix_fallocate");
    array->elements = map(memory, array->size, sharing);
    xclose(memory);
    return 0;
}

static void array_close(const struct array *array)
{
    check_call(munmap(array->elements, array->size), "munmap");
}

static unsigned char *array_at(const struct array *array, int index)
{
    return array->elements + (size_t)index * array->type->size;
}

/*
 * Copies an element into the array.  Returns 0, EINVAL when `code` is
 * not the array's, or ERANGE when it has no such index.
 */
static int array_set(const struct array *array, int index, char code,
                     const void *element)
{
    if (code != array->type->code)
        return EINVAL;
    if (index < 0 || index >= array->length)
        return ERANGE;
    memcpy(array_at(array, index), element, array->type->size);
    return 0;
}

static int int_at(const struct array *array, int index)
{
    int value;

    memcpy(&value, array_at(array, index), sizeof value);
    return value;
}

/* "[10, 11, 12]", the middle of a long one left out. */
static const char *array_text(const struct array *array)
{
    static char text[128];
    size_t size = 0;

    for (int i = 0; i < array->length; i++) {
        if (array->length > 10 && i == 5) {
            i = array->length - 1;
            size += (size_t)snprintf(text + size, sizeof text - size,
                                     ", ...");
        }
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%s%d",
                             i == 0 ? "[" : ", ", int_at(array, i));
    }
    snprintf(text + size, sizeof text - size, "]");
    return text;
}

/* ------------------------------------------------- many processes */

static struct array array;     /* the one that the processes write */
static atomic_int *saw_change; /* processes; in shared memory */

static void write_own_element(int number)
{
    int value = 10 + number;

    check_error(array_set(&array, number, 'i', &value), "array_set");
    say("process %d (pid %d) sets element %d to %d", number,
        (int)getpid(), number, int_at(&array, number));
    if (int_at(&array, number) == value)
        atomic_fetch_add(saw_change, 1);
}

/* How many elements are their index and `first`. */
static int elements_from(int first)
{
    int count = 0;

    for (int i = 0; i < length; i++)
        count += int_at(&array, i) == first + i;
    return count;
}

static void write_all(int memory, int sharing)
{
    check_error(array_open(&array, memory, 'i', sharing), "array_open");
    for (int i = 0; i < length; i++) {
        int value = 1 + i;

        check_error(array_set(&array, i, 'i', &value), "array_set");
    }
    atomic_store(saw_change, 0);
    say("main has    %s", array_text(&array));
    crowd_processes(length, write_own_element);
    say("main reads  %s", array_text(&array));
}

static void part_private(void)
{
    write_all(open_and_unlink(), MAP_PRIVATE);

    saw("%d of %d", *saw_change, length);
    claim(*saw_change == length, "each process sees its own change");
    saw("%s", array_text(&array));
    claim(elements_from(1) == length, "main sees none of them");
    array_close(&array);
}

static void part_shared(void)
{
    write_all(open_and_unlink(), MAP_SHARED);

    saw("%d of %d", *saw_change, length);
    claim(*saw_change == length, "each process sees its own change");
    saw("%s", array_text(&array));
    claim(elements_from(10) == length, "main sees all %d of them",
          length);
    array_close(&array);
}

/* ------------------------------------------------------ the table */

/*
 * Element i gets the number i + 1 in all its bytes; then the memory is
 * read byte by byte, from the first of the array to the last.
 */
static bool is_side_by_side(const struct array *row)
{
    unsigned char element[sizeof(double)];
    bool each = true;

    for (int i = 0; i < row->length; i++) {
        memset(element, i + 1, sizeof element);
        check_error(array_set(row, i, row->type->code, element),
                    "array_set");
    }
    for (size_t at = 0; at < row->size; at++)
        each = each && row->elements[at] == at / row->type->size + 1;
    return each;
}

/* The last of `length` elements, and where in the mapping it is. */
static void say_type(const struct array *row)
{
    int last = row->length - 1;

    say("%c     %-14s %-9s %5zu %7zu at %3td", row->type->code,
        row->type->c_type, row->type->python_type, row->type->size,
        row->size, array_at(row, last) - row->elements);
}

/* The `upper` code has the size of the `lower` one, but no sign. */
static bool are_twins(char lower, char upper)
{
    const struct type *one = find_type(lower),
                      *other = find_type(upper);

    return one != NULL && other != NULL && one->size == other->size &&
           one->is_signed && !other->is_signed;
}

/* Does one mapping, which is shared, hold all elements? */
static bool is_one_mapping(const struct array *row)
{
    unsigned long first = (unsigned long)row->elements;
    FILE *maps = check_pointer(fopen("/proc/self/maps", "re"),
                               "open /proc/self/maps");
    bool found = false;
    char line[512], *rest;

    while (!found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin = strtoul(line, &rest, 16);
        unsigned long end = strtoul(rest + 1, &rest, 16);

        found = begin <= first && first + row->size <= end &&
                strncmp(rest, " rw-s", 5) == 0;
    }
    (void)fclose(maps);
    return found;
}

static void part_types(void)
{
    int side_by_side = 0, in_one = 0, error;
    struct array row;

    say("code  C type         ctypes    bytes  %d take, the last is",
        length);
    for (int i = 0; i < TYPES; i++) {
        check_error(array_open(&row, open_and_unlink(), types[i].code,
                               MAP_SHARED),
                    "array_open");
        say_type(&row);
        side_by_side += is_side_by_side(&row);
        in_one += is_one_mapping(&row);
        array_close(&row);
    }
    error = array_open(&row, open_and_unlink(), 'x', MAP_SHARED);

    saw("%d of %d", side_by_side, TYPES);
    claim(side_by_side == TYPES,
          "the elements lie side by side, whatever their type");
    saw("%d of %d", in_one, TYPES);
    claim(in_one == TYPES, "one mapping holds all elements");
    claim(are_twins('b', 'B') && are_twins('h', 'H') &&
              are_twins('i', 'I') && are_twins('l', 'L'),
          "B H I L are as large as b h i l, and have no sign");
    saw("%s", error_name(error));
    claim(error == EINVAL, "the unknown type code x is refused");
}

/* ----------------------------------------------- what is refused */

/* A mapping has whole pages: there is room behind the elements. */
static size_t mapped_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (array.size + page - 1) / page * page;
}

static int try_to_set(int index, char code, const void *element)
{
    int error = array_set(&array, index, code, element);

    say("set element %d, type code %c: %s", index, code,
        error == 0 ? "done" : error_name(error));
    return error;
}

static void part_refused(void)
{
    int value = 99, before, behind, other_type;
    double half = 0.5;
    unsigned char *copy;

    check_error(array_open(&array, open_and_unlink(), 'i', MAP_SHARED),
                "array_open");
    try_to_set(index_to_set, 'i', &value);
    say("main reads  %s", array_text(&array));
    copy = xcalloc(1, mapped_size());
    memcpy(copy, array.elements, mapped_size());
    before = try_to_set(-1, 'i', &value);
    behind = try_to_set(length, 'i', &value);
    other_type = try_to_set(0, 'd', &half);

    saw("%d", int_at(&array, index_to_set));
    claim(int_at(&array, index_to_set) == value,
          "element %d was set to %d", index_to_set, value);
    saw("%s", error_name(before));
    claim(before == ERANGE, "the index -1 is refused");
    saw("%s", error_name(behind));
    claim(behind == ERANGE, "the index behind the last is refused");
    saw("%s", error_name(other_type));
    claim(other_type == EINVAL,
          "an element of another type is refused");
    claim(memcmp(copy, array.elements, mapped_size()) == 0,
          "what was refused has changed no byte");
    free(copy);
    array_close(&array);
}

/* -------------------------------------------- a length, and memory */

static blkcnt_t blocks_of(int memory)
{
    struct stat status;

    check_call(fstat(memory, &status), "fstat");
    return status.st_blocks; /* 512 bytes each */
}

/* Of all that /dev/shm can hold; 0 when nothing limits it. */
static size_t shm_size(int memory)
{
    struct statvfs system;

    check_call(fstatvfs(memory, &system), "fstatvfs");
    return (size_t)system.f_blocks * (size_t)system.f_frsize;
}

static void claim_too_large(size_t size)
{
    int memory = open_and_unlink();
    int promised = set_length(memory, size);
    int taken = reserve(memory, size);

    xclose(memory);
    say("more than /dev/shm: ftruncate: %s, posix_fallocate: %s",
        error_name(promised), error_name(taken));
    saw("%s", error_name(promised));
    claim(promised == 0,
          "ftruncate promises more than there is in /dev/shm");
    saw("%s", error_name(taken));
    claim(taken == ENOSPC, "posix_fallocate refuses it: ENOSPC");
}

/* Without a core file, which would be left behind. */
static int write_to_it(void *arg)
{
    prctl(PR_SET_DUMPABLE, 0);
    *(int *)arg = 10;
    return 0;
}

static int exitcode_of_writer(int memory)
{
    int *number = map(memory, sizeof *number, MAP_SHARED);
    struct process writer;

    xprocess_start(&writer, write_to_it, number);
    xprocess_join(&writer);
    check_call(munmap(number, sizeof *number), "munmap");
    return writer.exitcode;
}

static void part_memory(void)
{
    const size_t size = 65536;
    int memory = open_and_unlink();
    int too_short = exitcode_of_writer(memory), long_enough;
    blkcnt_t promised, taken;

    check_error(set_length(memory, size), "ftruncate");
    promised = blocks_of(memory);
    check_error(reserve(memory, size), "posix_fallocate");
    taken = blocks_of(memory);
    long_enough = exitcode_of_writer(memory);
    say("%zu bytes: %jd KB after ftruncate, %jd KB after "
        "posix_fallocate",
        size, (intmax_t)promised / 2, (intmax_t)taken / 2);
    saw("%d", too_short);
    claim(too_short == -SIGBUS,
          "beyond the end a writer dies of SIGBUS");
    saw("%d", long_enough);
    claim(long_enough == 0, "with a length and memory it does not");
    saw("%jd blocks", (intmax_t)promised);
    claim(promised == 0, "ftruncate takes no memory");
    saw("%jd blocks", (intmax_t)taken);
    claim((size_t)taken * 512 >= size,
          "posix_fallocate takes all of it");
    if (shm_size(memory) > 0)
        claim_too_large(shm_size(memory) + size);
    else
        say("/dev/shm has no limit here");
    xclose(memory);
}

/* ------------------------------------ what the dead leave behind */

static int open_and_die(void *arg)
{
    int memory = open_named(arg);
    int *number;

    check_error(set_length(memory, sizeof *number), "ftruncate");
    check_error(reserve(memory, sizeof *number), "posix_fallocate");
    number = map(memory, sizeof *number, MAP_SHARED);
    *number = 4711;
    timeline_begin("process", "writes", 0);
    unit_sleep(1);
    return kill(getpid(), SIGKILL);
}

/* What stands in the memory of that name, or -1: there is none. */
static int find_number(const char *name)
{
    int memory = shm_open(name, O_RDWR, 0);
    int *number, found;

    if (memory < 0)
        return -1;
    number = map(memory, sizeof *number, MAP_SHARED);
    found = *number;
    check_call(munmap(number, sizeof *number), "munmap");
    xclose(memory);
    return found;
}

/* The guard comes when main lets go of its lifeline, too. */
static void part_killed(void)
{
    struct process process;
    char name[NAME_SIZE];
    struct guard guard;
    int found, left;

    make_name(name);
    guard = guard_start(name);
    timeline_begin("its name", "is there", 0);
    xprocess_start(&process, open_and_die, name);
    xprocess_join(&process);
    timeline_cut("process");
    found = find_number(name);
    say("%s of the dead: %d", name, found);
    unit_sleep(1); /* as long as nobody removes it */
    guard_dismiss(&guard);
    timeline_end("its name");
    left = shm_unlink(name) == 0 ? 0 : errno;

    saw("exit code %d", process.exitcode);
    claim(process.exitcode == -SIGKILL,
          "a process was killed before its shm_unlink");
    saw("%d", found);
    claim(found == 4711, "its name is still there, and its number");
    saw("%s", error_name(left));
    claim(left == ENOENT, "the guard has removed the name");
}

/* The range of --index depends on another option. */
static void check_index(void)
{
    if (index_to_set < length)
        return;
    dprintf(STDERR_FILENO,
            "%s: --index %d: a whole number from 0 to %d is expected\n",
            program_invocation_short_name, index_to_set, length - 1);
    _exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"length", "N", "how many elements, and processes", &length, 1,
         LENGTH_MAX},
        {"index", "N",
         "the element that is set to 99, below the length",
         &index_to_set, 0, LENGTH_MAX - 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-04 shared-array",
        .summary = "an array in memory that processes share",
        .example = "./lesson-04 --length 8 --index 7",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    check_index();
    saw_change = xshared_alloc(sizeof *saw_change);
    PART("Each writes one element: MAP_PRIVATE", part_private);
    PART("Each writes one element: MAP_SHARED", part_shared);
    PART("The types", part_types);
    PART("Type and length are fixed", part_refused);
    PART("A length is not memory", part_memory);
    PART("What a killed process leaves in /dev/shm", part_killed);
    return lesson_end();
}
