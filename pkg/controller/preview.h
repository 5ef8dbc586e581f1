/*
 * What applying manifests would change in what is published, told by the controller's own code: it runs on a copy of what they concern, once as
 * it is and once with them, and the two catalogs are compared. Nothing changes.
 *
 * Taken from the manifests are Services, EndpointSlices and LookasideServices. Copied are the Services that those are of, the Services that share
 * out calls to these, the backends of all of them, and every LookasideService that claims hosts. Holds do not count: both catalogs are what is
 * published once none is in force. Lists are those of a client of unknown place.
 *
 * Threads: the control loop.
 * Limits:  PREVIEW_OBJECTS_MAX objects: so many Services of 50 endpoints that share out to as many others take 0.4 s of the control thread.
 */
#ifndef CONTROLLER_PREVIEW_H
#define CONTROLLER_PREVIEW_H

#include "controller/controller.h"
#include "controller/manifest.h"

#define PREVIEW_OBJECTS_MAX 1000
#define PREVIEW_BYTES_MAX (2 << 20) /* of a request that has them */

/* As members of an open object:
 *   changes    how many there are below
 *   services   [{namespace, name, ports: [{number, name, changes: [{what, now, then}]}]}], those with changes, by name. What: "published",
 *              "type", "externalName" (of the whole Service: without number), "backends", "endpoints", or a field of spec. Now and then are as
 *              a person would write them; "": nothing
 *   hosts      [{host, now, then}]: "namespace/name" of the Service that has it; "": nobody
 *   resources  the manifests' LookasideServices as they would be then: resource_write() of controller/resource.h
 * `now_us`: since 1970, when a LookasideService that is new would begin to be there; 0: when its manifest says, as in a directory.
 * INVALID_ARGUMENT: an object that would not be accepted, or too many. */
enum code controller_preview(const struct controller *controller, const struct manifest *manifest, uint64_t now_us, struct json_writer *writer,
                             struct err *err) must_check;

#endif
