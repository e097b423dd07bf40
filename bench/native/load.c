/* Sends one request again and again, over many connections, and measures the answers. Linux, one thread, no library.
 *
 *   cc -O2 -o load load.c
 *   ./load port=8080 file=REQUEST connections=64 (seconds=5 | requests=150) [warm=1] [ramp=1] [patience=60] [from=4]
 *
 * FILE holds the bytes of a request, head and body; "@@@@@@@@" in it becomes the number of the request. Each connection
 * sends it, waits for the answer's end and sends it again: until the time is up, or so many answers have come.
 * Connections are opened over RAMP seconds; answers that came in the first WARM seconds are counted, but not measured;
 * an answer that takes longer than PATIENCE seconds has failed. Connections come from so many addresses of the loopback net (FROM), so that ports suffice.
 *
 * Prints one object of JSON, times in microseconds. Of streams it counts events ("data:"), whether they ended as their
 * grammar says, and how late each chunk is that tells when it was sent ("@" and 16 digits, as provider.c says it).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, HEAD = 16384, STAMP = 16, LATE_US = 100000, MARK = 8 };
enum framing { LENGTH, CHUNKED, UNTIL_CLOSE };
enum part { SIZE, DATA, DATA_END, TRAILER }; /* of a chunked body */

struct word { const char *text; int found, at; };

struct link {
    int socket, number, begun, late;
    size_t sent;
    int64_t asked;
    char head[HEAD];
    size_t head_size;
    int has_head, status, keeps, streams;
    enum framing framing;
    enum part part;
    int64_t left;
    int line; /* characters of a trailer's line */
    struct word event, done, stop;
    int digits;
    int64_t stamp;
};

struct series { uint32_t *values; size_t count, room; };

static struct series took, lateness, first_bytes;
static char *request, *mark;
static size_t request_size;
static int poller, port, connections = 1, from = 1;
static double seconds, warm, ramp, patience = 60;
static long wanted, asked, answered, warmed, failed, incomplete, events, late_chunks, late_streams, statuses[600];
static int open_now, open_most;
static int64_t started;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000ll + time.tv_nsec / 1000;
}

static void note(struct series *series, int64_t value) {
    if (series->count == series->room) {
        series->room = series->room ? series->room * 2 : 65536;
        series->values = realloc(series->values, series->room * sizeof *series->values);
        if (!series->values) { perror("realloc"); exit(1); }
    }
    series->values[series->count++] = value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : value;
}

static int by_value(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void tell(const char *name, struct series *series) {
    if (!series->count) return;
    qsort(series->values, series->count, sizeof *series->values, by_value);
    size_t last = series->count - 1;
    printf(", \"%s\": {\"p50\": %u, \"p99\": %u, \"p999\": %u, \"max\": %u}", name, series->values[last / 2],
           series->values[(size_t)(last * 0.99)], series->values[(size_t)(last * 0.999)], series->values[last]);
}

/* ---- connections */

static void ask(struct link *link);

static void drop(struct link *link) {
    if (link->socket >= 0) { close(link->socket); open_now -= link->begun; }
    link->socket = -1;
    link->begun = 0;
}

static int over(void) {
    return seconds ? now() - started >= (int64_t)((warm + seconds) * 1e6) : asked >= wanted;
}

static void write_rest(struct link *link) {
    ssize_t some = send(link->socket, request + link->sent, request_size - link->sent, MSG_NOSIGNAL);
    if (some > 0) link->sent += some;
    struct epoll_event wish = { EPOLLIN | (link->sent < request_size ? EPOLLOUT : 0), { .ptr = link } };
    epoll_ctl(poller, EPOLL_CTL_MOD, link->socket, &wish);
}

static void dial(struct link *link) {
    int yes = 1;
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + link->number % from) };
    struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    link->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->socket < 0) { perror("socket"); exit(1); }
    setsockopt(link->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (from > 1) {
        setsockopt(link->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(link->socket, (void *)&own, sizeof own)) perror("bind");
    }
    if (connect(link->socket, (void *)&there, sizeof there) && errno != EINPROGRESS) { perror("connect"); exit(1); }
    struct epoll_event wish = { EPOLLIN | EPOLLOUT, { .ptr = link } };
    epoll_ctl(poller, EPOLL_CTL_ADD, link->socket, &wish);
}

