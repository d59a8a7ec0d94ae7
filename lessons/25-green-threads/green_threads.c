/*
 * green_threads.c -- many wait, and one thread is enough for it.
 *
 * A green thread is a coroutine that switches when it would have to
 * wait; a loop resumes it when the time is over, or the bytes are
 * there.  Eat and play sleep at the same time, until one of them calls
 * a sleep that the loop knows nothing of.  Then three pages are
 * fetched at once from three web servers, all of them in this thread.
 *
 * Look at: the time line, where bars stand above each other though
 * there is one thread, and where they do not.
 * Compare with: 24-coroutine, which switches without a reason;
 * 26-coroutine-server, for a server of many clients.
 * Try: --url http://example.org --url http://example.net
 *
 * It is longer than most: half of it is a web client.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checked.h"
#include "gauge.h"
#include "green.h"
#include "lesson.h"
#include "loopback.h"
#include "timeline.h"

enum {
    URLS_MAX = 8,
    SITES = 3,
    PAGE_BYTES = 100000,
    ANSWER_MAX = 1 << 20,
    PIECE = 1 << 14, /* that is read at a time */
    OWN_LIMIT = 30   /* s, for our own servers on a busy machine */
};

static int patience = 50;
static const char *urls[URLS_MAX + 1];

static struct gauge waiting;  /* who has begun and is not done yet */
static struct gauge delaying; /* web servers */

static struct green *spawn(const char *name, green_function *run,
                           void *arg)
{
    return check_pointer(green_spawn(name, run, arg), "green_spawn");
}

static void join_all(struct green *const *greens, int count)
{
    check_error(green_joinall(greens, (size_t)count, INFINITY),
                "green_joinall");
}

/* ------------------------------------------------- eat and play */

struct activity {
    const char *name, *value;
    int units;
    void (*nap)(double units);
    double begin, end; /* in u */
    const char *left;  /* the value, as it came out */
};

/* This sleep switches to whoever else can run. */
static void green_nap(double units)
{
    check_error(green_sleep(units * lesson_unit()), "green_sleep");
}

static void *act(void *arg)
{
    struct activity *activity = arg;

    gauge_enter(&waiting);
    activity->begin = unit_now();
    say_time("%s begins", activity->name);
    timeline_begin(activity->name, activity->name, 0);
    activity->nap(activity->units);
    timeline_end(activity->name);
    activity->end = unit_now();
    say_time("%s is %s", activity->name, activity->value);
    gauge_leave(&waiting);
    return (void *)activity->value;
}

/* Both at once; returns what they took together, in u. */
static double eat_and_play(struct activity *eat, struct activity *play)
{
    struct green *both[] = {spawn(eat->name, act, eat),
                            spawn(play->name, act, play)};

    waiting.most = 0;
    join_all(both, 2);
    eat->left = green_value(both[0]);
    play->left = green_value(both[1]);
    green_free(both[0]);
    green_free(both[1]);
    return fmax(eat->end, play->end) - eat->begin;
}

static void claim_values(const struct activity *eat,
                         const struct activity *play)
{
    saw("%s and %s", eat->left, play->left);
    claim(eat->left == eat->value && play->left == play->value,
          "eat left \"%s\", and play left \"%s\"", eat->value,
          play->value);
}

static void part_green_sleep(void)
{
    struct activity eat = {"eat", "full", 2, green_nap, 0, 0, NULL};
    struct activity play = {"play", "tired", 1, green_nap, 0, 0, NULL};
    double took = eat_and_play(&eat, &play);
    double alone = eat.end - eat.begin + play.end - play.begin;

    say("together %.1f u, one after the other %.1f u", took, alone);
    claim_values(&eat, &play);
    saw("%d", waiting.most);
    claim(waiting.most == 2, "both slept at the same time");
    saw("%.3f u", took);
    claim(took >= 2, "together they took at least 2 u");
    saw("%.3f u and %.3f u", took, alone);
    claim(took < alone, "but less than one after the other");
}

/* The same, but for the name of one function. */
static void part_blocking_sleep(void)
{
    struct activity eat = {"eat", "full", 2, unit_sleep, 0, 0, NULL};
    struct activity play = {"play", "tired", 1, green_nap, 0, 0, NULL};
    double took = eat_and_play(&eat, &play);

    say("together %.1f u", took);
    claim_values(&eat, &play);
    saw("%d at once", waiting.most);
    claim(waiting.most == 1 && play.begin >= eat.end,
          "play could not begin before eat was done");
    saw("%.3f u", took);
    claim(took >= 3, "together they took at least 3 u");
}

