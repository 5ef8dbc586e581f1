#include "loop/internal.h"

struct post {
    struct list link;
    void (*fn)(void *ctx);
    void *ctx;
};

static void move_all(struct list *from, struct list *to)
{
    struct list *node;

    while ((node = list_pop(from)))
        list_append(to, node);
}

void post_queue_init(struct post_queue *posts)
{
    pthread_mutex_init(&posts->mutex, NULL);
    list_init(&posts->waiting);
    list_init(&posts->running);
    posts->closed = false;
}

void post_queue_done(struct post_queue *posts)
{
    pthread_mutex_destroy(&posts->mutex);
}

void post_queue_run(struct post_queue *posts)
{
    struct list *link;

    /* What the calls post themselves is for the next turn, or they could hold this one for ever. */
    pthread_mutex_lock(&posts->mutex);
    move_all(&posts->waiting, &posts->running);
    pthread_mutex_unlock(&posts->mutex);

    while ((link = list_pop(&posts->running))) {
        struct post *post = container_of(link, struct post, link);
        void (*fn)(void *ctx) = post->fn;
        void *ctx = post->ctx;

        free(post);
        fn(ctx);
    }
}

bool loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct post_queue *posts = &loop->posts;
    struct post *post = xmalloc(sizeof(*post));
    bool closed, first;

    *post = (struct post){.fn = fn, .ctx = ctx};
    pthread_mutex_lock(&posts->mutex);
    closed = posts->closed;
    first = list_empty(&posts->waiting);
    if (!closed)
        list_append(&posts->waiting, &post->link);
    /* Inside the lock: once it is released, the loop may close its posts and be freed. */
    if (!closed && first)
        uv_async_send(&loop->wake);
    pthread_mutex_unlock(&posts->mutex);
    if (closed)
        free(post);
    return !closed;
}

void loop_close_posts(struct loop *loop)
{
    pthread_mutex_lock(&loop->posts.mutex);
    loop->posts.closed = true;
    pthread_mutex_unlock(&loop->posts.mutex);
    post_queue_run(&loop->posts);
}
