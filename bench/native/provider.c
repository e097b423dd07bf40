/* A provider that takes no time: answers chats in OpenAI's and in Anthropic's grammar. Linux, one thread, no library.
 *
 *   cc -O2 -o provider provider.c && ./provider PORT      (0: any; the port is printed)
 *
 * GET /behave?wait=MS&chunks=N&gap=US sets how all later answers come: after so long, streams in so many chunks, one
 * every so many microseconds (0: all in one piece). Each chunk of a stream holds the time at which it was sent
 * ("@" and 16 digits, microseconds of the monotonic clock), so that a reader on the same machine knows what was added
 * on the way. It is answered by what has come since the last such word: {"connections": 2, "requests": 100}.
 * What is asked is not looked at, but for the path and "stream": true.
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

enum grammar { OPENAI, ANTHROPIC };
enum { EVENTS = 512, PIECE = 65536, WORDS = 90 };

struct client {
    int socket, streaming, full;
    enum grammar grammar;
    char *in, *out;
    size_t in_size, in_room, out_size, out_room;
    int sent;          /* chunks of the stream that is going out; -1: its answer is still awaited */
    int64_t due;       /* when the next piece goes out; 0: nothing is waited for */
    struct client *before, *after;
    struct queue *queue;
};

/* Whoever waits equally long is due in the order of coming. */
struct queue { struct client *first, *last; };

static struct queue first_pieces, next_pieces;
static int64_t wait_us = 0, gap_us = 20000;
static int chunks = 100, poller;
static long connections, requests;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000ll + time.tv_nsec / 1000;
}

static void *grown(void *memory, size_t *room, size_t needed) {
    if (needed <= *room) return memory;
    while (*room < needed) *room = *room ? *room * 2 : 1024;
    memory = realloc(memory, *room);
    if (!memory) { perror("realloc"); exit(1); }
    return memory;
}

static void leave(struct client *client) {
    struct queue *queue = client->queue;
    if (!queue) return;
    if (client->before) client->before->after = client->after; else queue->first = client->after;
    if (client->after) client->after->before = client->before; else queue->last = client->before;
    client->before = client->after = NULL;
    client->queue = NULL;
}

static void enter(struct client *client, struct queue *queue, int64_t due) {
    leave(client);
    client->due = due;
    client->queue = queue;
    client->before = queue->last;
    if (queue->last) queue->last->after = client; else queue->first = client;
    queue->last = client;
}

static void hang_up(struct client *client) {
    leave(client);
    close(client->socket);
    free(client->in);
    free(client->out);
    free(client);
}

/* ---- what is said */

static void say(struct client *client, const char *data, size_t size) {
    client->out = grown(client->out, &client->out_room, client->out_size + size);
    memcpy(client->out + client->out_size, data, size);
    client->out_size += size;
}

/* One event, framed as one chunk of HTTP. */
static void event(struct client *client, const char *name, const char *data) {
    char line[1024], size[16];
    int length = client->grammar == ANTHROPIC ? snprintf(line, sizeof line, "event: %s\ndata: %s\n\n", name, data)
                                              : snprintf(line, sizeof line, "data: %s\n\n", data);
    say(client, size, snprintf(size, sizeof size, "%x\r\n", length));
    say(client, line, length);
    say(client, "\r\n", 2);
}

static void openai_chunk(struct client *client, const char *choices, const char *usage) {
    char data[900];
    snprintf(data, sizeof data,
             "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
             "\"model\":\"gpt-4o-mini-2024-07-18\",\"system_fingerprint\":\"fp_0\",\"choices\":%s,\"usage\":%s}",
             choices, usage);
    event(client, NULL, data);
}

static void begin_stream(struct client *client) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    say(client, head, sizeof head - 1);
    if (client->grammar == OPENAI) {
        openai_chunk(client, "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]", "null");
        return;
    }
    event(client, "message_start", "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\","
          "\"model\":\"claude-3-5-haiku-20241022\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
          "\"usage\":{\"input_tokens\":60,\"output_tokens\":1}}}");
    event(client, "content_block_start", "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}");
}

