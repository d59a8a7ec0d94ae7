/* loopback_test.c -- what loopback.h promises. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "loopback.h"

struct line {
    int listener, here, there;
};

static struct line connected(void)
{
    struct line line = {.listener = loopback_listen(0)};

    expect(line.listener >= 0);
    line.here = loopback_connect(loopback_port(line.listener));
    expect(line.here >= 0);
    line.there = accept(line.listener, NULL, NULL);
    expect(line.there >= 0);
    return line;
}

static void hang_up(struct line line)
{
    close(line.listener);
    close(line.here);
    close(line.there);
}

static void the_system_chooses_a_port_of_this_machine_only(void)
{
    struct line line = connected();
    struct sockaddr_in here = {0};
    socklen_t size = sizeof here;

    expect(loopback_port(line.listener) > 0);
    expect_int(
        getsockname(line.listener, (struct sockaddr *)&here, &size), 0);
    expect_int(ntohl(here.sin_addr.s_addr), INADDR_LOOPBACK);
    expect(fcntl(line.listener, F_GETFD) & FD_CLOEXEC);
    expect(fcntl(line.here, F_GETFD) & FD_CLOEXEC);
    hang_up(line);
}

static void bytes_arrive_as_they_were_sent(void)
{
    struct line line = connected();
    char bytes[6] = "";

    expect_int(loopback_send(line.here, "hello", 5), 0);
    expect_int(recv(line.there, bytes, 5, MSG_WAITALL), 5);
    expect_string(bytes, "hello");
    expect_int(loopback_send(line.here, bytes, 0), 0);
    hang_up(line);
}

static void what_has_arrived_is_received(void)
{
    struct line line = connected();
    char bytes[6] = "";

    expect_int(loopback_send(line.here, "hello", 5), 0);
    expect_int(loopback_receive(line.there, bytes, 2, INFINITY), 2);
    expect_int(loopback_receive(line.there, bytes + 2, 4, 0), 3);
    expect_string(bytes, "hello");
    shutdown(line.here, SHUT_WR);
    expect_int(loopback_receive(line.there, bytes, 5, INFINITY), 0);
    hang_up(line);
}

static void who_says_nothing_is_waited_for_until_the_deadline(void)
{
    struct line line = connected();
    double deadline = clock_deadline(0.02);
    char byte;

    errno = 0;
    expect_int(loopback_receive(line.there, &byte, 1, deadline), -1);
    expect_int(errno, ETIMEDOUT);
    expect(clock_left(deadline) <= 0);
    expect_int(loopback_receive(line.there, &byte, 1, deadline), -1);
    hang_up(line);
}

static void a_text_is_compared_with_what_comes_next(void)
{
    struct line line = connected();
    char text[600 + 1] = "", byte;

    memset(text, 'x', 600);
    loopback_send(line.here, text, 600);
    loopback_send(line.here, "hello, bye", 10);
    expect(loopback_gets(line.there, text, INFINITY));
    expect(loopback_gets(line.there, "hello", INFINITY));
    expect_int(loopback_receive(line.there, &byte, 1, INFINITY), 1);
    expect_int(byte, ',');
    expect(!loopback_gets(line.there, "-bye", INFINITY));
    hang_up(line);
}

static void a_text_that_does_not_come_is_none(void)
{
    struct line line = connected();

    loopback_send(line.here, "hel", 3);
    expect(!loopback_gets(line.there, "hello", clock_deadline(0.02)));
    shutdown(line.here, SHUT_WR);
    expect(!loopback_gets(line.there, "lo", INFINITY));
    hang_up(line);
}

static bool sends_at_once(int socket)
{
    socklen_t size = sizeof(int);
    int on = 0;

    getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, &size);
    return on != 0;
}

static void neither_side_waits_for_more_to_send(void)
{
    struct line line = connected();

    expect(sends_at_once(line.here));
    expect(sends_at_once(line.there));
    hang_up(line);
}

/* The server closes first, so that its port is in TIME_WAIT. */
static void a_port_is_free_again_at_once(void)
{
    struct line line = connected();
    int port = loopback_port(line.listener);
    int again;

    close(line.there);
    close(line.listener);
    again = loopback_listen(port);
    expect(again >= 0);
    expect_int(loopback_port(again), port);
    close(again);
    close(line.here);
}

static void a_port_in_use_is_refused(void)
{
    struct line line = connected();

    errno = 0;
    expect_int(loopback_listen(loopback_port(line.listener)), -1);
    expect_int(errno, EADDRINUSE);
    hang_up(line);
}

static void nobody_there_is_told(void)
{
    int listener = loopback_listen(0);
    int port = loopback_port(listener);

    close(listener);
    errno = 0;
    expect_int(loopback_connect(port), -1);
    expect_int(errno, ECONNREFUSED);
}

static void who_is_gone_gets_nothing_and_no_signal_comes(void)
{
    struct line line = connected();
    struct linger at_once = {1, 0};
    int error;

    setsockopt(line.there, SOL_SOCKET, SO_LINGER, &at_once,
               sizeof at_once);
    close(line.there);
    error = loopback_send(line.here, "hello", 5);
    expect(error == ECONNRESET || error == EPIPE);
    close(line.here);
    close(line.listener);
}

static void no_descriptor_left_is_told(void)
{
    struct rlimit before, none;
    int listened, connected_to, error;

    expect_int(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){3, before.rlim_max};
    expect_int(setrlimit(RLIMIT_NOFILE, &none), 0);
    listened = loopback_listen(0);
    error = errno;
    connected_to = loopback_connect(1);
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_int(listened, -1);
    expect_int(connected_to, -1);
    expect_int(error, EMFILE);
}

/* Closed by a socket under repair, it tells the other side nothing. */
static void who_has_vanished_unheard_is_noticed(void)
{
    struct line line = connected();
    int on = 1;
    char byte;

    if (setsockopt(line.here, IPPROTO_TCP, TCP_REPAIR, &on,
                   sizeof on) != 0)
        test_skip("needs CAP_NET_ADMIN, to lose a connection's end");
    close(line.here);
    expect_int(
        loopback_receive(line.there, &byte, 1, clock_deadline(0.5)),
        -1);
    expect_int(errno, ETIMEDOUT);
    expect_int(
        loopback_receive(line.there, &byte, 1, clock_deadline(30)), -1);
    expect_int(errno, ECONNRESET);
    close(line.there);
    close(line.listener);
}

static const struct test tests[] = {
    TEST(the_system_chooses_a_port_of_this_machine_only),
    TEST(bytes_arrive_as_they_were_sent),
    TEST(what_has_arrived_is_received),
    TEST(who_says_nothing_is_waited_for_until_the_deadline),
    TEST(a_text_is_compared_with_what_comes_next),
    TEST(a_text_that_does_not_come_is_none),
    TEST(neither_side_waits_for_more_to_send),
    TEST(a_port_is_free_again_at_once),
    TEST(a_port_in_use_is_refused),
    TEST(nobody_there_is_told),
    TEST(who_is_gone_gets_nothing_and_no_signal_comes),
    TEST(who_has_vanished_unheard_is_noticed),
    TEST(no_descriptor_left_is_told),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
