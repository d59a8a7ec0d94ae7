/* green_test.c -- what green.h promises. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "clock.h"
#include "coroutine.h"
#include "green.h"
#include "loopback.h"
#include "process.h"

/* What the green threads of a test write, in this thread. */
static _Thread_local char trace[200];

static void note(const char *word)
{
    size_t size = strlen(trace);

    snprintf(trace + size, sizeof trace - size, "%s", word);
}

static struct green *spawn(const char *name, green_function *run,
                           void *arg)
{
    struct green *green = green_spawn(name, run, arg);

    expect(green != NULL);
    return green;
}

/* Joins and frees it. */
static void *end(struct green *green)
{
    void *value;

    expect_int(green_join(green, INFINITY), 0);
    expect(green_finished(green));
    value = green_value(green);
    green_free(green);
    return value;
}

static int open_descriptors(void)
{
    int first = open("/dev/null", O_RDONLY);

    close(first);
    return first;
}

static void *note_name(void *arg)
{
    note(arg);
    return arg;
}

static char a[] = "a", b[] = "b", c[] = "c";

/* ------------------------------------------------- spawn and join */

static void they_begin_in_order_when_the_caller_waits(void)
{
    struct green *first = spawn("a", note_name, a);
    struct green *second = spawn("b", note_name, b);

    expect_string(trace, "");
    expect(!green_finished(first));
    expect(green_value(first) == NULL);
    expect_int(green_count(), 2);
    expect(end(second) == b);
    expect_string(trace, "ab");
    expect_int(green_count(), 0);
    expect(end(first) == a);
}

struct rest {
    double seconds;
    const char *word;
};

static void *rest(void *arg)
{
    const struct rest *rest = arg;

    expect_int(green_sleep(rest->seconds), 0);
    note(rest->word);
    return arg;
}

static void sleepers_wake_in_the_order_of_their_times(void)
{
    struct rest rests[] = {{0.03, "c"}, {0.01, "a"}, {0.02, "b"}};
    struct green *greens[3];
    double start = clock_now();

    for (int i = 0; i < 3; i++)
        greens[i] = spawn("sleeper", rest, &rests[i]);
    expect_int(green_joinall(greens, 3, INFINITY), 0);
    expect(clock_now() - start >= 0.03);
    expect_string(trace, "abc");
    for (int i = 0; i < 3; i++)
        expect(end(greens[i]) == &rests[i]);
}

static void a_join_keeps_its_time_limit(void)
{
    struct rest rests[] = {{0.2, "b"}, {0, "a"}};
    struct green *greens[] = {spawn("long", rest, &rests[0]),
                              spawn("short", rest, &rests[1])};
    double start = clock_now();

    expect_int(green_join(greens[0], 0), ETIMEDOUT);
    expect_int(green_join(greens[0], -1), ETIMEDOUT);
    expect_int(green_joinall(greens, 2, 0.02), ETIMEDOUT);
    expect(clock_now() - start >= 0.02);
    expect_string(trace, "a");
    end(greens[1]);
    end(greens[0]);
    expect_string(trace, "ab");
}

static void *join_it(void *arg)
{
    expect_int(green_join(arg, 1), 0);
    note("j");
    return NULL;
}

static void several_join_one(void)
{
    struct rest short_rest = {0.01, "a"};
    struct green *one = spawn("one", rest, &short_rest);
    struct green *joiners[] = {spawn("first", join_it, one),
                               spawn("second", join_it, one)};

    expect_int(green_joinall(joiners, 2, INFINITY), 0);
    expect_string(trace, "ajj");
    end(joiners[0]);
    end(joiners[1]);
    end(one);
}

static void *join_too_shortly(void *arg)
{
    expect_int(green_join(arg, 0.005), 0);
    note("t");
    return NULL;
}

/*
 * All of them are awake at the same look: who joined is woken by its
 * time, and then the other one ends, before the joiner runs.
 */