static void stream_chunk(struct client *client) {
    char data[300];
    if (client->grammar == OPENAI) {
        snprintf(data, sizeof data, "[{\"index\":0,\"delta\":{\"content\":\" @%016lld\"},\"logprobs\":null,\"finish_reason\":null}]", (long long)now());
        openai_chunk(client, data, "null");
        return;
    }
    snprintf(data, sizeof data, "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" @%016lld\"}}", (long long)now());
    event(client, "content_block_delta", data);
}

static void end_stream(struct client *client) {
    static const char done[] = "e\r\ndata: [DONE]\n\n\r\n";
    if (client->grammar == OPENAI) {
        openai_chunk(client, "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]", "null");
        openai_chunk(client, "[]", "{\"prompt_tokens\":60,\"completion_tokens\":100,\"total_tokens\":160}");
        say(client, done, sizeof done - 1);
    } else {
        event(client, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
        event(client, "message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":100}}");
        event(client, "message_stop", "{\"type\":\"message_stop\"}");
    }
    say(client, "0\r\n\r\n", 5);
}

static void whole_answer(struct client *client) {
    char text[WORDS * 6 + 1] = "", body[2000], head[200];
    for (int word = 0; word < WORDS; word++) memcpy(text + 6 * word, "words ", 7);
    int size = client->grammar == OPENAI
        ? snprintf(body, sizeof body, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-4o-mini-2024-07-18\","
                   "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                   "\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":90,\"total_tokens\":150},\"system_fingerprint\":\"fp_0\"}", text)
        : snprintf(body, sizeof body, "{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-3-5-haiku-20241022\","
                   "\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
                   "\"usage\":{\"input_tokens\":60,\"output_tokens\":90}}", text);
    say(client, head, snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size));
    say(client, body, size);
}

/* ---- when it is said */

/* Returns 0 if the client has gone. */
static int flush(struct client *client) {
    size_t gone = 0;
    while (gone < client->out_size) {
        ssize_t some = send(client->socket, client->out + gone, client->out_size - gone, MSG_NOSIGNAL);
        if (some < 0 && errno != EAGAIN) { hang_up(client); return 0; }
        if (some < 0) break;
        gone += some;
    }
    memmove(client->out, client->out + gone, client->out_size - gone);
    client->out_size -= gone;
    if (client->full != (client->out_size > 0)) {
        client->full = client->out_size > 0;
        struct epoll_event wish = { EPOLLIN | (client->full ? EPOLLOUT : 0), { .ptr = client } };
        epoll_ctl(poller, EPOLL_CTL_MOD, client->socket, &wish);
    }
    return 1;
}

static void answer(struct client *client);

/* The next piece of a client's answer. */
static void speak(struct client *client) {
    leave(client);
    client->due = 0;
    if (!client->streaming) {
        whole_answer(client);
    } else {
        if (client->sent < 0) { begin_stream(client); client->sent = 0; }
        do stream_chunk(client); while (++client->sent < chunks && !gap_us);
        if (client->sent < chunks) enter(client, &next_pieces, now() + gap_us);
        else end_stream(client);
    }
    if (flush(client) && !client->due) answer(client);
}

static int whole_request(struct client *client, size_t *size) {
    char *end = memmem(client->in, client->in_size, "\r\n\r\n", 4);
    if (!end) return 0;
    *size = end + 4 - client->in;
    *end = 0; /* headers are searched as a string */
    char *length = strcasestr(client->in, "\r\ncontent-length:"), *coded = strcasestr(client->in, "\r\ntransfer-encoding: chunked");
    if (length) *size += strtoul(length + 17, NULL, 10);
    *end = '\r';
    if (coded && !length) {
        char *last = memmem(end + 4, client->in_size - *size, "0\r\n\r\n", 5);
        if (!last) return 0;
        *size = last + 5 - client->in;
    }
    return client->in_size >= *size;
}