static void ask(struct link *link) {
    if (over()) { drop(link); link->asked = 0; return; }
    asked++;
    int fresh = link->socket < 0;
    if (fresh) dial(link);
    link->sent = link->head_size = link->has_head = link->late = link->digits = 0;
    link->event = (struct word){ "data:", 0, 0 };
    link->done = (struct word){ "[DONE]", 0, 0 };
    link->stop = (struct word){ "message_stop", 0, 0 };
    link->asked = now();
    for (long digit = MARK, left = asked; mark && digit--; left /= 10) mark[digit] = '0' + left % 10;
    if (!fresh) write_rest(link);
}

static void fail(struct link *link) {
    failed++;
    drop(link);
    ask(link);
}

static void finish(struct link *link) {
    int64_t time = now();
    if (link->status < 600) statuses[link->status]++;
    events += link->event.found;
    late_streams += link->late > 0;
    if (link->status != 200) failed++;
    else if (link->streams && !link->done.found && !link->stop.found) incomplete++;
    else if (time - started < (int64_t)(warm * 1e6)) warmed++;
    else { answered++; note(&took, time - link->asked); }
    if (!link->keeps) drop(link);
    ask(link);
}

/* ---- answers */

static void spell(struct word *word, char letter) {
    word->at = letter == word->text[word->at] ? word->at + 1 : letter == word->text[0];
    if (!word->text[word->at]) { word->found++; word->at = 0; }
}

/* Look at bytes of a stream. */
static void look(struct link *link, const char *data, size_t size, int64_t time) {
    for (size_t index = 0; index < size; index++) {
        char letter = data[index];
        spell(&link->event, letter);
        spell(&link->done, letter);
        spell(&link->stop, letter);
        if (letter == '@') { link->digits = 1; link->stamp = 0; continue; }
        if (!link->digits) continue;
        if (letter < '0' || letter > '9') { link->digits = 0; continue; }
        link->stamp = link->stamp * 10 + letter - '0';
        if (++link->digits <= STAMP) continue;
        link->digits = 0;
        note(&lateness, time - link->stamp);
        if (time - link->stamp > LATE_US) { late_chunks++; link->late++; }
    }
}

/* Take in bytes of a chunked body. Returns whether it has ended. */
static int take_chunked(struct link *link, const char *data, size_t size, int64_t time) {
    for (size_t index = 0; index < size;) {
        char letter = data[index];
        if (link->part == SIZE) {
            index++;
            if (letter == '\n') { link->part = link->left ? DATA : TRAILER; link->line = 0; }
            else if (letter != '\r') link->left = link->left * 16 + (letter <= '9' ? letter - '0' : (letter | 32) - 'a' + 10);
        } else if (link->part == DATA) {
            size_t some = size - index < (size_t)link->left ? size - index : (size_t)link->left;
            if (link->streams) look(link, data + index, some, time);
            index += some;
            link->left -= some;
            if (!link->left) link->part = DATA_END;
        } else if (link->part == DATA_END) {
            index++;
            if (letter == '\n') link->part = SIZE;
        } else {
            index++;
            if (letter == '\n' && !link->line) return 1;
            link->line = letter == '\n' ? 0 : link->line + (letter != '\r');
        }
    }
    return 0;
}

static int take(struct link *link, const char *data, size_t size, int64_t time) {
    if (link->framing == CHUNKED) return take_chunked(link, data, size, time);
    if (link->streams) look(link, data, size, time);
    link->left -= size;
    return link->framing == LENGTH && link->left <= 0;
}

/* Take in bytes of an answer. Returns whether it has ended. */
static int hear(struct link *link, const char *data, size_t size) {
    int64_t time = now();
    if (link->has_head) return take(link, data, size, time);
    size_t room = HEAD - 1 - link->head_size, some = size < room ? size : room;
    memcpy(link->head + link->head_size, data, some);
    link->head[link->head_size + some] = 0;
    char *end = strstr(link->head, "\r\n\r\n");
    if (!end) { link->head_size += some; return 0; }
    size_t used = end + 4 - link->head - link->head_size;
    *end = 0;
    link->has_head = 1;
    link->status = atoi(link->head + 9);
    link->keeps = !strcasestr(link->head, "\r\nconnection: close");
    link->streams = strcasestr(link->head, "\r\ncontent-type: text/event-stream") != NULL;
    char *length = strcasestr(link->head, "\r\ncontent-length:");
    link->framing = length ? LENGTH : strcasestr(link->head, "\r\ntransfer-encoding: chunked") ? CHUNKED : UNTIL_CLOSE;
    link->part = SIZE;
    link->left = length ? atoll(length + 17) : 0;
    if (link->streams) note(&first_bytes, time - link->asked);
    if (link->framing == LENGTH && !link->left) return 1;
    return size > used && take(link, data + used, size - used, time);
}