static void a_join_may_end_at_the_same_moment(void)
{
    struct rest same = {0.005, "s"};
    struct green *joiners[3];
    struct green *one = spawn("one", rest, &same);

    for (int i = 0; i < 3; i++)
        joiners[i] = spawn("joiner", join_too_shortly, one);
    expect_int(green_sleep(0), 0);
    clock_sleep(0.02);
    expect_int(green_joinall(joiners, 3, INFINITY), 0);
    expect_string(trace, "sttt");
    for (int i = 0; i < 3; i++)
        end(joiners[i]);
    end(one);
}

static void *join_self(void *arg)
{
    struct green **self = arg;

    return green_join(*self, INFINITY) == EDEADLK ? arg : NULL;
}

static void nobody_joins_itself(void)
{
    struct green *self = NULL;

    self = spawn("self", join_self, &self);
    expect(end(self) == &self);
}

static void *count_up(void *arg)
{
    ++*(int *)arg;
    return NULL;
}

static void one_that_nobody_holds_runs_all_the_same(void)
{
    int ran = 0;

    green_free(NULL);
    for (int i = 0; i < 100; i++)
        green_free(spawn("detached", count_up, &ran));
    expect_int(green_count(), 100);
    expect_int(green_sleep(0), 0);
    expect_int(ran, 100);
    expect_int(green_count(), 0);
}

static void *take_turns(void *arg)
{
    for (int i = 0; i < 3; i++) {
        note(arg);
        expect_int(green_sleep(0), 0);
    }
    return NULL;
}

static void sleep_of_nothing_gives_each_a_turn(void)
{
    struct green *greens[] = {spawn("a", take_turns, a),
                              spawn("b", take_turns, b),
                              spawn("c", take_turns, c)};

    for (int i = 0; i < 3; i++)
        end(greens[i]);
    expect_string(trace, "abcabcabc");
}

static void *spawn_another(void *arg)
{
    return end(spawn("inner", note_name, arg));
}

static void one_spawns_another(void)
{
    expect(end(spawn("outer", spawn_another, a)) == a);
    expect_string(trace, "a");
}

static void *take_turns_with(void *arg)
{
    while (!green_finished(arg))
        expect_int(green_sleep(0), 0);
    return arg;
}

static void *sleep_and_look(void *arg)
{
    double start = clock_now();

    expect_int(green_sleep(0.003), 0);
    expect(clock_now() - start >= 0.003);
    return arg;
}

static void others_do_not_cut_a_sleep_short(void)
{
    struct green *sleeper = spawn("sleeper", sleep_and_look, NULL);
    struct green *other = spawn("other", take_turns_with, sleeper);

    end(other);
    end(sleeper);
}

enum { CROWD = 2000 };

static void many_sleep_at_once(void)
{
    static struct green *crowd[CROWD];
    static struct rest rests[CROWD];

    for (int i = 0; i < CROWD; i++) {
        rests[i] = (struct rest){0.001 * (i * 7 % 20), ""};
        crowd[i] = spawn("one of many", rest, &rests[i]);
    }
    expect_int(green_joinall(crowd, CROWD, INFINITY), 0);
    for (int i = 0; i < CROWD; i++)
        end(crowd[i]);
}

/* ---------------------------------------------------- descriptors */

static int here, there; /* the two ends of a line */
static char bytes[1 << 20];

