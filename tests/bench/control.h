/*
 * What the bench tells its programs: lines on standard input, which does not block. A line that ends with "+N" is followed by N bytes.
 *
 * Owns: its buffer, for the life of the program. EOF ends the program.
 */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include "base/buf.h"

#define COMMAND_WORDS_MAX 6

struct control {
    struct buf in;
};

/* Good until the next call of control_next(). */
struct command {
    struct str words[COMMAND_WORDS_MAX];
    size_t count;
    struct str payload;
};

void control_init(struct control *control);
/* Reads what is there. */
void control_read(struct control *control);
/* The next whole command; false when there is none. Drop it with control_drop(). */
bool control_next(struct control *control, struct command *ret_command) must_check;
void control_drop(struct control *control, const struct command *command);
bool command_is(const struct command *command, const char *name, size_t words) must_check;
/* Word `at` as a number; what is none ends the program. */
uint32_t command_number(const struct command *command, size_t at);

#endif