static void readable(struct link *link) {
    static char data[262144];
    for (;;) {
        ssize_t some = recv(link->socket, data, sizeof data, 0);
        if (some < 0 && errno == EAGAIN) return;
        if (some <= 0) {
            if (!some && link->has_head && link->framing == UNTIL_CLOSE) { link->keeps = 0; finish(link); }
            else fail(link);
            return;
        }
        if (hear(link, data, some)) { finish(link); return; }
        if ((size_t)some < sizeof data) return;
    }
}

static void writable(struct link *link) {
    if (!link->begun) {
        link->begun = 1;
        open_now++;
        if (open_now > open_most) open_most = open_now;
    }
    if (link->sent < request_size) write_rest(link);
}

/* ---- the run */

static void options(int count, char **words) {
    const char *file = NULL;
    for (int number = 1; number < count; number++) {
        char *value = strchr(words[number], '=');
        if (!value) { fprintf(stderr, "not name=value: %s\n", words[number]); exit(2); }
        *value++ = 0;
        if (!strcmp(words[number], "port")) port = atoi(value);
        else if (!strcmp(words[number], "file")) file = value;
        else if (!strcmp(words[number], "connections")) connections = atoi(value);
        else if (!strcmp(words[number], "seconds")) seconds = atof(value);
        else if (!strcmp(words[number], "requests")) wanted = atol(value);
        else if (!strcmp(words[number], "warm")) warm = atof(value);
        else if (!strcmp(words[number], "ramp")) ramp = atof(value);
        else if (!strcmp(words[number], "patience")) patience = atof(value);
        else if (!strcmp(words[number], "from")) from = atoi(value);
        else { fprintf(stderr, "unknown: %s\n", words[number]); exit(2); }
    }
    FILE *stream = file ? fopen(file, "rb") : NULL;
    if (!stream) { perror("file"); exit(2); }
    request = malloc(64 << 20);
    request_size = fread(request, 1, 64 << 20, stream);
    mark = memmem(request, request_size, "@@@@@@@@", MARK);
    fclose(stream);
}

/* Give up what takes too long. Returns whether anything is still awaited. */
static int watch(struct link *links, int opened) {
    int64_t oldest = now() - (int64_t)(patience * 1e6);
    int waits = opened < connections && !over();
    for (int number = 0; number < opened; number++) {
        if (links[number].asked && links[number].asked < oldest) fail(&links[number]);
        waits |= links[number].asked != 0;
    }
    return waits;
}

static void report(double ran) {
    printf("{\"answered\": %ld, \"warm\": %ld, \"failed\": %ld, \"incomplete\": %ld, \"seconds\": %.3f, \"events\": %ld, "
           "\"open\": %d, \"late_chunks\": %ld, \"late_streams\": %ld, \"statuses\": {",
           answered, warmed, failed, incomplete, ran, events, open_most, late_chunks, late_streams);
    for (int status = 0, told = 0; status < 600; status++)
        if (statuses[status]) printf("%s\"%d\": %ld", told++ ? ", " : "", status, statuses[status]);
    printf("}");
    tell("took_us", &took);
    tell("first_byte_us", &first_bytes);
    tell("late_us", &lateness);
    printf("}\n");
}

int main(int count, char **words) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    options(count, words);
    poller = epoll_create1(0);
    struct link *links = calloc(connections, sizeof *links);
    struct epoll_event came[EVENTS];
    int opened = 0;
    started = now();
    for (int64_t looked = started;;) {
        double passed = (now() - started) / 1e6;
        int due = ramp ? (int)(connections * passed / ramp) + 1 : connections;
        for (; opened < due && opened < connections && !over(); opened++) {
            links[opened].socket = -1;
            links[opened].number = opened;
            ask(&links[opened]);
        }
        int found = epoll_wait(poller, came, EVENTS, opened < connections ? 1 : 100);
        for (int number = 0; number < found; number++) {
            struct link *link = came[number].data.ptr;
            if (came[number].events & EPOLLOUT) writable(link);
            if (link->socket >= 0 && came[number].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(link);
        }
        if (now() - looked > 100000) {
            looked = now();
            if (!watch(links, opened)) break;
        }
    }
    report((now() - started) / 1e6 - warm);
    return 0;
}