static void make_line(void)
{
    int ends[2];

    expect_int(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    here = ends[0];
    there = ends[1];
}

static void hang_up(void)
{
    green_close(here);
    green_close(there);
}

static const double a_moment = 0.01;

static void *read_word(void *limit)
{
    static char word[10];
    ssize_t count = green_read(here, word, sizeof word - 1,
                               limit == NULL ? INFINITY : a_moment);

    if (count < 0)
        return NULL;
    word[count] = '\0';
    return word;
}

static void a_reader_waits_and_others_run(void)
{
    struct green *reader, *other;

    make_line();
    reader = spawn("reader", read_word, NULL);
    other = spawn("other", note_name, a);
    expect_int(green_join(reader, 0.01), ETIMEDOUT);
    expect_string(trace, "a");
    expect_int(green_write(there, "word", 4, INFINITY), 4);
    expect_string(end(reader), "word");
    end(other);
    reader = spawn("reader", read_word, NULL);
    expect_int(green_sleep(0), 0);
    green_close(there);
    expect_string(end(reader), "");
    green_close(here);
}

static void a_read_keeps_its_time_limit(void)
{
    struct green *other;
    char byte;
    double start;

    make_line();
    start = clock_now();
    expect_int(green_read(here, &byte, 1, 0.01), -1);
    expect_int(errno, ETIMEDOUT);
    expect(clock_now() - start >= 0.01);
    other = spawn("other", note_name, a);
    expect_int(green_read(here, &byte, 1, 0), -1);
    expect_int(errno, ETIMEDOUT);
    expect_string(trace, "");
    end(other);
    expect_int(green_write(there, "x", 1, 0), 1);
    expect_int(green_read(here, &byte, 1, 0), 1);
    expect_int(green_read(-1, &byte, 1, 0), -1);
    expect_int(errno, EBADF);
    hang_up();
}

/*
 * The time is over and the bytes are there at the same look, unless the
 * machine is so busy that the time was over before.
 */
static void a_read_may_end_at_the_same_moment(void)
{
    char rest[10];

    make_line();
    for (int rounds = 0; rounds < 3;) {
        double begin = clock_now();
        struct green *reader = spawn("reader", read_word, trace);
        const char *word;
        bool in_time;

        expect_int(green_sleep(0), 0);
        in_time = clock_now() - begin < a_moment;
        expect_int(write(there, "word", 4), 4);
        clock_sleep(0.02);
        word = end(reader);
        if (in_time)
            expect_string(word, "word");
        else if (word == NULL)
            expect_int(read(here, rest, sizeof rest), 4);
        rounds += in_time;
    }
    hang_up();
}

static void *write_all(void *arg)
{
    expect_int(green_write(there, bytes, sizeof bytes, INFINITY),
               sizeof bytes);
    note("w");
    return arg;
}

static void *read_all(void *arg)
{
    size_t seen = 0;

    while (seen < sizeof bytes) {
        ssize_t count = green_read(here, bytes, 10000, INFINITY);

        expect(count > 0);
        seen += (size_t)count;
    }
    note("r");
    return arg;
}

static void a_write_is_of_all_bytes(void)
{
    struct green *greens[2];

    make_line();
    greens[0] = spawn("writer", write_all, NULL);
    greens[1] = spawn("reader", read_all, NULL);
    end(greens[0]);
    end(greens[1]);
    expect_string(trace, "wr");
    expect_int(green_write(there, bytes, sizeof bytes, 0.01), -1);
    expect_int(errno, ETIMEDOUT);
    signal(SIGPIPE, SIG_IGN);
    green_close(here);
    expect_int(green_write(there, bytes, sizeof bytes, INFINITY), -1);
    expect_int(errno, EPIPE);
    green_close(there);
}

/* Both ways at once on one descriptor. */
static void *echo(void *arg)
{
    char buffer[1000];
    ssize_t count;

    while ((count =
                green_read(there, buffer, sizeof buffer, INFINITY)) > 0)
        expect_int(green_write(there, buffer, (size_t)count, INFINITY),
                   count);
    return arg;
}

static void *talk(void *arg)
{
    expect_int(green_write(here, bytes, sizeof bytes, INFINITY),
               sizeof bytes);
    return arg;
}

static void one_reads_and_one_writes_the_same(void)
{
    struct green *greens[3];

    make_line();
    greens[0] = spawn("echo", echo, NULL);
    greens[1] = spawn("talker", talk, NULL);
    greens[2] = spawn("listener", read_all, NULL);
    end(greens[1]);
    end(greens[2]);
    green_close(here);
    end(greens[0]);
    green_close(there);
}

static void two_do_not_read_the_same(void)
{
    struct green *reader;
    char byte;

    make_line();
    reader = spawn("reader", read_word, NULL);
    expect_int(green_sleep(0), 0);
    expect_int(green_read(here, &byte, 1, INFINITY), -1);
    expect_int(errno, EBUSY);
    expect_int(green_write(there, "word", 4, INFINITY), 4);
    expect_string(end(reader), "word");
    hang_up();
}

static void a_number_may_come_again(void)
{
    struct green *reader;
    char byte;
    int before;

    make_line();
    for (int i = 0; i < 3; i++) {
        before = here;
        expect_int(green_read(here, &byte, 1, 0.001), -1);
        hang_up();
        make_line();
        expect_int(here, before);
        reader = spawn("reader", read_word, NULL);
        expect_int(green_join(reader, 0.001), ETIMEDOUT);
        expect_int(green_write(there, "word", 4, 0), 4);
        expect_string(end(reader), "word");
    }
    hang_up();
}

static void *join_the_other(void *arg)
{
    green_join(*(struct green **)arg, INFINITY);
    return NULL;
}

static void a_deadlock_of_all_is_told(void)
{
    static struct green *pair[2]; /* they are never freed */
    struct rest moment = {0.001, "m"};
    struct green *other;

    make_line(); /* there have been others that could happen */
    expect_int(green_read(here, bytes, 1, 0.001), -1);
    hang_up();
    pair[0] = spawn("left", join_the_other, &pair[1]);
    pair[1] = spawn("right", join_the_other, &pair[0]);
    expect_int(green_join(pair[0], INFINITY), EDEADLK);
    expect_int(green_joinall(pair, 2, INFINITY), EDEADLK);
    expect_int(green_join(pair[0], 0.01), ETIMEDOUT);
    other = spawn("other", rest, &moment);
    end(other);
    expect_int(green_count(), 2);
}

static void *read_zeros(void *arg)
{
    int zero = open("/dev/zero", O_RDONLY | O_NONBLOCK);

    for (int i = 0; i < 100; i++)
        expect_int(green_read(zero, bytes, 10, INFINITY), 10);
    green_close(zero);
    note("z");
    return arg;
}

static void who_never_waits_lets_others_run(void)
{
    struct green *greens[] = {spawn("zeros", read_zeros, NULL),
                              spawn("other", note_name, a)};

    end(greens[0]);
    end(greens[1]);
    expect_string(trace, "az");
}

/* ------------------------------------------------------- sockets */

static int listener, port;

static void listen_here(void)
{
    listener = loopback_listen(0);
    expect(listener >= 0);
    port = loopback_port(listener);
    expect_int(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
}

static int try_to_connect(double timeout)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((in_port_t)port)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (green_connect(client, (struct sockaddr *)&to, sizeof to,
                      timeout) == 0)
        return client;
    green_close(client);
    return -1;
}

static void *be_client(void *arg)
{
    int client = try_to_connect(INFINITY);
    char answer[6] = "";

    expect(client >= 0);
    expect_int(green_write(client, "hello", 5, INFINITY), 5);
    expect_int(green_read(client, answer, 5, INFINITY), 5);
    expect_string(answer, "HELLO");
    green_close(client);
    return arg;
}

static void *be_server(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int client = green_accept(listener, INFINITY);
        char question[6] = "";

        expect(client >= 0);
        expect(fcntl(client, F_GETFL) & O_NONBLOCK);
        expect(fcntl(client, F_GETFD) & FD_CLOEXEC);
        expect_int(green_read(client, question, 5, INFINITY), 5);
        expect_string(question, "hello");
        expect_int(green_write(client, "HELLO", 5, INFINITY), 5);
        green_close(client);
    }
    return arg;
}

