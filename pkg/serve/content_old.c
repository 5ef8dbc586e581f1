/* What clients were sent last, while it is not what a topic says any more: kept for the changes from it. */
#include "encode/native.h"
#include "serve/topic_internal.h"

static struct topic_table *table_of(const struct content *content)
{
    return content->entry->topic.table;
}

static size_t blob_len(const struct blob *blob)
{
    return blob ? blob->len : 0;
}

/* Takes over the reference. */
static void set_changes(struct content *content, uint64_t version, struct blob *blob)
{
    table_of(content)->old_bytes += blob_len(blob) - blob_len(content->changes);
    blob_unref(content->changes);
    content->changes = blob;
    content->changes_to = version;
}

void content_forget(struct content *content)
{
    if (list_empty(&content->old))
        return;
    list_remove(&content->old);
    set_changes(content, 0, NULL);
    table_of(content)->old_bytes -= blob_len(content->blob);
}

/* Who has one of those that go is sent its next list whole. */
static void make_room(struct topic_table *table)
{
    while (table->old_bytes > TOPIC_OLD_MAX) {
        struct content *oldest = container_of(table->old.next, struct content, old);

        content_forget(oldest);
        content_set_blob(oldest, NULL);
    }
}

void content_age(struct content *content)
{
    struct topic_table *table = table_of(content);

    if (content->holders == 0 || !content->blob)
        return;
    list_append(&table->old, &content->old);
    table->old_bytes += content->blob->len;
    make_room(table);
}

void content_hold(struct subscriber *subscriber, const struct topic_content *content)
{
    struct content *before = subscriber->sent ? content_of(subscriber->sent) : NULL;

    if (content && content_of(content)->blob) {
        content_of(content)->holders++;
        subscriber->sent = content;
    } else {
        subscriber->sent = NULL;
    }
    if (!before)
        return;
    if (--before->holders == 0)
        content_forget(before);
    content_drop(before);
}

struct blob *content_changes(const struct subscriber *subscriber)
{
    struct content *before = subscriber->sent ? content_of(subscriber->sent) : NULL;
    const struct content *now = content_of(subscriber->content);
    struct topic_table *table = table_of(now);

    if (!before || list_empty(&before->old) || !now->blob)
        return NULL;
    if (before->changes_to == now->content.version)
        return before->changes;
    set_changes(before, now->content.version,
                encode_native_changes(blob_str(before->blob), blob_str(now->blob)));
    if (table->options.stats)
        counter_add(&table->options.stats->changes, 1);
    make_room(table);
    return before->changes;
}
