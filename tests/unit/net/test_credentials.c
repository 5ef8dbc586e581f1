/* What the kernel says of the other end of a socket. */
#include "fixture.h"

#include <netinet/in.h>
#include <sys/wait.h>

#include "net/credentials.h"

#define USER 4201
#define GROUP 4242

Test(credentials, of_a_unix_socket_are_its_other_end)
{
    struct credentials credentials;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert(credentials_read(pair[0], &credentials));
    cr_assert_eq(credentials.pid, getpid());
    cr_assert_eq(credentials.uid, getuid());
    cr_assert_eq(credentials.gid, getgid());
    close(pair[0]);
    close(pair[1]);
}

Test(credentials, of_other_descriptors_there_are_none)
{
    struct credentials credentials;
    int tcp = socket(AF_INET, SOCK_STREAM, 0), ends[2], alone = socket(AF_UNIX, SOCK_STREAM, 0);

    cr_assert_eq(pipe(ends), 0);
    cr_assert_not(credentials_read(tcp, &credentials));
    cr_assert_not(credentials_read(ends[0], &credentials));
    cr_assert_not(credentials_read(alone, &credentials), "it is connected to nobody");
    cr_assert_not(credentials_read(-1, &credentials));
    close(tcp);
    close(alone);
    close(ends[0]);
    close(ends[1]);
}

/* In the child. */
static void connect_as(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (setgid(GROUP) == 0 && setuid(USER) == 0 &&
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        pause();
    _exit(1);
}

Test(credentials, are_of_the_user_that_connected, .timeout = 10)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct credentials credentials;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
    pid_t child;

    if (getuid() != 0)
        cr_skip_test("only root can become another user");
    /* In the abstract namespace: no file whose mode would matter. */
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "test_credentials.%d", getpid());
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    child = fork();
    if (child == 0)
        connect_as(&address);
    fd = accept(listener, NULL, NULL);
    cr_assert(credentials_read(fd, &credentials));
    cr_assert_eq(credentials.uid, USER);
    cr_assert_eq(credentials.gid, GROUP);
    cr_assert_eq(credentials.pid, child);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert(credentials_read(fd, &credentials));
    cr_assert_eq(credentials.uid, USER, "they outlive the process");
    close(fd);
    close(listener);
}