static void clients_and_server_share_a_thread(void)
{
    struct green *server, *clients[20];

    listen_here();
    expect_int(green_accept(listener, 0.001), -1);
    expect_int(errno, ETIMEDOUT);
    server = spawn("server", be_server, NULL);
    for (int i = 0; i < 20; i++)
        clients[i] = spawn("client", be_client, NULL);
    expect_int(green_joinall(clients, 20, INFINITY), 0);
    for (int i = 0; i < 20; i++)
        end(clients[i]);
    end(server);
    green_close(listener);
    expect_int(try_to_connect(INFINITY), -1);
    expect_int(errno, ECONNREFUSED);
}

/* ----------------------------------------------- not everywhere */

static void sleep_in_it(void *arg)
{
    *(int *)arg = green_sleep(1);
}

static void *resume_a_coroutine(void *arg)
{
    struct coroutine *coroutine =
        coroutine_create("inner", sleep_in_it, arg);

    coroutine_resume(coroutine, NULL);
    coroutine_free(coroutine);
    return arg;
}

static void in_another_coroutine_nobody_waits(void)
{
    int error = 0;

    end(spawn("outer", resume_a_coroutine, &error));
    expect_int(error, EPERM);
}

static void without_a_descriptor_it_is_refused(void)
{
    struct rlimit limit;
    struct green *green;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &limit);
    expect(green_spawn("a", note_name, a) == NULL);
    expect_int(errno, EMFILE);
    expect_int(green_sleep(0), EMFILE);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    green = spawn("a", note_name, a);
    expect(end(green) == a);
}

