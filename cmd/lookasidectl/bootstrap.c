/* lookasidectl bootstrap: the JSON for GRPC_XDS_BOOTSTRAP_CONFIG, good for C++, Python, Go, Java
 * and Node alike. */
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "model/name.h"

#define BOOTSTRAP_MAX (64 * 1024)

/* How a client is to dial; the files are where the client runs. */
struct server {
    const char *uri;
    const char *ca;         /* "": the system's authorities */
    const char *cert, *key; /* ""; or what it shows of itself */
    const char *token;      /* "", or the file that has its token */
    bool tls;
};

static void put_credentials(struct json_writer *writer, const struct server *server)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "type", server->tls ? STR("tls") : STR("insecure"));
    if (*server->ca || *server->cert) {
        json_open_object(writer, "config");
        if (*server->ca)
            json_put_str(writer, "ca_certificate_file", str_of(server->ca));
        if (*server->cert) {
            json_put_str(writer, "certificate_file", str_of(server->cert));
            json_put_str(writer, "private_key_file", str_of(server->key));
        }
        json_close_object(writer);
    }
    json_close_object(writer);
}

/* gRFC A97. */
static void put_call_credentials(struct json_writer *writer, const struct server *server)
{
    json_open_array(writer, "call_creds");
    json_open_object(writer, NULL);
    json_put_str(writer, "type", STR("jwt_token_file"));
    json_open_object(writer, "config");
    json_put_str(writer, "jwt_token_file", str_of(server->token));
    json_close_object(writer);
    json_close_object(writer);
    json_close_array(writer);
}

static void put_server(struct json_writer *writer, const struct server *server)
{
    json_open_array(writer, "xds_servers");
    json_open_object(writer, NULL);
    json_put_str(writer, "server_uri", str_of(server->uri));
    json_open_array(writer, "channel_creds");
    put_credentials(writer, server);
    json_close_array(writer);
    if (*server->token)
        put_call_credentials(writer, server);
    json_open_array(writer, "server_features");
    json_put_str(writer, NULL, STR("xds_v3"));
    json_close_array(writer);
    json_close_object(writer);
    json_close_array(writer);
}

struct node {
    const char *id, *namespace_name, *name, *region, *zone;
};

/* Node.js refuses a node without id or locality, so both are always there. */
static void put_node(struct json_writer *writer, const struct node *node)
{
    json_open_object(writer, "node");
    json_put_str(writer, "id", str_of(node->id));
    json_put_str(writer, "cluster", STR("lookaside"));
    json_open_object(writer, "locality");
    if (*node->region)
        json_put_str(writer, "region", str_of(node->region));
    json_put_str(writer, "zone", str_of(node->zone));
    json_close_object(writer);
    json_open_object(writer, "metadata");
    if (*node->namespace_name)
        json_put_str(writer, "namespace", str_of(node->namespace_name));
    if (*node->name)
        json_put_str(writer, "node", str_of(node->name));
    json_close_object(writer);
    json_close_object(writer);
}

static int print_bootstrap(const struct server *server, const struct node *node)
{
    struct buf out = BUFFER_INIT(BOOTSTRAP_MAX);
    struct json_writer writer = json_writer(&out);
    int exit_code = 0;

    json_open_object(&writer, NULL);
    put_server(&writer, server);
    put_node(&writer, node);
    json_close_object(&writer);
    if (buf_failed(&out)) {
        fprintf(stderr, "lookasidectl bootstrap: the values are too long\n");
        exit_code = 1;
    } else {
        printf("%s\n", buf_cstr(&out));
    }
    buf_done(&out);
    return exit_code;
}

/* A gRPC target with a port, or a unix socket: "host:port", "dns:///host:port", "unix:/path". */
static bool is_server(struct str server)
{
    size_t colon = str_find_last(server, ':');
    uint64_t port;

    if (str_starts_with(server, STR("unix:")))
        return server.len > strlen("unix:");
    return colon > 0 && colon < server.len && server.ptr[colon - 1] != '/' &&
           str_to_u64(str_slice(server, colon + 1, server.len), 65535, &port) && port > 0;
}

static int run(int argc, char **argv)
{
    static char host[256] = "lookaside-client";
    struct server server = {.uri = SERVER_DEFAULT, .ca = "", .cert = "", .key = "", .token = ""};
    struct node node = {host, "", "", "", ""};
    const struct flag flags[] = {
        {"server", "HOST:PORT", "where Lookaside listens, as a gRPC target", .value = &server.uri},
        {"tls", NULL, "the client dials over TLS", .given = &server.tls},
        {"tls-ca", "FILE",
         "over TLS; where the client finds the authorities that it trusts (default: the system's)",
         .value = &server.ca},
        {"tls-cert", "FILE", "over TLS; where it finds the certificate that it shows of itself",
         .value = &server.cert},
        {"tls-key", "FILE", "and its key", .value = &server.key},
        {"token-file", "FILE", "over TLS; where it finds the token of its service account",
         .value = &server.token},
        {"node-id", "ID", "the client's name in 'streams' and logs", .value = &node.id},
        {"zone", "ZONE", "the client's zone", .value = &node.zone},
        {"region", "REGION", "the client's region", .value = &node.region},
        {"namespace", "NAME", "the client's namespace, for one-label names such as xds:///greeter",
         .value = &node.namespace_name},
        {"node", "NAME", "the Kubernetes node that the client runs on", .value = &node.name},
    };
    int exit_code;

    (void)gethostname(host, sizeof(host) - 1);
    if (!flags_parse(&bootstrap_command, argc, argv, flags, ARRAY_LEN(flags), NULL, 0, 0,
                     &exit_code))
        return exit_code;
    if (!*server.cert != !*server.key)
        return usage_error(&bootstrap_command, "--tls-cert and --tls-key belong together");
    if (*server.token && !server.tls && !*server.ca && !*server.cert)
        return usage_error(&bootstrap_command,
                           "--token-file needs --tls: clients send no token without");
    server.tls = server.tls || *server.ca || *server.cert;
    if (!is_server(str_of(server.uri)))
        return usage_error(&bootstrap_command,
                           "--server needs a port: HOST:PORT, dns:///HOST:PORT, or unix:/PATH");
    if (*node.namespace_name && !name_is_label(str_of(node.namespace_name)))
        return usage_error(&bootstrap_command, "--namespace is not the name of a namespace");
    if (!*node.id)
        return usage_error(&bootstrap_command, "--node-id is empty (Node.js refuses that)");
    return print_bootstrap(&server, &node);
}

const struct command bootstrap_command = {
    "bootstrap",
    "bootstrap [--server HOST:PORT] [--tls] [--node-id ID] [--zone ZONE] ...",
    "print the bootstrap JSON that xds:/// clients of every language read",
    run,
};