/* ----------------------------------------------- three web servers */

static struct site {
    int delay; /* u, before it answers */
    int listener;
    char url[40];
    char page[PAGE_BYTES];
} sites[SITES] = {{.delay = 3}, {.delay = 2}, {.delay = 1}};

/* Each has another one. */
static void write_page(struct site *site)
{
    for (int i = 0; i < PAGE_BYTES; i++)
        site->page[i] = (char)('a' + (i / 7 + site->delay) % 26);
}

/* Whatever is asked for: there is one page. */
static void answer(const struct site *site, int client)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n"
                               "Content-Type: text/plain\r\n\r\n";
    char request[1000];

    if (green_read(client, request, sizeof request, OWN_LIMIT) <= 0)
        return;
    gauge_enter(&delaying);
    green_nap(site->delay);
    gauge_leave(&delaying);
    if (green_write(client, head, sizeof head - 1, OWN_LIMIT) > 0)
        green_write(client, site->page, PAGE_BYTES, OWN_LIMIT);
}

static void *serve_one(void *arg)
{
    struct site *site = arg;
    int client =
        check_call(green_accept(site->listener, OWN_LIMIT), "accept");

    answer(site, client);
    green_close(client);
    green_close(site->listener);
    return NULL;
}

static void open_site(struct site *site)
{
    site->listener = check_call(loopback_listen(0), "listen");
    check_call(fcntl(site->listener, F_SETFL, O_NONBLOCK), "fcntl");
    snprintf(site->url, sizeof site->url, "http://127.0.0.1:%d/%d-u",
             loopback_port(site->listener), site->delay);
    write_page(site);
}

/* -------------------------------------------------- their client */

struct fetch {
    const char *url;
    double limit; /* s, for each wait */
    struct addrinfo *address;
    char *answer; /* all that came, or NULL */
    size_t size;
    double begin, end; /* in u */
    int number, error;
    char host[256], port[6];
};

/* "http://host:port/path", as the frame has looked at its beginning. */
static void split_url(struct fetch *fetch)
{
    const char *host = fetch->url + strlen("http://");
    size_t size = strcspn(host, ":/?#");
    const char *port = host + size;

    snprintf(fetch->host, sizeof fetch->host, "%.*s", (int)size, host);
    snprintf(fetch->port, sizeof fetch->port, "80");
    if (*port == ':')
        snprintf(fetch->port, sizeof fetch->port, "%.*s",
                 (int)strcspn(port + 1, "/?#"), port + 1);
}

/*
 * getaddrinfo asks other machines and makes the whole thread wait: it
 * is called before any green thread could mind.
 */
static void find_address(struct fetch *fetch)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error;

    split_url(fetch);
    error =
        getaddrinfo(fetch->host, fetch->port, &hints, &fetch->address);
    if (error == 0)
        return;
    report_error(error == EAI_SYSTEM ? errno : EHOSTUNREACH, "%s: %s",
                 fetch->url, gai_strerror(error));
    _exit(EXIT_REFUSED);
}

/* The end of the answer is the end of the connection: HTTP/1.0. */
static int receive(struct fetch *fetch, int server)
{
    ssize_t count = 1;

    fetch->answer = xcalloc(1, ANSWER_MAX + PIECE);
    while (count > 0 && fetch->size < ANSWER_MAX) {
        count = green_read(server, fetch->answer + fetch->size, PIECE,
                           fetch->limit);
        if (count < 0)
            return errno;
        fetch->size += (size_t)count;
    }
    return 0;
}

static int ask(struct fetch *fetch, int server)
{
    const char *path = strchr(fetch->url + strlen("http://"), '/');
    const struct addrinfo *address = fetch->address;
    char request[2000];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.0\r\nHost: %s\r\n"
                        "Connection: close\r\n\r\n",
                        path == NULL ? "/" : path, fetch->host);

    if (size >= (int)sizeof request)
        return ENAMETOOLONG;
    if (green_connect(server, address->ai_addr, address->ai_addrlen,
                      fetch->limit) != 0 ||
        green_write(server, request, (size_t)size, fetch->limit) < 0)
        return errno;
    return receive(fetch, server);
}

