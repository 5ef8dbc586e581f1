#include "serve/ask.h"

struct asked {
    struct list link;
    struct serve *serve;
    struct question question;
    unsigned missing;
    struct buf parts[SERVE_THREADS_MAX];
};

/* On its way from a worker to the control loop. */
struct part {
    struct asked *asked;
    struct buf text;
    unsigned index;
};

static void asked_free(struct asked *asked)
{
    list_remove(&asked->link);
    for (unsigned i = 0; i < ARRAY_LEN(asked->parts); i++)
        buf_done(&asked->parts[i]);
    if (asked->question.release)
        asked->question.release(asked->question.ctx);
    free(asked);
}

static void put(struct asked *asked);

static void finish(struct asked *asked)
{
    struct serve *serve = asked->serve;

    asked->question.on_done(asked->question.ctx, asked->parts, serve->options.threads);
    asked_free(asked);
    if (!list_empty(&serve->questions))
        put(container_of(serve->questions.next, struct asked, link));
}

/* On the control loop: one worker has written its part. */
static void on_part(void *ctx)
{
    struct part *part = ctx;
    struct asked *asked = part->asked;

    asked->parts[part->index] = part->text;
    free(part);
    if (--asked->missing == 0)
        finish(asked);
}

static void write_part(struct worker *worker, void *ctx)
{
    struct asked *asked = ctx;
    struct part *part = xcalloc(1, sizeof(*part));

    part->asked = asked;
    part->index = worker->options.index;
    buf_init(&part->text, asked->question.max);
    asked->question.write(worker, asked->question.ctx, &part->text);
    if (!loop_post(asked->serve->options.loop, on_part, part)) {
        buf_done(&part->text); /* the control loop ends */
        free(part);
    }
}

static void put(struct asked *asked)
{
    struct serve *serve = asked->serve;

    asked->missing = serve->options.threads;
    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_call(serve->workers[i], write_part, asked);
}

void serve_ask(struct serve *serve, const struct question *question)
{
    struct asked *asked = xcalloc(1, sizeof(*asked));
    bool idle = list_empty(&serve->questions);

    asked->serve = serve;
    asked->question = *question;
    list_init(&asked->link);
    list_append(&serve->questions, &asked->link);
    if (idle)
        put(asked);
}

void serve_forget_questions(struct serve *serve)
{
    list_for_each_safe (node, &serve->questions)
        asked_free(container_of(node, struct asked, link));
}