static void behave(struct client *client, size_t size) {
    char text[200], told[100], *value, *end = memchr(client->in, '\n', size);
    *end = 0;
    if ((value = strstr(client->in, "wait="))) wait_us = atoll(value + 5) * 1000;
    if ((value = strstr(client->in, "chunks="))) chunks = atoi(value + 7);
    if ((value = strstr(client->in, "gap="))) gap_us = atoll(value + 4);
    int length = snprintf(told, sizeof told, "{\"connections\": %ld, \"requests\": %ld}\n", connections, requests);
    say(client, text, snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, told));
    connections = requests = 0;
}

/* Begin to answer the next request that is here. */
static void answer(struct client *client) {
    size_t size;
    while (client->in_size && whole_request(client, &size)) {
        int control = !memcmp(client->in, "GET ", 4);
        if (control) {
            behave(client, size);
        } else {
            char *line = memchr(client->in, '\n', client->in_size);
            client->grammar = memmem(client->in, line - client->in, "/messages", 9) ? ANTHROPIC : OPENAI;
            client->streaming = memmem(client->in, size, "\"stream\":true", 13) || memmem(client->in, size, "\"stream\": true", 14);
            client->sent = -1;
            requests++;
        }
        memmove(client->in, client->in + size, client->in_size - size);
        client->in_size -= size;
        if (control) {
            if (!flush(client)) return;
        } else if (wait_us) {
            enter(client, &first_pieces, now() + wait_us);
            return;
        } else {
            speak(client);
            return;
        }
    }
}

static void hear(struct client *client) {
    for (;;) {
        client->in = grown(client->in, &client->in_room, client->in_size + PIECE / 16);
        ssize_t some = recv(client->socket, client->in + client->in_size, client->in_room - client->in_size, 0);
        if (some < 0 && errno == EAGAIN) break;
        if (some <= 0) { hang_up(client); return; }
        client->in_size += some;
    }
    if (!client->due && !client->queue) answer(client);
}

static void welcome(int listening) {
    int socket, yes = 1;
    while ((socket = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = calloc(1, sizeof *client);
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        client->socket = socket;
        connections++;
        struct epoll_event wish = { EPOLLIN, { .ptr = client } };
        epoll_ctl(poller, EPOLL_CTL_ADD, socket, &wish);
    }
}

static int64_t first_due(void) {
    int64_t due = first_pieces.first ? first_pieces.first->due : INT64_MAX;
    return next_pieces.first && next_pieces.first->due < due ? next_pieces.first->due : due;
}

static int listener(int port) {
    int yes = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listening, (void *)&address, size) || listen(listening, 4096)) { perror("listen"); exit(1); }
    getsockname(listening, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listening;
}

int main(int count, char **words) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    int listening = listener(count > 1 ? atoi(words[1]) : 0);
    struct epoll_event wish = { EPOLLIN, { .ptr = NULL } }, came[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listening, &wish);
    for (;;) {
        int64_t due = first_due(), left = due == INT64_MAX ? -1 : due - now();
        int found = epoll_wait(poller, came, EVENTS, left < 0 ? (due == INT64_MAX ? -1 : 0) : (int)((left + 999) / 1000));
        for (int number = 0; number < found; number++) {
            struct client *client = came[number].data.ptr;
            if (!client) welcome(listening);
            else if (came[number].events & EPOLLOUT && !flush(client)) continue;
            else if (came[number].events & ~EPOLLOUT) hear(client);
        }
        for (int64_t time = now(); first_pieces.first && first_pieces.first->due <= time;) speak(first_pieces.first);
        for (int64_t time = now(); next_pieces.first && next_pieces.first->due <= time;) speak(next_pieces.first);
    }
}
