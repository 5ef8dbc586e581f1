/*
 * bench shake CERTIFICATE KEY SECONDS: "shaken N": the whole handshakes a second, both ends, that OpenSSL does with all cores when there is no network
 * between them. What a storm over TLS cannot exceed.
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "frame.h"

struct contexts {
    SSL_CTX *server, *client;
};

static struct contexts make_contexts(const char *certificate, const char *key)
{
    struct contexts made = {SSL_CTX_new(TLS_server_method()), SSL_CTX_new(TLS_client_method())};

    if (SSL_CTX_use_certificate_chain_file(made.server, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(made.server, key, SSL_FILETYPE_PEM) != 1)
        bench_die("the certificate or its key");
    SSL_CTX_set_num_tickets(made.server, 0);
    SSL_CTX_set_session_cache_mode(made.server, SSL_SESS_CACHE_OFF);
    return made;
}

static void shake(const struct contexts *contexts)
{
    SSL *server = SSL_new(contexts->server), *client = SSL_new(contexts->client);
    BIO *server_end, *client_end;
    int server_done = 0, client_done = 0;

    BIO_new_bio_pair(&server_end, 0, &client_end, 0);
    SSL_set_bio(server, server_end, server_end);
    SSL_set_bio(client, client_end, client_end);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int turn = 0; turn < 10 && !(server_done == 1 && client_done == 1); turn++) {
        client_done = SSL_do_handshake(client);
        server_done = SSL_do_handshake(server);
    }
    if (server_done != 1 || client_done != 1)
        bench_die("a handshake");
    SSL_free(server);
    SSL_free(client);
}

static uint64_t shake_until(const struct contexts *contexts, uint64_t end_us)
{
    uint64_t shaken = 0;

    for (; bench_now_us() < end_us; shaken++)
        shake(contexts);
    return shaken;
}

int bench_shake(int argc, char **argv)
{
    _Atomic uint64_t *others =
        mmap(NULL, sizeof(*others), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct contexts contexts;
    cpu_set_t cores;
    uint64_t seconds, end_us, own;

    if (argc != 3 || !str_to_u64(str_of(argv[2]), 60, &seconds) || seconds == 0 ||
        others == MAP_FAILED)
        return 2;
    contexts = make_contexts(argv[0], argv[1]);
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
        bench_die("counting the cores");
    end_us = bench_now_us() + seconds * 1000000;
    for (int i = 1; i < CPU_COUNT(&cores); i++) {
        if (fork() == 0) {
            atomic_fetch_add(others, shake_until(&contexts, end_us));
            _exit(0);
        }
    }
    own = shake_until(&contexts, end_us);
    while (wait(NULL) > 0)
        ;
    printf("shaken %llu\n", (unsigned long long)((own + atomic_load(others)) / seconds));
    return 0;
}