static void *fetch_page(void *arg)
{
    struct fetch *fetch = arg;
    char row[TIMELINE_NAME_MAX];
    int server = check_call(
        socket(fetch->address->ai_family,
               SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
        "socket");

    snprintf(row, sizeof row, "page %d", fetch->number);
    gauge_enter(&waiting);
    fetch->begin = unit_now();
    timeline_begin(row, row, 0);
    fetch->error = ask(fetch, server);
    timeline_end(row);
    fetch->end = unit_now();
    gauge_leave(&waiting);
    green_close(server);
    say_time("%s: %zu bytes, %s", row, fetch->size,
             error_name(fetch->error));
    return NULL;
}

/* Returns how many answers there were. */
static int fetch_all(struct fetch *fetches, int count)
{
    struct green *greens[URLS_MAX];
    int answers = 0;

    waiting.most = 0;
    for (int i = 0; i < count; i++) {
        fetches[i].number = i + 1;
        find_address(&fetches[i]);
    }
    for (int i = 0; i < count; i++)
        greens[i] = spawn("fetch", fetch_page, &fetches[i]);
    join_all(greens, count);
    for (int i = 0; i < count; i++) {
        answers += fetches[i].error == 0 && fetches[i].size >= 12 &&
                   memcmp(fetches[i].answer, "HTTP/1.", 7) == 0;
        green_free(greens[i]);
        freeaddrinfo(fetches[i].address);
    }
    return answers;
}

static bool has_page(const struct fetch *fetch, const char *page)
{
    const char *body = fetch->answer == NULL
                           ? NULL
                           : strstr(fetch->answer, "\r\n\r\n");

    return body != NULL && strlen(body + 4) == PAGE_BYTES &&
           memcmp(body + 4, page, PAGE_BYTES) == 0;
}

static void claim_pages(const struct fetch *fetches)
{
    double took = 0, alone = 0;
    int whole = 0, late = 0;

    for (int i = 0; i < SITES; i++) {
        double own = fetches[i].end - fetches[i].begin;

        whole += has_page(&fetches[i], sites[i].page);
        late += own >= sites[i].delay;
        alone += own;
        took = fmax(took, fetches[i].end - fetches[0].begin);
    }
    say("together %.1f u, one after the other %.1f u", took, alone);
    saw("%d whole, %d late", whole, late);
    claim(whole == SITES && late == SITES,
          "all pages came, and each as late as its server sent it");
    saw("%d, and %d servers", waiting.most, delaying.most);
    claim(waiting.most == SITES && delaying.most == SITES,
          "all of them were waited for at once");
    saw("%.3f u and %.3f u", took, alone);
    claim(took < alone, "that took less than one after the other");
}

static void part_own_pages(void)
{
    struct fetch fetches[SITES] = {{0}};
    struct green *servers[SITES];

    for (int i = 0; i < SITES; i++) {
        open_site(&sites[i]);
        servers[i] = spawn("server", serve_one, &sites[i]);
        fetches[i].url = sites[i].url;
        fetches[i].limit = OWN_LIMIT;
        say("page %d: %s", i + 1, sites[i].url);
    }
    fetch_all(fetches, SITES);
    join_all(servers, SITES);
    claim_pages(fetches);
    for (int i = 0; i < SITES; i++) {
        green_free(servers[i]);
        free(fetches[i].answer);
    }
}

static void part_other_pages(void)
{
    struct fetch fetches[URLS_MAX] = {{0}};
    int count = 0, answers;

    for (; urls[count] != NULL; count++) {
        fetches[count].url = urls[count];
        fetches[count].limit = patience * lesson_unit();
        say("page %d: %.50s", count + 1, urls[count]);
    }
    answers = fetch_all(fetches, count);
    saw("%d of %d", answers, count);
    claim(answers == count, "each server answered");
    for (int i = 0; i < count; i++)
        free(fetches[i].answer);
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"patience", "N", "with --url: wait N u for a server",
         &patience, 1, 100000},
        {0},
    };
    static const struct lesson_text texts[] = {
        {"url", "URL", "a page to fetch; up to 8 of them", "http://",
         urls, URLS_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-25 green-threads",
        .summary = "many wait, and one thread is enough for it",
        .example = "./lesson-25 --url http://example.org",
        .options = options,
        .texts = texts,
    };

    lesson_begin(&lesson, argc, argv);
    PART("A sleep that switches", part_green_sleep);
    PART("A sleep that blocks", part_blocking_sleep);
    if (urls[0] != NULL)
        PART("Pages of other servers", part_other_pages);
    else
        PART("Three servers at once", part_own_pages);
    return lesson_end();
}
