#include "stream_client.h"

#include <criterion/criterion.h>

static void on_message(void *ctx, struct str message)
{
    struct stream_client *client = ctx;
    size_t len = strlen(client->told);

    buf_reset(&client->newest);
    cr_assert_eq(buf_add_str(&client->newest, message), CODE_OK);
    for (int type = 0; type < XDS_TYPES && len + 1 < sizeof(client->told); type++) {
        const char *url = xds_type_url(type);

        if (memmem(message.ptr, message.len, url, strlen(url)))
            client->told[len++] = xds_type_name(type)[0];
        client->told[len] = '\0';
    }
}

static void on_end(void *ctx unused_arg, enum code code, const char *message)
{
    cr_assert_fail("a stream ended: %s %s", code_name(code), message);
}

void client_open(struct stream_client *client, const struct serve_fixture *fixture, const char *path)
{
    static const struct grpc_call_handler handler = {on_message, on_end};
    const struct grpc_client_options options = {
        .loop = fixture->loop, .server = serve_address(fixture->serve, 0), .authority = "test", .connect_timeout_ms = 5000};
    struct err err = {0};

    *client = (struct stream_client){.fixture = fixture};
    buf_init(&client->newest, 64 * 1024);
    cr_assert_eq(grpc_client_new(&options, &client->grpc, &err), CODE_OK);
    client->call = grpc_call_start(client->grpc, path, 0, &handler, client);
}

void client_close(struct stream_client *client)
{
    grpc_client_free(client->grpc);
    buf_done(&client->newest);
}

void client_send(struct stream_client *client, struct buf *request)
{
    cr_assert_not(buf_failed(request));
    buf_reset(&client->newest);
    grpc_call_send(client->call, request->ptr, request->len, false);
    buf_done(request);
}

static bool has_answer(const void *ctx)
{
    return ((const struct stream_client *)ctx)->newest.len > 0;
}

void client_wait(const struct stream_client *client)
{
    serve_fixture_wait(client->fixture, has_answer, client);
}

void client_ask(struct stream_client *client, struct buf *request)
{
    client_send(client, request);
    client_wait(client);
}

bool client_has(const struct stream_client *client, const char *text)
{
    struct str newest = buf_str(&client->newest);

    return memmem(newest.ptr, newest.len, text, strlen(text)) != NULL;
}
