#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include "net/socket.h"

#define HOST_MAX 255 /* of a DNS name */
#define PORT_MAX 65535

static const struct str unix_prefix = STR_INIT("unix:");
static const struct str dns_prefix = STR_INIT("dns:///");

static enum code parse_unix(struct str text, struct address *ret_address, struct err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct str path = str_slice(text, unix_prefix.len, text.len);

    if (str_starts_with(path, STR("//")))
        path = str_slice(path, 2, path.len);
    if (path.len == 0 || path.ptr[0] != '/')
        return fail(err, CODE_INVALID_ARGUMENT,
                    "invalid address '%" STR_FMT "': a unix socket needs an absolute path",
                    STR_ARG(text));
    if (path.len >= sizeof(un.sun_path) || memchr(path.ptr, '\0', path.len))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "invalid address '%" STR_FMT "': a unix socket path has at most %zu bytes",
                    STR_ARG(text), sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path.ptr, path.len);
    *ret_address = (struct address){.len = sizeof(un)};
    memcpy(&ret_address->storage, &un, sizeof(un));
    return CODE_OK;
}

/* "host:port", "[v6]:port", ":port" → host without brackets, port. */
static enum code split(struct str text, struct str *ret_host, uint16_t *ret_port, struct err *err)
{
    size_t colon = str_find_last(text, ':');
    struct str host = str_slice(text, 0, colon);
    bool bracketed = str_starts_with(host, STR("[")) && str_ends_with(host, STR("]"));
    uint64_t port;

    if (colon == text.len)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "invalid address '%" STR_FMT "': no port (want HOST:PORT or unix:PATH)",
                    STR_ARG(text));
    if (!str_to_u64(str_slice(text, colon + 1, text.len), PORT_MAX, &port))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "invalid address '%" STR_FMT "': the port is no number from 0 to 65535",
                    STR_ARG(text));
    if (!bracketed && str_find(host, ':') < host.len)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "invalid address '%" STR_FMT "': an IPv6 address needs brackets, [::1]:80",
                    STR_ARG(text));
    if (bracketed)
        host = str_slice(host, 1, host.len - 1);
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return CODE_OK;
}

static void set_inet6(struct address *address, struct in6_addr ip, uint16_t port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = ip};

    *address = (struct address){.len = sizeof(six)};
    memcpy(&address->storage, &six, sizeof(six));
}

static void set_inet(struct address *address, struct in_addr ip, uint16_t port)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = ip};

    *address = (struct address){.len = sizeof(four)};
    memcpy(&address->storage, &four, sizeof(four));
}

/* An empty host is the IPv6 wildcard, which listens for IPv4 as well. False: no literal. */
static bool set_literal(struct address *address, const char *host, bool bracketed, uint16_t port)
{
    struct in6_addr six = in6addr_any;
    struct in_addr four;

    if (!bracketed && inet_pton(AF_INET, host, &four) == 1) {
        set_inet(address, four, port);
        return true;
    }
    if (*host != '\0' && inet_pton(AF_INET6, host, &six) != 1)
        return false;
    set_inet6(address, six, port);
    return true;
}

enum code address_parse(struct str text, struct address *ret_address, struct err *err)
{
    char host[INET6_ADDRSTRLEN] = "";
    bool bracketed = str_starts_with(text, STR("["));
    struct str name;
    uint16_t port;
    enum code code;

    if (str_starts_with(text, unix_prefix))
        return parse_unix(text, ret_address, err);
    code = split(text, &name, &port, err);
    if (code != CODE_OK)
        return code;
    if (name.len < sizeof(host) && !memchr(name.ptr, '\0', name.len) &&
        !(bracketed && name.len == 0)) {
        memcpy(host, name.ptr, name.len);
        if (set_literal(ret_address, host, bracketed, port))
            return CODE_OK;
    }
    return fail(err, CODE_INVALID_ARGUMENT,
                "invalid address '%" STR_FMT "': '%" STR_FMT "' is no IP address", STR_ARG(text),
                STR_ARG(name));
}

/* IPv4 where a name has both: a server on 127.0.0.1 is then found as "localhost" too. */
static const struct addrinfo *choose(const struct addrinfo *found)
{
    for (const struct addrinfo *item = found; item; item = item->ai_next) {
        if (item->ai_family == AF_INET)
            return item;
    }
    return found;
}

