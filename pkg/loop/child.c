#include "loop/child.h"

#include <linux/close_range.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/internal.h"

#define COMPLAINT_MAX 4096 /* of what it says on standard error, the end is kept */
#define COMPLAINT_SHOWN_MAX 200
#define LEFT_BEHIND_MS 1000 /* it has exited, and its own children hold its output open */
#define REAP_MS 100

struct child {
    struct loop *loop;
    uv_process_t process;
    uv_pipe_t pipes[2]; /* standard output, standard error */
    unsigned open;      /* handles that are not closed yet; the last one frees */
    unsigned flowing;   /* pipes without their end */
    void (*on_done)(void *ctx, const struct child_result *result);
    void *ctx;
    struct timer *timer;
    uint64_t timeout_ms;
    struct buf output;
    struct buf complaint;
    bool started;
    bool exited;
    bool overdue;
    bool told;
    int64_t exit_status;
    int signal;
};

/* ---- what comes of it ---- */

static void failure_describe(const struct child *child, char *text, size_t size)
{
    if (child->output.failed)
        snprintf(text, size, "it wrote more than %zu bytes", child->output.max);
    else if (child->overdue)
        snprintf(text, size, "no end within %llu ms", (unsigned long long)child->timeout_ms);
    else if (child->signal)
        snprintf(text, size, "ended by signal %d", child->signal);
    else
        snprintf(text, size, "exit status %lld", (long long)child->exit_status);
}

/* The last line that says something, as far as it can be shown. */
static void complaint_add(struct child *child, char *text, size_t size)
{
    struct str said = str_trim(buf_str(&child->complaint));
    size_t len = strlen(text);
    struct str line = said;

    for (struct str rest = said; rest.len > 0;)
        line = str_cut(&rest, '\n');
    line = str_slice(str_trim(line), 0, COMPLAINT_SHOWN_MAX);
    if (line.len == 0)
        return;
    snprintf(text + len, size - len, ": %" STR_FMT, STR_ARG(line));
    for (size_t i = len; text[i]; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
}

static enum code child_code(const struct child *child)
{
    if (child->output.failed)
        return CODE_RESOURCE_EXHAUSTED;
    if (child->overdue)
        return CODE_DEADLINE_EXCEEDED;
    return child->signal || child->exit_status != 0 ? CODE_UNKNOWN : CODE_OK;
}

static void tell(struct child *child)
{
    char message[COMPLAINT_SHOWN_MAX + 64] = "";
    struct child_result result = {.code = child_code(child), .message = message};

    timer_stop(child->timer);
    child->told = true;
    result.output = buf_str(&child->output);
    if (result.code != CODE_OK) {
        failure_describe(child, message, sizeof(message));
        complaint_add(child, message, sizeof(message));
    }
    child->on_done(child->ctx, &result); /* may free the child */
}

static void tell_if_over(struct child *child)
{
    if (child->exited && child->flowing == 0 && !child->told)
        tell(child);
}

/* It leads a session and so a group; who joined that is meant too. */
static void end_by_force(struct child *child)
{
    kill(-child->process.pid, SIGKILL);
}

static void on_timer(void *ctx)
{
    struct child *child = ctx;

    child->overdue = child->overdue || !child->exited;
    end_by_force(child);
    if (child->exited)
        tell(child); /* whoever still holds its output has left the group */
    else
        timer_start(child->timer, LEFT_BEHIND_MS);
}

static void on_exit_seen(uv_process_t *process, int64_t exit_status, int signal)
{
    struct child *child = container_of(process, struct child, process);

    child->exited = true;
    child->exit_status = exit_status;
    child->signal = signal;
    if (child->flowing > 0)
        timer_start(child->timer, LEFT_BEHIND_MS);
    tell_if_over(child);
}

/* ---- what it says ---- */

static void on_room_wanted(uv_handle_t *handle, size_t wanted unused_arg, uv_buf_t *ret_room)
{
    *ret_room =
        uv_buf_init(loop_scratch(container_of(handle->loop, struct loop, uv)), LOOP_SCRATCH_SIZE);
}

static void complaint_keep(struct buf *complaint, const char *ptr, size_t len)
{
    if (len > COMPLAINT_MAX) {
        ptr += len - COMPLAINT_MAX;
        len = COMPLAINT_MAX;
    }
    if (complaint->len + len > COMPLAINT_MAX)
        buf_consume(complaint, complaint->len + len - COMPLAINT_MAX);
    (void)buf_append(complaint, ptr, len);
}

static void on_bytes(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct child *child = stream->data;

    if (got < 0) {
        uv_read_stop(stream);
        child->flowing--;
        tell_if_over(child);
    } else if (stream == (uv_stream_t *)&child->pipes[1]) {
        complaint_keep(&child->complaint, room->base, (size_t)got);
    } else if (!child->output.failed &&
               buf_append(&child->output, room->base, (size_t)got) != CODE_OK) {
        end_by_force(child);
    }
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;

    if (--child->open > 0)
        return;
    buf_done(&child->output);
    buf_done(&child->complaint);
    free(child);
}

static enum code spawn(struct child *child, const struct child_options *options, struct err *err)
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&child->pipes[0]},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&child->pipes[1]},
    };
    uv_process_options_t how = {
        .exit_cb = on_exit_seen,
        .file = options->argv[0],
        .args = (char **)(uintptr_t)options->argv,
        .env = (char **)(uintptr_t)options->env,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = (int)ARRAY_LEN(stdio),
        .stdio = stdio,
    };
    int status;

    /* Libraries make descriptors that would be inherited, libcurl for one. */
    (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    status = uv_spawn(&child->loop->uv, &child->process, &how);
    if (status < 0)
        return fail(err, loop_code(status), "cannot run '%s': %s", options->argv[0],
                    uv_strerror(status));
    child->started = true;
    return CODE_OK;
}

