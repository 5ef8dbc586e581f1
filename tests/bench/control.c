#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "frame.h"

#define CHUNK (256 * 1024)
#define INPUT_MAX (1024 * 1024 * 1024)

void control_init(struct control *control)
{
    buf_init(&control->in, INPUT_MAX);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
}

void control_read(struct control *control)
{
    char *room;
    ssize_t got;

    if (buf_reserve(&control->in, CHUNK, &room) != CODE_OK)
        bench_die("a command is too large");
    got = read(STDIN_FILENO, room, CHUNK);
    if (got == 0)
        exit(0);
    if (got > 0)
        control->in.len += (size_t)got;
}

static void split(struct str line, struct command *command)
{
    while (line.len > 0 && command->count < COMMAND_WORDS_MAX)
        command->words[command->count++] = str_cut(&line, ' ');
}

bool control_next(struct control *control, struct command *ret_command)
{
    struct str in = buf_str(&control->in);
    size_t end = str_find(in, '\n');
    uint64_t len = 0;
    struct str last;

    *ret_command = (struct command){0};
    if (end == in.len)
        return false;
    split(str_slice(in, 0, end), ret_command);
    if (ret_command->count == 0)
        bench_die("an empty command");
    last = ret_command->words[ret_command->count - 1];
    if (last.ptr[0] == '+' && !str_to_u64(str_slice(last, 1, last.len), INPUT_MAX, &len))
        bench_die("a command's length");
    if (in.len < end + 1 + len)
        return false;
    ret_command->payload = str_slice(in, end + 1, end + 1 + len);
    return true;
}

void control_drop(struct control *control, const struct command *command)
{
    const char *end = command->payload.ptr + command->payload.len;

    buf_consume(&control->in, (size_t)(end - control->in.ptr));
}

bool command_is(const struct command *command, const char *name, size_t words)
{
    return command->count == words && str_eq(command->words[0], str_of(name));
}

uint32_t command_number(const struct command *command, size_t at)
{
    uint64_t number;

    if (!str_to_u64(command->words[at], UINT32_MAX, &number)) {
        errno = EINVAL;
        bench_die("a command's number");
    }
    return (uint32_t)number;
}