static enum code resolve(struct str name, uint16_t port, struct address *ret_address,
                         struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const struct addrinfo *chosen;
    char host[HOST_MAX + 1], service[8];
    int status;

    if (name.len > HOST_MAX || memchr(name.ptr, '\0', name.len))
        return fail(err, CODE_INVALID_ARGUMENT, "a host name has at most %d bytes", HOST_MAX);
    snprintf(host, sizeof(host), "%" STR_FMT, STR_ARG(name));
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    status = getaddrinfo(host, service, &hints, &found);
    if (status != 0)
        return fail(err, CODE_UNAVAILABLE, "cannot look up '%s': %s", host, gai_strerror(status));
    chosen = choose(found);
    *ret_address = (struct address){.len = chosen->ai_addrlen};
    memcpy(&ret_address->storage, chosen->ai_addr, chosen->ai_addrlen);
    freeaddrinfo(found);
    return CODE_OK;
}

enum code address_lookup(struct str text, struct address *ret_address, struct err *err)
{
    struct str name;
    uint16_t port;
    enum code code;

    if (str_starts_with(text, dns_prefix))
        text = str_slice(text, dns_prefix.len, text.len);
    if (str_starts_with(text, unix_prefix))
        return parse_unix(text, ret_address, err);
    if (address_parse(text, ret_address, NULL) == CODE_OK)
        return CODE_OK;
    code = split(text, &name, &port, err);
    if (code != CODE_OK)
        return code;
    return resolve(name, port, ret_address, err);
}

static void format_unix(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    struct sockaddr_un un;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t len = address->len > head ? address->len - head : 0;

    memcpy(&un, &address->storage, sizeof(un));
    /* The kernel may leave out the NUL of the longest path; an abstract name starts with one. */
    snprintf(out, ADDRESS_TEXT_MAX, "unix:%.*s", (int)min_size(len, sizeof(un.sun_path)),
             un.sun_path);
}

static void format_inet(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in6 six;
    struct sockaddr_in four;

    if (address->storage.ss_family == AF_INET6) {
        memcpy(&six, &address->storage, sizeof(six));
        inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof(host));
        snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(six.sin6_port));
    } else {
        memcpy(&four, &address->storage, sizeof(four));
        inet_ntop(AF_INET, &four.sin_addr, host, sizeof(host));
        snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(four.sin_port));
    }
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    switch (address->storage.ss_family) {
    case AF_UNIX:
        format_unix(address, out);
        break;
    case AF_INET:
    case AF_INET6:
        format_inet(address, out);
        break;
    default:
        snprintf(out, ADDRESS_TEXT_MAX, "unknown");
    }
}

static bool is_loopback6(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_LOOPBACK(ip) ||
           (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == IN_LOOPBACKNET);
}

bool address_is_local(const struct address *address)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four;

    switch (address->storage.ss_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        memcpy(&four, &address->storage, sizeof(four));
        return ntohl(four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        memcpy(&six, &address->storage, sizeof(six));
        return is_loopback6(&six.sin6_addr);
    default:
        return false;
    }
}

bool address_is_unix(const struct address *address)
{
    return address->storage.ss_family == AF_UNIX;
}

int address_ip(const struct address *address, unsigned char ret_bytes[16])
{
    struct address plain = *address;
    struct sockaddr_in6 six;
    struct sockaddr_in four;

    address_unmap(&plain);
    switch (plain.storage.ss_family) {
    case AF_INET:
        memcpy(&four, &plain.storage, sizeof(four));
        memset(ret_bytes, 0, 16);
        memcpy(ret_bytes, &four.sin_addr, sizeof(four.sin_addr));
        return 4;
    case AF_INET6:
        memcpy(&six, &plain.storage, sizeof(six));
        memcpy(ret_bytes, &six.sin6_addr, sizeof(six.sin6_addr));
        return 6;
    default:
        return 0;
    }
}

void address_unmap(struct address *address)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four = {.sin_family = AF_INET};

    if (address->storage.ss_family != AF_INET6)
        return;
    memcpy(&six, &address->storage, sizeof(six));
    if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
        return;
    four.sin_port = six.sin6_port;
    memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], sizeof(four.sin_addr));
    memset(&address->storage, 0, sizeof(address->storage));
    memcpy(&address->storage, &four, sizeof(four));
    address->len = sizeof(four);
}