static struct child *child_make(struct loop *loop, const struct child_options *options)
{
    struct child *child = xcalloc(1, sizeof(*child));

    child->loop = loop;
    child->on_done = options->on_done;
    child->ctx = options->ctx;
    child->timeout_ms = options->timeout_ms;
    buf_init(&child->output, options->output_max);
    buf_init(&child->complaint, COMPLAINT_MAX);
    child->timer = timer_new(loop, on_timer, child);
    for (size_t i = 0; i < ARRAY_LEN(child->pipes); i++) {
        uv_pipe_init(&loop->uv, &child->pipes[i], 0);
        child->pipes[i].data = child;
    }
    return child;
}

enum code child_start(struct loop *loop, const struct child_options *options,
                      struct child **ret_child, struct err *err)
{
    CLEANUP(child_freep) struct child *child = child_make(loop, options);
    enum code code = spawn(child, options, err);

    if (code != CODE_OK)
        return code;
    for (size_t i = 0; i < ARRAY_LEN(child->pipes); i++)
        if (uv_read_start((uv_stream_t *)&child->pipes[i], on_room_wanted, on_bytes) == 0)
            child->flowing++;
    timer_start(child->timer, options->timeout_ms);
    *ret_child = TAKE(child);
    return CODE_OK;
}

/* libuv forgets a process whose handle is closed, and nobody would collect it. */
static void reap(struct child *child)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    end_by_force(child);
    for (int i = 0; i < REAP_MS; i++) {
        if (waitpid(child->process.pid, NULL, WNOHANG) != 0)
            return;
        nanosleep(&pause, NULL);
    }
}

void child_free(struct child *child)
{
    if (!child)
        return;
    if (child->started && !child->exited)
        reap(child);
    timer_free(child->timer);
    child->process.data = child;
    child->open = 1 + (unsigned)ARRAY_LEN(child->pipes);
    uv_close((uv_handle_t *)&child->process, on_closed);
    for (size_t i = 0; i < ARRAY_LEN(child->pipes); i++)
        uv_close((uv_handle_t *)&child->pipes[i], on_closed);
}
