/*
 * The taker says that it is about to sleep, and then looks once more;
 * who adds sets its bit, and then looks whether the taker sleeps.  So
 * one of the two sees the other, whichever comes first.  One of those
 * who see it asleep wakes it, and until it sleeps again nobody makes a
 * system call.
 */
#include "pending.h"

#include <errno.h>
#include <math.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "cpu.h"
#include "shared.h"

enum { BITS = 64 }; /* in a word */

struct pending {
    /* Constant, and not in the cache line that all are waiting for. */
    int count; /* the numbers are below this */
    _Atomic uint64_t *set;
    atomic_uint *turns; /* at which each number was added */

    alignas(64) atomic_uint added; /* how many, ever */
    atomic_bool asleep;
    atomic_bool closed;
    sem_t wake; /* a token is only a hint to look again */

    /* Of the taker. */
    unsigned next; /* the first turn that it has not seen */
    int *row;      /* 1 + the number of each turn from there, or 0 */
};

static size_t words(int count)
{
    return ((size_t)count + BITS - 1) / BITS;
}

/* More turns than numbers: one that was added again has had two. */
static size_t row_length(int count)
{
    return 2 * (size_t)count;
}

/* All in one mapping: what comes first has the strictest alignment. */
static size_t mapping_size(int count)
{
    return sizeof(struct pending) + words(count) * sizeof(uint64_t) +
           (size_t)count * sizeof(unsigned) +
           row_length(count) * sizeof(int);
}

struct pending *pending_create(int count)
{
    struct pending *pending;

    if (count <= 0) {
        errno = EINVAL;
        return NULL;
    }
    pending = shared_alloc(mapping_size(count));
    if (pending == NULL)
        return NULL;
    sem_init(&pending->wake, 1, 0);
    pending->count = count;
    pending->set = (void *)(pending + 1);
    pending->turns = (void *)(pending->set + words(count));
    pending->row = (void *)(pending->turns + count);
    return pending;
}

void pending_destroy(struct pending *pending)
{
    if (pending == NULL)
        return;
    sem_destroy(&pending->wake);
    shared_free(pending, mapping_size(pending->count));
}

/* ---------------------------------------------- who adds -- */

static void wake_taker(struct pending *pending)
{
    if (atomic_load(&pending->asleep) &&
        atomic_exchange(&pending->asleep, false))
        sem_post(&pending->wake);
}

unsigned pending_add(struct pending *pending, int number)
{
    _Atomic uint64_t *word = &pending->set[number / BITS];
    atomic_uint *its_turn = &pending->turns[number];
    uint64_t bit = UINT64_C(1) << number % BITS;
    unsigned turn;

    cpu_fetch(word, sizeof *word);
    cpu_fetch(its_turn, sizeof *its_turn);
    turn = atomic_fetch_add(&pending->added, 1);
    atomic_store_explicit(its_turn, turn, memory_order_relaxed);
    atomic_fetch_or(word, bit);
    wake_taker(pending);
    return turn + 1;
}

void pending_close(struct pending *pending)
{
    atomic_store(&pending->closed, true);
    wake_taker(pending);
}

void pending_recover(struct pending *pending)
{
    sem_post(&pending->wake);
}

/* ---------------------------------------------- who takes -- */

static bool is_empty(struct pending *pending)
{
    for (size_t i = 0; i < words(pending->count); i++)
        if (atomic_load(&pending->set[i]) != 0)
            return false;
    return true;
}

/*
 * To its place in the row, as far as that goes.  Returns false for one
 * that is late: it had its turn, and its bit only after the taker saw
 * later ones.
 */
static bool line_up(struct pending *pending, int number,
                    unsigned *length)
{
    unsigned turn = atomic_load_explicit(&pending->turns[number],
                                         memory_order_relaxed);
    unsigned place = turn - pending->next;

    if (place >= row_length(pending->count))
        return false;
    pending->row[place] = 1 + number;
    if (place >= *length)
        *length = place + 1;
    return true;
}

/*
 * The late ones go first.  Turns of those who died stay empty; when
 * they are too many for the row, it begins behind them.
 */
static size_t take_all(struct pending *pending, int *numbers)
{
    unsigned most = (unsigned)row_length(pending->count);
    unsigned added = atomic_load(&pending->added);
    unsigned length = 0;
    size_t count = 0;

    if (added - pending->next > most)
        pending->next = added - most;
    for (size_t i = 0; i < words(pending->count); i++) {
        int number = (int)i * BITS;
        uint64_t bits = 0;

        if (atomic_load(&pending->set[i]) != 0)
            bits = atomic_exchange(&pending->set[i], 0);
        for (; bits != 0; number++, bits >>= 1)
            if ((bits & 1) && !line_up(pending, number, &length))
                numbers[count++] = number;
    }
    for (unsigned i = 0; i < length; i++) {
        if (pending->row[i] != 0)
            numbers[count++] = pending->row[i] - 1;
        pending->row[i] = 0;
    }
    pending->next += length;
    return count;
}

static void sleep_until_called(struct pending *pending)
{
    atomic_store(&pending->asleep, true);
    if (is_empty(pending) && !atomic_load(&pending->closed))
        clock_sem_wait(&pending->wake, INFINITY);
    atomic_store(&pending->asleep, false);
}

size_t pending_take(struct pending *pending, int *numbers)
{
    for (;;) {
        bool closed = atomic_load(&pending->closed); /* first */
        size_t count = take_all(pending, numbers);

        if (count > 0 || closed)
            return count;
        sleep_until_called(pending);
    }
}