static void *run_a_loop(void *arg)
{
    static const struct rest moment = {0.01, ""};
    struct rest own = moment;

    for (int i = 0; i < 10; i++)
        expect(end(spawn("sleeper", rest, &own)) == &own);
    return arg;
}

static void each_thread_has_a_loop_of_its_own(void)
{
    int before = open_descriptors();
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        expect_int(pthread_create(&threads[i], NULL, run_a_loop, NULL),
                   0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_int(open_descriptors(), before);
}

static int be_a_child(void *arg)
{
    (void)arg;
    expect_int(green_count(), 0);
    run_a_loop(NULL);
    return 0;
}

static void a_child_has_a_loop_of_its_own(void)
{
    struct rest long_rest = {0.05, "a"};
    struct green *green = spawn("sleeper", rest, &long_rest);
    struct process child = {0};

    expect_int(green_sleep(0), 0);
    expect_int(process_start(&child, be_a_child, NULL), 0);
    expect_int(process_join(&child, INFINITY), 0);
    expect_int(child.exitcode, 0);
    end(green);
    expect_string(trace, "a");
}

static void do_nothing(int number)
{
    (void)number;
}

static void signals_do_not_end_a_wait(void)
{
    struct sigaction action = {.sa_handler = do_nothing};
    struct itimerval often = {{0, 500}, {0, 500}}, never = {0};
    double start = clock_now();
    char byte;

    make_line();
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    expect_int(green_sleep(0.02), 0);
    expect_int(green_read(here, &byte, 1, 0.02), -1);
    expect_int(errno, ETIMEDOUT);
    setitimer(ITIMER_REAL, &never, NULL);
    expect(clock_now() - start >= 0.04);
    hang_up();
}

static const struct test tests[] = {
    TEST(they_begin_in_order_when_the_caller_waits),
    TEST(sleepers_wake_in_the_order_of_their_times),
    TEST(a_join_keeps_its_time_limit),
    TEST(several_join_one),
    TEST(a_join_may_end_at_the_same_moment),
    TEST(nobody_joins_itself),
    TEST(a_deadlock_of_all_is_told),
    TEST(one_that_nobody_holds_runs_all_the_same),
    TEST(sleep_of_nothing_gives_each_a_turn),
    TEST(others_do_not_cut_a_sleep_short),
    TEST(one_spawns_another),
    TEST(many_sleep_at_once),
    TEST(a_reader_waits_and_others_run),
    TEST(a_read_keeps_its_time_limit),
    TEST(a_read_may_end_at_the_same_moment),
    TEST(a_write_is_of_all_bytes),
    TEST(one_reads_and_one_writes_the_same),
    TEST(two_do_not_read_the_same),
    TEST(a_number_may_come_again),
    TEST(who_never_waits_lets_others_run),
    TEST(clients_and_server_share_a_thread),
    TEST(in_another_coroutine_nobody_waits),
    TEST(without_a_descriptor_it_is_refused),
    TEST(each_thread_has_a_loop_of_its_own),
    TEST(a_child_has_a_loop_of_its_own),
    TEST(signals_do_not_end_a_wait),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
