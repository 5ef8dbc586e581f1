/*
 * The network to the API servers (api_server.h): kube/client.h without sockets. It cuts bodies anywhere,
 * falls silent, and refuses connections.
 *
 * What the controller was told goes to known.h, once the bytes that say so are delivered whole.
 */
#ifndef SIMULATE_FAKE_KUBE_H
#define SIMULATE_FAKE_KUBE_H

#include "api_server.h"

/* The servers too. */
void api_start(const struct api_options *options);

/* Ends every watch of the resource (RESOURCES: of all): in order, or in the middle of a line. */
void api_cut(enum resource resource, bool orderly);
/* Its connections fall silent, and nobody closes them. */
void api_silence(enum resource resource);
/* The servers are away for so long: connections break and are refused; or, in order, watches are ended and a load balancer answers 503. */
void api_down(uint64_t us, bool orderly);
/* etcd is restored behind them, so many changes back, while they are away: for so long, and until who asks for a resource knows that they are
 * (its connection breaks, or else its next request is refused), because no restoration takes less time than that. */
void api_restore(size_t changes, uint64_t us, bool orderly);
void api_slow(uint64_t latency_us);
/* All faults end; connections that are silent stay so, and servers that are down come back in their time. */
void api_heal(void);

#endif
