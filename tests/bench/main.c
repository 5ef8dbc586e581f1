/* The bench's C programs: a load client with thousands of connections, the bare loop that sets the floor, and the floor of handshakes. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "frame.h"

static void raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    int status = 2;

    raise_files();
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "load") == 0)
        status = bench_load(argc - 2, argv + 2);
    else if (argc > 1 && strcmp(argv[1], "bare") == 0)
        status = bench_bare(argc - 2, argv + 2);
    else if (argc > 1 && strcmp(argv[1], "shake") == 0)
        status = bench_shake(argc - 2, argv + 2);
    if (status == 2)
        fprintf(stderr, "usage: bench load SERVER PORT CLIENTS [OPTION]... | bare PORT STREAMS | "
                        "shake CERTIFICATE KEY SECONDS\n");
    return status;
}
